"""Encoded images that nobody vouches for."""

from __future__ import annotations

import struct
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.codec import CodecError, claimed_size, decode, encode_jpeg, jpeg_of, pixels_of
from streams.frame import Frame

PICTURE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8), (0, 0), 3)
JPEG = encode_jpeg(PICTURE)
LIMIT = 1_000_000


def png(pixels: np.ndarray = PICTURE) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1])


def bomb(side: int = 30_000) -> bytes:
    """A JPEG whose header claims side × side pixels."""
    data = bytearray(JPEG)
    at = data.find(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def frame(payload: bytes | None = None, pixels: np.ndarray | None = None) -> Frame:
    return Frame("c", 1, 1, "o", payload=payload, pixels=pixels)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".tiff"])
def test_decodes_what_opencv_decodes(suffix: str) -> None:
    encoded = bytes(cv2.imencode(suffix, PICTURE)[1])
    assert decode(encoded, LIMIT).shape == (48, 64, 3)


def test_lossless_pictures_come_back_as_they_were() -> None:
    np.testing.assert_array_equal(decode(png(), LIMIT), PICTURE)


def test_grey_pictures_come_with_three_channels() -> None:
    assert decode(png(PICTURE[:, :, 0]), LIMIT).shape == (48, 64, 3)


@pytest.mark.parametrize("cut", [10, 100, len(JPEG) // 2])
def test_a_jpeg_that_is_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(CodecError) as caught:
        decode(JPEG[:cut], LIMIT)
    assert caught.value.reason == "undecodable"


def test_a_png_that_is_cut_off_is_refused() -> None:
    with pytest.raises(CodecError) as caught:
        decode(png()[:-200], LIMIT)
    assert caught.value.reason == "undecodable"


def test_a_bomb_is_refused_by_its_header() -> None:
    assert claimed_size(bomb()) == (30_000, 30_000)
    with pytest.raises(CodecError, match="30000x30000") as caught:
        decode(bomb(), LIMIT)
    assert caught.value.reason == "too_large"


def test_nothing_is_refused() -> None:
    with pytest.raises(CodecError) as caught:
        decode(b"", LIMIT)
    assert caught.value.reason == "empty"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.integers(0, len(JPEG)))
def test_no_bytes_do_anything_but_decode_or_be_refused(noise: bytes, at: int) -> None:
    for payload in (noise, JPEG[:at] + noise, JPEG[:at] + noise + JPEG[at + len(noise) :]):
        try:
            pixels = decode(payload, LIMIT)
        except CodecError as error:
            assert error.reason in {"empty", "undecodable", "too_large"}
        else:
            assert pixels.dtype == np.uint8 and pixels.shape[2] == 3


def test_pixels_of_a_frame_that_has_them_are_not_decoded_again() -> None:
    assert pixels_of(frame(pixels=PICTURE), LIMIT) is PICTURE
    with pytest.raises(CodecError) as caught:
        pixels_of(frame(pixels=PICTURE), 100)
    assert caught.value.reason == "too_large"


def test_a_jpeg_is_handed_on_byte_for_byte_and_all_else_is_encoded() -> None:
    assert jpeg_of(frame(JPEG)) is JPEG
    assert jpeg_of(frame(png()))[:2] == b"\xff\xd8"
    assert jpeg_of(frame(pixels=PICTURE))[:2] == b"\xff\xd8"


def test_refusing_a_bomb_costs_a_header_and_no_pixels() -> None:
    began = time.process_time()
    for _ in range(20):
        with pytest.raises(CodecError):
            decode(bomb(), LIMIT)
    assert time.process_time() - began < 2  # decoding one of these takes longer
