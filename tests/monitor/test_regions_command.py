"""`linewatch regions` as its user meets it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from models.calibration import Calibration
from models.checkpoint import save
from models.ganomaly import Architecture
from models.methods.ganomaly import Ganomaly
from models.preprocess import Preprocess
from monitor.commands import regions

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("regions", epilog=regions.EXAMPLE)(regions.regions)


@app.callback()
def _linewatch() -> None:
    """Keeps `regions` a subcommand."""


SQUARE = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]
LEFT = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with config.yaml and line-3.png."""
    monkeypatch.chdir(tmp_path)
    configure([{"match": "line-*", "region": [SQUARE]}, {"match": "line-4", "masks": [LEFT]}])
    cv2.imwrite("line-3.png", np.full((96, 128, 3), 200, np.uint8))
    return tmp_path


def configure(cameras: list[dict[str, object]]) -> None:
    Path("config.yaml").write_text(
        yaml.safe_dump(
            {
                "model": {"checkpoint": "model.safetensors"},
                "sources": [{"files": {"camera": "line-3", "path": "frames"}}],
                "cameras": cameras,
            }
        )
    )


def linewatch(camera: str = "line-3", *more: str, picture: str = "line-3.png", out: str = "out.png") -> Result:
    done = CliRunner().invoke(
        app, ["regions", "config.yaml", "--camera", camera, "--picture", picture, "--out", out, *more]
    )
    assert "Traceback" not in done.output
    return done


def test_what_does_not_count_is_dark_and_the_polygon_is_drawn(place: Path) -> None:
    done = linewatch("line-3", "--side", "64")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("line-3: region ") and "25.0% of 64x64 pixels count" in done.stdout
    drawn = cv2.imread("out.png")
    assert drawn is not None and drawn.shape == (96, 128, 3)
    assert (drawn[48, 64] == 200).all() and (drawn[5, 5] == 70).all()
    assert drawn[20:28, 64].min() < 40 and drawn[20:28, 64].max() > 200


def test_masks_of_another_entry_are_laid_over(place: Path) -> None:
    done = linewatch("line-4", "--side", "64")
    assert "polygons: 1 of region, 1 of masks; 12.5% of" in done.stdout
    drawn = cv2.imread("out.png")
    assert drawn is not None and (drawn[48, 50] == 70).all() and (drawn[48, 80] == 200).all()


def test_the_network_is_asked_for_its_size(place: Path) -> None:
    save(
        Path("model.safetensors"),
        Ganomaly(Architecture(size=32, channels=3, nz=8, ngf=4)),
        Preprocess(32, 3),
        calibration=Calibration.from_scores(np.linspace(0.1, 0.2, 40)),
        training={},
    )
    done = linewatch()
    assert "of 32x32 pixels count" in done.stdout and "taking" not in done.stderr


def test_without_a_checkpoint_the_usual_size_is_taken_and_said(place: Path) -> None:
    done = linewatch()
    assert done.exit_code == 0
    assert "model.safetensors" in done.stderr and "taking 64 pixels a side" in done.stderr
    assert "of 64x64 pixels count" in done.stdout


def test_a_camera_without_a_region(place: Path) -> None:
    done = linewatch("press", "--side", "64", out="out.jpg")
    assert done.exit_code == 0 and done.stdout == "press: no region; its whole picture counts\n"
    assert Path("out.jpg").read_bytes()[:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"picture": "none.png"}, "--picture none.png: No such file"),
        ({"picture": "config.yaml"}, "--picture config.yaml: no image format found"),
        ({"out": "line-3.png"}, "is the picture itself"),
        ({"out": "out.gif"}, "expected a name that ends in .png or .jpg"),
    ],
)
def test_files_that_cannot_be_used(place: Path, options: dict[str, str], said: str) -> None:
    before = Path("line-3.png").read_bytes()
    done = linewatch("line-3", "--side", "64", **options)
    assert done.exit_code == 2 and said in done.stderr
    assert Path("line-3.png").read_bytes() == before


def test_a_folder_that_is_not_there(place: Path) -> None:
    done = linewatch("line-3", "--side", "64", out="away/out.png")
    assert done.exit_code == 1 and "--out away/out.png: No such file" in done.stderr


def test_what_is_wrong_with_a_region_is_told(place: Path) -> None:
    configure([{"match": "line-3", "masks": [LEFT]}, {"match": "*", "region": [LEFT]}])
    done = linewatch("line-3", "--side", "64")
    assert done.exit_code == 2
    assert "config.yaml: cameras: line-3: its region without its masks leaves nothing" in done.stderr
    configure([{"match": "line-3", "region": [[[0, 0], [2, 0], [1, 1]]]}])
    done = linewatch("line-3", "--side", "64")
    assert done.exit_code == 2 and "config.yaml:" in done.stderr and "cameras[0]" in done.stderr
