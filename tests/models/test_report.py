from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from models.checkpoint import load
from models.ganomaly import Architecture
from models.preprocess import Picture
from models.report import write_report
from models.train import train
from models.training_config import TrainConfig


@pytest.mark.parametrize("channels", [1, 3])
def test_report_lies_beside_the_checkpoint(scene: Callable[..., Picture], tmp_path: Path, channels: int) -> None:
    pictures = scene(30)[..., :channels].copy()
    arch = Architecture(size=32, channels=channels, nz=8, ngf=4)
    config = TrainConfig(architecture=arch, batch=8, max_steps=4, minutes=None, evaluate_every=2, device="cpu")
    result = train(pictures, config, tmp_path / "line.safetensors")
    result = dataclasses.replace(result, history=(*result.history, {**result.history[-1], "con": float("nan")}))
    scorer = load(result.out, device="cpu")
    png, text = write_report(result, scorer, pictures)
    assert (png.name, text.name) == ("line.report.png", "line.report.json")
    image = cv2.imread(str(png))
    assert image is not None and image.shape[1] > 1000 and image.std() > 10
    told = json.loads(text.read_text())
    assert told["model_id"] == scorer.info.model_id
    assert told["calibration"]["threshold"] == result.calibration.threshold
    assert len(told["held_out_scores"]) == told["held_out_pictures"] == 6
    assert told["history"][-1]["con"] is None
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "line.log.csv",
        "line.report.json",
        "line.report.png",
        "line.safetensors",
        "line.safetensors.resume",
    ]
