"""The own reader of JPEG headers, held against Pillow, which reads whatever it does not answer for."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from streams.codec import claimed_size, encode_jpeg
from streams.jpeg import plain_jpeg_size

PICTURE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (49, 65, 3), np.uint8), (0, 0), 3)


def jpeg(mode: str = "RGB", **how: Any) -> bytes:
    made = io.BytesIO()
    Image.fromarray(PICTURE).convert(mode).save(made, "JPEG", **how)
    return made.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x112] = 6
    return jpeg(exif=exif)


PLAIN = (
    encode_jpeg(PICTURE),
    jpeg("L"),
    jpeg(progressive=True),
    jpeg(comment=b"line 3", dpi=(72, 72)),
    jpeg(restart_marker_rows=1, subsampling=0),
    jpeg(optimize=True, quality=100),
)


@pytest.mark.parametrize("payload", PLAIN)
def test_what_cameras_send_is_read(payload: bytes) -> None:
    assert plain_jpeg_size(payload) == (65, 49) == claimed_size(payload)


@pytest.mark.parametrize(
    "payload", [jpeg("CMYK"), turned(), bytes(cv2.imencode(".png", PICTURE)[1]), b"", b"\xff\xd8\xff"]
)
def test_all_else_is_left_to_pillow(payload: bytes) -> None:
    assert plain_jpeg_size(payload) is None


def segment(payload: bytes, marker: int) -> slice:
    at = payload.index(bytes([0xFF, marker]))
    return slice(at, at + 2 + int.from_bytes(payload[at + 2 : at + 4], "big"))


def put(payload: bytes, marker: int, made: bytes) -> bytes:
    """With this instead of the segment."""
    where = segment(payload, marker)
    return payload[: where.start] + made + payload[where.stop :]


def spoiled() -> dict[str, bytes]:
    """Headers that are not plain: most of them Pillow refuses; with another frame it finds the size of the last."""
    good = PLAIN[0]
    frame, tables, app = good[segment(good, 0xC0)], good[segment(good, 0xDB)], good[segment(good, 0xE0)]
    larger = frame[:5] + b"\x01\x00\x01\x00" + frame[9:]
    short = tables[:2] + (len(tables) - 3).to_bytes(2, "big") + tables[4:-1]
    return {
        "twelve bits": put(good, 0xC0, frame[:4] + b"\x0c" + frame[5:]),
        "two colours": put(good, 0xC0, frame[:2] + b"\x00\x0e" + frame[4:9] + b"\x02" + frame[10:16]),
        "no width": put(good, 0xC0, frame[:7] + b"\x00\x00" + frame[9:]),
        "part of a colour": put(good, 0xC0, frame[:2] + b"\x00\x12" + frame[4:] + b"\x04"),
        "another frame": put(good, 0xC0, frame + larger),
        "a table that ends early": put(good, 0xDB, short),
        "JFIF without a version": put(good, 0xE0, app[:2] + b"\x00\x07" + app[4:9]),
        "a length below two": put(good, 0xDA, b"\xff\xda\x00\x01"),
        "no frame": put(good, 0xC0, b""),
        "lossless": put(good, 0xC0, b"\xff\xc3" + frame[2:]),
        "no marker": put(good, 0xE0, app + b"\x00\xfe\x00\x04no"),
    }


@pytest.mark.parametrize("what", spoiled())
def test_what_is_spoiled_is_left_to_pillow(what: str) -> None:
    assert plain_jpeg_size(spoiled()[what]) is None


def test_every_cut_within_the_header_is_left_to_pillow() -> None:
    scan = PLAIN[0].index(b"\xff\xda")
    assert {plain_jpeg_size(PLAIN[0][:at]) for at in range(scan + 14)} == {None}
    assert plain_jpeg_size(PLAIN[0][: scan + 14]) == (65, 49)


MARKERS = st.sampled_from([0x00, 0xC0, 0xC2, 0xC4, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE, 0xFF])
Change = tuple[str, int, int, int]
CHANGES: st.SearchStrategy[list[Change]] = st.lists(
    st.tuples(
        st.sampled_from(["set", "take", "put", "again"]),
        st.integers(2, 700),
        st.integers(1, 70),
        st.one_of(MARKERS, st.integers(0, 255)),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(PLAIN), CHANGES)
def test_whatever_it_answers_for_pillow_finds_the_same(payload: bytes, changes: list[Change]) -> None:
    data = bytearray(payload)
    for what, place, length, value in changes:
        at = place % (data.index(b"\xff\xda") if b"\xff\xda" in data else len(data))  # the header is what is read
        if what == "set":
            data[at] = value
        elif what == "take":
            del data[at : at + length]
        elif what == "put":
            data[at:at] = bytes([value]) * (length % 5)
        else:
            data[at:at] = data[at : at + length]
    found = plain_jpeg_size(bytes(data))
    assert found is None or found == claimed_size(bytes(data))
