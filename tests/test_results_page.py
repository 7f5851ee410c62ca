"""docs/results.md says what the stored runs say, and calls nothing more than it is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from models.evaluation.contest import Run
from scripts import results_page
from scripts.results_page import FIVE, PAGE, RUNS, page, stored


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def run(dataset: str = "bottle", scorer: str = "pca", auroc: float = 0.9, seed: int = 0) -> Run:
    names = ("auroc", "average_precision", "best_f1", "fpr_at_95_recall")
    return Run(
        dataset=dataset,
        rule="folders train and test",
        complete=True,
        notes=[],
        scorer=scorer,
        seed=seed,
        variant="",
        settings={},
        measures={"normal": 25, "anomalous": 63} | {name: estimate(auroc) for name in names},
        pixels=None,
        train_pictures=184,
        steps=100,
        training_s=12.3,
        stopped="budget",
        frames_per_s=812.0,
        machine="Some Processor, 2 cores, PyTorch 2.13.0",
    )


def digit(abnormal: str, seed: int = 0, auroc: float = 0.8, subset: int | None = None) -> Run:
    part = "" if subset is None else f"-subset{subset}"
    protocol = "MNIST" if subset is None else f"MNIST, a subset of {subset} pictures of each class"
    return replace(
        run(f"mnist-{abnormal}{part}", auroc=auroc, seed=seed),
        protocol=protocol,
        abnormal=abnormal,
        complete=subset is None,
    )


def rows(text: str, title: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    below = text.split(f"## {title}\n")[1].split("\n## ", maxsplit=1)[0]
    table = [line for line in below.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (table[0], *table[2:])]


def test_the_page_is_current() -> None:
    if RUNS.exists():
        assert PAGE.read_text(encoding="utf-8") == page(stored(RUNS)), results_page.__doc__
    else:
        assert not PAGE.exists(), f"{PAGE.name} stands there without the runs that it is made of"
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "scripts/results_page.py", "--check"], cwd=root, check=False)
    assert done.returncode == 0


def test_a_data_set_has_a_row_for_each_scorer_the_best_first() -> None:
    seeds = [run(scorer="ganomaly", auroc=value, seed=seed) for seed, value in enumerate((0.5, 0.6, 0.7))]
    pixels = {"auroc": 0.95, "aupro": 0.85}
    noted = replace(run(auroc=0.988), pixels=pixels, notes=["3 pictures left out"])
    text = page([*seeds, noted, replace(seeds[0], variant="nz10", machine="Another, 8 cores")])
    head, *made = rows(text, "bottle")
    assert len(head) == 10 and [row[0] for row in made] == ["PCA", "GANomaly", "GANomaly nz10"]
    assert made[0][1:] == [
        "0", "0.988 [0.938, 1.038]", "0.988", "0.988", "0.988", "0.950 / 0.850", "12 s", "812", "B"
    ]  # fmt: skip
    assert made[1][:3] == ["GANomaly", "0, 1, 2", "0.600 [0.550, 0.650], ± 0.082 between seeds"]
    assert made[2][-1] == "A" and "- Machine A: Another, 8 cores\n- Machine B: Some Processor" in text
    assert "184 normal pictures to train, 25 normal and 63 anomalous to test" in text
    assert "Division: folders train and test." in text and "- 3 pictures left out" in text
    assert "over five products" not in text  # with one of the five there is no mean of five


def test_the_mean_of_five_wants_all_five() -> None:
    runs = [run(name, "pca", 0.9) for name in FIVE] + [run(FIVE[0], "pca", 0.7, seed=1)]
    runs += [run(name, "ganomaly", 0.95) for name in FIVE[:4]]
    runs += [replace(run(FIVE[4], "ganomaly", 0.95), variant="nz10")]
    _, *made = rows(page(runs), "AUROC over five products")
    assert [row[0] for row in made] == ["PCA"]
    assert made[0][1:] == ["0.800", "0.900", "0.900", "0.900", "0.900", "**0.880**", "2/1/1/1/1"]


def test_a_subset_is_never_called_the_protocol() -> None:
    whole = [digit(str(kind), seed) for kind in range(10) for seed in range(3)]
    assert "The paper's protocol: every picture, every class, three seeds." in page(whole)
    for fewer in (whole[:-3], [one for one in whole if one.seed < 2]):
        text = page(fewer)
        assert "not the whole protocol" in text and "The paper's protocol:" not in text
    text = page([digit(str(kind), seed, subset=500) for kind in range(10) for seed in range(3)])
    assert "## MNIST, a subset of 500 pictures of each class\n**A subset, not the paper's protocol.**" in text
    assert "The paper's protocol:" not in text


def test_subsets_and_the_whole_have_tables_of_their_own() -> None:
    text = page([digit("3"), digit("3", auroc=0.5, subset=500), digit("3", auroc=0.6, subset=50)])
    assert rows(text, "MNIST")[1][:3] == ["PCA", "0.800", "**0.800** [0.750, 0.850]"]
    assert rows(text, "MNIST, a subset of 500 pictures of each class")[1][1] == "0.500"
    assert rows(text, "MNIST, a subset of 50 pictures of each class")[1][1] == "0.600"


def test_a_scorer_that_lacks_a_class_has_no_mean() -> None:
    text = page([digit("2"), digit("3", auroc=0.6), replace(digit("3", auroc=0.9), scorer="vae")])
    head, *made = rows(text, "MNIST")
    assert head[1:4] == ["2", "3", "mean"]
    assert [row[:4] for row in made] == [
        ["PCA", "0.800", "0.600", "**0.700** [0.650, 0.750]"],
        ["Variational autoencoder", "–", "0.900", "–"],
    ]


def test_a_training_that_went_wrong_is_told() -> None:
    text = page([replace(run(), stopped="a loss was no number at step 7")])
    assert "- bottle-pca-seed0: a loss was no number at step 7; measured with the best weights before." in text
    assert "best weights before" not in page([replace(run(), stopped="no better")])


def test_a_folder_that_is_called_like_a_published_set_is_none() -> None:
    assert rows(page([run("mnist_like")]), "mnist_like")[1][0] == "PCA"


def test_a_scorer_that_is_not_known_keeps_its_name() -> None:
    assert rows(page([run(scorer="of-tomorrow")]), "bottle")[1][0] == "of-tomorrow"


def test_stored_runs_are_read_and_what_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stored(tmp_path / "nowhere") == []
    run().save(tmp_path)
    run(seed=1).save(tmp_path)
    assert [one.seed for one in stored(tmp_path)] == [0, 1]
    (tmp_path / "bottle-broken-seed0.json").write_text("{}")
    with pytest.raises(ValueError, match=r"bottle-broken-seed0\.json: is no stored run"):
        stored(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "stored_text", "code", "told"),
    [
        ([], None, 1, "holds no runs"),
        (["--check"], None, 0, "current"),
        ([], "{}", 1, "x.json: is no stored run"),
        (["--check"], "{}", 1, "x.json: is no stored run"),
    ],
)
def test_the_command(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    stored_text: str | None,
    code: int,
    told: str,
) -> None:
    point_at(tmp_path, monkeypatch, arguments)
    if stored_text is not None:
        (tmp_path / "results").mkdir()
        (tmp_path / "results" / "x.json").write_text(stored_text)
    assert results_page.main() == code and told in capsys.readouterr().err
    assert not (tmp_path / "results.md").exists()


def test_the_command_writes_the_page_and_sees_when_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run().save(tmp_path / "results")
    point_at(tmp_path, monkeypatch, ["--check"])
    assert results_page.main() == 1 and "is not current" in capsys.readouterr().err
    point_at(tmp_path, monkeypatch, [])
    assert results_page.main() == 0 and "## bottle" in (tmp_path / "results.md").read_text()
    point_at(tmp_path, monkeypatch, ["--check"])
    assert results_page.main() == 0
    run(seed=1).save(tmp_path / "results")
    assert results_page.main() == 1


def point_at(folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setattr(results_page, "RUNS", folder / "results")
    monkeypatch.setattr(results_page, "PAGE", folder / "results.md")
    monkeypatch.setattr(sys, "argv", ["results_page.py", *arguments])
