"""The small parts of a capture process: its options, the wanted rate, the frozen picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.capture.options import CaptureOptions, RtspSourceOptions, UsbSourceOptions, dumped, loaded
from streams.capture.pace import Pace
from streams.capture.stillness import Stillness


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    "options",
    [
        RtspSourceOptions("cam", "rtsp://u:p\n@cam/ü", fps=2.5, hardware_decoding="any"),
        UsbSourceOptions("cam", 3, width=640),
        UsbSourceOptions("cam", "/dev/video0"),
    ],
)
def test_options_cross_the_pipe_in_one_line(options: CaptureOptions) -> None:
    line = dumped(options)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert loaded(line) == options


def test_a_password_is_not_in_the_repr() -> None:
    assert "s3cret" not in repr(RtspSourceOptions("cam", "rtsp://u:s3cret@cam/"))


@given(st.floats(0.2, 60), st.floats(0.2, 120))
def test_the_wanted_rate_is_kept_on_average_and_never_exceeded(wanted: float, native: float) -> None:
    clock = Clock()
    pace = Pace(wanted, clock)
    taken = 0
    seconds = 100.0 / min(wanted, native)
    for _ in range(int(seconds * native)):
        clock.now_s += 1 / native
        taken += not pace.too_soon()
    assert taken <= seconds * wanted + 3  # it begins with what was due before it began
    assert taken >= 0.98 * seconds * min(wanted, native) - 2


def test_without_a_limit_every_picture_is_taken() -> None:
    assert not any(Pace(None).too_soon() for _ in range(100))


def test_a_picture_that_stays_equal_grows_older_and_one_bit_makes_it_young() -> None:
    clock = Clock()
    stillness = Stillness(clock)
    pixels = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    ages = []
    for _ in range(5):
        clock.now_s += 1
        ages.append(stillness.after_s(pixels))
    assert ages == [0, 1, 2, 3, 4]
    pixels[17, 5, 1] ^= 1  # not in a row of the quick look
    clock.now_s += 1
    assert stillness.after_s(pixels) == 0
    clock.now_s += 1
    assert stillness.after_s(pixels[:30].copy()) == 0  # another size


@given(st.lists(st.integers(0, 59), min_size=3, max_size=30, unique=True))
def test_pictures_that_differ_in_one_row_each_are_never_frozen(rows: list[int]) -> None:
    clock = Clock()
    stillness = Stillness(clock)
    pixels = np.zeros((60, 8, 3), np.uint8)
    for i, row in enumerate(rows):
        clock.now_s += 1
        pixels[row] = 1
        assert stillness.after_s(pixels) <= 1, i  # one may pass unseen: the first of equal quick looks
