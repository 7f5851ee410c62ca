"""Training as a whole, on small pictures that it can learn in seconds."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from models.augment import Augment
from models.checkpoint import CheckpointError, load, load_checkpoint
from models.evaluation.measures import measure
from models.ganomaly import Architecture
from models.log import log_path
from models.preprocess import Picture
from models.resume import resume_path
from models.step import Step, StepLosses
from models.train import train
from models.training_config import Progress, TrainConfig, TrainingError, for_line, for_paper
from models.training_run import TrainingRun

Scene = Callable[..., Picture]
CONFIG = TrainConfig(
    architecture=Architecture(size=32, channels=3, nz=16, ngf=8),
    batch=16,
    average=0.9,
    max_steps=12,
    minutes=None,
    evaluate_every=4,
    device="cpu",
    precision="fp32",
)


def but(**changes: object) -> TrainConfig:
    return dataclasses.replace(CONFIG, **changes)  # type: ignore[arg-type]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture
def pictures(scene: Scene) -> Picture:
    return scene(60)


def test_learns_what_is_normal(scene: Scene, out: Path) -> None:
    seen: list[Progress] = []
    result = train(scene(200), but(max_steps=400, evaluate_every=20), out, seen.append)
    assert [p.step for p in seen] == list(range(1, 401))
    assert result.stopped == "budget" and result.steps == 400
    # The losses fell.
    assert seen[-1].losses["con"] < seen[0].losses["con"] / 3
    assert result.held_out_loss == min(row["held_out"] for row in result.history)
    assert result.held_out_loss < result.history[0]["held_out"] / 2
    # A part with a piece missing scores above parts that the training has not seen.
    scorer = load(out, device="cpu", precision="fp32")
    normal, faulty = scorer.score(scene(50, 7)), scorer.score(scene(50, 8, fault=True))
    labels = np.repeat([False, True], 50)
    made = measure(np.concatenate([normal, faulty]), labels, result.calibration.threshold)
    assert made.auroc.value > 0.98
    assert made.false_positive_rate is not None and made.false_positive_rate.value <= 0.04
    # And the heat map rises where the quarter is missing, more than opposite to it.
    faulty_heat, normal_heat = (
        np.mean([scorer.heat(p) for p in scene(20, 9, fault=fault)], axis=0) for fault in (True, False)
    )
    risen = faulty_heat - normal_heat
    assert risen[8:16, 16:24].mean() > 1.5 * risen[16:24, 8:16].mean() > 0


def test_progress_tells_what_is_left(pictures: Picture, out: Path) -> None:
    seen: list[Progress] = []
    result = train(pictures, CONFIG, out, seen.append)
    assert {p.steps for p in seen} == {12}
    assert [p.held_out_loss is None for p in seen[:4]] == [True, True, True, False]
    assert seen[3].best
    assert seen[-1].remaining_s == 0 and all(p.remaining_s > 0 for p in seen[:-1])
    assert [row["step"] for row in result.history] == [4, 8, 12]
    assert result.history[0]["con"] == pytest.approx(np.mean([p.losses["con"] for p in seen[:4]]))


def test_checkpoint_says_how_it_came_about(pictures: Picture, out: Path) -> None:
    result = train(pictures, CONFIG, out)
    held = load_checkpoint(out)
    assert held.calibration == result.calibration
    assert result.calibration.count == result.held_out.sum() == len(result.scores) == 12
    assert held.method.name == held.training["method"] == "ganomaly"
    assert held.training["steps"] == 12 and held.training["held_out_pictures"] == 12
    assert held.training["pictures"] == 48 and held.training["weights"] == [1.0, 50.0, 1.0]
    np.testing.assert_array_equal(
        load(out, device="cpu", precision="fp32").score(pictures[result.held_out]), result.scores
    )


def test_held_out_pictures_are_never_trained_on(pictures: Picture, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Picture] = []
    real = Step.__call__

    def spy(self: Step, x: torch.Tensor) -> StepLosses:
        seen.append(((x.permute(0, 2, 3, 1) + 1) * 127.5).round().numpy().astype(np.uint8))
        return real(self, x)

    monkeypatch.setattr(Step, "__call__", spy)
    result = train(pictures, CONFIG, out)
    trained = {p.tobytes() for batch in seen for p in batch}
    unseen = {p.tobytes() for p in pictures[result.held_out]}
    assert len(trained) == 48 and not trained & unseen


def test_seeds(pictures: Picture, tmp_path: Path) -> None:
    ids = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        path = tmp_path / name
        train(pictures, but(seed=seed, augment=Augment(1.0, 0.1, 0.01)), path)
        ids.append(load(path, device="cpu").info.model_id)
    assert ids[0] == ids[1] != ids[2]


def test_the_callers_random_numbers_are_left_alone(pictures: Picture, out: Path) -> None:
    before = torch.get_rng_state()
    train(pictures, but(max_steps=2), out)
    assert torch.equal(torch.get_rng_state(), before)


def test_stop_keeps_the_best(pictures: Picture, out: Path) -> None:
    steps = iter(range(100))
    result = train(pictures, CONFIG, out, should_stop=lambda: next(steps) == 5)
    assert result.stopped == "asked" and result.steps == 6
    assert result.best_step in (4, 6)
    assert load(out, device="cpu").info.calibration == result.calibration


@pytest.mark.parametrize("step", [1, 6])
def test_interrupt_keeps_the_best(pictures: Picture, out: Path, step: int) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.step == step:
            raise KeyboardInterrupt

    result = train(pictures, CONFIG, out, interrupt)
    assert result.stopped == "asked" and result.steps == step
    assert load_checkpoint(out).training["stopped"] == "asked"


def test_best_is_kept_and_not_the_last(pictures: Picture, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(TrainingRun, "_loss", lambda *_: next(losses))
    result = train(pictures, CONFIG, out)
    assert (result.best_step, result.held_out_loss) == (8, 1.0)
    monkeypatch.undo()
    kept = load(out, device="cpu").info.model_id
    train(pictures, but(max_steps=8), out)
    assert load(out, device="cpu").info.model_id == kept


def test_resume_ends_where_one_run_would(pictures: Picture, tmp_path: Path) -> None:
    config = but(augment=Augment(1.0, 0.1, 0.01), average=0.9)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    one = train(pictures, config, whole)
    train(pictures, dataclasses.replace(config, max_steps=8), parts)
    seen: list[Progress] = []
    two = train(pictures, config, parts, seen.append, resume=True)
    assert [p.step for p in seen] == [9, 10, 11, 12]
    assert [row["held_out"] for row in two.history] == [row["held_out"] for row in one.history]
    assert load(parts, device="cpu").info.model_id == load(whole, device="cpu").info.model_id
    assert two.calibration == one.calibration


def test_resume_of_a_finished_run_keeps_its_best(pictures: Picture, out: Path) -> None:
    one = train(pictures, CONFIG, out)
    two = train(pictures, CONFIG, out, resume=True)
    assert (two.best_step, two.steps, two.calibration) == (12, 12, one.calibration)


def test_resume_refuses_another_training(pictures: Picture, scene: Scene, out: Path) -> None:
    with pytest.raises(CheckpointError, match=r"resume: is not there"):
        train(pictures, CONFIG, out, resume=True)
    train(pictures, CONFIG, out)
    with pytest.raises(CheckpointError, match=r"differs in seed \(was 0, now 4\)"):
        train(pictures, but(seed=4), out, resume=True)
    with pytest.raises(CheckpointError, match="differs in pictures"):
        train(scene(60, 5), CONFIG, out, resume=True)
    resume_path(out).write_bytes(out.read_bytes())
    with pytest.raises(CheckpointError, match="is no resume state"):
        train(pictures, CONFIG, out, resume=True)


def test_no_number_stops_with_a_reason_and_the_best_so_far(
    pictures: Picture, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Step.__call__
    calls = iter(range(100))

    def poisoned(self: Step, x: torch.Tensor) -> StepLosses:
        return real(self, x * float("nan") if next(calls) == 6 else x)

    monkeypatch.setattr(Step, "__call__", poisoned)
    result = train(pictures, CONFIG, out)
    assert "no number at step 7" in result.stopped and result.best_step == 4
    assert np.isfinite(load(out, device="cpu").score(pictures)).all()


def test_no_number_from_the_start_is_an_error(pictures: Picture, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Step.__call__
    monkeypatch.setattr(Step, "__call__", lambda self, x: real(self, x * float("nan")))
    with pytest.raises(TrainingError, match="no number at step 1"):
        train(pictures, CONFIG, out)
    assert not out.exists()


def test_time_is_a_budget_too(pictures: Picture, out: Path) -> None:
    result = train(pictures, but(max_steps=None, minutes=0.01), out)
    assert result.stopped == "budget" and result.elapsed_s >= 0.6


def test_identical_pictures_still_train(out: Path) -> None:
    result = train(np.full((12, 32, 32, 3), 80, np.uint8), CONFIG, out)
    scores = load(out, device="cpu", precision="fp32").score(np.full((1, 32, 32, 3), 80, np.uint8))
    assert scores[0] < result.calibration.threshold


def test_too_few_and_wrong_pictures(scene: Scene, out: Path) -> None:
    with pytest.raises(ValueError, match="9 pictures: training needs at least 10"):
        train(scene(9), CONFIG, out)
    with pytest.raises(ValueError, match="expected uint8"):
        train(np.zeros((20, 64, 64, 3), np.uint8), CONFIG, out)


def test_fewer_pictures_than_a_batch(scene: Scene, out: Path) -> None:
    assert train(scene(10), but(batch=64, max_steps=3), out).steps == 3


def test_nowhere_to_write_is_said_before_the_training(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    seen: list[Progress] = []
    with pytest.raises(CheckpointError, match="cannot be written"):
        train(scene(20), CONFIG, tmp_path / "file" / "model.safetensors", seen.append)
    assert not seen
    made = tmp_path / "new" / "folder" / "model.safetensors"
    train(scene(20), but(max_steps=1), made)
    assert made.is_file()


def test_grey_and_bf16(scene: Scene, out: Path) -> None:
    grey = scene(20)[..., :1].copy()
    arch = Architecture(size=32, channels=1, nz=8, ngf=4, extra_layers=1)
    result = train(grey, but(architecture=arch, precision="bf16", max_steps=2), out)
    assert np.isfinite(result.scores).all()


def test_defaults_are_the_papers() -> None:
    paper = TrainConfig()
    assert (paper.method, paper.batch, paper.lr, paper.betas) == ("ganomaly", 64, None, (0.5, 0.999))
    assert paper.shaping()["lr"] == 2e-4
    assert tuple(paper.weights) == (1, 50, 1)
    assert (paper.architecture.nz, paper.architecture.ngf) == (100, 64)
    assert paper.augment.off and paper.average == 0
    assert for_line().weights == paper.weights and for_line().lr == paper.lr


def test_the_papers_settings_take_the_methods_size() -> None:
    assert (for_paper().architecture.size, for_paper("calibrated").architecture.size) == (64, 128)
    assert for_paper("egbad", 32, seed=3).architecture == Architecture(size=32, nz=200, ngf=64)


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch": 0},
        {"lr": 0.0},
        {"betas": (0.5, 1.0)},
        {"held_out": 1.0},
        {"norm": "l2"},
        {"precision": "fp16"},
        {"max_steps": 0},
        {"minutes": -1.0},
        {"average": 1.0},
        {"evaluate_every": 0},
    ],
)
def test_refuses_settings_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        but(**wrong)
    with pytest.raises(ValueError, match="neither"):
        but(max_steps=None, minutes=None)


def test_ends_early_where_nothing_gets_better(pictures: Picture, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 1.0, *[2.0] * 50])
    monkeypatch.setattr(TrainingRun, "_loss", lambda *_: next(losses))
    result = train(pictures, but(max_steps=200, patience=10), out)
    assert (result.stopped, result.best_step, result.steps) == ("no better", 8, 18)
    assert load_checkpoint(out).training["stopped"] == "no better"


def test_the_log_is_a_table_without_double_rows(pictures: Picture, out: Path) -> None:
    train(pictures, but(max_steps=8), out)
    result = train(pictures, CONFIG, out, resume=True)
    with log_path(out).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["4", "8", "12"]
    assert list(rows[0]) == [
        "step", "elapsed_s", "generator", "adv", "con", "enc", "discriminator", "held_out"
    ]  # fmt: skip
    assert [float(row["held_out"]) for row in rows] == [row["held_out"] for row in result.history]
