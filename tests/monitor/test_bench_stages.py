"""`linewatch bench stages` and what it works on: that every stage runs and its books are right; not how fast it is."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from kafka import KafkaAdminClient  # type: ignore[import-untyped,unused-ignore]
from typer import Typer
from typer.testing import CliRunner

from models.checkpoint import load
from monitor.bench.footage import Footage, footage
from monitor.bench.network import network
from monitor.bench.stages.lap import Lap, processor_s, timed
from monitor.bench.stages.read import Reading
from monitor.bench.stages.stages import measure
from monitor.bench.stages.task import Row, Setup, Task
from monitor.commands.benches.stages import stages
from monitor.embedded import EmbeddedBroker
from monitor.settings import Batching
from streams.codec import decode

app = Typer()
app.command()(stages)


@pytest.fixture(scope="module")
def shown() -> Footage:
    return footage(None, 64, 48, most=6)


@pytest.fixture(scope="module")
def setup(shown: Footage, tmp_path_factory: pytest.TempPathFactory) -> Setup:
    checkpoint = network(tmp_path_factory.mktemp("network"), 32, shown, ngf=2)
    return Setup(shown, checkpoint, "cpu", ("fp32",), batches=(1, 4), cameras=3, window=40)


def test_the_simulated_frames_are_different_and_always_the_same(shown: Footage) -> None:
    assert len(set(shown.jpegs)) == 6
    assert footage(None, 64, 48, most=6) == shown
    assert decode(shown.jpegs[0], 1 << 20).shape == (48, 64, 3)
    assert shown.mean_bytes == sum(map(len, shown.jpegs)) / 6


def test_frames_of_a_film_are_spread_over_all_of_it(tmp_path: Path) -> None:
    film = tmp_path / "steps.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 64))
    for number in range(40):
        writer.write(np.full((64, 64, 3), 6 * number, np.uint8))
    writer.release()
    taken = footage(film, 96, 32, most=7)
    assert (taken.name, taken.width, taken.height) == ("steps.avi", 96, 32)
    pictures = [decode(jpeg, 1 << 20) for jpeg in taken.jpegs]
    assert {picture.shape for picture in pictures} == {(32, 96, 3)}
    assert [round(float(picture.mean()) / 6) for picture in pictures] == [0, 8, 16, 24, 32]


def test_pictures_of_a_folder_from_the_first_to_the_last(tmp_path: Path) -> None:
    for number in range(10):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((40, 40, 3), 20 * number, np.uint8))
    taken = footage(tmp_path, 40, 40, most=4)
    levels = [round(float(decode(jpeg, 1 << 20).mean()) / 20) for jpeg in taken.jpegs]
    assert levels == [0, 3, 6, 9]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.mp4", None, "none.mp4: it is gone"),
        ("text.mp4", b"no film", "text.mp4: it does not begin like a film"),
        ("none", None, "none: is neither a film nor a picture"),
        ("bad.jpg", b"no picture", "bad.jpg: no image format found"),
    ],
)
def test_footage_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        footage(tmp_path / name, 64, 64)


def test_the_network_is_one_that_the_service_takes(setup: Setup, shown: Footage, tmp_path: Path) -> None:
    scorer = load(setup.checkpoint, "cpu", "fp32", 1)
    calibration = scorer.info.calibration
    assert calibration is not None and calibration.low > 0
    pictures = np.stack([scorer.info.preprocess.picture(decode(jpeg, 1 << 20)) for jpeg in shown.jpegs])
    assert scorer.score(pictures).max() == pytest.approx(calibration.high, rel=1e-3)
    again = load(network(tmp_path, 32, shown, ngf=2), "cpu")
    assert again.info.model_id == load(setup.checkpoint, "cpu").info.model_id


def test_a_lap_tells_the_processor_time_of_this_process() -> None:
    def work() -> int:
        end_s = time.process_time() + 0.05
        while time.process_time() < end_s:
            pass
        return 3

    lap = timed(work, 0.0, lambda: processor_s(os.getpid()))
    assert lap.frames == 3
    assert 0.05 <= lap.cpu_s <= lap.wall_s + 0.5  # other threads of the tests may work as well
    assert lap.server_cpu_s is not None and lap.server_cpu_s >= 0.03  # told in hundredths
    assert timed(work, 0.0, lambda: processor_s(None)).server_cpu_s is None


def test_a_row_is_the_median_of_its_laps() -> None:
    laps = [Lap(10, 1.0, 0.5, None), Lap(30, 1.0, 0.6, 0.3), Lap(20, 1.0, 0.2, 0.1)]
    row = Row.of(Task("score", "fp32", 8, lambda seconds: laps[0]), laps)
    assert row.frames == 60
    assert (row.frames_per_s, row.wall_us, row.cpu_us) == (20, 50_000, 20_000)
    assert row.server_cpu_us == pytest.approx(7_500)
    assert row.to_dict()["spread"] == {"least": 10, "median": 20, "greatest": 30, "runs": 3}


def test_reading_counts_what_the_group_has_committed(broker: EmbeddedBroker, shown: Footage) -> None:
    reading = Reading(broker, shown, 5)
    try:
        laps = [reading.lap(0.05), reading.lap(0.05)]
    finally:
        reading.close()
    assert all(lap.wall_s > 0 and lap.server_cpu_s is not None for lap in laps)
    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    try:
        offsets = admin.list_group_offsets({reading.group: None})[reading.group]
    finally:
        admin.close()
    assert sum(max(0, at.offset) for at in offsets.values()) == sum(
        lap.frames + 1 for lap in laps
    )  # and the one before each that was held back


@pytest.mark.parametrize("stage", ["window", "judge", "publish"])
def test_a_stage_with_a_server_is_measured(setup: Setup, stage: str) -> None:
    told: list[tuple[int, int]] = []
    rows = measure(stage, setup, 0.05, 2, lambda done, of: told.append((done, of)))
    assert {row.stage for row in rows} == {stage}
    assert [row.batch for row in rows] == ([1, 4] if stage == "window" else [64])
    for row in rows:
        assert row.frames >= 2 * row.batch
        assert row.cpu_us > 0 and row.server_cpu_us is not None
        assert row.spread.runs == 2 and row.spread.least <= row.frames_per_s <= row.spread.greatest
    assert told[-1] == (2 * len(rows), 2 * len(rows))


def test_the_command_prints_a_table_and_writes_json(tmp_path: Path) -> None:
    options = ["--resolution", "64x48", "--size", "32", "--ngf", "2", "--seconds", "0.05", "--repeats", "2"]
    options += ["--batches", "8,1", "--precisions", "fp32", "--device", "cpu", "--out", str(tmp_path)]
    only = [word for stage in ("score", "decode", "preprocess") for word in ("--only", stage)]
    result = CliRunner().invoke(app, [*options, *only])
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "stages.json").read_text())
    assert document["part"] == "stages"
    assert document["asked"]["resolution"] == "64x48" and document["asked"]["batches"] == [1, 8]
    found = [(row["stage"], row["batch"], row["in_path"]) for row in document["rows"]]
    assert found == [
        ("decode", 1, False),
        ("decode", 64, not Batching().reduced_decoding),
        ("decode", 64, Batching().reduced_decoding),
        ("preprocess", 1, False),
        ("preprocess", 1, False),
        ("score", 1, False),
        ("score", 8, True),
    ]
    assert all(row["wall_us"] > 0 and row["cpu_us"] > 0 for row in document["rows"])
    assert "frames/s" in result.stdout and "fp32 on cpu" in result.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "scoring"], "--only scoring: there is no such stage; choose among read, decode"),
        (["--resolution", "640"], "--resolution 640: expected WIDTHxHEIGHT"),
        (["--resolution", "8x8"], "of 8x8 pixels"),
        (["--batches", "1,,8"], "--batches 1,,8"),
        (["--precisions", "fp16"], "--precisions fp16"),
        (["--size", "48"], "--size 48: choose one of 32, 64"),
        (["--frames", "/nowhere/film.mp4"], "film.mp4: it is gone"),
        (["--device", "cuda:99"], "device is 'cuda:99'"),
    ],
)
def test_what_is_wrong_is_said(options: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["--seconds", "0.05", *options])
    assert result.exit_code == 2
    assert message in result.output
