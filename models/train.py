"""Training, from pictures to a checkpoint: what is checked and settled before the first step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch

from models.checkpoint import CheckpointError
from models.method import Method
from models.precision import pick_device
from models.preprocess import Picture, Preprocess
from models.resume import load_state, resume_path
from models.threads import keeping_threads, settle_threads
from models.together import joined, own_device
from models.training_config import OnProgress, ShouldStop, TrainConfig, TrainResult
from models.training_run import TrainingRun
from models.writing import beside

LEAST_PICTURES = 10


def train(
    pictures: Picture,
    config: TrainConfig,
    out: Path,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
    resume: bool = False,
) -> TrainResult:
    """Train on normal pictures, uint8 [N, S, S, C] in the order in which they were taken, and
    write the checkpoint to `out` and the state to go on from to `<out>.resume`.

    Blocks until the budget is spent, the held-out loss has not been better for config.patience steps, should_stop
    says so or KeyboardInterrupt comes; all four end with a checkpoint. Both callbacks are called after each step from
    the calling thread. resume goes on from `<out>.resume`: the same pictures and settings, perhaps a larger budget.
    Of several processes (together.py) each must be given the same pictures; KeyboardInterrupt in one of them is not
    caught, because the others stand in the middle of a step: let should_stop say it.

    ValueError where pictures or device do not fit; CheckpointError where a file cannot be read
    or written; TrainingError where the losses were no numbers before any weights were kept.
    """
    preprocess = Preprocess(config.architecture.size, config.architecture.channels)
    preprocess.check(pictures)
    if len(pictures) < LEAST_PICTURES:
        raise ValueError(
            f"{len(pictures)} pictures: training needs at least {LEAST_PICTURES}, and a hundred or more to be of use"
        )
    _make_folder(out)  # now, and not after hours
    device = pick_device(own_device(config.device))
    # The caller's random numbers are left as they were.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), ExitStack() as stack:
        torch.manual_seed(config.seed)
        stack.enter_context(keeping_threads())
        together = stack.enter_context(joined(device))
        run = TrainingRun(pictures, config, preprocess, out, together, device)
        if not together.agree(repr(run.same), device):
            raise ValueError(
                "the processes were given different pictures or settings: train from a folder or a film that each of "
                "them can read, not from a live camera"
            )
        if resume:
            run.at = load_state(resume_path(out), run.same, run.method, run.optimisers, run.average)
        together.equal(run.method)
        if run.device.type == "cpu":
            settle_threads(_trial(run.method, run.batch))
        stopped = run.loop(on_progress or (lambda _: None), should_stop or (lambda: False))
        return run.finish(stopped)


def _trial(trained: Method, batch: int) -> Callable[[], object]:
    """The held-out loss forwards and backwards, on a batch without meaning: the layers of a training step. Nothing of
    the method changes, and no number is drawn that the training would have drawn."""
    arch = trained.arch
    x = torch.zeros(batch, arch.channels, arch.size, arch.size).contiguous(memory_format=torch.channels_last)

    def work() -> None:
        loss = trained.eval().loss(x)
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        trained.zero_grad()

    return work


def _make_folder(out: Path) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        probe = beside(out)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CheckpointError(f"{out}: cannot be written ({error}): name another place") from error
