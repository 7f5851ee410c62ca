"""A network's weights turned into bfloat16 once, not at every forward pass."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)
MULTIPLIED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
"""Of whose weights autocast makes bfloat16 ones at each use; the others stay as they are."""


def lean(network: Network) -> Network:
    """A twin that shares everything with `network`, buffers too, except the weights of convolutions and linear layers,
    which are bfloat16 copies as of now. Under bfloat16 autocast it computes the same to the last bit. It fits no
    network that runs parts of itself outside autocast: those parts raise RuntimeError."""
    twin = copy.copy(network)
    twin._modules = {name: None if child is None else lean(child) for name, child in network._modules.items()}
    if isinstance(network, MULTIPLIED):
        twin._parameters = {
            name: None if held is None else nn.Parameter(held.detach().to(torch.bfloat16), requires_grad=False)
            for name, held in network._parameters.items()
        }
    return twin
