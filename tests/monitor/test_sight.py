"""What is measured of a picture: little, whatever the picture's size, and enough."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from monitor.scoring.sight import Sight, measure, reduced
from streams.frame import Pixels
from streams.simulator import Line


def scene(width: int = 640, height: int = 480) -> Pixels:
    return np.asarray(Line(3, 0, width, height, 10).render(5), np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (7, 900), (240, 320), (480, 640), (1080, 1920), (1200, 400)])
def test_pictures_of_any_size_are_measured_alike(shape: tuple[int, int]) -> None:
    pixels = np.asarray(cv2.resize(scene(), shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    sight = measure(pixels)
    assert (sight.grey.shape, sight.grey.dtype) == ((60, 80), np.uint8)
    assert sight.aspect == pytest.approx(shape[1] / shape[0])
    assert np.array_equal(sight.grey, reduced(pixels))


def test_the_same_view_at_another_resolution_looks_the_same() -> None:
    small, large = scene(), np.asarray(cv2.resize(scene(), (1280, 960), interpolation=cv2.INTER_CUBIC), np.uint8)
    a, b = measure(small), measure(large)
    assert np.abs(a.grey.astype(int) - b.grey).mean() < 3
    assert b.fine == pytest.approx(a.fine, rel=0.25)


def test_equal_pictures_are_equal_and_noise_makes_them_differ() -> None:
    pixels = scene()
    noisy = pixels.copy()
    noisy[:, ::97] ^= 1  # the last bit of one column in 97
    assert measure(pixels).checksum == measure(pixels.copy()).checksum != measure(noisy).checksum


def test_black_and_burnt_are_shares_of_the_picture() -> None:
    half = np.full((480, 640, 3), 128, np.uint8)
    half[:240] = 3
    half[360:] = 255
    sight = measure(half)
    assert (sight.black, sight.burnt) == (pytest.approx(0.5, abs=0.02), pytest.approx(0.25, abs=0.02))


def test_blur_takes_the_edges_and_noise_does_not_bring_them_back() -> None:
    pixels, rng = scene(), np.random.default_rng(1)

    def sharpness(sigma: float) -> float:
        soft = cv2.GaussianBlur(pixels, (0, 0), sigma) + rng.normal(0, 2, pixels.shape)
        return measure(np.clip(soft, 0, 255).astype(np.uint8)).fine

    sharp = measure(pixels).fine
    steps = [sharp, *(sharpness(sigma) for sigma in (1, 2, 3, 5))]
    assert steps == sorted(steps, reverse=True)
    assert steps[2] < 0.5 * sharp and steps[1] > 0.5 * sharp


def test_a_view_of_a_larger_picture_is_measured_too() -> None:
    """Pixels need not lie in one piece: a picture may be cut from another."""
    pixels = scene()
    assert isinstance(measure(pixels[::2, 100:500]), Sight)
