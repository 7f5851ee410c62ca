from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models import datasets
from models.evaluation import contest
from models.evaluation.contest import Run, Stopped, load_run, sit
from models.evaluation.exam import of_folder, of_split
from models.ganomaly import Architecture
from models.training_config import TrainConfig
from tests.models.conftest import Scene
from tests.models.exams import product
from tests.models.test_datasets_published import mnist

# Full precision: whether half of it is faster is measured, and a busy machine may answer differently each time.
PCA = TrainConfig(
    method="pca", architecture=Architecture(size=32, nz=8, ngf=4), batch=4, max_steps=3, seed=4, precision="fp32"
)
GANOMALY = replace(PCA, method="ganomaly")


@pytest.fixture
def run(scene: Scene, tmp_path: Path) -> Run:
    return sit(of_folder(product(tmp_path / "bottle", scene)), PCA)[0]


def test_a_scorer_is_trained_and_measured(scene: Scene, tmp_path: Path) -> None:
    exam = of_folder(product(tmp_path / "bottle", scene, masks=True))
    steps, looks = [], []
    run, found = sit(
        exam, GANOMALY, lambda p: steps.append(p.step), counted=lambda *c: looks.append(c), variant="small"
    )
    assert steps == [1, 2, 3] and looks == [(11, 22), (22, 22)]
    assert (run.dataset, run.scorer, run.variant, run.seed) == ("bottle", "ganomaly", "small", 4)
    assert (run.train_pictures, run.steps, run.stopped) == (20, 3, "budget")
    assert run.digest == exam.digest and run.complete and run.notes == [] and run.protocol == ""
    assert run.measures == found.measures.to_dict() and run.auroc == found.measures.auroc.value
    assert found.pixels is not None and run.pixels == found.pixels.to_dict()
    assert run.settings["architecture"]["nz"] == 8 and run.settings["seed"] == 4
    assert run.frames_per_s and 0 <= run.training_s < 60 and "PyTorch" in run.machine
    assert "3 steps on 20 pictures" in str(found.summary["training"]) and found.summary["seed"] == 4
    again = sit(exam, GANOMALY)[0]
    assert again.measures == run.measures  # the same seed, the same result


def test_a_published_set_brings_its_channels(tmp_path: Path) -> None:
    run, _ = sit(of_split(datasets.protocol(mnist(tmp_path), "3", seed=0)), PCA)
    assert run.settings["architecture"]["channels"] == 1
    assert (run.abnormal, run.complete) == ("3", False) and run.protocol.startswith("MNIST, from 60 of the 70000")


def test_pictures_that_cannot_be_read_stand_in_the_notes(scene: Scene, tmp_path: Path) -> None:
    root = product(tmp_path / "bottle", scene)
    for name in ("train/good/3.png", "test/good/1.png", "test/gap/2.png"):
        (root / name).write_bytes(name.encode())
    run, _ = sit(of_folder(root), PCA)
    assert run.notes == [
        "1 pictures for training cannot be read, such as 3.png (not a picture that OpenCV can decode)",
        "2 pictures for the test cannot be read, such as 2.png (not a picture that OpenCV can decode)",
    ]
    assert (run.train_pictures, run.measures["normal"], run.measures["anomalous"]) == (19, 5, 4)


def test_a_test_that_cannot_be_measured_is_refused_before_the_training(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = product(tmp_path / "bottle", scene)
    exam = of_folder(root)
    for picture in (root / "test" / "good").iterdir():
        picture.write_bytes(b"")
    monkeypatch.setattr(contest, "train", lambda *_: pytest.fail("trained in vain"))
    with pytest.raises(ValueError, match="none of the 5 pictures of the test is normal"):
        sit(exam, PCA)


@pytest.mark.parametrize(("config", "steps"), [(GANOMALY, 1), (PCA, 0)])
def test_what_was_cut_short_is_no_result(scene: Scene, tmp_path: Path, config: TrainConfig, steps: int) -> None:
    """GANomaly is stopped in its training; PCA, which has no steps, while it is measured."""
    made: list[int] = []
    with pytest.raises(Stopped):
        sit(of_folder(product(tmp_path / "b", scene)), config, lambda p: made.append(p.step), lambda: True)
    assert len(made) == steps


def test_a_run_is_stored_and_read_again(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "results"
    assert run.save(folder).name == "bottle-pca-seed4.json"
    replace(run, variant="nz8").save(folder)
    replace(run, steps=99).save(folder)  # the same kind of run: it replaces the first
    assert sorted(path.name for path in folder.iterdir()) == ["bottle-pca-nz8-seed4.json", "bottle-pca-seed4.json"]
    assert load_run(folder / "bottle-pca-seed4.json") == replace(run, steps=99)


def test_a_full_disk_leaves_the_earlier_run_and_nothing_else(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run.save(tmp_path / "results")
    written = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        written(self, content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        replace(run, steps=99).save(tmp_path / "results")
    assert [file.name for file in path.parent.iterdir()] == [path.name] and load_run(path) == run


def test_a_run_of_a_scorer_that_is_not_known_can_be_read(run: Run, tmp_path: Path) -> None:
    assert load_run(replace(run, scorer="of-tomorrow").save(tmp_path)).scorer == "of-tomorrow"


def without(run: Run, *keys: str) -> dict[str, Any]:
    values = dataclasses.asdict(run)
    inner = values
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return values


def test_what_is_no_stored_run_is_refused_with_its_name(run: Run, tmp_path: Path) -> None:
    whole = dataclasses.asdict(run)
    bad = {
        "nothing": "",
        "list": "[]",
        "version": json.dumps(whole | {"version": 2}),
        "unknown": json.dumps(whole | {"luck": 1}),
        "lacking": json.dumps(without(run, "machine")),
        "unmeasured": json.dumps(without(run, "measures", "auroc")),
        "half": json.dumps(without(run, "measures", "best_f1", "high")),
        "nan": json.dumps(whole | {"training_s": float("nan")}),
        "text": json.dumps(whole | {"seed": "4"}),
        "number": json.dumps(whole | {"scorer": 4}),
        "null": json.dumps(whole | {"notes": None}),
        "pixels": json.dumps(whole | {"pixels": {"auroc": 1.0}}),
    }
    for name, text in bad.items():
        path = tmp_path / f"{name}.json"
        path.write_text(text)
        with pytest.raises(ValueError, match=rf"{name}\.json: is no stored run \(.+linewatch evaluate --save"):
            load_run(path)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    for name in ("bytes.json", "missing.json"):
        with pytest.raises(ValueError, match=f"{name}: is no stored run"):
            load_run(tmp_path / name)
