"""Training: the paper's step over and over, the best weights kept, calibrated and saved.

Best means the lowest weighted L_con + L_enc on held-out normal pictures with frozen batch norm.
These two are what the score is made of, in the mode in which it is made, and their scale does not
move; L_adv is measured by a discriminator that changes with every step. Labels of anomalies are
never looked at.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models import losses
from models.average import Average
from models.calibration import Calibration, moved
from models.checkpoint import CheckpointError, save
from models.ganomaly import Discriminator, Generator
from models.ganomaly_scorer import GanomalyScorer
from models.precision import autocast, bf16_measures_faster, pick_device, place, use_bf16
from models.preprocess import Picture, Preprocess
from models.resume import Progressed, identity, load_state, resume_path, save_state
from models.split import held_out
from models.step import Step, StepLosses
from models.threads import settle_threads
from models.training_config import Progress, TrainConfig, TrainResult

LEAST_PICTURES = 10
MOST_HELD_OUT = 256  # in the loss that picks the best weights, and moved for the threshold
SAVE_EVERY_S = 60.0  # how much of a training a power cut may cost

OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]


class TrainingError(Exception):
    """The training went wrong before there was anything worth keeping."""


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

    Blocks until the budget is spent, should_stop says so or KeyboardInterrupt comes; all three
    end with a checkpoint. Both callbacks are called after each step from the calling thread.
    resume goes on from `<out>.resume`: the same pictures and settings, perhaps a larger budget.

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
    # The caller's random numbers are left as they were.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        run = _Run(pictures, config, preprocess, out)
        if resume:
            run.at = load_state(resume_path(out), run.same, run.step, run.average)
        threads = torch.get_num_threads()
        try:
            if run.device.type == "cpu":
                settle_threads(_trial(config, run.batch))
            stopped = run.loop(on_progress or (lambda _: None), should_stop or (lambda: False))
            return run.finish(stopped)
        finally:
            torch.set_num_threads(threads)


def _trial(config: TrainConfig, batch: int) -> Callable[[], object]:
    """About a third of a training step, on networks of its own and without drawing a number that the training would
    have drawn."""
    arch = config.architecture
    with torch.random.fork_rng(devices=[]):
        generator = place(Generator(arch), torch.device("cpu"))
        x = torch.rand(batch, arch.channels, arch.size, arch.size)

    def work() -> None:
        generator(x).rebuilt.sum().backward()

    return work


def _make_folder(out: Path) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        probe = out.with_name(f".{out.name}.{os.getpid()}.tmp")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CheckpointError(f"{out}: cannot be written ({error}): name another place") from error


class _Run:
    """One training: what does not change, and where it stands."""

    def __init__(self, pictures: Picture, config: TrainConfig, preprocess: Preprocess, out: Path) -> None:
        self.config, self.preprocess, self.out = config, preprocess, out
        self.device = pick_device(config.device)
        self.mask = held_out(len(pictures), config.held_out)
        self.normal, self.unseen = pictures[~self.mask], pictures[self.mask]
        self.batch = min(config.batch, len(self.normal))
        arch = config.architecture
        bf16 = use_bf16(config.precision, self.device)
        if bf16 and config.precision == "auto":
            bf16 = bf16_measures_faster(self.device, arch.ngf, arch.size // 2, self.batch)
        self.step = Step(
            place(Generator(arch), self.device),
            place(Discriminator(arch), self.device),
            lr=config.lr,
            betas=config.betas,
            weights=config.weights,
            bf16=bf16,
        )
        self.average = Average(self.step.generator, config.average)
        self.same = identity(pictures, config.shaping())
        self.at = Progressed()
        self.since: list[StepLosses] = []  # steps since the last look at the held-out pictures
        self.held_out_loss: float | None = None

    def loop(self, on_progress: OnProgress, should_stop: ShouldStop) -> str:
        """Steps until something ends it; returns what."""
        before_s, start, steps_before = self.at.elapsed_s, time.monotonic(), self.at.step
        saved_s = 0.0
        try:
            while not self._spent():
                made = self.step(self._batch())
                self.average.update()
                self.at.step += 1
                run_s = time.monotonic() - start
                self.at.elapsed_s = before_s + run_s
                if not made.finite:
                    return f"the loss was no number at step {self.at.step}: try a lower learning rate or precision fp32"
                self.since.append(made)
                best = self.at.step % self.config.evaluate_every == 0 and self._look()
                if run_s - saved_s > SAVE_EVERY_S:
                    saved_s = run_s
                    save_state(resume_path(self.out), self.same, self.step, self.average, self.at)
                steps, remaining_s = self._ahead(run_s / (self.at.step - steps_before))
                on_progress(
                    Progress(
                        self.at.step,
                        steps,
                        made,
                        self.held_out_loss,
                        best,
                        self.at.elapsed_s,
                        remaining_s,
                    )
                )
                if should_stop():
                    return "asked"
        except KeyboardInterrupt:
            return "asked"
        return "budget"

    def finish(self, stopped: str) -> TrainResult:
        """Take the best weights, calibrate, save."""
        sound = stopped in ("budget", "asked")
        if sound:
            if self.since or not self.at.best.weights:
                self._look()
            save_state(resume_path(self.out), self.same, self.step, self.average, self.at)
        best = self.at.best
        if not best.weights:
            raise TrainingError(stopped if not sound else "the held-out loss was never a number")
        best.give(self.step)
        config = self.config
        scorer = GanomalyScorer(
            self.step.generator,
            config.architecture,
            None,
            norm=config.norm,
            device=config.device,
        )
        scores = scorer.score(self.unseen)
        disturbed = None
        if config.tolerate_shift_px:
            parts = moved(self._some_unseen(), config.tolerate_shift_px)
            disturbed = np.concatenate([scorer.score(part) for part in parts])
        calibration = Calibration.from_scores(scores, disturbed)
        summary = {
            **config.shaping(),
            "pictures": len(self.normal),
            "held_out_pictures": len(self.unseen),
            "steps": self.at.step,
            "best_step": best.step,
            "held_out_loss": best.loss,
            "stopped": stopped,
            "elapsed_s": round(self.at.elapsed_s, 1),
            "discriminator_resets": self.step.resets,
            "torch": torch.__version__,
        }
        save(
            self.out,
            self.step.generator,
            self.step.discriminator,
            config.architecture,
            norm=config.norm,
            calibration=calibration,
            training=summary,
        )
        return TrainResult(
            self.out,
            self.at.step,
            best.step,
            best.loss,
            stopped,
            self.at.elapsed_s,
            self.step.resets,
            tuple(self.at.history),
            calibration,
            self.mask,
            scores,
        )

    def _batch(self) -> Tensor:
        """The next of a shuffled epoch; what is left over at its end is dropped, as the authors
        do, because a small batch has poor batch norm statistics."""
        if len(self.at.order) < self.batch:
            self.at.order = torch.randperm(len(self.normal)).tolist()
        chosen, self.at.order = self.at.order[: self.batch], self.at.order[self.batch :]
        return self.config.augment(self.preprocess.to_tensor(self.normal[chosen], self.device))

    def _look(self) -> bool:
        """Measure the held-out loss, note the history, keep the weights if they are the best."""
        self.held_out_loss = self._loss(self._some_unseen())
        rows = [asdict(made) for made in self.since]
        means = {
            name: float(np.mean([row[name] for row in rows])) if rows else float("nan")
            for name in ("adv", "con", "enc", "generator", "discriminator")
        }
        self.at.history.append({"step": self.at.step, **means, "held_out": self.held_out_loss})
        self.since = []
        if not self.held_out_loss < self.at.best.loss:  # also where it is no number
            return False
        self.at.best.take(self.step, self.average, self.at.step, self.held_out_loss)
        return True

    def _some_unseen(self) -> Picture:
        """At most MOST_HELD_OUT of the held-out pictures, spread over all of them."""
        count = min(len(self.unseen), MOST_HELD_OUT)
        chosen = np.linspace(0, len(self.unseen) - 1, count).round().astype(np.intp)
        return np.asarray(self.unseen[chosen], np.uint8)

    def _loss(self, pictures: npt.NDArray[np.uint8]) -> float:
        generator = self.average.generator.eval()
        total = 0.0
        with torch.no_grad(), autocast(self.device, self.step.bf16):
            for start in range(0, len(pictures), 64):
                part = pictures[start : start + 64]
                x = self.preprocess.to_tensor(part, self.device)
                made = generator(x)
                con = losses.contextual(x, made.rebuilt.float())
                enc = losses.encoding(made.code.float(), made.code_again.float())
                loss = self.config.weights.con * con + self.config.weights.enc * enc
                total += loss.item() * len(part)
        return total / len(pictures)

    def _spent(self) -> bool:
        steps, minutes = self.config.max_steps, self.config.minutes
        return (steps is not None and self.at.step >= steps) or (
            minutes is not None and self.at.elapsed_s >= 60 * minutes
        )

    def _ahead(self, step_s: float) -> tuple[int, float]:
        """How many steps there will have been, and how long that still takes in seconds."""
        remaining_s = float("inf")
        if self.config.max_steps is not None:
            remaining_s = (self.config.max_steps - self.at.step) * step_s
        if self.config.minutes is not None:
            remaining_s = min(remaining_s, 60 * self.config.minutes - self.at.elapsed_s)
        remaining_s = max(0.0, remaining_s)
        return self.at.step + round(remaining_s / max(step_s, 1e-9)), remaining_s
