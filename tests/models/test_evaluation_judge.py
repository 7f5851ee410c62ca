from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from models.calibration import Calibration
from models.datasets import Labelled, Loaded
from models.evaluation.exam import Exam, of_folder
from models.evaluation.judge import AT_ONCE, judge
from models.machine import machine
from models.preprocess import Picture, Preprocess
from models.scorer import ModelInfo
from tests.models.conftest import Scene
from tests.models.exams import product


class Brightness:
    """A Scorer whose score is the mean brightness; it notes how many pictures came at once."""

    def __init__(self, threshold: float | None = None) -> None:
        calibration = None if threshold is None else Calibration.from_scores(np.linspace(threshold / 2, threshold, 40))
        self.info = ModelInfo("0123456789ab", "pca", {}, Preprocess(32, 3), calibration, "squared", "cpu", "fp32")
        self.batches: list[int] = []

    def score(self, pictures: Picture) -> npt.NDArray[np.float64]:
        self.batches.append(len(pictures))
        return pictures.mean(axis=(1, 2, 3))

    def heat(self, picture: Picture) -> npt.NDArray[np.float32]:
        return picture.mean(axis=-1).astype(np.float32)

    def heats(self, pictures: Picture) -> npt.NDArray[np.float32]:
        return pictures.mean(axis=-1).astype(np.float32)

    def rebuild(self, pictures: Picture) -> npt.NDArray[np.float32]:
        return (pictures / 127.5 - 1).astype(np.float32)

    def features(self, pictures: Picture) -> npt.NDArray[np.float32]:
        return pictures.reshape(len(pictures), -1)[:, :5].astype(np.float32)


def grey(levels: npt.NDArray[np.integer], bright_is_wrong: int = 200) -> Exam:
    """Pictures of one level each; the bright ones are the anomalous ones."""
    pictures = np.ones((len(levels), 32, 32, 3), np.uint8) * levels.astype(np.uint8)[:, None, None, None]
    kept = tuple(
        Labelled(Path("in", f"{i}.png"), bool(level >= bright_is_wrong), "bright" if level >= bright_is_wrong else "ok")
        for i, level in enumerate(levels)
    )
    loaded = Loaded(pictures, kept, ())
    return Exam("greys", "by hand", lambda _: loaded, lambda _: loaded)


def test_measures_what_the_scorer_says() -> None:
    scorer, told = Brightness(threshold=150.0), []
    levels = np.concatenate([np.arange(100), np.full(40, 220)])
    found = judge(scorer, grey(levels), lambda *counts: told.append(counts), summary={"seed": 7})
    assert np.allclose(found.scores, levels) and found.anomalous.sum() == 40
    assert found.measures.auroc.value == 1.0 and (found.measures.normal, found.measures.anomalous) == (100, 40)
    assert found.measures.threshold == scorer.info.calibration.threshold  # type: ignore[union-attr]
    assert (found.title, found.scorer, found.dataset, found.names[3]) == ("pca on greys", "pca", "greys", "3.png")
    assert found.kinds == ["ok"] * 100 + ["bright"] * 40 and found.pixels is None and found.masks is None
    assert scorer.batches == [AT_ONCE, AT_ONCE, 12] and told == [(64, 140), (128, 140), (140, 140)]
    assert found.summary["seed"] == 7 and found.summary["training and test"] == "by hand"
    assert float(found.summary["frames a second"] or 0) > 0 and found.summary["machine"] == machine("cpu")
    assert found.see is not None and found.see(np.array([2, 139])).shape == (2, 5) and found.look is not None
    shown, rebuilt, heat = found.look(np.array([2, 139]))
    assert shown[1, 0, 0, 0] == 220 and np.allclose(heat[0], 2) and np.allclose(rebuilt[1], 220 / 127.5 - 1)


def test_pixels_are_measured_where_every_fault_has_a_mask(scene: Scene, tmp_path: Path) -> None:
    exam, told = of_folder(product(tmp_path / "bottle", scene, masks=True)), []
    found = judge(Brightness(), exam, lambda *counts: told.append(counts))
    # Faults are darker than the disc, so brightness points away from them.
    assert found.pixels is not None and found.pixels.faulty_pictures == 5 and found.pixels.auroc < 0.5
    assert found.masks is not None and told == [(11, 22), (22, 22)]
    assert found.measures.threshold is None and found.measures.recall is None


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="greys: none of the 3 pictures of the test is anomalous"):
        judge(Brightness(), grey(np.array([1, 2, 3])))

    class Broken(Brightness):
        def score(self, pictures: Picture) -> npt.NDArray[np.float64]:
            return np.full(len(pictures), np.nan)

    with pytest.raises(ValueError, match="4 of 4 scores are no numbers"):
        judge(Broken(), grey(np.array([1, 2, 3, 250])))


def test_what_the_counter_raises_ends_the_work() -> None:
    scorer = Brightness()

    def enough(done: int, total: int) -> None:
        raise KeyError(done)

    with pytest.raises(KeyError, match="64"):
        judge(scorer, grey(np.concatenate([np.arange(150), [250]])), enough)
    assert scorer.batches == [AT_ONCE]


def test_the_machine_in_a_line() -> None:
    told = machine("cpu")
    assert " cores, PyTorch " in told and "\n" not in told and "(R)" not in told and not told.startswith(",")
