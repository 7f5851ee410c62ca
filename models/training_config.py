"""What a training is told, and what it tells."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.augment import Augment
from models.calibration import Calibration
from models.ganomaly import Architecture
from models.losses import NORMS, Norm, Weights
from models.methods.catalogue import method as method_named
from models.precision import PRECISIONS, Precision


@dataclass(frozen=True)
class TrainConfig:
    """The defaults are the paper's, but for the budget: time, from which the number of epochs
    follows. The paper's 15 epochs are far too few on the some hundred pictures of one camera.

    method: its name in the catalogue. lr, betas: of every Adam optimiser; lr None for the method's own (2e-4). average:
    decay of the moving average of the generator's weights, 0 for none; 0.99 serves a line better (see average.py).
    held_out: share of the pictures kept for choosing the best weights and for calibration. max_steps, minutes:
    whichever comes first ends the training; at least one is needed. patience: end as well after so many steps without a
    better held-out loss, None for never. evaluate_every: steps between two looks at the held-out pictures.
    tolerate_shift_px: how far a part may be displaced, in pixels of the network's input, and still count as normal (see
    calibration.py); 0 for not at all. precision: of the training; "auto" is bfloat16 where that is faster.
    """

    method: str = "ganomaly"
    architecture: Architecture = field(default_factory=Architecture)
    batch: int = 64
    lr: float | None = None
    betas: tuple[float, float] = (0.5, 0.999)
    weights: Weights = field(default_factory=Weights)
    norm: Norm = "squared"
    augment: Augment = field(default_factory=Augment)
    average: float = 0.0
    held_out: float = 0.2
    seed: int = 0
    max_steps: int | None = None
    minutes: float | None = 2.0
    patience: int | None = None
    evaluate_every: int = 20
    tolerate_shift_px: int = 0
    device: str = "auto"
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.tolerate_shift_px < self.architecture.size // 4:
            raise ValueError(
                f"tolerate_shift_px is {self.tolerate_shift_px}: choose 0 (none) or some pixels, "
                f"below a quarter of the picture's {self.architecture.size}"
            )
        for name in ("batch", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: choose 1 or more")
        method_named(self.method)
        if self.lr is not None and not 0 < self.lr < math.inf:
            raise ValueError(f"lr is {self.lr}: choose a number above 0")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience is {self.patience}: choose 1 or more steps")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas are {self.betas}: choose two numbers in [0, 1)")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out is {self.held_out}: choose a share between 0 and 1")
        if not 0 <= self.average < 1:
            raise ValueError(f"average is {self.average}: choose 0 (none) or a decay below 1")
        if self.norm not in NORMS:
            raise ValueError(f"norm is {self.norm!r}: choose one of {', '.join(NORMS)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is {self.precision!r}: choose one of {', '.join(PRECISIONS)}")
        if self.max_steps is None and self.minutes is None:
            raise ValueError("neither max_steps nor minutes is given: one must end the training")
        if self.max_steps is not None and self.max_steps < 1:
            raise ValueError(f"max_steps is {self.max_steps}: choose 1 or more")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise ValueError(f"minutes is {self.minutes}: choose a number above 0")

    def shaping(self) -> dict[str, Any]:
        """All that shapes the result but the budget and the machine, as JSON would hold it."""
        return {
            "method": self.method,
            "architecture": self.architecture.to_dict(),
            "batch": self.batch,
            "lr": method_named(self.method).lr if self.lr is None else self.lr,
            "betas": list(self.betas),
            "weights": list(self.weights),
            "norm": self.norm,
            "augment": asdict(self.augment),
            "average": self.average,
            "held_out": self.held_out,
            "seed": self.seed,
        }


FIXED_CAMERA = Augment(light=0.1, noise=0.01)
"""What a camera that is screwed on sees change: a lamp or an automatic exposure, and the sensor.
Shifts are left to the calibration: trained with them, anomalies stood out less."""


def for_line(
    method: str = "ganomaly", size: int | None = None, channels: int = 3, minutes: float = 2.0, seed: int = 0
) -> TrainConfig:
    """Settings for one fixed camera on two CPU cores: the paper's networks and losses, half as
    wide and in small batches for more steps, with small changes of light and averaged weights."""
    kind = method_named(method)
    return TrainConfig(
        method=method,
        architecture=Architecture(size=size or kind.size, channels=channels, nz=kind.nz, ngf=kind.ngf // 2),
        batch=kind.line_batch,
        lr=kind.line_lr,
        augment=FIXED_CAMERA,
        average=kind.line_average,
        minutes=minutes,
        seed=seed,
    )


def for_paper(
    method: str = "ganomaly", size: int | None = None, channels: int = 3, minutes: float | None = 2.0, seed: int = 0
) -> TrainConfig:
    """The settings of the method's own paper; for comparisons."""
    kind = method_named(method)
    return TrainConfig(
        method=method,
        architecture=Architecture(size=size or kind.size, channels=channels, nz=kind.nz, ngf=kind.ngf),
        average=kind.average,
        minutes=minutes,
        seed=seed,
    )


@dataclass(frozen=True)
class Progress:
    """After every step. losses: by name, the one to watch first. steps: how many there will be, an estimate where time
    is the budget. held_out_loss: the newest, None before the first. best: whether it is the best so far."""

    step: int
    steps: int
    losses: Mapping[str, float]
    held_out_loss: float | None
    best: bool
    elapsed_s: float
    remaining_s: float


@dataclass(frozen=True)
class TrainResult:
    """stopped: "budget", "no better" (config.patience), "asked" (should_stop or Ctrl-C), or why the training went
    wrong; the checkpoint at `out` holds the best weights in each case. history: at each look at the held-out pictures
    the step, elapsed_s, the mean losses since the last one by the method's names, and held_out. held_out: which of the
    pictures were held out [N]; scores: theirs, raw."""

    out: Path
    method: str
    steps: int
    best_step: int
    held_out_loss: float
    stopped: str
    elapsed_s: float
    discriminator_resets: int
    history: tuple[Mapping[str, float], ...]
    calibration: Calibration
    held_out: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float64]


SOUND = ("budget", "asked", "no better")
"""Of TrainResult.stopped: the ways to end that nothing is wrong with."""

OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]


class TrainingError(Exception):
    """The training went wrong before there was anything worth keeping."""
