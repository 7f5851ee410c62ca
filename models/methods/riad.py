"""RIAD (Zavrtanik, Kristan, Skočaj, 2020): reconstruction by inpainting (Pattern Recognition 112, 107706).

The picture is cut into squares of k pixels, and the squares are dealt out into three sets. Three times a U-Net sees
the picture without one of the sets and restores what is missing; of the three, the restored parts together are a
whole picture in which no pixel was seen by whoever drew it. A fault is not restored.

As in the paper: k of 2, 4, 8 and 16, one drawn for each step; three disjoint sets; the loss L2 + SSIM + MSGMS with
equal weights; Adam 1e-4. MSGMS, the multi-scale gradient magnitude similarity: the steepness of the picture and of
its restoration (Prewitt, grey) compared pixel by pixel, (2ab + c) / (a² + b² + c), at full size and at half of it
three times over. The map of a picture is 1 - that, the mean over scales and all k, smoothed by a mean filter (21 px
of 256); the score is its maximum.

Chosen by us: no k of more than a quarter of the picture; at test time the sets are the same for every picture (drawn
once, kept in the checkpoint), so that a score is no matter of chance; the mean filter is as wide as the paper's in
proportion to the picture; the details of the U-Net (five levels, ngf to 8 ngf channels, tanh at the end), and that
the three views of a batch pass through it as one batch.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, mse_loss, pad
from torch.optim import Optimizer

from models.ganomaly import Architecture
from models.losses import Norm
from models.method import Learning, Method
from models.precision import autocast

SETS = 3
SCALES = 4
FLAT = 0.0026  # c of the gradient similarity, for brightness in [0, 1]: what is as good as no edge
WINDOW, SIGMA = 11, 1.5  # of SSIM
MEAN_FILTER = 21 / 256  # of the picture's side


class Restorer(nn.Module):
    """The U-Net, [B, C, S, S] -> [B, C, S, S] in [-1, 1]; its deepest map is S/16."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        widths = [arch.ngf * factor for factor in (1, 2, 4, 8, 8)]
        self.down = nn.ModuleList([_twice(arch.channels, widths[0])])
        for above, width in pairwise(widths):
            self.down.append(nn.Sequential(nn.MaxPool2d(2), _twice(above, width)))
        self.up = nn.ModuleList(
            _twice(below + width, width) for below, width in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.last = nn.Sequential(nn.Conv2d(widths[0], arch.channels, 3, 1, 1), nn.Tanh())
        self.apply(_initialise)

    def seen(self, x: Tensor) -> list[Tensor]:
        """The map of every level on the way down, S to S/16."""
        maps: list[Tensor] = []
        for down in self.down:
            x = down(x)
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        maps = self.seen(x)
        x = maps.pop()
        for up in self.up:
            x = up(torch.cat([interpolate(x, scale_factor=2.0), maps.pop()], 1))
        restored: Tensor = self.last(x)
        return restored


class Riad(Method):
    """A step asks for three passes at full width, a score, a heat map or a loss for three to each k, twelve mostly. On
    a CPU take a smaller ngf, and batches of 4 to 8: in the same time many steps teach more than wide ones."""

    name: ClassVar[str] = "riad"
    title: ClassVar[str] = "RIAD"
    line_lr: ClassVar[float] = 1e-3
    line_batch: ClassVar[int] = 4
    lr: ClassVar[float] = 1e-4

    sets: Tensor

    def __init__(self, arch: Architecture, norm: Norm = "squared") -> None:
        super().__init__(arch, norm)
        self.restorer = Restorer(arch)
        self.sides = tuple(k for k in (2, 4, 8, 16) if 4 * k <= arch.size)
        # uint8 [len(sides), S, S]: which of the three sets each pixel belongs to, when scoring
        self.register_buffer("sets", torch.stack([_deal(arch.size, k) for k in self.sides]))

    def begin(self, learning: Learning) -> dict[str, Optimizer]:
        super().begin(learning)
        self._optimiser = self.adam(self.restorer.parameters())
        return {"restorer": self._optimiser}

    def step(self, x: Tensor) -> dict[str, float]:
        self.train()
        # Drawn on the CPU, whose random state a resumed training takes up again.
        side = self.sides[int(torch.randint(len(self.sides), (1,)))]
        with autocast(x.device, self.learning.bf16):
            restored = self._restore(x, _deal(self.arch.size, side).to(x.device))
        parts = _losses(x, restored)
        loss = torch.stack(list(parts.values())).sum()
        self._optimiser.zero_grad()
        torch.autograd.backward(loss)
        self._optimiser.step()
        return {"loss": loss.item(), **{name: part.item() for name, part in parts.items()}}

    def loss(self, x: Tensor) -> Tensor:
        """That of training, the mean over all k with the sets that a score takes."""
        return torch.stack(
            [sum(_losses(x, self._restore(x, sets)).values(), x.new_zeros(())) for sets in self.sets]
        ).mean()

    def score(self, x: Tensor) -> Tensor:
        return self.heat(x).flatten(1).amax(1)

    def rebuild(self, x: Tensor) -> Tensor:
        """The mean of the restorations with every k."""
        return torch.stack([self._restore(x, sets) for sets in self.sets]).mean(0)

    def heat(self, x: Tensor) -> Tensor:
        """The map described above, in [0, 1]."""
        maps = torch.stack([_deviation(x, self._restore(x, sets)) for sets in self.sets]).mean(0)
        width = 2 * round((MEAN_FILTER * self.arch.size - 1) / 2) + 1
        smooth = avg_pool2d(maps[:, None], width, 1, width // 2, count_include_pad=False)
        return smooth[:, 0].clamp(0, 1)

    def features(self, x: Tensor) -> Tensor:
        """What the U-Net's deepest map holds on the mean over the picture."""
        return self.restorer.seen(x)[-1].float().mean((2, 3))

    def _restore(self, x: Tensor, sets: Tensor) -> Tensor:
        """sets [S, S]: of every pixel, the one of the three views in which it is hidden."""
        views = torch.arange(SETS, device=x.device)
        hidden = (sets == views[:, None, None])[:, None, None]  # [3, 1, 1, S, S]
        # Grey where hidden: the middle of the range, as 0 is in ours.
        masked = (x * ~hidden).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        restored: Tensor = self.restorer(masked).float().unflatten(0, (SETS, len(x)))
        return (restored * hidden).sum(0)


def _deal(size: int, side: int) -> Tensor:
    """uint8 [S, S], 0, 1 or 2: the squares of so many pixels dealt out at random, as evenly as can be."""
    across = size // side
    dealt = (torch.randperm(across * across) % SETS).to(torch.uint8).view(across, across)
    return dealt.repeat_interleave(side, 0).repeat_interleave(side, 1)


def _losses(x: Tensor, restored: Tensor) -> dict[str, Tensor]:
    msgms = torch.stack([(1 - similar).mean() for similar in _similarities(x, restored)]).mean()
    return {"l2": mse_loss(restored, x), "ssim": 1 - _ssim(x, restored), "msgms": msgms}


def _deviation(x: Tensor, y: Tensor) -> Tensor:
    """[B, S, S] in [0, 1]: 1 - the similarity of gradients, the mean over the scales."""
    size = x.shape[-2:]
    maps = [interpolate(1 - similar, size=size, mode="bilinear") for similar in _similarities(x, y)]
    return torch.cat(maps, 1).mean(1)


def _similarities(x: Tensor, y: Tensor) -> list[Tensor]:
    """Of gradient magnitudes, [B, 1, s, s] in [0, 1] at every scale from S on."""
    x, y = (x.mean(1, keepdim=True) + 1) / 2, (y.mean(1, keepdim=True) + 1) / 2
    maps: list[Tensor] = []
    for scale in range(SCALES):
        if scale:
            x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
        a, b = _steepness(x), _steepness(y)
        maps.append((2 * (a * b).sqrt() + FLAT) / (a + b + FLAT))
    return maps


def _steepness(grey: Tensor) -> Tensor:
    """Squared magnitude of the gradient after Prewitt, of [B, 1, s, s] the same; never quite 0, where its root would
    have no slope."""
    wide = pad(grey, (1, 1, 1, 1), mode="replicate")
    rows = (wide[..., :-2, :] + wide[..., 1:-1, :] + wide[..., 2:, :]) / 3
    columns = (wide[..., :-2] + wide[..., 1:-1] + wide[..., 2:]) / 3
    across, down = rows[..., 2:] - rows[..., :-2], columns[..., 2:, :] - columns[..., :-2, :]
    return across.square() + down.square() + 1e-10


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity (Wang et al., 2004) of pictures in [-1, 1], the mean over all: at most 1."""
    x, y = (x + 1) / 2, (y + 1) / 2
    with autocast(x.device, False):  # differences of close numbers, also where the networks run in half precision
        mean_x, mean_y = _blur(x), _blur(y)
        var_x, var_y = _blur(x * x) - mean_x.square(), _blur(y * y) - mean_y.square()
        cov = _blur(x * y) - mean_x * mean_y
    light = (2 * mean_x * mean_y + 0.01**2) / (mean_x.square() + mean_y.square() + 0.01**2)
    structure = (2 * cov + 0.03**2) / (var_x + var_y + 0.03**2)
    return (light * structure).mean()


def _blur(x: Tensor) -> Tensor:
    """Weighed means over a Gaussian window, only where it lies on the picture: S - 10 on a side."""
    at = torch.arange(WINDOW, device=x.device) - WINDOW // 2
    weights = (-(at**2) / (2 * SIGMA**2)).exp()
    weights = weights / weights.sum()
    flat = x.flatten(0, 1)[:, None]
    return conv2d(conv2d(flat, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))


def _twice(into: int, out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (into, out):
        layers += [nn.Conv2d(channels, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
    return nn.Sequential(*layers)


def _initialise(module: nn.Module) -> None:
    """As PyTorch would, but for ReLU: N(0, 0.02) is made for GANs."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
