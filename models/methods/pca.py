"""Principal components: the floor that any network must beat.

Pearson 1901, Hotelling 1933; on whole pictures as Turk and Pentland's eigenfaces (1991), whose "distance
from face space" is the score here. Exact: the mean, the leading components of the normal pictures, the
residual to their span. Chosen by us: 32 components of pictures in [-1, 1], without scaling pixels; the
components are found by subspace iteration, which goes through the pictures in parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from models.ganomaly import Architecture
from models.losses import Norm, code_distance
from models.method import Method, Pictures

PART = 64  # pictures in memory at once
SPARE = 3  # directions that are followed, for each that is kept: how fast the iteration closes in
PASSES = 30  # through the pictures, at most
SETTLED = 1e-8  # of the variance in the kept directions: what a pass must still gain
NOTHING = 1e-9  # of the variance in the first direction: below, it is rounding
LEVEL = 1e-6  # differences of pixels that are rounding


class Pca(Method):
    """Learns all at once from the training pictures. Where they have fewer directions than nz, the other
    rows of `components` are zero: a file's shapes follow from the architecture alone.

    ngf and extra_layers mean nothing here.
    """

    name: ClassVar[str] = "pca"
    title: ClassVar[str] = "PCA"
    nz: ClassVar[int] = 32
    steps: ClassVar[bool] = False
    chunk: ClassVar[int] = 32

    mean: Tensor
    components: Tensor

    def __init__(self, arch: Architecture, norm: Norm = "squared") -> None:
        super().__init__(arch, norm)
        pixels = arch.channels * arch.size * arch.size
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("components", torch.zeros(arch.nz, pixels))  # orthonormal rows, the widest first

    def settle(self, normal: Pictures, held_out: Pictures) -> None:
        """ValueError where there is no picture."""
        if not len(normal):
            raise ValueError("no normal picture to learn from: at least one is needed, a hundred to be of use")
        total = torch.zeros_like(self.mean, dtype=torch.float64)
        for part in _parts(normal):
            total += part.sum(0, dtype=torch.float64)
        self.mean.copy_(total / len(normal))
        found = _principal(normal, self.mean, self.arch.nz)
        self.components.zero_()
        self.components[: len(found)] = found

    def loss(self, x: Tensor) -> Tensor:
        return self.score(x).mean()

    def score(self, x: Tensor) -> Tensor:
        return code_distance(x, self._span(x), self.norm)

    def rebuild(self, x: Tensor) -> Tensor:
        return self._span(x).clamp(-1, 1)

    def features(self, x: Tensor) -> Tensor:
        """The nz coordinates along the components."""
        with torch.autocast(x.device.type, enabled=False):
            return (x.float().flatten(1) - self.mean) @ self.components.T

    def _span(self, x: Tensor) -> Tensor:
        """The nearest point in the span of the components, which may lie outside [-1, 1].
        Always in float32: a residual is a difference of close numbers."""
        with torch.autocast(x.device.type, enabled=False):
            return (self.features(x) @ self.components + self.mean).view(x.shape)


def _parts(pictures: Pictures) -> Iterator[Tensor]:
    """float32 [n, C * S * S], a part at a time."""
    for start in range(0, len(pictures), PART):
        yield pictures[start : start + PART].flatten(1)


def _principal(pictures: Pictures, mean: Tensor, count: int) -> Tensor:
    """The leading principal components, orthonormal rows [k, C * S * S], k <= count, the widest first.

    Subspace iteration (Halko, Martinsson, Tropp 2011): directions are multiplied by the covariance and
    made orthonormal again, until the variance in the best of them stays. With as many directions as
    pictures that is exact at once; with fewer, each pass brings them nearer, by the ratio of the variances
    that are kept and left out.
    """
    pixels = mean.numel()
    width = min(SPARE * count + 8, len(pictures), pixels)
    draw = torch.Generator().manual_seed(0)  # the same components at every call
    image = torch.randn(pixels, width, generator=draw).to(mean.device)
    before = 0.0
    for _ in range(PASSES):
        directions = torch.linalg.qr(image).Q
        image, gram = _pass(pictures, mean, directions)
        ascending, turn = torch.linalg.eigh(gram)
        variance, turn = ascending.flip(0), turn.flip(1)
        kept = variance[:count].sum().item()
        if kept - before <= SETTLED * kept:
            break
        before = kept
    sound = variance > max(NOTHING * variance[0].item(), LEVEL**2 * len(pictures) * pixels)
    components: Tensor = (directions @ turn.to(directions.dtype))[:, sound][:, :count].T
    return components


def _pass(pictures: Pictures, mean: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """The covariance times the directions, and directions' times covariance times directions; both times
    the number of pictures. Small variances are differences in the second: float64."""
    width = directions.shape[1]
    image = torch.zeros_like(directions)
    gram = torch.zeros(width, width, dtype=torch.float64, device=mean.device)
    for part in _parts(pictures):
        gap = part - mean
        along = gap @ directions
        image += gap.T @ along
        gram += along.double().T @ along.double()
    return image, gram
