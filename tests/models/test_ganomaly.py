"""The networks are the paper's: sizes, counts, initialisation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.ganomaly import Architecture, Discriminator, Encoder, Generator

# Millions of parameters: generator, and with the discriminator.
COUNTS = {32: (3.21, 3.87), 64: (10.73, 13.50), 128: (38.36, 49.52), 256: (143.95, 188.69)}


def millions(network: nn.Module) -> float:
    return sum(p.numel() for p in network.parameters()) / 1e6


@pytest.mark.parametrize("size", COUNTS)
def test_parameter_counts_at_the_paper_defaults(size: int) -> None:
    with torch.device("meta"):
        generator, discriminator = (net(Architecture(size=size)) for net in (Generator, Discriminator))
    assert round(millions(generator), 2) == COUNTS[size][0]
    assert round(millions(generator) + millions(discriminator), 2) == COUNTS[size][1]


def convolution_outputs(network: nn.Module, *inputs: Tensor) -> list[tuple[int, ...]]:
    """Shapes [C, H, W] after every convolution, in the order of computing."""
    shapes: list[tuple[int, ...]] = []

    def note(_: nn.Module, __: object, out: Tensor) -> None:
        shapes.append(tuple(out.shape[1:]))

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(note)
    network(*inputs)
    return shapes


@pytest.mark.parametrize("size", [32, 64, 128, 256])
@pytest.mark.parametrize("extra", [0, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_spatial_size_at_every_layer(size: int, extra: int, channels: int) -> None:
    arch = Architecture(size=size, channels=channels, nz=7, ngf=4, extra_layers=extra)
    with torch.device("meta"):
        generator = Generator(arch)
        x = torch.empty(2, channels, size, size)
    down = [(4, size // 2, size // 2)] * (1 + extra)
    width, side = 4, size // 2
    while side > 4:
        width, side = 2 * width, side // 2
        down.append((width, side, side))
    code = [*down, (7, 1, 1)]
    # The decoder is the mirror, extra layers at half size too, then the picture.
    up = [*down[extra:][::-1], *([down[0]] * extra), (channels, size, size)]
    assert convolution_outputs(generator, x) == [*code, *up, *code]


def test_discriminator_judges_with_one_number_from_a_4x4_map(small: Architecture) -> None:
    judged = Discriminator(small)(torch.zeros(3, 3, 32, 32))
    assert judged.logit.shape == (3,)
    assert judged.features.shape == (3, small.deepest, 4, 4)


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_padding_of_4_reaches_4x4_too(size: int) -> None:
    arch = Architecture(size=size, nz=5, ngf=4, first_padding=4)
    with torch.device("meta"):
        shapes = convolution_outputs(Encoder(arch), torch.empty(1, 3, size, size))
    assert shapes[0][1] == size // 2 + 3
    assert shapes[-2][1:] == (4, 4)
    assert shapes[-1] == (5, 1, 1)


def test_reconstruction_has_the_range_of_tanh(small: Architecture) -> None:
    rebuilt = Generator(small)(torch.rand(4, 3, 32, 32) * 2 - 1).rebuilt
    assert rebuilt.shape == (4, 3, 32, 32)
    assert rebuilt.abs().max() <= 1


def test_initialisation_reaches_every_layer() -> None:
    torch.manual_seed(0)
    arch = Architecture(size=64, nz=100, ngf=32, extra_layers=1)
    for network in (Generator(arch), Discriminator(arch)):
        network.requires_grad_(False)
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                assert module.bias is None, name
                assert abs(float(module.weight.mean())) < 0.002, name
                assert float(module.weight.std()) == pytest.approx(0.02, rel=0.1), name
            elif isinstance(module, nn.BatchNorm2d):
                assert not module.bias.any(), name
                assert float(module.weight.mean()) == pytest.approx(1.0, abs=0.02), name
                assert float(module.weight.std()) == pytest.approx(0.02, rel=0.5), name


def test_slopes_and_where_batch_norm_is_not(small: Architecture) -> None:
    generator = Generator(small)
    leaky = [m for m in generator.modules() if isinstance(m, nn.LeakyReLU)]
    assert leaky and all(m.negative_slope == 0.2 for m in leaky)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in generator.encoder1.first)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in generator.decoder.last)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"size": 48}, "48"),
        ({"size": 16}, "32, 64, 128, 256"),
        ({"size": 512}, "512"),
        ({"size": 64.0}, "whole number"),
        ({"channels": 4}, "3 \\(colour\\) or 1"),
        ({"nz": 0}, "nz is 0"),
        ({"ngf": 3}, "even"),
        ({"extra_layers": -1}, "extra_layers is -1"),
        ({"first_padding": 2}, "first_padding is 2"),
    ],
)
def test_refuses_what_fits_no_network(wrong: dict[str, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Architecture(**wrong)


def test_architecture_survives_a_dictionary(small: Architecture) -> None:
    assert Architecture.from_dict(small.to_dict()) == small
    with pytest.raises(ValueError, match="expected"):
        Architecture.from_dict({"size": 32})
