"""A batch is decoded in its order, as small as may be, and what is measured of it stays what it was."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.preprocess import Preprocess
from monitor.scoring.decoding import FINER, Decoder, Optics
from monitor.scoring.inbox import Arrival
from monitor.scoring.sight import enough_for, measure
from streams.codec import decode, encode_jpeg
from streams.frame import Frame, Pixels
from streams.simulator import Line

LIMIT = 1 << 24


class Nobody:
    def finish(self, frame: Frame) -> None: ...
    def reject(self, frame: Frame, error: str) -> None: ...


class Seen:
    """A model that notes the pixels it is shown."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.shapes: list[tuple[int, ...]] = []
        self._picture = Preprocess(side, 3).picture

    def optics(self) -> Optics:
        return Optics("m", self.side, lambda camera: "", self._look)

    def _look(self, frame: Frame, pixels: Pixels) -> Pixels:
        self.shapes.append(pixels.shape)
        return self._picture(pixels)


def arrival(payload: bytes, seq: int = 0) -> Arrival:
    return Arrival(Frame("c", seq, 1, "o", payload=payload), Nobody(), 0.0)


def scene(width: int, height: int) -> Pixels:
    line = np.asarray(Line(3, 0, 640, 480, 10).render(5), np.uint8)
    return np.asarray(cv2.resize(line, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


GREYS = [encode_jpeg(np.full((32, 32, 3), level, np.uint8)) for level in range(0, 250, 5)]


@pytest.fixture(scope="module")
def decoders() -> Iterator[list[Decoder]]:
    made = [Decoder(Seen(32).optics, LIMIT, threads) for threads in (1, 2, 3)]
    yield made
    for decoder in made:
        decoder.close()


@settings(max_examples=60, deadline=None)
@given(which=st.integers(0, 2), levels=st.lists(st.one_of(st.none(), st.integers(0, 49)), max_size=70))
def test_each_frame_comes_back_once_and_in_its_order(
    decoders: list[Decoder], which: int, levels: list[int | None]
) -> None:
    arrivals = [arrival(b"no picture" if n is None else GREYS[n], seq) for seq, n in enumerate(levels)]
    batch, rejected = decoders[which].decode(arrivals)
    good = [a for a, n in zip(arrivals, levels, strict=True) if n is not None]
    assert [r.arrival for r in rejected] == [a for a, n in zip(arrivals, levels, strict=True) if n is None]
    if batch is None:
        assert not good
        return
    assert list(batch.arrivals) == good
    shown = [round(picture.mean() / 5) for picture in batch.pictures]
    assert shown == [n for n in levels if n is not None]


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (1366, 768)])
@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("healthy", [False, True])
def test_a_reduced_picture_shows_the_network_and_health_the_same(
    size: tuple[int, int], side: int, healthy: bool
) -> None:
    payload = encode_jpeg(scene(*size), 80)
    seen = Seen(side)
    decoder = Decoder(seen.optics, LIMIT, 1, healthy=healthy)
    batch, _ = decoder.decode([arrival(payload)])
    decoder.close()
    assert batch is not None
    height, width, _ = seen.shapes[0]
    assert height < size[1] and min(width, height) >= FINER * side
    full = decode(payload, LIMIT)
    assert np.abs(Preprocess(side, 3).picture(full).astype(int) - batch.pictures[0]).mean() < 1.5
    if healthy:
        least = enough_for(*size)
        assert width >= least[0] and height >= least[1]
        known, sight = measure(full), batch.sights[0]
        assert sight.aspect == known.aspect
        assert np.abs(known.grey.astype(int) - sight.grey).mean() < 3
        assert sight.fine == pytest.approx(known.fine, rel=0.25)
        assert (sight.black, sight.burnt) == pytest.approx((known.black, known.burnt), abs=0.02)


def test_a_reduced_live_picture_is_not_taken_for_a_frozen_one() -> None:
    rng, quiet = np.random.default_rng(0), cv2.GaussianBlur(scene(640, 480), (0, 0), 3).astype(np.float32)
    live = [
        encode_jpeg(np.clip(quiet + rng.normal(0, 0.5, quiet.shape), 0, 255).astype(np.uint8), 50) for _ in range(6)
    ]
    decoder = Decoder(Seen(64).optics, LIMIT, 1, healthy=True)
    batch, _ = decoder.decode([arrival(payload) for payload in [*live, live[-1]]])
    decoder.close()
    assert batch is not None
    sums = [sight.checksum for sight in batch.sights]
    assert len(set(sums)) == 6 and sums[-1] == sums[-2]


def test_without_reducing_the_whole_picture_is_shown() -> None:
    seen = Seen(64)
    decoder = Decoder(seen.optics, LIMIT, 1, reduced=False)
    decoder.decode([arrival(encode_jpeg(scene(640, 480)))])
    decoder.close()
    assert seen.shapes == [(480, 640, 3)]
