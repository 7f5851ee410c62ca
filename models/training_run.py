"""One training under way: a method's step over and over, the best weights kept, calibrated and saved.

Best means the lowest loss on held-out normal pictures, as the method defines it (Method.loss), with
frozen batch norm. Labels of anomalies are never looked at.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.average import Average
from models.calibration import Calibration, moved
from models.checkpoint import save
from models.log import log_path, write_log
from models.marks import marks
from models.method import Learning
from models.method_scorer import MethodScorer
from models.methods.catalogue import method
from models.precision import autocast, bf16_measures_faster, place, use_bf16
from models.preprocess import Picture, Preprocess
from models.resume import Progressed, identity, resume_path, save_state
from models.split import held_out
from models.together import Together
from models.training_config import (
    SOUND,
    OnProgress,
    Progress,
    ShouldStop,
    TrainConfig,
    TrainingError,
    TrainResult,
)

MOST_HELD_OUT = 256  # in the loss that picks the best weights, and moved for the threshold
SAVE_EVERY_S = 60.0  # how much of a training a power cut may cost
LOOK_AT_ONCE = 64  # pictures


class TrainingRun:
    """One training: what does not change, and where it stands."""

    def __init__(
        self,
        pictures: Picture,
        config: TrainConfig,
        preprocess: Preprocess,
        out: Path,
        together: Together,
        device: torch.device,
    ) -> None:
        self.config, self.preprocess, self.out, self.together = config, preprocess, out, together
        self.pictures, self.device = pictures, device
        self.mask = held_out(len(pictures), config.held_out)
        self.normal, self.unseen = pictures[~self.mask], pictures[self.mask]
        self.batch = min(config.batch, len(self.normal)) // together.size * together.size
        if not self.batch:
            raise ValueError(f"a batch of {config.batch} cannot be shared by {together.size} processes: choose more")
        arch = config.architecture
        bf16 = use_bf16(config.precision, self.device)
        if bf16 and config.precision == "auto":
            bf16 = bf16_measures_faster(self.device, arch.ngf, arch.size // 2, self.batch)
        self.bf16 = bf16
        self.method = place(method(config.method)(arch, config.norm), self.device)
        self.optimisers = self.method.begin(Learning(config.lr, config.betas, config.weights, bf16))
        together.average_gradients(self.optimisers.values())
        self.average = Average(self.method, config.average)
        self.same = identity(pictures, config.shaping())
        self.at = Progressed()
        self.since: list[dict[str, float]] = []  # steps since the last look at the held-out pictures
        self.held_out_loss: float | None = None

    def loop(self, on_progress: OnProgress, should_stop: ShouldStop) -> str:
        """Steps until something ends it; returns what."""
        before_s, start, steps_before = self.at.elapsed_s, time.monotonic(), self.at.step
        saved_s = 0.0
        try:
            spent = not self.method.steps or self._spent()
            while not spent:
                resets = self.method.resets
                made = self.method.step(self._batch())
                wrong, resetter = self._wrong(made, resets)
                if resetter >= 0:
                    self.together.equal(self.method, resetter)
                self.average.update()
                self.at.step += 1
                run_s = time.monotonic() - start
                self.at.elapsed_s = before_s + run_s
                if wrong:
                    return f"a loss was no number at step {self.at.step}: try a lower learning rate or precision fp32"
                self.since.append(made)
                best = self.at.step % self.config.evaluate_every == 0 and self._look()
                if run_s - saved_s > SAVE_EVERY_S:
                    saved_s = run_s
                    self._save_state()
                steps, remaining_s = self._ahead(run_s / (self.at.step - steps_before))
                elapsed_s = self.at.elapsed_s
                on_progress(Progress(self.at.step, steps, made, self.held_out_loss, best, elapsed_s, remaining_s))
                # No process may leave the loop alone: held-out losses are rounded differently on different machines.
                ends = self.together.highest(should_stop(), self._spent(), self._no_better(), device=self.device)
                asked, spent, no_better = map(bool, ends)
                if asked:
                    return "asked"
                if no_better:
                    return "no better"
        except KeyboardInterrupt:
            if self.together.size > 1:
                raise
            return "asked"
        return "budget"

    def _wrong(self, made: dict[str, float], resets: int) -> tuple[bool, int]:
        """Whether a loss was no number in any process, and the process that began a network anew (-1 for none)."""
        finite = all(math.isfinite(loss) for loss in made.values())
        reset = self.together.rank if self.method.resets > resets else -1
        wrong, resetter = self.together.highest(not finite, reset, device=self.device)
        return bool(wrong), int(resetter)

    def finish(self, stopped: str) -> TrainResult:
        """Take the best weights, calibrate, save."""
        sound = stopped in SOUND
        if sound and self.method.steps:
            if self.since or not self.at.best.weights:
                self._look()
            self._save_state()
        best = self.at.best
        if best.weights:
            best.give(self.method)
        elif self.method.steps:
            raise TrainingError(stopped if not sound else "the held-out loss was never a number")
        began_s = time.monotonic()
        honest = self._settle()
        self.at.elapsed_s += time.monotonic() - began_s
        config = self.config
        scorer = MethodScorer(self.method, None, device=str(self.device))
        scores = scorer.score(self.unseen) if honest is None else honest
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
            "discriminator_resets": self.method.resets,
            "torch": torch.__version__,
            "seen": marks(self.pictures),
        }
        if self.together.first:
            save(self.out, self.method, self.preprocess, calibration=calibration, training=summary)
        self.together.wait()
        return TrainResult(
            self.out,
            config.method,
            self.at.step,
            best.step,
            best.loss,
            stopped,
            self.at.elapsed_s,
            self.method.resets,
            tuple(self.at.history),
            calibration,
            self.mask,
            scores,
        )

    def _settle(self) -> npt.NDArray[np.float64] | None:
        """Let the method measure what it needs beyond its weights, and note how well that explains the unseen."""
        unseen = _Tensors(self.unseen, self.preprocess, self.device)
        self.method.eval().requires_grad_(False)
        with torch.no_grad():
            honest = self.method.settle(_Tensors(self.normal, self.preprocess, self.device), unseen)
        if not self.method.steps:
            self.at.best.loss = self._loss(self._some_unseen())
        return None if honest is None else honest.cpu().numpy().astype(np.float64)

    def _save_state(self) -> None:
        if self.together.first:
            save_state(resume_path(self.out), self.same, self.method, self.optimisers, self.average, self.at)

    def _no_better(self) -> bool:
        """Whether the held-out loss has not been better for as many steps as are to be waited for."""
        patience = self.config.patience
        return patience is not None and self.at.step - self.at.best.step >= patience and bool(self.at.best.weights)

    def _batch(self) -> Tensor:
        """The next of a shuffled epoch; what is left over at its end is dropped, as the authors
        do, because a small batch has poor batch norm statistics."""
        if len(self.at.order) < self.batch:
            self.at.order = torch.randperm(len(self.normal)).tolist()
        chosen, self.at.order = self.at.order[: self.batch], self.at.order[self.batch :]
        whole = self.config.augment(self.preprocess.to_tensor(self.normal[chosen], self.device))
        return self.together.share(whole).contiguous(memory_format=torch.channels_last)

    def _look(self) -> bool:
        """Measure the held-out loss, note the history, keep the weights if they are the best."""
        self.together.average_statistics(self.average.method)
        self.held_out_loss = self._loss(self._some_unseen())
        names = self.since[0] if self.since else {}
        means = {name: float(np.mean([row[name] for row in self.since])) for name in names}
        row = {"step": self.at.step, "elapsed_s": self.at.elapsed_s, **means, "held_out": self.held_out_loss}
        self.at.history.append(row)
        if self.together.first:
            write_log(log_path(self.out), self.at.history)
        self.since = []
        if not self.held_out_loss < self.at.best.loss:  # also where it is no number
            return False
        self.at.best.take(self.average, self.at.step, self.held_out_loss)
        return True

    def _some_unseen(self) -> Picture:
        """At most MOST_HELD_OUT of the held-out pictures, spread over all of them."""
        count = min(len(self.unseen), MOST_HELD_OUT)
        chosen = np.linspace(0, len(self.unseen) - 1, count).round().astype(np.intp)
        return np.asarray(self.unseen[chosen], np.uint8)

    def _loss(self, pictures: Picture) -> float:
        looked_at = self.average.method.eval()
        total = 0.0
        with torch.no_grad(), autocast(self.device, self.bf16):
            for start in range(0, len(pictures), LOOK_AT_ONCE):
                part = pictures[start : start + LOOK_AT_ONCE]
                total += looked_at.loss(self.preprocess.to_tensor(part, self.device)).item() * len(part)
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


class _Tensors:
    """Pictures (models.method.Pictures) that become tensors where they are looked at."""

    def __init__(self, pictures: Picture, preprocess: Preprocess, device: torch.device) -> None:
        self._pictures, self._preprocess, self._device = pictures, preprocess, device

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, part: slice | list[int]) -> Tensor:
        return self._preprocess.to_tensor(self._pictures[part], self._device)
