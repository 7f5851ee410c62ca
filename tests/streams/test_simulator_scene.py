"""The simulated line: repeatable, normal by default, defects where the schedule says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.simulator import Line
from streams.simulator.schedule import KINDS, PERIOD_S, QUIET_S, REST_SHARE, Schedule


@pytest.fixture(scope="module")
def line() -> Line:
    return Line(seed=3, camera_index=0, width=160, height=120)


def test_a_frame_is_bgr_of_the_asked_size() -> None:
    frame = Line(seed=1, camera_index=2, width=200, height=120).render(7)
    assert frame.shape == (120, 200, 3)
    assert frame.dtype == np.uint8


def test_frames_depend_on_seed_and_index_only(line: Line) -> None:
    later_first = Line(seed=3, camera_index=0, width=160, height=120)
    later_first.render(500)
    assert np.array_equal(line.render(42), later_first.render(42))
    assert not np.array_equal(line.render(42), Line(seed=4, camera_index=0, width=160, height=120).render(42))
    assert not np.array_equal(line.render(42), line.render(62))  # noise and jitter differ


def test_the_belt_comes_round_every_period(line: Line) -> None:
    def difference(first: int, second: int) -> float:
        a, b = (line.render(index, defects=False).astype(float) for index in (first, second))
        return float(np.abs(a - b).mean())

    period = round(line.fps * PERIOD_S)
    moving = 40 + round(period * (1 + REST_SHARE) / 2)
    assert difference(40, 40 + period // 2) < 0.5 * difference(40, moving), "a part rests, then the belt moves"
    assert difference(40, 40 + period) < 0.5 * difference(40, moving), "the next part lies where the last one lay"


def test_a_defect_is_seen_in_at_least_ten_frames_and_nowhere_else(line: Line) -> None:
    for span in line.spans(400):
        changed = [
            index
            for index in range(span.first_frame - 3, span.last_frame + 4)
            if not np.array_equal(line.render(index), line.render(index, defects=False))
        ]
        assert len(changed) >= 10
        # The shadow, and things that lie over the rim, reach a little further than the part.
        assert span.first_frame - 2 <= changed[0]
        assert changed[-1] <= span.last_frame + 2


def test_every_kind_changes_the_picture_plainly(line: Line) -> None:
    period = round(line.fps * PERIOD_S)
    seen = {}
    for span in line.spans(1000):
        middle = (span.first_frame + span.last_frame) // 2
        with_defect = line.render(middle).astype(float)
        without = line.render(middle, defects=False).astype(float)
        usual = np.abs(without - line.render(middle + period, defects=False)).mean()
        seen[span.kind] = np.abs(with_defect - without).mean() / usual
    assert set(seen) == set(KINDS)
    assert min(seen.values()) > 0.25


def test_span_at_agrees_with_spans(line: Line) -> None:
    spans = line.spans(1200)
    for index in range(0, 1200, 7):
        here = [span for span in spans if span.first_frame <= index <= span.last_frame]
        assert line.span_at(index) == (here[0] if here else None)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), camera=st.integers(0, 20))
def test_the_schedule_keeps_its_promises(seed: int, camera: int) -> None:
    defects = Schedule(seed, camera).between(0, 600)
    again = Schedule(seed, camera)
    assert [again.defect_of(defect.part) for defect in reversed(defects)] == defects[::-1]
    times_s = np.array([defect.part * PERIOD_S for defect in defects])
    gaps_s = np.diff(times_s)
    assert gaps_s.min() >= 8
    assert 10 < gaps_s.mean() < 14
    assert times_s[0] - PERIOD_S >= QUIET_S
    for start in range(0, len(defects) - len(KINDS), len(KINDS)):
        bag = {defect.kind for defect in defects[start : start + len(KINDS)]}
        assert bag == set(KINDS)


@settings(max_examples=10, deadline=None)
@given(camera=st.integers(0, 4), fps=st.sampled_from([5, 10, 25]))
def test_nothing_is_planted_in_the_first_ten_seconds(camera: int, fps: int) -> None:
    first = Line(0, camera, width=96, height=72, fps=fps).spans(60 * fps)[0]
    assert first.first_frame >= QUIET_S * fps


@pytest.mark.parametrize("wrong", [{"width": 8}, {"fps": 0}, {"seed": -1}, {"camera_index": -1}, {"height": 0}])
def test_impossible_lines_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a line needs"):
        Line(**({"seed": 0, "camera_index": 0} | wrong))
