"""A convolutional autoencoder: GANomaly without its adversary and without its second look.

The oldest of the family: what was learned from normal pictures alone is rebuilt well, the rest is not.
There is no one paper; Masci et al. 2011 is the usual source. Chosen by us: the encoder and the decoder are
GANomaly's, so that what its other parts bring can be read from the difference; the loss is GANomaly's
contextual one, mean |x - x̂|; optimiser and initialisation are GANomaly's, too.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from models import losses
from models.ganomaly import Architecture, Decoder, Encoder, initialise
from models.losses import Norm
from models.method import Learning, Method
from models.precision import autocast


class ConvolutionalAutoencoder(Method):
    """Score: the mean of (x - x̂)², or of |x - x̂|."""

    name: ClassVar[str] = "cae"
    title: ClassVar[str] = "Convolutional autoencoder"
    averaged: ClassVar[tuple[str, ...]] = ("encoder", "decoder")

    def __init__(self, arch: Architecture, norm: Norm = "squared") -> None:
        super().__init__(arch, norm)
        self.encoder = Encoder(arch)
        self.decoder = Decoder(arch)
        self.apply(initialise)

    def begin(self, learning: Learning) -> dict[str, Optimizer]:
        super().begin(learning)
        self.optimiser = self.adam(self.parameters())
        return {"autoencoder": self.optimiser}

    def step(self, x: Tensor) -> dict[str, float]:
        self.train()
        with autocast(x.device, self.learning.bf16):
            rebuilt = self.decoder(self.encoder(x))
        con = losses.contextual(x, rebuilt.float())
        self.optimiser.zero_grad()
        torch.autograd.backward(con)
        self.optimiser.step()
        return {"con": con.item()}

    def loss(self, x: Tensor) -> Tensor:
        return losses.contextual(x, self.rebuild(x))

    def score(self, x: Tensor) -> Tensor:
        return losses.code_distance(x, self.rebuild(x), self.norm)

    def rebuild(self, x: Tensor) -> Tensor:
        rebuilt: Tensor = self.decoder(self.encoder(x)).float()
        return rebuilt

    def features(self, x: Tensor) -> Tensor:
        """The code."""
        code: Tensor = self.encoder(x)
        return code.flatten(1).float()
