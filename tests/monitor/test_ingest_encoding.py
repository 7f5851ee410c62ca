"""Encoding at the edge: pass-through is byte for byte, settings have their effect, bad pictures have a reason."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from monitor.ingest.encoding import Encoder
from monitor.ingest.settings import Encode
from streams.codec import CodecError, decode, encode_jpeg
from streams.frame import Frame, Pixels

PICTURE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (120, 200, 3)).astype(np.uint8), (0, 0), 2)
PNG = cv2.imencode(".png", PICTURE)[1].tobytes()


def encoded(payload: bytes | None = None, pixels: Pixels | None = None, limit: int = 1 << 20, **keys: Any) -> bytes:
    frame = Frame("line-1", 3, 4, "file#0", payload, pixels, product="bottle")
    got = Encoder(Encode(**keys), limit).encode(frame)
    assert (got.camera, got.seq, got.captured_at_ns, got.origin, got.product) == ("line-1", 3, 4, "file#0", "bottle")
    assert got.pixels is None and got.payload is not None
    return got.payload


@pytest.mark.parametrize("payload", [encode_jpeg(PICTURE), PNG])
@pytest.mark.parametrize("keys", [{}, {"max_width": 200}, {"max_height": 120, "quality": 5}])
def test_a_picture_that_needs_no_change_passes_byte_for_byte(payload: bytes, keys: dict[str, Any]) -> None:
    assert encoded(payload, **keys) == payload


def test_without_pass_through_it_is_encoded_anew() -> None:
    again = encoded(PNG, pass_through=False)
    assert again[:2] == b"\xff\xd8" and decode(again, 1 << 20).shape == PICTURE.shape


@pytest.mark.parametrize("source", ["payload", "pixels"])
@pytest.mark.parametrize(
    ("keys", "size"),
    [
        ({}, (120, 200)),
        ({"max_width": 100}, (60, 100)),
        ({"max_height": 30}, (30, 50)),
        ({"max_width": 100, "max_height": 30}, (30, 50)),
        ({"max_width": 1000, "max_height": 1000}, (120, 200)),
    ],
)
def test_limits_reduce_in_proportion_and_never_enlarge(
    source: str, keys: dict[str, int], size: tuple[int, int]
) -> None:
    payload = encoded(PNG, **keys) if source == "payload" else encoded(pixels=PICTURE, **keys)
    assert decode(payload, 1 << 20).shape[:2] == size


def test_a_lower_quality_is_smaller_and_further_from_the_picture() -> None:
    fine, coarse = encoded(pixels=PICTURE, quality=95), encoded(pixels=PICTURE, quality=20)
    assert len(coarse) < len(fine) / 2

    def distance(jpeg: bytes) -> float:
        return float(np.abs(decode(jpeg, 1 << 20).astype(float) - PICTURE).mean())

    assert distance(fine) < 3 < distance(coarse)


@pytest.mark.parametrize(
    ("payload", "keys", "reason"),
    [
        (b"", {}, "empty"),
        (b"no picture at all", {}, "undecodable"),
        (encode_jpeg(PICTURE)[:300], {"pass_through": False}, "undecodable"),
        (PNG, {"max_width": 100, "max_pixels": 4096}, "too_large"),
        (PNG, {"max_pixels": 4096}, "too_large"),
        (PNG, {"limit": 2000}, "oversized"),
    ],
)
def test_what_cannot_be_sent_has_a_reason(payload: bytes, keys: dict[str, Any], reason: str) -> None:
    with pytest.raises(CodecError) as caught:
        encoded(payload, **keys)
    assert caught.value.reason == reason


def test_pixels_above_the_limit_are_refused_and_the_key_is_named() -> None:
    sizes: list[dict[str, Any]] = [{}, {"max_width": 16}]
    for keys in sizes:
        with pytest.raises(CodecError, match=r"encode\.max_pixels is 4096") as caught:
            encoded(pixels=PICTURE, max_pixels=4096, **keys)
        assert caught.value.reason == "too_large"
