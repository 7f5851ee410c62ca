"""What is written is what is read; what was cut off or never was a message is noticed."""

from __future__ import annotations

import io
import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.capture import wire
from streams.capture.wire import HEADER, MAGIC, Kind, Message, WireError

TEXTS = st.sampled_from([kind for kind in Kind if kind is not Kind.FRAME])
MESSAGES = st.lists(
    st.one_of(
        st.tuples(TEXTS, st.text(max_size=50)),
        st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**62), st.integers(0, 255)),
    ),
    max_size=8,
)


def picture(width: int, height: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def written(messages: list[tuple[object, ...]]) -> bytes:
    """What a capture process writes for them."""
    out, into = os.pipe()

    def write() -> None:
        for message in messages:
            if len(message) == 2:
                wire.tell(into, *message)  # type: ignore[arg-type]
            else:
                width, height, time_ns, seed = message
                wire.show(into, time_ns, picture(width, height, seed))  # type: ignore[arg-type]
        os.close(into)

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(out, "rb") as stream:
        found = stream.read()
    thread.join()
    return found


def heard(stream: io.BytesIO) -> list[Message]:
    return list(iter(lambda: wire.read(stream), None))


@given(MESSAGES)
@settings(deadline=None, max_examples=50)
def test_messages_come_as_they_were_sent(messages: list[tuple[object, ...]]) -> None:
    found = heard(io.BytesIO(written(messages)))
    assert len(found) == len(messages)
    for message, sent in zip(found, messages, strict=True):
        if len(sent) == 2:
            assert (message.kind, message.text, message.pixels) == (*sent, None)
        else:
            assert message.kind is Kind.FRAME and message.captured_at_ns == sent[2] and message.pixels is not None
            assert np.array_equal(message.pixels, picture(sent[0], sent[1], sent[3]))  # type: ignore[arg-type]


@given(MESSAGES, st.integers(0, 1 << 30))
@settings(deadline=None, max_examples=50)
def test_a_message_that_was_cut_off_is_none(messages: list[tuple[object, ...]], cut: int) -> None:
    whole = written(messages)
    sound = heard(io.BytesIO(whole))
    found = heard(io.BytesIO(whole[: cut % (len(whole) + 1)]))
    assert [m.kind for m in found] == [m.kind for m in sound[: len(found)]]


@given(st.binary(min_size=HEADER.size, max_size=200))
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(WireError):
        wire.read(io.BytesIO(garbage if garbage[:4] != MAGIC else b"no" + garbage))


@pytest.mark.parametrize(
    "header",
    [
        (Kind.FRAME, 1 << 20, 1 << 20, 3 << 40),  # too large: nobody reserves memory for what a mad process asks
        (Kind.FRAME, 4, 4, 47),
        (Kind.FRAME, 0, 4, 0),
        (Kind.FAILED, 0, 0, 1 << 40),
        (99, 0, 0, 0),
    ],
)
def test_sizes_that_cannot_be_are_refused(header: tuple[int, int, int, int]) -> None:
    kind, width, height, length = header
    with pytest.raises(WireError):
        wire.read(io.BytesIO(HEADER.pack(MAGIC, kind, width, height, 0, length) + b"x" * 100))
