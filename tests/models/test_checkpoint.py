from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from models.calibration import Calibration
from models.checkpoint import CheckpointError, load, load_checkpoint, save
from models.ganomaly import Architecture
from models.method_scorer import MethodScorer
from models.methods.ganomaly import Ganomaly
from models.preprocess import Preprocess

PREPROCESS = Preprocess(32, 3)


@pytest.fixture
def absolute(ganomaly: Ganomaly, small: Architecture) -> Ganomaly:
    made = Ganomaly(small, "absolute")
    made.load_state_dict(ganomaly.state_dict())
    return made


@pytest.fixture
def path(tmp_path: Path, absolute: Ganomaly, calibration: Calibration) -> Path:
    path = tmp_path / "model.safetensors"
    save(path, absolute, PREPROCESS, calibration=calibration, training={"steps": 7, "note": "größer"})
    return path


def rewritten(path: Path, tensors: dict[str, Any] | None = None, **metadata: Any) -> Path:
    """The same file with some metadata changed (None: left out) or other tensors."""
    with safe_open(path, framework="pt") as file:
        old = file.metadata()
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    new = {k: v for k, v in {**old, **texts}.items() if metadata.get(k, "") is not None}
    save_file(load_file(path) if tensors is None else tensors, path, new)
    return path


def refused(path: Path) -> str:
    """The one message that both ways of loading give; it names the file."""
    with pytest.raises(CheckpointError) as told:
        load(path, device="cpu")
    assert str(path) in str(told.value)
    return str(told.value)


def test_round_trip(path: Path, absolute: Ganomaly, calibration: Calibration) -> None:
    before = MethodScorer(absolute, calibration, device="cpu", precision="fp32")
    after = load(path, device="cpu", precision="fp32")
    assert after.info == before.info
    pictures = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(after.score(pictures), before.score(pictures))
    held = load_checkpoint(path)
    assert held.training == {"steps": 7, "note": "größer"}
    for name, tensor in absolute.state_dict().items():
        assert torch.equal(held.method.state_dict()[name], tensor), name


def test_without_calibration(path: Path, absolute: Ganomaly) -> None:
    save(path, absolute, PREPROCESS, calibration=None, training={})
    assert load_checkpoint(path).calibration is None
    assert load(path, device="cpu").info.calibration is None


def test_the_first_version_is_still_read(path: Path, calibration: Calibration) -> None:
    before = load(path, device="cpu").info
    rewritten(path, format='"linewatch-ganomaly"', format_version=1, method=None)
    assert load(path, device="cpu").info == before


def test_a_method_that_nobody_knows(path: Path) -> None:
    assert "scorer is 'oracle': choose one of ganomaly" in refused(rewritten(path, method='"oracle"'))


def test_metadata_is_json_that_others_can_read(path: Path) -> None:
    with safe_open(path, framework="np") as file:
        metadata = {k: json.loads(v) for k, v in file.metadata().items()}
    assert metadata["format_version"] == 2
    assert metadata["method"] == "ganomaly"
    assert metadata["architecture"]["size"] == 32
    assert metadata["preprocessing"] == PREPROCESS.to_dict()
    assert metadata["score"] == {"norm": "absolute"}
    assert metadata["calibration"]["threshold"] > metadata["calibration"]["high"]


def test_writing_again_leaves_one_whole_file(path: Path, ganomaly: Ganomaly, calibration: Calibration) -> None:
    save(path, ganomaly, PREPROCESS, calibration=calibration, training={})
    assert load_checkpoint(path).method.norm == "squared"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_failed_write_leaves_the_old_file(path: Path, ganomaly: Ganomaly, calibration: Calibration) -> None:
    with pytest.raises(TypeError):
        save(path, ganomaly, PREPROCESS, calibration=calibration, training={"x": {1}})
    assert load_checkpoint(path).method.norm == "absolute"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_no_folder_to_write_into(tmp_path: Path, ganomaly: Ganomaly, calibration: Calibration) -> None:
    target = tmp_path / "none" / "model.safetensors"
    with pytest.raises(CheckpointError, match="cannot be written"):
        save(target, ganomaly, PREPROCESS, calibration=calibration, training={})


def test_missing_file(tmp_path: Path) -> None:
    assert "is not there" in refused(tmp_path / "gone.safetensors")
    assert "is a folder" in refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a pickle in a zip", b"\xff" * 64])
def test_no_safetensors(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    assert "is no safetensors file" in refused(path)


def test_cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])
    assert "is no safetensors file" in refused(path)


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"x": Bomb()}, tmp_path / "model.pth")
    assert "is no safetensors file" in refused(tmp_path / "model.pth")
    assert not (tmp_path / "ran").exists()


def test_without_metadata(path: Path) -> None:
    save_file(load_file(path), path)
    assert "names the format None, expected 'linewatch'" in refused(path)


def test_another_format(path: Path) -> None:
    assert "'other', expected 'linewatch'" in refused(rewritten(path, format='"other"'))


def test_another_version(path: Path) -> None:
    assert "format version 3, this linewatch reads 2" in refused(rewritten(path, format_version=3))


def test_metadata_that_is_no_json(path: Path) -> None:
    assert "not JSON" in refused(rewritten(path, score="{squared"))


@pytest.mark.parametrize("key", ["architecture", "preprocessing", "score", "calibration", "training"])
def test_metadata_lacks_a_part(path: Path, key: str) -> None:
    assert f"lacks {key}" in refused(rewritten(path, **{key: None}))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("architecture", {"size": 32}, "expected"),
        (
            "architecture",
            {"size": 40, "channels": 3, "nz": 16, "ngf": 8, "extra_layers": 0, "first_padding": 1},
            "size is 40",
        ),
        ("preprocessing", {"size": 64, "channels": 3}, "the networks take 32 px"),
        ("score", {"norm": "max"}, "score norm is 'max'"),
        ("calibration", {"count": 3}, "calibration has"),
        (
            "calibration",
            {"count": 1, "low": 1, "high": 2, "quantiles": 3, "threshold": 4},
            "no number",
        ),
        (
            "calibration",
            '{"count": Infinity, "low": 1, "high": 2, "quantiles": [], "threshold": 4}',
            "cannot be used",
        ),
        (
            "architecture",
            {"size": 32, "channels": 3, "nz": 10**20, "ngf": 8, "extra_layers": 0, "first_padding": 1},
            "cannot be used",
        ),
    ],
)
def test_metadata_that_makes_no_sense(path: Path, key: str, value: Any, told: str) -> None:
    assert told in refused(rewritten(path, **{key: value}))


def test_architecture_of_other_weights(path: Path, small: Architecture) -> None:
    other = {**small.to_dict(), "nz": 20}
    message = refused(rewritten(path, architecture=other))
    assert "[16, 32, 4, 4], expected torch.float32 [20, 32, 4, 4]" in message


def test_weights_missing_and_unknown(path: Path) -> None:
    tensors = load_file(path)
    tensors["generator.encoder1.first.0.bias"] = tensors.pop("generator.encoder1.first.0.weight")
    message = refused(rewritten(path, tensors))
    assert "1 missing ['generator.encoder1.first.0.weight']" in message
    assert "1 unknown ['generator.encoder1.first.0.bias']" in message


def test_weights_in_half_precision(path: Path) -> None:
    tensors = load_file(path)
    tensors["discriminator.encoder.last.weight"] = tensors["discriminator.encoder.last.weight"].half()
    assert "torch.float16" in refused(rewritten(path, tensors))


def test_weights_that_are_no_numbers(path: Path) -> None:
    tensors = load_file(path)
    tensors["generator.decoder.last.0.weight"][0] = float("nan")
    assert "hold" in refused(rewritten(path, tensors))
