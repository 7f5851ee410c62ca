"""`linewatch import` as its user meets it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from models.checkpoint import load, load_checkpoint
from models.preprocess import Preprocess
from monitor.commands import importing
from tests.models import foreign

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("import", epilog=importing.EXAMPLE)(importing.import_checkpoint)


@app.callback()
def _linewatch() -> None:
    """Keeps `import` a subcommand."""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with netG.pth, netD.pth, model.ckpt, and good/ with twelve pictures."""
    monkeypatch.chdir(tmp_path)
    generator, discriminator = foreign.networks(foreign.AUTHORS)
    torch.save({"epoch": 15, "state_dict": foreign.authors_generator(generator)}, "netG.pth")
    torch.save({"epoch": 15, "state_dict": foreign.authors_discriminator(discriminator)}, "netD.pth")
    torch.save({"state_dict": foreign.anomalib(*foreign.networks(foreign.ANOMALIB))}, "model.ckpt")
    (tmp_path / "good").mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        cv2.imwrite(f"good/{i:02}.png", rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    return tmp_path


def linewatch(*arguments: str) -> Result:
    done = CliRunner().invoke(app, ["import", *arguments])
    assert "Traceback" not in done.output
    return done


def test_the_authors_both_networks_without_a_threshold(place: Path) -> None:
    done = linewatch("netG.pth", "--discriminator", "netD.pth", "--out", "m.safetensors")
    assert done.exit_code == 0, done.output
    assert "32 px, 3 channels, nz 16, ngf 8, 1 extra layers, scores squared" in done.stdout
    assert "no threshold yet" in done.stdout and "--normal FOLDER" in done.stdout and "fresh" not in done.stdout
    held = load_checkpoint(place / "m.safetensors")
    assert held.calibration is None and held.preprocess == Preprocess(32, 3)
    assert held.training["imported_from"] == "netG.pth" and held.training["discriminator"] == "as imported"
    for part, original in zip(("generator", "discriminator"), foreign.networks(foreign.AUTHORS), strict=True):
        state = held.method.get_submodule(part).state_dict()
        for name, tensor in original.state_dict().items():
            assert torch.equal(state[name], tensor), name


def test_without_a_discriminator_it_says_so(place: Path) -> None:
    done = linewatch("netG.pth")
    assert done.exit_code == 0 and "a fresh one is in its place" in done.stdout
    assert load_checkpoint(place / "model.safetensors").training["discriminator"] == "fresh"


def test_anomalib_calibrated_on_all_normal_pictures(place: Path) -> None:
    done = linewatch("model.ckpt", "--normal", "good", "--norm", "absolute", "--out", "m.safetensors")
    assert done.exit_code == 0, done.output
    assert "12 normal pictures" in done.stdout and "trained on none of them" in done.stdout
    assert "no threshold" not in done.stdout
    scorer = load(place / "m.safetensors", device="cpu")
    calibration = scorer.info.calibration
    assert calibration is not None and calibration.count == 12
    prep = Preprocess(32, 3, "imagenet")
    assert scorer.info.preprocess == prep and scorer.info.norm == "absolute"
    scores = scorer.score(np.stack([prep.picture(cv2.imread(str(p))) for p in sorted((place / "good").iterdir())]))
    assert (calibration.low, calibration.high) == (scores.min(), scores.max())


def test_frames_and_normalisation_as_asked_for(place: Path) -> None:
    done = linewatch("model.ckpt", "--normal", "good", "--frames", "5", "--normalisation", "half")
    assert done.exit_code == 0 and "as asked for" in done.stdout, done.output
    held = load_checkpoint(place / "model.safetensors")
    assert held.calibration is not None and held.calibration.count == 5
    assert held.preprocess == Preprocess(32, 3)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none.pth"], "none.pth: is not there"),
        (["netD.pth"], "netD.pth: is a discriminator (netD)"),
        (["netG.pth", "--discriminator", "netG.pth"], "netG.pth: is a generator (netG)"),
        (["model.ckpt", "--discriminator", "netD.pth"], "holds a discriminator already"),
        (["good/00.png"], "good/00.png: is no file that PyTorch wrote"),
        (["netG.pth", "--normal", "nowhere"], "nowhere: no such file or folder"),
        (["netG.pth", "--out", "nowhere/m.safetensors"], "no folder nowhere"),
        (["netG.pth", "--out", "netG.pth"], "is the file that is read"),
        (["netG.pth", "--norm", "cubic"], "cubic"),
        (["netG.pth", "--normalisation", "mnist"], "mnist"),
        (["netG.pth", "--normal", "good", "--device", "abacus"], "device is 'abacus'"),
    ],
)
def test_wrong_usage_ends_with_2_and_writes_nothing(place: Path, arguments: list[str], told: str) -> None:
    before = sorted(place.iterdir())
    done = linewatch(*arguments)
    assert done.exit_code == 2 and done.stdout == ""
    assert told in done.stderr.replace("\n", " ")
    assert sorted(place.iterdir()) == before


def test_a_target_that_cannot_be_written_ends_with_1(place: Path) -> None:
    (place / "m.safetensors").mkdir()
    done = linewatch("netG.pth", "--out", "m.safetensors")
    assert done.exit_code == 1 and "cannot be written" in done.stderr


def test_help_has_an_example(place: Path) -> None:
    done = linewatch("--help")
    assert done.exit_code == 0 and "linewatch import netG.pth" in done.stdout
    assert "linewatch train" not in done.stdout
