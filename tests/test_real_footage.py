"""On real pictures, where LINEWATCH_DATA names them: the film of docs/real-footage.md, in a shorter form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from monitor.cli import app


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_bottle_film_is_told_apart_from_its_first_165_frames(shared_data: Path, tmp_path: Path) -> None:
    film, out = shared_data / "video" / "bottle-detection.mp4", tmp_path / "film.safetensors"
    trained = CliRunner().invoke(
        app, ["train", str(film), "--frames", "165", "--steps", "300", "--tolerate-shift", "1", "--out", str(out)]
    )
    assert trained.exit_code == 0, trained.stderr
    evaluated = CliRunner().invoke(app, ["evaluate", str(out), str(film), "--json"])
    assert evaluated.exit_code == 0, evaluated.stderr
    result = json.loads(evaluated.stdout)
    # The frames that it was trained on are no part of the test.
    assert (result["normal"], result["anomalous"]) == (343 - 165, 800)
    auroc, false, recall = (result[name]["value"] for name in ("auroc", "false_positive_rate", "recall"))
    assert auroc > 0.9 and false < 0.02 and recall > 0.1
