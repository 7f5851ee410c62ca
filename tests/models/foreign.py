"""Checkpoints as the authors' code and anomalib write them, of small networks with random weights.

The layers' names are written out by hand here, so that the importer's tables are held against something else.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.ganomaly import Architecture, Discriminator, Generator

State = dict[str, Tensor]
AUTHORS = Architecture(size=32, channels=3, nz=16, ngf=8, extra_layers=1)
ANOMALIB = Architecture(size=32, channels=3, nz=16, ngf=8, first_padding=4)
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_ENCODER = (
    "input_layers.initial-conv-3-8",
    "extra_layers.extra-layers-0-8-conv",
    "extra_layers.extra-layers-0-8-batchnorm",
    "pyramid_features.pyramid-8-16-conv",
    "pyramid_features.pyramid-16-batchnorm",
    "pyramid_features.pyramid-16-32-conv",
    "pyramid_features.pyramid-32-batchnorm",
    "final_conv_layer",
)
_DECODER = (
    "latent_input.initial-16-32-convt",
    "latent_input.initial-32-batchnorm",
    "inverse_pyramid.pyramid-32-16-convt",
    "inverse_pyramid.pyramid-16-batchnorm",
    "inverse_pyramid.pyramid-16-8-convt",
    "inverse_pyramid.pyramid-8-batchnorm",
    "extra_layers.extra-layers-0-8-conv",
    "extra_layers.extra-layers-0-8-batchnorm",
    "final_layers.final-8-3-convt",
)
_GENERATOR = (
    *(f"encoder1.{layer}" for layer in _ENCODER),
    *(f"decoder.{layer}" for layer in _DECODER),
    *(f"encoder2.{layer}" for layer in _ENCODER),
)


def networks(arch: Architecture) -> tuple[Generator, Discriminator]:
    """Random, with batch norm statistics unlike the initial ones, in eval mode."""
    torch.manual_seed(5)
    generator, discriminator = Generator(arch), Discriminator(arch)
    with torch.no_grad():
        for _ in range(2):
            x = torch.rand(4, arch.channels, arch.size, arch.size) * 2 - 1
            generator(x)
            discriminator(x)
    return generator.eval(), discriminator.eval()


def authors_generator(generator: Generator) -> State:
    """netG's state dict; for a generator of AUTHORS."""
    return _renamed(generator, [_authors(layer) for layer in _GENERATOR])


def authors_discriminator(discriminator: Discriminator) -> State:
    """netD's state dict; for a discriminator of AUTHORS."""
    numbered = [f"features.{n}" for n in (0, 2, 3, 5, 6, 8, 9)]
    return _renamed(discriminator, [*numbered, "classifier.0"])


def anomalib(generator: Generator, discriminator: Discriminator) -> State:
    """The state dict of a Lightning module; for networks of ANOMALIB."""
    layers = [layer for layer in _GENERATOR if "extra-layers" not in layer]
    made = {"post_processor._image_threshold": torch.tensor(0.5)}
    made |= {f"model.generator.{k}": v for k, v in _renamed(generator, layers).items()}
    judging = _renamed(discriminator, [*(f"features.{n}" for n in (0, 2, 3, 5, 6)), "classifier.0"])
    return made | {f"model.discriminator.{k}": v for k, v in judging.items()}


def _authors(layer: str) -> str:
    network, _, name = layer.partition(".")
    name = "final-32-1-conv" if name == "final_conv_layer" else name.partition(".")[2]
    return f"{network}.main.{name}"


def _renamed(network: nn.Module, layers: list[str]) -> State:
    """Our tensors, which come in the same order as theirs, under their names. A number in `features` is a batch norm
    where the tensor is no convolution's."""
    own = list(network.state_dict().values())
    names = []
    for layer in layers:
        convolution = own[len(names)].ndim == 4
        names += [f"{layer}.weight"] if convolution else [f"{layer}.{entry}" for entry in _NORM]
    return {name: tensor.clone() for name, tensor in zip(names, own, strict=True)}
