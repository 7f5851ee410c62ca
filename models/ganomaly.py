"""The networks of GANomaly (Akcay, Atapour-Abarghouei, Breckon, 2018; arXiv 1805.06725).

    x ──encoder1──> z ──decoder──> x̂ ──encoder2──> ẑ

The generator learns to encode, rebuild and encode again what is normal. A picture whose second
code ẑ lies far from its first code z is not like what the generator learned.

Modules are declared in the order in which the authors' code declares them, so that the entries of
a state dict correspond one to one, in order: an importer only has to rename.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from torch import Tensor, nn

SIZES = (32, 64, 128, 256)
SLOPE = 0.2  # of every LeakyReLU
INIT_STD = 0.02


@dataclass(frozen=True)
class Architecture:
    """What must be known to build the networks; the defaults are the paper's.

    size: side of the square picture in pixels, one of SIZES.
    channels: 3 for colour, 1 for grey.
    nz: length of the code. ngf: channels after the first convolution.
    extra_layers: 3x3 convolutions added at half the picture's size.
    first_padding: padding of each encoder's first convolution. The authors pad 1; other
        implementations in circulation pad 4, and their weights need the same here.
    """

    size: int = 64
    channels: int = 3
    nz: int = 100
    ngf: int = 64
    extra_layers: int = 0
    first_padding: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise ValueError(f"{field.name} is {value!r}: a whole number is needed")
        if self.size not in SIZES:
            raise ValueError(
                f"size is {self.size}: GANomaly halves the picture until it is 4x4, so its side "
                f"must be a power of two; choose one of {', '.join(map(str, SIZES))}"
            )
        if self.channels not in (1, 3):
            raise ValueError(f"channels is {self.channels}: choose 3 (colour) or 1 (grey)")
        if self.nz < 1:
            raise ValueError(f"nz is {self.nz}: the code needs at least one number")
        if self.ngf < 2 or self.ngf % 2:
            raise ValueError(f"ngf is {self.ngf}: choose an even number of at least 2")
        if self.extra_layers < 0:
            raise ValueError(f"extra_layers is {self.extra_layers}: choose 0 or more")
        if self.first_padding not in (1, 4):
            raise ValueError(f"first_padding is {self.first_padding}: choose 1 (the paper) or 4")

    def to_dict(self) -> dict[str, int]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Architecture:
        """The inverse of to_dict. ValueError where a name is missing, unknown or out of range."""
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ValueError(f"architecture has {sorted(values)}, expected {sorted(names)}")
        return cls(**values)

    @property
    def deepest(self) -> int:
        """Channels of the 4x4 map."""
        return self.ngf * self.size // 8


class Encoder(nn.Module):
    """Picture [B, C, S, S] to code [B, nz, 1, 1]. No convolution has a bias.

    The padding of the first convolution may make the first map larger than S/2; the pyramid
    halves until 4x4 either way, because stride 2 rounds down.
    """

    def __init__(self, arch: Architecture, nz: int | None = None) -> None:
        super().__init__()
        channels = arch.ngf
        self.first = nn.Sequential(  # [B, C, S, S] -> [B, ngf, S/2, S/2]
            nn.Conv2d(arch.channels, channels, 4, 2, arch.first_padding, bias=False),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        self.extra = nn.Sequential(*(_extra(channels, _leaky()) for _ in range(arch.extra_layers)))
        self.pyramid = nn.Sequential()
        while channels < arch.deepest:  # [B, c, s, s] -> [B, 2c, s/2, s/2], down to 4x4
            self.pyramid.append(
                nn.Sequential(
                    nn.Conv2d(channels, 2 * channels, 4, 2, 1, bias=False),
                    nn.BatchNorm2d(2 * channels),
                    _leaky(),
                )
            )
            channels *= 2
        # [B, deepest, 4, 4] -> [B, nz, 1, 1]
        self.last = nn.Conv2d(channels, arch.nz if nz is None else nz, 4, 1, 0, bias=False)

    def features(self, x: Tensor) -> Tensor:
        """Everything but the last convolution: [B, C, S, S] -> [B, deepest, 4, 4]."""
        x = self.pyramid(self.extra(self.first(x)))
        return x

    def forward(self, x: Tensor) -> Tensor:
        code: Tensor = self.last(self.features(x))
        return code


class Decoder(nn.Module):
    """Code [B, nz, 1, 1] to picture [B, C, S, S] in [-1, 1]."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        channels = arch.deepest
        self.first = nn.Sequential(  # [B, nz, 1, 1] -> [B, deepest, 4, 4]
            nn.ConvTranspose2d(arch.nz, channels, 4, 1, 0, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        self.pyramid = nn.Sequential()
        while channels > arch.ngf:  # [B, c, s, s] -> [B, c/2, 2s, 2s], up to S/2
            self.pyramid.append(
                nn.Sequential(
                    nn.ConvTranspose2d(channels, channels // 2, 4, 2, 1, bias=False),
                    nn.BatchNorm2d(channels // 2),
                    nn.ReLU(inplace=True),
                )
            )
            channels //= 2
        self.extra = nn.Sequential(*(_extra(channels, nn.ReLU(inplace=True)) for _ in range(arch.extra_layers)))
        self.last = nn.Sequential(  # [B, ngf, S/2, S/2] -> [B, C, S, S]
            nn.ConvTranspose2d(channels, arch.channels, 4, 2, 1, bias=False), nn.Tanh()
        )

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.last(self.extra(self.pyramid(self.first(z))))
        return x


class Generated(NamedTuple):
    """What the generator makes of x: picture x̂ [B, C, S, S], codes z and ẑ [B, nz, 1, 1]."""

    rebuilt: Tensor
    code: Tensor
    code_again: Tensor


class Generator(nn.Module):
    """Encoder, decoder, and a second encoder with weights of its own."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.encoder1 = Encoder(arch)
        self.decoder = Decoder(arch)
        self.encoder2 = Encoder(arch)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Generated:
        code = self.encoder1(x)
        rebuilt = self.decoder(code)
        return Generated(rebuilt, code, self.encoder2(rebuilt))


class Judged(NamedTuple):
    """What the discriminator makes of x: P(real) before the sigmoid [B], features [B, c, 4, 4]."""

    logit: Tensor
    features: Tensor


class Discriminator(nn.Module):
    """An encoder whose code is one number: how real the picture looks.

    It returns the logit; the paper's probability is its sigmoid. The losses take the logarithm
    of that probability, which is exact from the logit and overflows from the probability.
    """

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.encoder = Encoder(arch, nz=1)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Judged:
        features = self.encoder.features(x)
        return Judged(self.encoder.last(features).flatten(), features)


def initialise(module: nn.Module) -> None:
    """Convolutions N(0, 0.02); batch norm weight N(1, 0.02), bias 0. Use as `net.apply(...)`,
    which reaches every submodule; called on a network alone it would change nothing."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, INIT_STD)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, INIT_STD)
        nn.init.zeros_(module.bias)


def _leaky() -> nn.Module:
    return nn.LeakyReLU(SLOPE, inplace=True)


def _extra(channels: int, activation: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels), activation)
