"""The player against a real broker: what arrives is what the contract says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from kafka import KafkaConsumer  # type: ignore[import-untyped,unused-ignore]

from streams.simulator import FilmFootage, KafkaPlayer, Line, LineFootage, Play, write_film


@pytest.fixture(scope="module")
def broker_address() -> Iterator[str]:
    # The floor below knows nothing of the monitor; its tests may borrow a broker from it.
    from monitor.embedded import EmbeddedBroker  # noqa: PLC0415

    with EmbeddedBroker() as broker:
        for topic in ("line", "film", "stopped"):
            broker.create_topic(topic)
        yield broker.address


def read_all(address: str, topic: str, count: int) -> list[Any]:
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=address,
        auto_offset_reset="earliest",
        consumer_timeout_ms=20_000,
    )
    try:
        return [next(consumer) for _ in range(count)]
    finally:
        consumer.close()


def test_frames_arrive_as_the_contract_says(broker_address: str) -> None:
    line = Line(seed=2, camera_index=1, width=160, height=120)
    before_ns = time.time_ns()
    play = Play(duration_s=1.0, pace=2.0)
    player = KafkaPlayer(LineFootage(line), "line-2", "line", broker_address, play).start()
    assert player.wait(60)
    assert player.error is None
    assert (player.sent, player.failed) == (20, 0)
    records = read_all(broker_address, "line", player.sent)
    headers = [{key: value.decode() for key, value in record.headers} for record in records]
    assert {record.key for record in records} == {b"line-2"}
    assert {header["camera"] for header in headers} == {"line-2"}
    assert [int(header["seq"]) for header in headers] == list(range(20))
    captured = [int(header["captured_at"]) for header in headers]
    times_ns = [before_ns, *captured, time.time_ns()]
    assert times_ns == sorted(times_ns)
    picture = cv2.imdecode(np.frombuffer(records[7].value, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    difference = np.abs(picture.astype(float) - line.render(7))
    assert difference.mean() < 4  # of 255


def test_a_film_loops_and_its_truth_has_the_clock_of_the_frames(broker_address: str, tmp_path: Path) -> None:
    film = tmp_path / "clip.mp4"
    write_film(Line(1, 0, width=64, height=64), film, seconds=2, defects=False)
    film.with_suffix(".segments.csv").write_text(
        "first_frame,last_frame,label,what\n0,4,normal,\n5,9,anomaly,hand\n10,12,transition,\n",
        encoding="utf-8",
    )
    player = KafkaPlayer(FilmFootage(film), "line-3", "film", broker_address, Play(duration_s=1.6, pace=20.0))
    player.start()
    assert player.wait(60)
    records = read_all(broker_address, "film", player.sent)
    captured = [int(dict(record.headers)["captured_at"]) for record in records]
    judged = [planted for planted in player.truth() if planted.judged]
    rounds = len(captured) // 20
    assert rounds >= 2
    for number, planted in enumerate(judged[:rounds]):
        assert (planted.camera, planted.kind) == ("line-3", "hand")
        assert planted.started_at_ns == captured[20 * number + 5]
        assert captured[20 * number + 9] < planted.ended_at_ns


def test_stop_ends_an_endless_play(broker_address: str) -> None:
    line = Line(seed=2, camera_index=1, width=64, height=64)
    player = KafkaPlayer(LineFootage(line), "line-2", "stopped", broker_address)
    player.stop()  # before the start: nothing to end
    again = KafkaPlayer(LineFootage(line), "line-2", "stopped", broker_address).start()
    while again.sent < 3 and again.running:
        time.sleep(0.01)
    again.stop()
    again.stop()
    assert not again.running
    assert again.error is None
    assert len(read_all(broker_address, "stopped", again.sent)) == again.sent


def test_a_broker_that_is_not_there_is_an_error_and_not_a_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.simulator.player._BOOTSTRAP_MS", 500)
    line = Line(seed=2, camera_index=1, width=64, height=64)
    player = KafkaPlayer(LineFootage(line), "line-2", "frames", "127.0.0.1:1").start()
    assert player.wait(60)
    assert player.error is not None
    assert player.sent == 0


def test_a_pace_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="pace"):
        Play(pace=0)
