"""`linewatch bench window` on small windows: that it runs, tells, and cleans up; not how fast this machine is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis
from typer.testing import CliRunner

from monitor.bench.window import measure, tell
from monitor.commands.bench import app
from monitor.embedded import EmbeddedValkey
from monitor.judging.baseline.port import Mode


def test_a_row_tells_what_was_measured(redis_client: redis.Redis) -> None:
    told: list[tuple[int, int]] = []
    row = measure(redis_client, 3, 12, 200, 20, Mode.MINMAX, lambda done, of: told.append((done, of)))
    assert (row.cameras, row.frames, row.window, row.batches, row.mode) == (3, 12, 200, 20, "minmax")
    assert 0 < row.p50_ms <= row.p95_ms <= row.p99_ms
    assert 0 < row.fastest_frame_us <= row.frame_us == pytest.approx(row.p50_ms * 1000 / 12)
    assert row.server_us is not None
    assert 20 < row.memory_bytes < 2000
    assert told[-1] == (600, 600)
    assert "3     12" in tell([row])
    assert not redis_client.keys("*linewatch-bench-*")


def test_the_command_prints_a_table_and_writes_json(valkey: EmbeddedValkey, tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    options = ["--cameras", "2", "--frames", "4", "--window", "20", "--batches", "5", "--only", "--json", str(file)]
    result = CliRunner().invoke(app, ["window", "--redis", valkey.address, *options])
    assert result.exit_code == 0, result.output
    assert "p50" in result.stdout and len(result.stdout.splitlines()) == 2
    document = json.loads(file.read_text())
    assert [row["cameras"] for row in document["rows"]] == [2]
    assert "Valkey" in document["server"]


def test_without_a_server_it_starts_one_and_goes_on_to_more_cameras(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    options = ["--cameras", "2", "--frames", "4", "--window", "4", "--batches", "3", "--json", str(file)]
    result = CliRunner().invoke(app, ["window", *options])
    assert result.exit_code == 0, result.output
    assert [(r["cameras"], r["frames"]) for r in json.loads(file.read_text())["rows"]] == [
        (2, 4),
        (64, 128),
        (256, 512),
    ]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--redis", "redis://127.0.0.1:1/0"], 1, "the Redis server: ConnectionError"),
        (["--redis", "nonsense"], 2, "Redis URL must specify"),
        (["--cameras", "0"], 2, "--cameras"),
    ],
)
def test_what_is_wrong_is_said(options: list[str], code: int, message: str) -> None:
    result = CliRunner().invoke(app, ["window", *options])
    assert result.exit_code == code
    assert message in result.output


def test_a_file_that_cannot_be_written_is_told(valkey: EmbeddedValkey, tmp_path: Path) -> None:
    options = ["--cameras", "1", "--frames", "1", "--window", "4", "--batches", "1", "--only"]
    result = CliRunner().invoke(app, ["window", "--redis", valkey.address, *options, "--json", str(tmp_path / "no/x")])
    assert result.exit_code == 1
    assert "cannot be written: No such file" in result.output
