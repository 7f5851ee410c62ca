"""Train scorers on one exam and measure them by it, one after the other, each under the same rules."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from models.checkpoint import load
from models.evaluation.evaluated import Evaluated
from models.evaluation.exam import Exam
from models.evaluation.judge import judge
from models.preprocess import Preprocess
from models.train import OnProgress, ShouldStop, train
from models.training_config import TrainConfig

RUN_VERSION = 1


@dataclass(frozen=True)
class Run:
    """One scorer trained and measured once; what a line of a table of results is made of.

    dataset, rule, complete, notes: as Exam. settings: as TrainConfig.shaping. measures: as Measures.to_dict;
    pixels: pixel AUROC and AUPRO, None without masks. training_s: of the steps and of what is measured after them,
    without reading pictures. frames_per_s: of scoring alone. variant: what a sweep changes, "" without one."""

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
    version: int = RUN_VERSION

    @property
    def auroc(self) -> float:
        return float(self.measures["auroc"]["value"])

    def save(self, folder: Path) -> Path:
        """As JSON, whole or not at all; an earlier run of the same kind is replaced. OSError where that fails."""
        folder.mkdir(parents=True, exist_ok=True)
        variant = f"-{self.variant}" if self.variant else ""
        path = folder / f"{self.dataset}-{self.scorer}{variant}-seed{self.seed}.json"
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(asdict(self), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        temporary.replace(path)
        return path


def load_run(path: Path) -> Run:
    """ValueError where the file is none of Run.save's."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.get("version") != RUN_VERSION:
            raise ValueError(f"version {values.get('version')}, expected {RUN_VERSION}")
        return Run(**values)
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise ValueError(f"{path}: is no stored run ({error}): make it anew with linewatch evaluate --save") from error


def sit(
    exam: Exam,
    config: TrainConfig,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
    *,
    variant: str = "",
) -> tuple[Run, Evaluated]:
    """Train as config says, then measure. The checkpoint is thrown away. Raises as train and judge do."""
    if exam.channels is not None and exam.channels != config.architecture.channels:
        config = replace(config, architecture=replace(config.architecture, channels=exam.channels))
    pictures = exam.train(Preprocess(config.architecture.size, config.architecture.channels)).pictures
    with tempfile.TemporaryDirectory(prefix="linewatch-") as folder:
        result = train(pictures, config, Path(folder) / "model.safetensors", on_progress, should_stop)
        scorer = load(result.out, device=config.device)
    summary: dict[str, str | float | None] = {
        "training": f"{result.elapsed_s:.0f} s, {result.steps} steps on {len(pictures)} pictures",
        "seed": config.seed,
    }
    found = judge(scorer, exam, summary=summary, seed=config.seed)
    speed = found.summary["frames a second"]
    run = Run(
        dataset=exam.name,
        rule=exam.rule,
        complete=exam.complete,
        notes=list(exam.notes),
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
    )
    return run, found
