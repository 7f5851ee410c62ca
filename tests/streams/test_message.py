"""Records to frames, by the contract for frames on Kafka."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.camera_id import checked_camera
from streams.message import MessageError, frame_of

LIMIT = 1000


@dataclass
class Record:
    key: bytes | None = b"line-1"
    value: bytes | None = b"jpeg"
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    topic: str = "frames"
    partition: int = 3
    offset: int = 42
    timestamp: int | None = 1_700_000_000_123


def test_without_headers_key_offset_and_time_stamp_serve() -> None:
    frame = frame_of(Record(), LIMIT, "ticket")
    assert (frame.camera, frame.seq, frame.captured_at_ns) == ("line-1", 42, 1_700_000_000_123_000_000)
    assert (frame.origin, frame.payload, frame.product, frame.ticket) == ("frames/3/42", b"jpeg", None, "ticket")


def test_headers_come_first() -> None:
    headers = [("camera", b"line-2"), ("captured_at", b"1700000000000000001"), ("seq", b"7"), ("product", b"M8")]
    frame = frame_of(Record(headers=headers), LIMIT, None)
    assert (frame.camera, frame.seq, frame.captured_at_ns, frame.product) == ("line-2", 7, 1700000000000000001, "M8")


@pytest.mark.parametrize("stamp", [None, -1])
def test_a_record_without_a_time_stamp_counts_as_now(stamp: int | None) -> None:
    before_ns = time.time_ns()
    assert before_ns <= frame_of(Record(timestamp=stamp), LIMIT, None).captured_at_ns <= time.time_ns()


@pytest.mark.parametrize("bad", [b"", b"soon", b"-1", b"1.5", b"9" * 30, b"9999999999999999999", "٣".encode()])
def test_unreadable_numbers_fall_back(bad: bytes) -> None:
    frame = frame_of(Record(headers=[("captured_at", bad), ("seq", bad)]), LIMIT, None)
    assert (frame.seq, frame.captured_at_ns) == (42, 1_700_000_000_123_000_000)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (Record(key=None), "no_camera"),
        (Record(key=b""), "no_camera"),
        (Record(key=b"   "), "bad_camera"),
        (Record(key=b"\xff\xfe"), "bad_camera"),
        (Record(key=b"a\nb"), "bad_camera"),
        (Record(key=b"x" * 200), "bad_camera"),
        (Record(value=None), "empty"),
        (Record(value=b""), "empty"),
        (Record(value=b"x" * 1001), "oversized"),
    ],
)
def test_what_is_no_frame_is_told_apart(record: Record, reason: str) -> None:
    with pytest.raises(MessageError) as caught:
        frame_of(record, LIMIT, None)
    assert caught.value.reason == reason


@given(st.binary(max_size=200), st.binary(max_size=40), st.binary(max_size=20))
def test_any_bytes_give_a_frame_or_a_reason(key: bytes, number: bytes, value: bytes) -> None:
    try:
        frame = frame_of(Record(key=key, value=value, headers=[("seq", number), ("product", number)]), LIMIT, None)
    except MessageError as error:
        assert error.reason in {"no_camera", "bad_camera", "empty"}
    else:
        assert checked_camera(frame.camera) == frame.camera and 0 <= frame.seq < 1 << 63


def test_a_time_in_the_future_counts_as_now() -> None:
    for record in (Record(timestamp=1 << 60), Record(headers=[("captured_at", b"9" * 18 + b"0")])):
        assert frame_of(record, LIMIT, None).captured_at_ns <= time.time_ns()


def test_a_frame_from_the_future_is_the_same_frame_whenever_it_is_delivered() -> None:
    """Its capture time counts as now, which is later at the second delivery; its name must not change with that."""
    ahead_ns = time.time_ns() + 30_000_000
    record = Record(headers=[("captured_at", str(ahead_ns).encode())])
    first = frame_of(record, LIMIT, None)
    time.sleep(0.001)
    again = frame_of(record, LIMIT, None)
    assert first.captured_at_ns < again.captured_at_ns < ahead_ns
    time.sleep(0.035)
    late = frame_of(record, LIMIT, None)
    assert late.captured_at_ns == ahead_ns
    assert first.identity == again.identity == late.identity
    assert first.stamped_ns == late.stamped_ns == ahead_ns
