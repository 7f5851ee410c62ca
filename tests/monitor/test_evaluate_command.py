"""`linewatch evaluate` as its user meets it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from models.evaluation.contest import Run, load_run
from models.method import Pictures
from models.methods.anogan import AnoGan
from models.methods.catalogue import METHODS
from models.methods.pca import Pca
from monitor.cli import app
from monitor.commands import contest
from tests.models.conftest import _scene
from tests.models.exams import product
from tests.models.test_datasets_published import mnist
from tests.monitor.films import film
from tests.monitor.service import checkpoint

SHORT = ("--steps", "4", "--size", "32")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a product and a small checkpoint."""
    monkeypatch.chdir(tmp_path)
    product(tmp_path / "bottle", _scene)
    checkpoint(tmp_path / "m.safetensors")
    return tmp_path


def evaluate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def test_a_checkpoint_on_a_folder(here: Path) -> None:
    (here / "bottle" / "test" / "gap" / "1.png").write_bytes(b"no picture")
    done = evaluate("m.safetensors", "bottle")
    assert done.exit_code == 0, done.stderr
    first, second, third, fourth, *kinds = done.stdout.splitlines()
    assert first == "6 normal, 4 anomalous; in brackets 95 % intervals (bootstrap)"
    assert second.startswith("AUROC ") and "average precision" in second and "[" in second
    assert third.startswith("best F1 ") and "false-positive rate at 95 % recall" in third
    assert fourth.startswith("at the threshold ") and "recall" in fourth and "false-positive rate" in fourth
    assert [row.split()[:3] for row in kinds] == [["good", "6", "frames,"], ["gap", "4", "frames,"]]
    assert "note: 1 pictures for the test cannot be read, such as 1.png" in done.stderr


def test_a_report_and_json(here: Path) -> None:
    product(here / "masked", _scene, masks=True)
    done = evaluate("m.safetensors", "masked", "--report", "out", "--json")
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)  # nothing else on standard output
    assert (result["scorer"], result["dataset"]) == ("ganomaly", "masked")
    assert (result["normal"], result["anomalous"]) == (6, 5)
    assert result["auroc"]["low"] <= result["auroc"]["value"] <= result["auroc"]["high"]
    assert result["kinds"]["gap"]["pictures"] == 5 and 0 <= result["pixels"]["auroc"] <= 1
    assert f"report: {Path('out') / 'report.html'}" in done.stderr
    stored = json.loads((here / "out" / "report.json").read_text())
    assert stored["measures"]["auroc"] == result["auroc"]
    assert "<img" in (here / "out" / "report.html").read_text()


def test_a_report_that_cannot_be_written_does_not_take_the_figures_along(here: Path) -> None:
    (here / "file").touch()
    done = evaluate("m.safetensors", "bottle", "--report", "file")
    assert done.exit_code == 1 and "AUROC" in done.stdout and "no report: " in done.stderr and "file" in done.stderr


def test_a_folder_whose_name_is_no_text(here: Path) -> None:
    (here / "bottle" / "test" / "gap").rename(here / "bottle" / "test" / os.fsdecode(b"hole\xff"))
    done = evaluate("m.safetensors", "bottle")
    assert done.exit_code == 0, done.stderr
    assert "hole?" in done.stdout


def test_a_film(here: Path) -> None:
    film(here / "line.avi", bright=range(40, 50), rows="40,49,anomaly,lamp\n55,55,transition,")
    done = evaluate("m.safetensors", "line.avi", "--json")
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    # 40 to train; of the others 50 to 59 are normal, but for one that nobody can judge.
    assert (result["normal"], result["anomalous"]) == (9, 10) and "lamp" in result["kinds"]


def test_a_class_of_a_published_set(here: Path) -> None:
    mnist(here / "digits")
    done = evaluate("m.safetensors", "digits", "--abnormal", "3", "--subset", "4", "--json")
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["dataset"], result["normal"], result["anomalous"]) == ("mnist-3-subset4", 8, 4)


def test_two_scorers_side_by_side(here: Path) -> None:
    done = evaluate(
        "--scorer", "pca", "--scorer", "ganomaly", "--seeds", "0,1", *SHORT, "bottle", "--save", "r", "--report", "p"
    )
    assert done.exit_code == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split()[:2] == ["scorer", "AUROC"] and {row.split()[0] for row in rows} == {"pca", "ganomaly"}
    assert all("(of 2 runs)" in row for row in rows)
    names = [f"bottle-{scorer}-seed{seed}" for scorer in ("ganomaly", "pca") for seed in (0, 1)]
    assert sorted(path.name for path in (here / "r").iterdir()) == [f"{name}.json" for name in names]
    assert sorted(str(path.relative_to(here)) for path in here.glob("p/*/report.html")) == [
        f"p/{name}/report.html" for name in names
    ]
    run = load_run(here / "r" / "bottle-ganomaly-seed1.json")
    assert (run.steps, run.seed, run.settings["architecture"]["size"]) == (4, 1, 32)
    assert "bottle, ganomaly, seed 1: AUROC" in done.stderr and "step 4 of 4" in done.stderr


def test_one_scorer_has_its_interval_and_json_has_everything(here: Path) -> None:
    done = evaluate("--scorer", "pca", "--size", "32", "bottle")
    assert done.exit_code == 0 and done.stdout.splitlines()[1].split()[2].startswith("[")
    told = json.loads(evaluate("--scorer", "pca", "--size", "32", "bottle", "--json").stdout)
    assert [(run["scorer"], run["seed"]) for run in told] == [("pca", 0)] and Run(**told[0]).auroc > 0.5


def test_the_papers_settings_do_not_replace_those_for_a_line(here: Path) -> None:
    for paper in ([], ["--paper"]):
        assert evaluate("--scorer", "pca", "--size", "32", "bottle", "--save", "r", *paper).exit_code == 0
    stored = {path.name: load_run(path) for path in (here / "r").iterdir()}
    assert sorted(stored) == ["bottle-pca-paper-seed0.json", "bottle-pca-seed0.json"]
    assert stored["bottle-pca-paper-seed0.json"].settings["augment"]["light"] == 0


def test_a_sweep(here: Path) -> None:
    done = evaluate("--sweep", "nz", "--steps", "1", "--size", "32", "bottle", "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert [run["variant"] for run in told] == ["nz10", "nz25", "nz50", "nz100", "nz200", "nz400"]
    assert [run["settings"]["architecture"]["nz"] for run in told] == [10, 25, 50, 100, 200, 400]


@pytest.mark.slow
def test_every_scorer(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AnoGan, "search_steps", 3)  # of 500: minutes for these few pictures
    done = evaluate("--all", "--steps", "2", "--size", "32", "bottle")
    assert done.exit_code == 0, done.stderr
    assert {row.split()[0] for row in done.stdout.splitlines()[1:]} == set(METHODS)


def test_a_published_set_is_seen_as_in_the_paper_and_a_subset_says_so(here: Path) -> None:
    mnist(here / "digits")
    done = evaluate("--scorer", "pca", "digits", "--abnormal", "3", "--subset", "5", "--save", "r")
    assert done.exit_code == 0, done.stderr
    run = load_run(here / "r" / "mnist-3-subset5-pca-seed0.json")
    assert not run.complete and "a subset of 5 pictures of each class" in run.rule
    shape = run.settings["architecture"]
    assert (shape["size"], shape["channels"], run.train_pictures) == (32, 1, 36)
    each = json.loads(evaluate("--scorer", "pca", "digits", "--json").stdout)
    assert [run["abnormal"] for run in each] == [str(digit) for digit in range(10)]


def test_pictures_that_cannot_be_read_are_told(here: Path) -> None:
    (here / "bottle" / "train" / "good" / "4.png").write_bytes(b"no picture")
    done = evaluate("--scorer", "pca", "--size", "32", "bottle")
    assert done.exit_code == 0
    assert "note: bottle: 1 pictures for training cannot be read, such as 4.png" in done.stderr


def test_a_scorer_that_fails_does_not_take_the_others_along(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Pca, normal: Pictures, held_out: Pictures) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Pca, "settle", broken)
    done = evaluate("--scorer", "pca", "--scorer", "cae", *SHORT, "bottle")
    assert done.exit_code == 1 and "bottle, pca, seed 0: failed: out of memory" in done.stderr
    assert [row.split()[0] for row in done.stdout.splitlines()[1:]] == ["cae"] and "1 failed" in done.stderr


def test_a_run_that_cannot_be_stored_is_printed_all_the_same(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Run, folder: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Run, "save", full)
    done = evaluate("--scorer", "pca", "--size", "32", "bottle", "--save", "r")
    assert done.exit_code == 1 and "No space left on device" in done.stderr
    assert done.stdout.splitlines()[1].startswith("pca")


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_prints_what_there_is(here: Path, monkeypatch: pytest.MonkeyPatch, presses: int) -> None:
    """The first is noticed by the training, a second one raises KeyboardInterrupt."""
    real, begun = contest.sit, []

    def sit(*arguments: Any, **options: Any) -> Any:
        begun.append(arguments[1].method)
        if len(begun) == 2:
            for _ in range(presses):
                os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments, **options)

    monkeypatch.setattr(contest, "sit", sit)
    done = evaluate("--scorer", "pca", "--scorer", "ganomaly", "--scorer", "cae", *SHORT, "bottle")
    assert done.exit_code == 0, done.stderr
    assert begun == ["pca", "ganomaly"] and "stopped before all were measured" in done.stderr
    assert [row.split()[0] for row in done.stdout.splitlines()[1:]] == ["pca"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("bottle", "give a CHECKPOINT and a DATASET"),
        ("none.safetensors bottle", "none.safetensors"),
        ("bottle/train/good/0.png bottle", "0.png"),
        ("m.safetensors bottle bottle", "give a CHECKPOINT and a DATASET"),
        ("--all m.safetensors bottle", "give one DATASET and no checkpoint"),
        ("--all --scorer pca bottle", "--all or --scorer"),
        ("--scorer nobody bottle", "scorer is 'nobody': choose one of ganomaly, pca"),
        ("--sweep lr bottle", "sweep is 'lr': choose one of nz, weights"),
        ("--sweep weights --scorer pca bottle", "changes nothing for pca"),
        ("--scorer pca --abnormal 3 bottle", "is a folder, so --abnormal"),
        ("m.safetensors bottle --subset 5", "is a folder, so --subset"),
        ("--scorer pca --seeds x bottle", "--seeds x: expected whole numbers"),
        ("--scorer pca --seeds 0,-1 bottle", "--seeds 0,-1: expected whole numbers"),
        ("--scorer pca --size 50 bottle", "size is 50"),
        ("--scorer pca --device abacus bottle", "device is 'abacus'"),
        ("m.safetensors bottle --device abacus", "device is 'abacus'"),
        ("--scorer pca --save m.safetensors/r bottle", "m.safetensors"),
        ("--scorer pca nowhere", "nowhere: no such file or folder"),
        ("m.safetensors nowhere", "nowhere: no such file or folder"),
        ("m.safetensors bottle/train/good", "holds no labelled pictures"),
        ("--scorer pca bottle/train/good", "holds no labelled pictures"),
        ("m.safetensors bottle --save r --steps 3", "--steps, --save: only with --all"),
        ("m.safetensors digits", "say with --abnormal which class"),
        ("m.safetensors line.avi", "its labels are missing"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(here: Path, arguments: str, told: str) -> None:
    mnist(here / "digits")
    (here / "line.avi").touch()
    done = evaluate(*arguments.split())
    assert done.exit_code == 2 and done.stdout == "", done.stderr
    assert told in done.stderr and "Traceback" not in done.stderr
