"""Stored scores, read from everywhere: in order, once each, whatever else lies between them."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaProducer

from monitor.embedded import EmbeddedBroker
from monitor.judging.baseline.port import BaselineKey, Criterion, Entry, Rule, WindowRules
from monitor.judging.baseline.redis_window import RedisWindow
from monitor.judging.baseline.store import BaselineStore
from monitor.judging.episodes import Hold
from monitor.publishing import ScorePublisher
from monitor.replay import spill
from monitor.replay.kafka_reading import read_topic
from monitor.replay.reading import Read, ReadingError, Wanted, read_files
from monitor.replay.redis_reading import read_windows
from monitor.replay.rows import HOLDS, ROW, BadRecord, RowMaker, alert_id
from monitor.replay.spill import Stored
from tests.monitor.recorded import NOON_NS, record, until, write


def quiet(done: int, total: int | None) -> None:
    """No progress."""


@pytest.fixture
def stored() -> Iterator[Stored]:
    with Stored(RowMaker()) as made:
        yield made


def of(stored: Stored, camera: str = "line-1") -> np.ndarray[Any, Any]:
    return np.concatenate([np.empty(0, ROW), *stored.rows(camera)])


def files(path: Path, stored: Stored, wanted: Wanted | None = None) -> Read:
    read = read_files(path, stored, wanted or Wanted(), quiet)
    stored.sort()
    return read


def test_a_record_is_a_row_and_loses_nothing(stored: Stored) -> None:
    maker = stored.maker
    camera, row = maker.row(
        record(7, 0.25, product="bolts", region="abcdef01", hold="suspect", shelved=True, alert="00ab" * 4)
    )
    one = np.array([row], ROW)[0]
    assert camera == "line-1"
    assert (one["time_ns"], one["seq"], one["score"], one["limit"]) == (NOON_NS + 7 * 10**8, 7, 0.25, 0.9)
    assert maker.models[one["model"]] == "m1-abcdef01"  # as a baseline's key calls it
    assert maker.products[one["product"]] == "bolts"
    assert maker.origin(one["place"], one["number"]) == "frames/0/7"
    assert HOLDS[one["hold"]] is Hold.SUSPECT
    assert one["shelved"] and one["told"] and alert_id(int(one["alert"])) == "00ab" * 4


@given(origin=st.text(min_size=1, max_size=20) | st.from_regex(r"[a-z]{1,3}[/#]0{0,2}[0-9]{1,25}", fullmatch=True))
def test_an_origin_comes_back_as_it_was(origin: str) -> None:
    maker = RowMaker()
    _, row = maker.row(record(1, origin=origin))
    one = np.array([row], ROW)[0]
    assert maker.origin(one["place"], one["number"]) == origin


def test_where_the_origin_is_missing_the_identity_says_it(stored: Stored) -> None:
    said = {key: value for key, value in record(3).items() if key != "origin"}
    _, row = stored.maker.row(said)
    one = np.array([row], ROW)[0]
    assert stored.maker.origin(one["place"], one["number"]) == "frames/0/3"


def test_what_the_contract_names_is_enough(stored: Stored) -> None:
    contract = {"camera": "c", "seq": 1, "captured_at": NOON_NS, "score": 1, "model": "m1"}
    _, row = stored.maker.row(contract)
    one = np.array([row], ROW)[0]
    assert np.isnan(one["limit"]) and not one["told"] and not one["shelved"] and one["alert"] == 0
    assert stored.maker.origin(one["place"], one["number"]) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"camera": 3}, "camera: expected a camera's id, found 3"),
        ({"camera": " "}, "camera: a camera's id must not be empty"),
        ({"captured_at": "noon"}, "captured_at: expected nanoseconds since the epoch, found 'noon'"),
        ({"captured_at": 10**30}, "captured_at"),
        ({"captured_at": True}, "captured_at"),
        ({"score": None}, "score: expected a finite number, found None"),
        ({"score": float("nan")}, "score"),
        ({"score": True}, "score"),
        ({"hold": "maybe"}, "hold: expected one of no, suspect, trouble, found 'maybe'"),
        ({"model": None}, "model: missing"),
        ({"product": ["x"]}, "product: expected a text"),
        ({"alert": "zz" * 8}, "alert: expected an alert's id"),
        ({"alert": 5}, "alert"),
    ],
)
def test_a_record_that_is_none_says_why(change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRecord, match="^" + said.replace("(", r"\(")):
        RowMaker().row({**record(1), **change})


def test_a_folder_in_order_and_every_frame_once(
    tmp_path: Path, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "BUFFERED", 64)  # so that it has to go to disk again and again
    per_day = 864_000
    records = [record(n * per_day // 100, n / 7, camera=f"line-{c}") for n in range(250) for c in (1, 2)]
    mixed = records + random.Random(3).sample(records, 90)
    random.Random(4).shuffle(mixed)
    write(tmp_path / "scores-2026-05-31.jsonl", mixed[:300])
    write(tmp_path / "scores-2026-06-01.jsonl", mixed[300:])
    (tmp_path / "notes.txt").write_text("not a score")
    read = files(tmp_path, stored)
    assert (read.kept, read.bad, stored.duplicates) == (590, 0, 90)
    assert stored.cameras() == ["line-1", "line-2"]
    for camera in stored.cameras():
        rows = of(stored, camera)
        assert rows["score"].tolist() == [n / 7 for n in range(250)]
        assert (np.diff(rows["time_ns"]) > 0).all()
    assert stored.models["line-1", "m1"].count == 250
    whole = stored.stretch()
    assert whole is not None and whole.count == 500 and whole.first_ns == NOON_NS


def test_other_frames_of_the_same_moment_stay(tmp_path: Path, stored: Stored) -> None:
    twins = [record(1, 0.1), {**record(1, 0.2), "origin": "frames/1/1", "identity": "", "seq": 2}]
    files(write(tmp_path / "a.jsonl", twins), stored)
    assert of(stored)["score"].tolist() == [0.1, 0.2] and stored.duplicates == 0


def test_a_broken_last_line_is_counted_and_bad_ones_are_named(tmp_path: Path, stored: Stored) -> None:
    file = tmp_path / "scores-2026-05-31.jsonl"
    good = [json.dumps(record(n)) for n in range(4)]
    lines = [good[0], "", "no json", "[1]", good[1], '{"camera": "line-1"}', "x" * (2 << 20), good[2], good[3][:60]]
    file.write_bytes("\n".join(lines).encode())
    read = files(file, stored)
    assert (read.kept, read.bad, read.broken_ends) == (3, 4, 1)
    assert [one.partition(": ")[0] for one in read.named] == [f"{file}:{n}" for n in (3, 4, 6, 7)]
    assert "not JSON" in read.named[0] and "expected a JSON object" in read.named[1]
    assert "longer than" in read.named[3]


def test_bytes_that_are_nothing_at_all(tmp_path: Path, stored: Stored) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\xff\xfe\n" + b"[" * 100_000 + b"\n" + b"\0\n" + json.dumps(record(1)).encode() + b"\n")
    read = files(file, stored)
    assert (read.kept, read.bad, read.broken_ends) == (1, 3, 0)


def test_only_what_is_wanted(tmp_path: Path, stored: Stored) -> None:
    file = write(tmp_path / "a.jsonl", [record(n, camera=c) for n in range(10) for c in ("line-1", "line-2", "press")])
    wanted = Wanted(NOON_NS + 2 * 10**8, NOON_NS + 5 * 10**8, ("line-*",))
    read = files(file, stored, wanted)
    assert (read.kept, read.left_out) == (6, 24)
    assert stored.cameras() == ["line-1", "line-2"] and of(stored)["seq"].tolist() == [2, 3, 4]


def test_days_before_what_is_wanted_are_not_even_read(tmp_path: Path, stored: Stored) -> None:
    write(tmp_path / "scores-2026-05-01.jsonl", [record(1)])
    write(tmp_path / "scores-2026-05-31.jsonl", [record(2)])
    read = files(tmp_path, stored, Wanted(NOON_NS))
    assert (read.kept, read.left_out) == (1, 0)


@pytest.mark.parametrize("there", [False, True])
def test_nothing_to_read_says_what_was_expected(tmp_path: Path, stored: Stored, there: bool) -> None:
    path = tmp_path if there else tmp_path / "missing"
    with pytest.raises(ReadingError, match="recording" if there else "no such file or folder"):
        files(path, stored)


def test_the_temporary_folder_goes(tmp_path: Path) -> None:
    with Stored(RowMaker()) as made:
        files(write(tmp_path / "a.jsonl", [record(1)]), made)
        folder = Path(made._folder.name)
        assert list(folder.iterdir())
    assert not folder.exists()


def test_a_topic_with_what_the_publisher_sends(broker: EmbeddedBroker, stored: Stored) -> None:
    topic = f"scores-{uuid4().hex[:8]}"
    broker.create_topic(topic, partitions=2)
    outcomes: list[str] = []
    publisher = ScorePublisher(broker.address, topic, lambda channel, outcome: outcomes.append(outcome))
    publisher.publish([record(n, n / 8, camera=f"line-{c}", product="bolts") for n in range(300) for c in (1, 2)])
    publisher.close()
    assert until(lambda: outcomes.count("delivered") == 600)
    producer = KafkaProducer(bootstrap_servers=broker.address)
    producer.send(topic, value=b"no score").get(20)
    producer.send(topic, value=None, key=b"line-1").get(20)
    producer.close()
    read = read_topic(f"kafka://{broker.address}/{topic}", stored, Wanted(), quiet)
    stored.sort()
    assert (read.kept, read.bad) == (600, 2)
    assert all(one.startswith(f"{topic}/") for one in read.named)
    for camera in ("line-1", "line-2"):
        rows = of(stored, camera)
        assert rows["score"].tolist() == [n / 8 for n in range(300)]
        assert rows["told"].all() and {stored.maker.products[code] for code in rows["product"]} == {"bolts"}
        assert stored.maker.origin(rows[5]["place"], rows[5]["number"]) == "frames/0/5"


def test_a_topic_since_a_time(broker: EmbeddedBroker, stored: Stored) -> None:
    topic = f"scores-{uuid4().hex[:8]}"
    broker.create_topic(topic, partitions=1)
    producer = KafkaProducer(bootstrap_servers=broker.address)
    for n in range(20):
        said = record(n)
        sent_ms = said["captured_at"] // 1_000_000 + 50
        producer.send(topic, value=json.dumps(said).encode(), timestamp_ms=sent_ms).get(20)
    producer.close()
    read = read_topic(f"kafka://{broker.address}/{topic}", stored, Wanted(NOON_NS + 15 * 10**8), quiet)
    stored.sort()
    assert of(stored)["seq"].tolist() == list(range(15, 20))
    assert read.bad == 0


@pytest.mark.parametrize(
    ("address", "said"),
    [("kafka://", "expected kafka://host:port/topic"), ("kafka://{}/no-such-topic", "no topic no-such-topic")],
)
def test_a_topic_that_is_not_there(broker: EmbeddedBroker, stored: Stored, address: str, said: str) -> None:
    with pytest.raises(ReadingError, match=said):
        read_topic(address.format(broker.address), stored, Wanted(), quiet)


@pytest.mark.slow
def test_a_broker_that_is_away(stored: Stored) -> None:
    began_s = time.monotonic()
    with pytest.raises(ReadingError, match="the broker cannot be read"):
        read_topic("kafka://127.0.0.1:9/scores", stored, Wanted(), quiet)
    assert time.monotonic() - began_s < 60


def test_what_the_windows_in_redis_hold(redis_client: redis.Redis, prefix: str, stored: Stored) -> None:
    now_ms = time.time_ns() // 1_000_000
    window = RedisWindow(redis_client, prefix, WindowRules(100, 3600, 5, 50), shards=2, address="")
    rule = Rule(Criterion.ABSOLUTE, 0.9, 0.0, 1.0)
    keys = [BaselineKey("line-1", "m1"), BaselineKey("line-1", "m1", "bolts"), BaselineKey("press", "m1-abcdef01")]
    window.judge(
        [Entry(key, f"f{n}", (n % 10) / 9, now_ms - 60_000 + n * 100, rule) for key in keys for n in range(40)]
    )
    store = BaselineStore(redis_client, prefix, 2)
    read = read_windows(store, stored, Wanted(cameras=("line-*",)), quiet)
    stored.sort()
    assert read.kept == 80 and "recording" in read.notes[0]
    rows = of(stored)
    assert len(rows) == 80 and (np.diff(rows["time_ns"]) >= 0).all()
    assert sorted({stored.maker.products[code] for code in rows["product"]}) == ["", "bolts"]
    assert (rows["score"] > 0.9).sum() == 8  # the refused ones are there as well


def test_redis_that_is_away(stored: Stored) -> None:
    client = redis.Redis(port=9, decode_responses=True, socket_connect_timeout=1)
    with pytest.raises(ReadingError, match="Redis cannot be read"):
        read_windows(BaselineStore(client, "p"), stored, Wanted(), quiet)
