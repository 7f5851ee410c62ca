"""`linewatch ingest` as its user meets it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from monitor.cli import app
from monitor.embedded import EmbeddedBroker
from monitor.embedded.server import free_port
from streams.spool import Spool
from tests.monitor.edge import PICTURE
from tests.monitor.service import read_topic, until

ROOT = Path(__file__).parents[2]


def write(folder: Path, address: str, topic: str = "frames", **sections: Any) -> Path:
    (folder / "pictures").mkdir(exist_ok=True)
    for index in range(20):
        (folder / "pictures" / f"{index:02}.jpg").write_bytes(PICTURE)
    config = {
        "sources": [{"files": {"camera": "bench", "path": "pictures"}}],
        "kafka": {"bootstrap_servers": address, "topic": topic},
    }
    path = folder / "ingest.yaml"
    path.write_text(yaml.safe_dump(config | sections, sort_keys=False))
    return path


def start(config: Path) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LINEWATCH_")}
    return subprocess.Popen(
        [sys.executable, "-m", "monitor.cli", "ingest", str(config)],
        cwd=config.parent,
        env=kept | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"sources": [{"files": {"camera": "b", "path": "no/*.mp4"}}]}, "sources[0].files.path: no picture or film"),
        ({"sources": [{"files": {"camera": "b", "path": "~nosuchuser/x"}}]}, ":4: sources[0].files.path: no picture"),
        ({"sources": [{"files": {"camera": "b", "path": "x" * 300}}]}, "x: File name too long"),
        ({"encode": {"qality": 3}}, "encode.qality: unknown key; did you mean quality?"),
        ({"buffer": {"dir": "pictures/00.jpg/buffer"}}, ":9: buffer.dir: the folder pictures/00.jpg/buffer cannot"),
        (
            {"kafka": {"bootstrap_servers": "b:1", "topic": "t", "security": {"protocol": "SSL", "ca_file": "none"}}},
            "kafka.security: ca_file: cannot read none",
        ),
    ],
)
def test_a_configuration_that_cannot_work_ends_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sections: dict[str, Any], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["ingest", str(write(tmp_path, "127.0.0.1:1", **sections))])
    assert done.exit_code == 2 and done.stdout == "" and told in done.stderr and "Traceback" not in done.stderr


def test_a_buffer_that_another_ingest_uses_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    other = Spool(tmp_path / "buffer", 1 << 20)
    done = CliRunner().invoke(app, ["ingest", str(write(tmp_path, "127.0.0.1:1"))])
    other.close()
    assert done.exit_code == 2 and "two ingests cannot share a buffer" in done.stderr


def test_a_metrics_port_that_is_taken_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broker: EmbeddedBroker
) -> None:
    monkeypatch.chdir(tmp_path)
    config = write(tmp_path, "127.0.0.1:1", metrics={"port": broker.port})
    done = CliRunner().invoke(app, ["ingest", str(config)])
    assert done.exit_code == 2 and f"metrics.port: cannot listen on 127.0.0.1:{broker.port}" in done.stderr


@pytest.mark.slow
def test_files_are_sent_to_their_end(broker: EmbeddedBroker, topic: str, tmp_path: Path) -> None:
    process = start(write(tmp_path, broker.address, topic))
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert "every frame is accounted for" in out and "bench   20        0         20    0        0       0" in out
    records = read_topic(broker.address, topic, 20)
    assert [r.value for r in records] == [PICTURE] * 20
    assert [dict(r.headers)["seq"] for r in records] == [b"%d" % i for i in range(1, 21)]


@pytest.mark.slow
def test_killed_while_the_broker_is_away_it_sends_the_buffer_at_the_next_start(tmp_path: Path) -> None:
    port, metrics_port = free_port(), free_port()
    sources = [{"files": {"camera": "bench", "path": "pictures", "fps": 50, "loop": True}}]
    config = write(tmp_path, f"127.0.0.1:{port}", sources=sources, metrics={"port": metrics_port})

    def metric(name: str) -> float:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return -1
        return float(next((line.split()[-1] for line in lines if line.startswith(name)), -1))

    killed = start(config)
    assert until(lambda: metric("linewatch_ingest_buffer_frames") >= 50, 60)
    assert metric("linewatch_ingest_broker_up") == 0
    killed.kill()
    killed.communicate(timeout=20)
    with EmbeddedBroker(port=port) as broker:
        broker.create_topic("frames")
        process = start(config)
        assert until(lambda: metric('linewatch_ingest_frames_sent_total{camera="bench"}') >= 100, 60)
        restored = metric('linewatch_ingest_frames_restored_total{camera="bench"}')
        process.send_signal(signal.SIGTERM)
        began_s = time.monotonic()
        out, err = process.communicate(timeout=60)
        ended_s = time.monotonic() - began_s
        cells = next(line for line in out.splitlines() if line.startswith("bench")).split()
        records = read_topic(broker.address, "frames", int(cells[3]))
    assert process.returncode == 0, err
    assert restored >= 50 and int(cells[2]) == restored and "every frame is accounted for" in out
    assert int(cells[1]) + int(cells[2]) == int(cells[3]) == len(records), "all was sent before the end"
    assert ended_s < 20


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_in_the_buffer_what_cannot_be_sent(tmp_path: Path, number: signal.Signals) -> None:
    sources = [{"files": {"camera": "bench", "path": "pictures", "fps": 50, "loop": True}}]
    process = start(write(tmp_path, f"127.0.0.1:{free_port()}", sources=sources))
    assert process.stderr is not None
    for row in process.stderr:
        if "buffer_waits" in row:
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    waiting = int(out.splitlines()[-1].split()[0])
    assert "frames wait in the buffer for the next start" in out and "every frame is accounted for" in out
    spool = Spool(tmp_path / "buffer", 1 << 30)
    assert spool.frames == waiting > 0
    spool.close()
