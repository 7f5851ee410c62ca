"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere. All on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.training_config import Progress as Step

PLAIN_EVERY_S = 10.0


class TrainingProgress:
    """Shows a training: step, losses, held-out loss and the time left. Call it after every step."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = (
            Progress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
                console=self._console,
            )
            if self._console.is_terminal
            else None
        )
        self._task = self._bar.add_task("", total=None) if self._bar else None
        self._next_line_s = 0.0

    def __enter__(self) -> TrainingProgress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, step: Step) -> None:
        text = _describe(step)
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=step.step, total=max(step.steps, step.step), description=text)
        elif time.monotonic() >= self._next_line_s or step.step >= step.steps:
            self._next_line_s = time.monotonic() + PLAIN_EVERY_S
            self._console.print(f"step {step.step} of {step.steps}  {text}", highlight=False, soft_wrap=True)


def _describe(step: Step) -> str:
    losses = "  ".join(f"{name} {loss:.4f}" for name, loss in step.losses.items())
    held_out = "" if step.held_out_loss is None else f"  held-out {step.held_out_loss:.4f}"
    return f"{losses}{held_out}  {step.remaining_s:.0f} s left"


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """A counter: call it with how many are done and how many there will be, if known."""
    console = Console(stderr=True)
    if console.is_terminal:
        bar = Progress(TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console)
        with bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    next_line_s = 0.0

    def line(done: int, total: int | None) -> None:
        nonlocal next_line_s
        if time.monotonic() >= next_line_s or done == total:
            next_line_s = time.monotonic() + PLAIN_EVERY_S
            console.print(f"{done}{'' if total is None else f' of {total}'} {what}", highlight=False)

    yield line
