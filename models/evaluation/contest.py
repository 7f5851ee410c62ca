"""Train a scorer on an exam and measure it by it; every scorer under the same rules."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from models.checkpoint import load
from models.evaluation.evaluated import Evaluated
from models.evaluation.exam import Exam, load_test, unreadable
from models.evaluation.judge import Counted, judge
from models.preprocess import Preprocess
from models.train import train
from models.training_config import OnProgress, ShouldStop, TrainConfig
from models.writing import replace_file

RUN_VERSION = 1
MEASURED = ("auroc", "average_precision", "best_f1", "fpr_at_95_recall")


class Stopped(Exception):
    """Asked to stop before there was a result."""


@dataclass(frozen=True)
class Run:
    """One scorer trained and measured once; what a line of a table of results is made of.

    dataset, rule, complete, notes, digest, protocol, abnormal: as Exam. settings: as TrainConfig.shaping. measures: as
    Measures.to_dict; pixels: as PixelMeasures.to_dict, None without masks. training_s: of the steps and of what is
    measured after them, without reading pictures. stopped: what ended the training, as TrainResult. frames_per_s: of
    scoring alone. variant: what differs from the plain settings, fit for a file name, "" for nothing."""

    dataset: str
    rule: str
    complete: bool
    notes: list[str]
    scorer: str
    seed: int
    variant: str
    settings: Mapping[str, Any]
    measures: Mapping[str, Any]
    pixels: Mapping[str, Any] | None
    train_pictures: int
    steps: int
    training_s: float
    stopped: str
    frames_per_s: float | None
    machine: str
    digest: str = ""
    protocol: str = ""
    abnormal: str = ""
    version: int = RUN_VERSION

    @property
    def auroc(self) -> float:
        return float(self.measures["auroc"]["value"])

    @property
    def name(self) -> str:
        """Of its files: the same for runs that replace each other."""
        variant = f"-{self.variant}" if self.variant else ""
        return f"{self.dataset}-{self.scorer}{variant}-seed{self.seed}"

    def save(self, folder: Path) -> Path:
        """As JSON, whole or not at all; an earlier run of the same name is replaced. OSError where that fails."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        replace_file(path, (json.dumps(asdict(self), indent=1, allow_nan=False) + "\n").encode())
        return path


def load_run(path: Path) -> Run:
    """ValueError where the file is none of Run.save's."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.get("version") != RUN_VERSION:
            raise ValueError(f"version {values.get('version')}, expected {RUN_VERSION}")
        run = Run(**values)
        _check(run)
        return run
    except (ValueError, TypeError, AttributeError, KeyError, OSError) as error:
        raise ValueError(f"{path}: is no stored run ({error}): make it anew with linewatch evaluate --save") from error


def _check(run: Run) -> None:
    """That everything a table of results reads is there."""
    told = [run.dataset, run.rule, run.scorer, run.variant, run.stopped, run.machine, run.protocol, run.abnormal]
    told += run.notes
    if not all(isinstance(text, str) for text in told):
        raise ValueError("a name is no text")
    numbers = [run.seed, run.train_pictures, run.training_s, run.measures["normal"], run.measures["anomalous"]]
    numbers += [run.measures[name][end] for name in MEASURED for end in ("value", "low", "high")]
    numbers += [run.frames_per_s or 0.0] + ([] if run.pixels is None else [run.pixels["auroc"], run.pixels["aupro"]])
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise ValueError("a measure is no number")


def sit(
    exam: Exam,
    config: TrainConfig,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
    counted: Counted | None = None,
    *,
    variant: str = "",
) -> tuple[Run, Evaluated]:
    """Train as config says, then measure. The checkpoint is thrown away. The exam's channels count for more than those
    of config. on_progress, should_stop: as train; should_stop ends the measuring too. counted: as judge.
    Stopped where it was asked to; otherwise raises as train and judge do."""
    architecture = replace(config.architecture, channels=exam.channels or config.architecture.channels)
    config = replace(config, architecture=architecture)
    preprocess = Preprocess(architecture.size, architecture.channels)
    test = load_test(exam, preprocess)
    normal = exam.train(preprocess)
    pictures = normal.pictures

    def looked(done: int, total: int) -> None:
        if should_stop is not None and should_stop():
            raise Stopped
        if counted is not None:
            counted(done, total)

    with tempfile.TemporaryDirectory(prefix="linewatch-") as folder:
        result = train(pictures, config, Path(folder) / "model.safetensors", on_progress, should_stop)
        if result.stopped == "asked":
            raise Stopped  # a training that was cut short is no result
        scorer = load(result.out, device=config.device)
    summary: dict[str, str | float | None] = {
        "training": f"{result.elapsed_s:.0f} s, {result.steps} steps on {len(pictures)} pictures",
        "seed": config.seed,
    }
    found = judge(scorer, exam, looked, summary=summary, loaded=test, seed=config.seed)
    speed = found.summary["frames a second"]
    run = Run(
        dataset=exam.name,
        rule=exam.rule,
        complete=exam.complete,
        notes=[*exam.notes, *unreadable(normal, "training"), *unreadable(test, "the test")],
        scorer=config.method,
        seed=config.seed,
        variant=variant,
        settings=config.shaping(),
        measures=found.measures.to_dict(),
        pixels=None if found.pixels is None else found.pixels.to_dict(),
        train_pictures=len(pictures),
        steps=result.steps,
        training_s=round(result.elapsed_s, 1),
        stopped=result.stopped,
        frames_per_s=float(speed) if speed is not None else None,
        machine=str(found.summary["machine"]),
        digest=exam.digest,
        protocol=exam.protocol,
        abnormal=exam.abnormal,
    )
    return run, found
