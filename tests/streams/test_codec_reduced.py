"""JPEG pictures decoded at a reduced scale: as large as is enough, of the same view, and as strict as in full."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from streams.codec import CodecError, Enough, decode, decode_enough, encode_jpeg
from streams.frame import Pixels

LIMIT = 1_000_000


def picture(width: int, height: int) -> Pixels:
    noise = np.random.default_rng(width * 7919 + height).integers(0, 255, (height, width, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 4), np.uint8)


def saved(pixels: Pixels, mode: str = "RGB", orientation: int = 1, **how: Any) -> bytes:
    made = io.BytesIO()
    if orientation != 1:
        how["exif"] = exif = Image.Exif()
        exif[0x112] = orientation
    Image.fromarray(pixels[:, :, ::-1]).convert(mode).save(made, "JPEG", quality=90, **how)
    return made.getvalue()


SIDES = st.one_of(st.integers(1, 200), st.integers(1, 25).map(lambda eighth: 8 * eighth))


def needs(width: int, height: int) -> Enough:
    return lambda size: (min(width, size[0]), min(height, size[1]))


@settings(max_examples=150, deadline=None)
@given(
    size=st.tuples(SIDES, SIDES),
    least=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    orientation=st.integers(1, 8),
)
def test_it_is_as_large_as_is_enough_and_the_full_size_is_told(
    size: tuple[int, int], least: tuple[int, int], orientation: int
) -> None:
    payload = saved(picture(*size), orientation=orientation)
    full = decode(payload, LIMIT)
    pixels, told = decode_enough(payload, LIMIT, needs(*least))
    height, width = full.shape[:2]
    assert pixels.shape[0] >= min(least[1], height) and pixels.shape[1] >= min(least[0], width)
    scales = {(height // by, width // by) for by in (1, 2, 4, 8) if height % by == width % by == 0}
    assert pixels.shape[:2] in scales
    assert told == (width, height)


@pytest.mark.parametrize(
    ("least", "shape"), [(241, (480, 640)), (240, (240, 320)), (120, (120, 160)), (60, (60, 80)), (1, (60, 80))]
)
def test_the_largest_reduction_that_leaves_enough_is_taken(least: int, shape: tuple[int, int]) -> None:
    payload = encode_jpeg(picture(640, 480))
    pixels, size = decode_enough(payload, LIMIT, needs(least, least))
    assert (pixels.shape[:2], size) == (shape, (640, 480))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_turned_picture_is_turned_and_has_enough_for_what_it_is_then(orientation: int) -> None:
    def enough(size: tuple[int, int]) -> tuple[int, int]:
        return (size[0], 1) if size[0] < size[1] else (1, 1)  # an upright picture is needed in full

    payload = saved(picture(400, 160), orientation=orientation)
    pixels, size = decode_enough(payload, LIMIT, enough)
    full = decode(payload, LIMIT)
    assert size == full.shape[1::-1] == ((160, 400) if orientation in (6, 8) else (400, 160))
    if orientation in (6, 8):
        assert pixels.shape == full.shape


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_it_stands_for_the_whole_picture_averaged(mode: str, progressive: bool) -> None:
    payload = saved(picture(204, 100), mode, progressive=progressive)
    full = decode(payload, LIMIT)
    pixels, _ = decode_enough(payload, LIMIT, needs(25, 25))
    assert pixels.shape == (25, 51, 3)
    averaged = cv2.resize(full, (51, 25), interpolation=cv2.INTER_AREA)
    assert np.abs(averaged.astype(int) - pixels).mean() < 2


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp"])
def test_what_is_no_jpeg_is_decoded_in_full(suffix: str) -> None:
    payload = bytes(cv2.imencode(suffix, picture(64, 48))[1])
    pixels, size = decode_enough(payload, LIMIT, needs(1, 1))
    assert (pixels.shape, size) == ((48, 64, 3), (64, 48))


@pytest.mark.parametrize("size", [(641, 480), (640, 479), (1, 1), (3, 960), (645, 485)])
def test_what_does_not_divide_is_decoded_in_full(size: tuple[int, int]) -> None:
    payload = encode_jpeg(picture(*size))
    np.testing.assert_array_equal(decode_enough(payload, LIMIT, needs(1, 1))[0], decode(payload, LIMIT))


BROKEN = (saved(picture(96, 64)), saved(picture(96, 64), progressive=True), saved(picture(96, 64), "L"))


@settings(max_examples=300, deadline=None)
@given(
    payload=st.sampled_from(BROKEN),
    cut=st.one_of(st.none(), st.integers(0, 4000)),
    flips=st.lists(st.tuples(st.integers(2, 4000), st.integers(0, 7)), max_size=3),
    least=st.sampled_from([64, 32, 16, 8]),
)
def test_what_is_refused_in_full_is_refused_at_every_scale_and_nothing_else(
    payload: bytes, cut: int | None, flips: list[tuple[int, int]], least: int
) -> None:
    data = bytearray(payload)
    for at, bit in flips:
        data[at % len(data)] ^= 1 << bit
    broken = bytes(data if cut is None else data[: cut % len(data)])

    def outcome(reduced: bool) -> str:
        try:
            decode_enough(broken, LIMIT, needs(least, least)) if reduced else decode(broken, LIMIT)
        except CodecError as error:
            return error.reason
        return "decoded"

    assert outcome(True) == outcome(False)


def test_a_bomb_is_refused_whatever_is_enough() -> None:
    payload = bytearray(encode_jpeg(picture(64, 48)))
    at = payload.index(b"\xff\xc0")
    payload[at + 5 : at + 9] = b"\x75\x30\x75\x30"
    with pytest.raises(CodecError, match="30000x30000") as caught:
        decode_enough(bytes(payload), LIMIT, needs(1, 1))
    assert caught.value.reason == "too_large"
