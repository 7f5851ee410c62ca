"""Which tensor of another implementation is which of ours.

The authors' code numbers nothing: a layer's name holds its kind and its channels
("encoder1.main.pyramid-64-128-conv.weight"). anomalib took those names over and sorted the layers into
groups ("encoder1.pyramid_features.pyramid-64-128-conv.weight"). In both, the discriminator is an encoder
whose layers are numbered, activations included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from models.ganomaly import Architecture

Origin = Literal["authors", "anomalib"]

# The group that a layer of ours lies in, by the first part of its name.
ENCODER_GROUPS = {"first": "input_layers.", "extra": "extra_layers.", "pyramid": "pyramid_features.", "last": ""}
DECODER_GROUPS = {
    "first": "latent_input.",
    "pyramid": "inverse_pyramid.",
    "extra": "extra_layers.",
    "last": "final_layers.",
}


def generator_names(arch: Architecture, origin: Origin, ours: Iterable[str]) -> dict[str, str]:
    """Theirs for each entry of our generator's state dict."""
    layers: dict[str, str] = {}
    for encoder in ("encoder1", "encoder2"):
        layers |= _placed(encoder, _encoder(arch, origin), origin, ENCODER_GROUPS)
    layers |= _placed("decoder", _decoder(arch), origin, DECODER_GROUPS)
    return _entries(layers, ours)


def discriminator_names(arch: Architecture, ours: Iterable[str]) -> dict[str, str]:
    """Theirs for each entry of our discriminator's state dict: the same in both implementations."""
    layers = {"encoder.first.0": "features.0", "encoder.last": "classifier.0"}
    number = 2  # after the first convolution and its activation
    for block in (*(f"extra.{i}" for i in range(arch.extra_layers)), *(f"pyramid.{i}" for i in range(_levels(arch)))):
        layers |= {f"encoder.{block}.0": f"features.{number}", f"encoder.{block}.1": f"features.{number + 1}"}
        number += 3  # convolution, batch norm, activation
    return _entries(layers, ours)


def _encoder(arch: Architecture, origin: Origin) -> dict[str, str]:
    channels = arch.ngf
    layers = {"first.0": f"initial-conv-{arch.channels}-{channels}"} | _extra(arch)
    for level in range(_levels(arch)):
        layers[f"pyramid.{level}.0"] = f"pyramid-{channels}-{2 * channels}-conv"
        layers[f"pyramid.{level}.1"] = f"pyramid-{2 * channels}-batchnorm"
        channels *= 2
    layers["last"] = f"final-{channels}-1-conv" if origin == "authors" else "final_conv_layer"
    return layers


def _decoder(arch: Architecture) -> dict[str, str]:
    channels = arch.deepest
    layers = {"first.0": f"initial-{arch.nz}-{channels}-convt", "first.1": f"initial-{channels}-batchnorm"}
    for level in range(_levels(arch)):
        layers[f"pyramid.{level}.0"] = f"pyramid-{channels}-{channels // 2}-convt"
        layers[f"pyramid.{level}.1"] = f"pyramid-{channels // 2}-batchnorm"
        channels //= 2
    return layers | _extra(arch) | {"last.0": f"final-{channels}-{arch.channels}-convt"}


def _extra(arch: Architecture) -> dict[str, str]:
    kinds = ("conv", "batchnorm")
    return {
        f"extra.{i}.{n}": f"extra-layers-{i}-{arch.ngf}-{kind}"
        for i in range(arch.extra_layers)
        for n, kind in enumerate(kinds)
    }


def _levels(arch: Architecture) -> int:
    """How often the pyramid halves, from half the picture's size down to 4."""
    return (arch.size // 8).bit_length() - 1


def _placed(network: str, layers: Mapping[str, str], origin: Origin, groups: Mapping[str, str]) -> dict[str, str]:
    return {
        f"{network}.{own}": f"{network}.{'main.' if origin == 'authors' else groups[own.split('.')[0]]}{theirs}"
        for own, theirs in layers.items()
    }


def _entries(layers: Mapping[str, str], ours: Iterable[str]) -> dict[str, str]:
    """From layers to what a state dict holds of them (weight, running_mean, ...)."""
    named = {}
    for name in ours:
        layer, _, entry = name.rpartition(".")
        named[name] = f"{layers[layer]}.{entry}"
    return named
