"""The Kafka source on a real broker: nothing lost, nothing dropped, offsets follow the work."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import UnsupportedCodecError
from pydantic import ValidationError

import streams.dead_letters
from monitor.embedded import EmbeddedBroker
from monitor.embedded.server import HOST, free_port
from monitor.inputs import KafkaInput
from streams.dead_letters import DeadLetters
from streams.kafka import KafkaSource, KafkaSourceOptions
from streams.source import Keep
from tests.streams.outlet import NotingOutlet, Running

pytestmark = pytest.mark.slow


@pytest.fixture
def producer(broker: EmbeddedBroker) -> Iterator[Any]:
    producer = KafkaProducer(bootstrap_servers=broker.address, linger_ms=5, max_request_size=8 << 20)
    yield producer
    producer.close(timeout=5)


def source(broker: EmbeddedBroker, topic: str, group: str = "g", **options: Any) -> KafkaSource:
    return KafkaSource(
        KafkaSourceOptions(
            broker.address, topic, f"{group}-{topic}", session_timeout_ms=6_000, commit_every_s=0.1, **options
        )
    )


def committed(broker: EmbeddedBroker, topic: str, group: str = "g") -> dict[int, int]:
    consumer = KafkaConsumer(bootstrap_servers=broker.address, group_id=f"{group}-{topic}", enable_auto_commit=False)
    try:
        found = {p: consumer.committed(TopicPartition(topic, p)) for p in (0, 1)}
    finally:
        consumer.close(autocommit=False)
    return {p: offset for p, offset in found.items() if offset}


def dead_letters(broker: EmbeddedBroker, topic: str, count: int) -> list[Any]:
    consumer = KafkaConsumer(
        f"{topic}.dlq",
        bootstrap_servers=broker.address,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=8 << 20,
    )
    found: list[Any] = []
    end_s = time.monotonic() + 20
    while len(found) < count and time.monotonic() < end_s:
        for records in consumer.poll(timeout_ms=200).values():
            found += records
    consumer.close(autocommit=False)
    return found


def send(producer: Any, topic: str, count: int, camera: str = "line-1", start: int = 0) -> None:
    for i in range(start, start + count):
        producer.send(topic, key=camera.encode(), value=b"picture %d" % i, headers=[("seq", b"%d" % i)])
    producer.flush(10)


def test_frames_come_in_order_and_offsets_follow_what_is_finished(
    broker: EmbeddedBroker, topic: str, producer: Any
) -> None:
    send(producer, topic, 20, "line-1")
    send(producer, topic, 20, "line-2")
    outlet = NotingOutlet()
    with Running(source(broker, topic), outlet) as running:
        assert outlet.wait(lambda: len(outlet.frames) == 40), outlet.troubles
        for camera in ("line-1", "line-2"):
            assert [f.seq for f in outlet.frames if f.camera == camera] == list(range(20))
        assert outlet.keeps == {Keep.ALL}
        first = [f for f in outlet.frames if f.camera == "line-1"]
        for frame in first[1:]:
            running.source.finish(frame)
        time.sleep(1)
        partition = int(first[0].origin.split("/")[1])
        assert committed(broker, topic).get(partition, 0) == int(first[0].origin.split("/")[2])
        for frame in outlet.frames:
            running.source.finish(frame)
    assert sum(committed(broker, topic).values()) == 40


def test_what_was_not_finished_comes_again_and_nothing_else(broker: EmbeddedBroker, topic: str, producer: Any) -> None:
    send(producer, topic, 10)
    outlet = NotingOutlet()
    with Running(source(broker, topic), outlet) as running:
        assert outlet.wait(lambda: len(outlet.frames) == 10)
        for frame in outlet.frames[:6]:
            running.source.finish(frame)
    again = NotingOutlet()
    with Running(source(broker, topic), again):
        assert again.wait(lambda: len(again.frames) == 4), again.troubles
        assert [f.seq for f in again.frames] == [6, 7, 8, 9]
        assert [f.identity for f in again.frames] == [f.identity for f in outlet.frames[6:]]


def test_a_full_house_pauses_keeps_its_membership_and_loses_nothing(
    broker: EmbeddedBroker, topic: str, producer: Any
) -> None:
    send(producer, topic, 300)
    room = {"left": 50}

    def has_room() -> bool:
        room["left"] -= 1
        return room["left"] >= 0

    outlet = NotingOutlet(has_room)
    patient = source(broker, topic)
    with Running(patient, outlet) as running:
        assert outlet.wait(lambda: len(outlet.frames) == 50), outlet.troubles
        membership = patient._consumer.group_metadata()
        full_s = time.monotonic()
        turned_away = outlet.turned_away
        while time.monotonic() < full_s + 8:  # longer than the session of 6 s: polling must go on
            time.sleep(0.1)
            assert len(outlet.frames) == 50
        assert outlet.turned_away > turned_away + 10, "it went on offering"
        assert patient._consumer.group_metadata() == membership, "same member, same generation: no rebalance"
        room["left"] = 10_000
        assert outlet.wait(lambda: len(outlet.frames) == 300)
        assert [f.seq for f in outlet.frames] == list(range(300))
        assert len({f.origin for f in outlet.frames}) == 300
        assert running.thread.is_alive()


def test_what_is_no_frame_becomes_a_dead_letter_and_holds_nothing_up(
    broker: EmbeddedBroker, topic: str, producer: Any
) -> None:
    producer.send(topic, key=None, value=b"nobody's picture", partition=0)
    producer.send(topic, key=b"line-1", value=b"x" * 3_000_000, partition=0)
    producer.send(topic, key=b"line-1", value=b"good", partition=0)
    producer.flush(10)
    outlet = NotingOutlet()
    with Running(source(broker, topic, max_message_bytes=2_000_000), outlet) as running:
        assert outlet.wait(lambda: len(outlet.frames) == 1), outlet.troubles
        assert outlet.refused == [("unknown", "no_camera"), ("line-1", "oversized")]
        running.source.finish(outlet.frames[0])
        letters = dead_letters(broker, topic, 2)
    assert committed(broker, topic) == {0: 3}
    by_key = {record.key: record for record in letters}
    assert by_key[None].value == b"nobody's picture"
    assert dict(by_key[None].headers)["origin"] == f"{topic}/0/0".encode()
    assert dict(by_key[None].headers)["error"].startswith(b"no_camera")
    large = by_key[b"line-1"]
    # Too large for the producer as well: the message says so instead of being lost.
    assert large.value == b"x" * 3_000_000 or dict(large.headers)["value_left_out_bytes"] == b"3000000"


def test_a_rejected_frame_goes_to_the_dead_letters_with_its_bytes(
    broker: EmbeddedBroker, topic: str, producer: Any
) -> None:
    producer.send(topic, key=b"the key", value=b"no image", headers=[("camera", b"line-7")], partition=1)
    producer.flush(10)
    outlet = NotingOutlet()
    with Running(source(broker, topic), outlet) as running:
        assert outlet.wait(lambda: len(outlet.frames) == 1)
        running.source.reject(outlet.frames[0], "undecodable: no image format found")
        (letter,) = dead_letters(broker, topic, 1)
    assert (letter.key, letter.value) == (b"the key", b"no image")
    assert dict(letter.headers) == {
        "error": b"undecodable: no image format found",
        "origin": f"{topic}/1/0".encode(),
    }
    assert committed(broker, topic) == {1: 1}


def test_lag_is_told(broker: EmbeddedBroker, topic: str, producer: Any) -> None:
    send(producer, topic, 200)
    outlet = NotingOutlet()
    with Running(source(broker, topic, max_poll_records=10), outlet):
        assert outlet.wait(lambda: len(outlet.frames) == 200)
        end_s = time.monotonic() + 5
        while 0 not in outlet.lags.values() and time.monotonic() < end_s:
            time.sleep(0.05)
        assert outlet.lags and min(outlet.lags.values()) == 0


def test_a_broker_that_is_away_is_told_and_waited_for() -> None:
    with EmbeddedBroker() as server:
        address = server.address
    outlet = NotingOutlet()
    absent = KafkaSource(KafkaSourceOptions(address, "frames", "g", session_timeout_ms=6_000))
    with Running(absent, outlet):
        assert outlet.wait(lambda: any(t and address in t and "does not answer" in t for t in outlet.troubles), 20)
        assert outlet.frames == []


def test_a_topic_that_appears_later_is_read_from_its_beginning(broker: EmbeddedBroker, producer: Any) -> None:
    topic = f"later-{time.time_ns()}"
    outlet = NotingOutlet()
    with Running(source(broker, topic), outlet):
        assert outlet.wait(lambda: any(t and "may not exist" in t for t in outlet.troubles), 20)
        broker.create_topic(topic, partitions=2)
        send(producer, topic, 5)
        assert outlet.wait(lambda: len(outlet.frames) == 5, 40), outlet.troubles
        assert outlet.troubles[-1] is None


def test_a_message_without_key_and_value_is_put_aside_as_well(
    broker: EmbeddedBroker, topic: str, producer: Any
) -> None:
    """kafka-python refuses to send a message that has neither; the source must not fall over it for ever."""
    dead = DeadLetters(broker.address, f"{topic}.dlq", 1 << 20)
    done: list[str] = []
    dead.add(error="no_camera", origin="t/0/0", key=None, value=None, done=lambda: done.append("x"))
    dead.close()
    assert done == ["x"]
    (letter,) = dead_letters(broker, topic, 1)
    assert letter.key is None and not letter.value


def test_a_message_of_five_megabytes_travels_from_end_to_end(broker: EmbeddedBroker, topic: str, producer: Any) -> None:
    """With the defaults of the source; the producer's `max_request_size` is raised."""
    picture = random.Random(5).randbytes(5 << 20)
    for seq in range(3):
        producer.send(topic, key=b"line-1", value=picture, headers=[("seq", b"%d" % seq)])
    producer.send(topic, key=b"line-1", value=b"small", headers=[("seq", b"3")])
    producer.flush(30)
    outlet = NotingOutlet()
    with Running(source(broker, topic), outlet):
        assert outlet.wait(lambda: len(outlet.frames) == 4), (outlet.troubles, outlet.refused)
    assert [frame.payload == picture for frame in outlet.frames] == [True, True, True, False]
    assert [frame.seq for frame in outlet.frames] == [0, 1, 2, 3] and outlet.refused == []


def test_frames_older_than_the_limit_are_skipped_counted_and_committed(
    broker: EmbeddedBroker, topic: str, producer: Any
) -> None:
    now_ns = time.time_ns()
    for seq in range(200):
        captured = now_ns - (3_600_000_000_000 if seq < 150 else 0)
        headers = [("seq", b"%d" % seq), ("captured_at", b"%d" % captured)]
        producer.send(topic, key=b"line-1", value=b"x", headers=headers, partition=0)
    producer.flush(10)
    outlet = NotingOutlet()
    with Running(source(broker, topic, max_age_ms=600_000), outlet) as running:
        assert outlet.wait(lambda: len(outlet.frames) == 50), outlet.troubles
        assert outlet.skipped == [("line-1", "stale")] * 150
        assert [frame.seq for frame in outlet.frames] == list(range(150, 200))
        running.source.finish(outlet.frames[0])
    assert committed(broker, topic) == {0: 151}


class StrangeName(str):
    """A header's name that goes over the wire as bytes that are no UTF-8."""

    def encode(self, *_: Any, **__: Any) -> bytes:
        return b"caf\xe9"


def test_a_record_that_cannot_be_opened_is_counted_put_aside_and_passed_by(broker: EmbeddedBroker, topic: str) -> None:
    """On two partitions, while the house is full now and then; the consumer stays. What follows in the same batch
    cannot be had either."""
    sender = KafkaProducer(bootstrap_servers=broker.address, linger_ms=20_000)
    corrupt = {(0, 3), (0, 4), (1, 5), (1, 6)}
    for seq in range(8):
        for partition in (0, 1):
            strange = (partition, seq) in corrupt - {(1, 6)}
            headers = [(StrangeName("cafe"), b"x")] if strange else []
            sender.send(topic, key=b"line-%d" % partition, value=b"picture", partition=partition, headers=headers)
        if seq in (3, 4, 6):
            sender.flush(10)
    sender.flush(10)
    sender.close(timeout=5)
    turns = iter(range(1_000))
    outlet = NotingOutlet(lambda: next(turns) % 3 != 2)
    reader = source(broker, topic)
    with Running(reader, outlet) as running:
        assert outlet.wait(lambda: len(outlet.frames) == 12 and len(outlet.refused) == 4), (
            outlet.troubles,
            len(outlet.frames),
        )
        for camera, seqs in (("line-0", [0, 1, 2, 5, 6, 7]), ("line-1", [0, 1, 2, 3, 4, 7])):
            assert [frame.seq for frame in outlet.frames if frame.camera == camera] == seqs
        assert set(outlet.refused) == {("unknown", "corrupt")}
        assert not any(trouble and "fails" in trouble for trouble in outlet.troubles)
        for frame in outlet.frames:
            running.source.finish(frame)
        letters = dead_letters(broker, topic, 4)
    assert {dict(x.headers)["origin"].decode() for x in letters} == {f"{topic}/{p}/{o}" for p, o in corrupt}
    assert all(not x.value and dict(x.headers)["error"].startswith(b"corrupt: ") for x in letters)
    assert committed(broker, topic) == {0: 8, 1: 8}


def test_what_is_finished_is_committed_before_a_consumer_that_fails_is_given_up(
    broker: EmbeddedBroker, topic: str, producer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(producer, topic, 5)
    outlet = NotingOutlet()
    reader = source(broker, topic)
    monkeypatch.setattr(reader, "_last_commit_s", time.monotonic() + 3_600)  # no commit by the clock
    with Running(reader, outlet) as running:
        assert outlet.wait(lambda: len(outlet.frames) == 5), outlet.troubles
        for frame in outlet.frames:
            running.source.finish(frame)

        def fail(**_: Any) -> Any:
            raise UnsupportedCodecError("a test")

        monkeypatch.setattr(reader._consumer, "poll", fail)
        assert outlet.wait(lambda: any(t and "UnsupportedCodecError" in t for t in outlet.troubles))
        assert outlet.wait(lambda: outlet.troubles[-1] is None), "a new consumer reads"
        send(producer, topic, 1, start=5)
        assert outlet.wait(lambda: any(frame.seq == 5 for frame in outlet.frames))
        assert [frame.seq for frame in outlet.frames] == list(range(6)), "nothing came again"


def test_a_name_that_no_topic_can_have_leaves_no_consumer_behind(broker: EmbeddedBroker) -> None:
    reader = source(broker, "frames/line 1")
    before = threading.active_count()
    for _ in range(2):
        with pytest.raises(ValueError, match="frames/line 1"):
            reader.run(NotingOutlet(), threading.Event())
    reader.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("name", ["frames/line 1", "", "x" * 250, "fräsen"])
def test_the_settings_refuse_such_a_name(name: str) -> None:
    assert KafkaInput(bootstrap_servers="broker:9092", topic="line-1_frames.v2").topic == "line-1_frames.v2"
    with pytest.raises(ValidationError, match="topic"):
        KafkaInput(bootstrap_servers="broker:9092", topic=name)


def test_dead_letters_that_cannot_be_written_are_trouble(
    broker: EmbeddedBroker, topic: str, producer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams.dead_letters, "TOLD_AFTER_S", 0.5)
    monkeypatch.setattr(streams.dead_letters, "RETRY_AFTER_S", 0.5)
    reader = source(broker, topic)
    there, reader._dead_letters._bootstrap_servers = broker.address, f"{HOST}:{free_port()}"
    producer.send(topic, key=None, value=b"nobody's picture", partition=0).get(10)
    outlet = NotingOutlet()
    with Running(reader, outlet):
        assert outlet.wait(lambda: any(t and f"cannot be written to {topic}.dlq" in t for t in outlet.troubles))
        reader._dead_letters._bootstrap_servers = there
        assert outlet.wait(lambda: outlet.troubles[-1] is None), outlet.troubles


@pytest.mark.parametrize("codec", ["gzip", "lz4", "snappy", "zstd"])
def test_compressed_messages_are_read(broker: EmbeddedBroker, topic: str, codec: str) -> None:
    sender = KafkaProducer(bootstrap_servers=broker.address, compression_type=codec)
    send(sender, topic, 10)
    sender.close(timeout=5)
    outlet = NotingOutlet()
    with Running(source(broker, topic), outlet):
        assert outlet.wait(lambda: len(outlet.frames) == 10), outlet.troubles
    assert [f.payload for f in outlet.frames] == [b"picture %d" % i for i in range(10)]
