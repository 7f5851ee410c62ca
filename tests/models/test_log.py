from __future__ import annotations

from pathlib import Path

import pytest

from models.log import log_path, write_log


def test_a_row_a_look_and_columns_that_come_later(tmp_path: Path) -> None:
    path = log_path(tmp_path / "line.1.safetensors")
    write_log(path, [{"step": 1, "held_out": 0.5}, {"step": 2, "held_out": 0.25, "adv": 2.0}])
    assert path.name == "line.1.log.csv"
    assert path.read_text().splitlines() == ["step,held_out,adv", "1,0.5,", "2,0.25,2.0"]
    write_log(path, [{"step": 3}])
    assert path.read_text().splitlines() == ["step", "3"]  # whole each time


def test_a_log_that_cannot_be_written_ends_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.log.csv"
    write_log(path, [{"step": 1}])

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    write_log(path, [{"step": 2}])
    assert [file.name for file in tmp_path.iterdir()] == ["m.log.csv"] and path.read_text().split() == ["step", "1"]
    (tmp_path / "file").touch()
    write_log(tmp_path / "file" / "m.log.csv", [{"step": 2}])  # no folder: nothing to clean up either
