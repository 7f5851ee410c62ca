"""From a Kafka record to a frame, as the contract for frames on Kafka says."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from typing import NamedTuple, Protocol

from streams.camera_id import checked_camera
from streams.frame import Frame


class Record(Protocol):
    """What is used of a consumer record."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int | None: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Unreadable(NamedTuple):
    """Stands for a record that the client cannot open, in its place among the others."""

    topic: str
    partition: int
    offset: int
    detail: str
    timestamp: int | None = None
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class MessageError(ValueError):
    """A record that is no frame. `reason` is short and stable; `camera` is named where it could be read."""

    def __init__(self, reason: str, detail: str, camera: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.camera = camera


def frame_of(record: Record, max_message_bytes: int, ticket: Hashable) -> Frame:
    """The frame in a record; the picture itself is not looked at here.

    The camera comes from the header `camera`, otherwise from the key. `captured_at` (ns) falls back to the record's
    time stamp and `seq` to its offset, also where a header is there and cannot be read. A time in the future counts as
    now: a camera with a wrong clock must neither empty its window nor hold its next alert back for years. So does a
    record without a time stamp, as the oldest format has none.
    Raises MessageError: `corrupt`, `no_camera`, `bad_camera`, `empty`, `oversized`.
    """
    if isinstance(record, Unreadable):
        raise MessageError("corrupt", record.detail)
    headers = {name: value for name, value in record.headers or () if value is not None}
    camera = _camera(headers.get("camera") or record.key)
    if not record.value:
        raise MessageError("empty", "the message has no value", camera)
    if len(record.value) > max_message_bytes:
        raise MessageError("oversized", f"{len(record.value)} bytes; the limit is {max_message_bytes}", camera)
    captured_at_ns = _decimal(headers.get("captured_at"))
    seq = _decimal(headers.get("seq"))
    now_ns = time.time_ns()
    stamped_ns = now_ns if record.timestamp is None or record.timestamp < 0 else record.timestamp * 1_000_000
    taken_ns = stamped_ns if captured_at_ns is None else captured_at_ns
    product = headers.get("product")
    return Frame(
        camera=camera,
        seq=record.offset if seq is None else seq,
        captured_at_ns=min(taken_ns, now_ns),
        origin=f"{record.topic}/{record.partition}/{record.offset}",
        payload=record.value,
        product=None if product is None else product.decode("utf-8", "replace"),
        ticket=ticket,
        stamp_ns=taken_ns if taken_ns > now_ns and record.timestamp is not None else None,
    )


def _camera(name: bytes | None) -> str:
    if not name:
        raise MessageError("no_camera", "neither the header `camera` nor the key names a camera")
    try:
        return checked_camera(name.decode("utf-8"))
    except ValueError as error:  # UnicodeDecodeError is one
        raise MessageError("bad_camera", f"the camera's name cannot be used: {error}") from None


def _decimal(text: bytes | None) -> int | None:
    """A non-negative number that fits 63 bits, or None."""
    if text is None or not text.isdigit() or len(text) > 19:
        return None
    number = int(text)
    return number if number < 1 << 63 else None
