"""What there is to measure of a stage, and a line of the result."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.precision import Precision
from monitor.bench.footage import Footage
from monitor.bench.spread import Spread
from monitor.bench.stages.lap import Lap


@dataclass(frozen=True)
class Setup:
    """What the stages work on. batches: frames in a batch, for the stages that take whole ones. precisions: of the
    network. cameras: among which the frames are dealt. window: frames in each camera's window, which is full."""

    footage: Footage
    checkpoint: Path
    device: str = "auto"
    precisions: tuple[Precision, ...] = ("fp32",)
    batches: tuple[int, ...] = (1, 8, 32, 64)
    cameras: int = 16
    window: int = 2000


@dataclass(frozen=True, slots=True)
class Task:
    """One way in which a stage is measured. lap: work for about so many seconds. in_path: all tasks with this mark
    together are a frame's whole way through the service, nothing of it twice."""

    stage: str
    variant: str
    batch: int
    lap: Callable[[float], Lap]
    in_path: bool = False


Tasks = Callable[[Setup], AbstractContextManager[list[Task]]]
"""A stage: starts what it needs, and stops it at the end. StageFailed, EmbeddedServerError, CheckpointError."""


@dataclass(frozen=True, slots=True)
class Row:
    """Medians over the laps, of a frame, in µs. frames: of all laps. spread: of frames a second."""

    stage: str
    variant: str
    batch: int
    frames: int
    wall_us: float
    cpu_us: float
    server_cpu_us: float | None
    frames_per_s: float
    spread: Spread
    in_path: bool

    @classmethod
    def of(cls, task: Task, laps: Sequence[Lap]) -> Row:
        rates = Spread.of([lap.frames / lap.wall_s for lap in laps])
        servers = [1e6 * lap.server_cpu_s / lap.frames for lap in laps if lap.server_cpu_s is not None]
        return cls(
            stage=task.stage,
            variant=task.variant,
            batch=task.batch,
            frames=sum(lap.frames for lap in laps),
            wall_us=statistics.median(1e6 * lap.wall_s / lap.frames for lap in laps),
            cpu_us=statistics.median(1e6 * lap.cpu_s / lap.frames for lap in laps),
            server_cpu_us=statistics.median(servers) if servers else None,
            frames_per_s=rates.median,
            spread=rates,
            in_path=task.in_path,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self) | {"spread": self.spread.to_dict()}
