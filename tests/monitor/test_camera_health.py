"""Camera health: what is wrong with the camera is told apart from what is wrong with the parts, once, and in time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.health_settings import CameraHealth as HealthSettings
from monitor.judging.health import CameraHealth, Condition, HealthRules, Look, Trouble
from monitor.scoring.sight import Sight, measure, reduced
from streams.frame import Pixels
from streams.simulator import Line

T0_NS = 1_700_000_000_000_000_000
FPS = 10
RULES = HealthRules(learn_s=8.0)
BEFORE_REFERENCE = HealthRules(learn_s=80_000.0)
"""Only dark and bright (and frozen, offline) can be told: for what is about time alone."""


@cache
def shown(index: int, defects: bool = False, camera: int = 0) -> Pixels:
    return np.asarray(Line(5, camera, 320, 240, FPS).render(index, defects), np.uint8)


@dataclass
class Camera:
    """One camera before a CameraHealth, at so many frames a second."""

    health: CameraHealth
    fps: float = FPS
    at_ns: int = T0_NS
    index: int = 0
    looks: list[Look] = field(default_factory=list)
    changes: list[Trouble] = field(default_factory=list)

    def show(self, sights: Iterable[Sight]) -> list[Look]:
        new = []
        for sight in sights:
            self.at_ns += round(1e9 / self.fps)
            new.append(self.health.see("line-1", sight, self.at_ns, self.at_ns / 1e9))
        self.looks += new
        self.changes += [change for look in new for change in look.changes]
        return new

    def line(
        self, seconds: float, fault: Callable[[Pixels], Pixels] = lambda p: p, defects: bool = False
    ) -> list[Look]:
        """The simulated line goes on, seen through a fault."""
        first, self.index = self.index, self.index + round(seconds * self.fps)
        return self.show(measure(fault(shown(index, defects))) for index in range(first, self.index))

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(c.condition.value, "began" if c.ended_at_ns is None else "ended") for c in self.changes]


def watched(rules: HealthRules = RULES) -> Camera:
    return Camera(CameraHealth(lambda _: rules, wall_ns=lambda: T0_NS))


def learnt(rules: HealthRules = RULES) -> Camera:
    camera = watched(rules)
    camera.line(rules.learn_s * 1.25)
    assert camera.health.learnt("line-1") and not camera.changes and not any(look.held for look in camera.looks)
    return camera


RNG = np.random.default_rng(11)


def grained(pixels: np.ndarray) -> Pixels:
    """With the noise of a sensor, never the same twice."""
    return np.clip(pixels + RNG.normal(0, 2, pixels.shape), 0, 255).astype(np.uint8)


def moved(pixels: Pixels, x: float = 0.0, y: float = 0.0, degrees: float = 0.0) -> Pixels:
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    turn[:, 2] += x * width, y * width
    return np.asarray(cv2.warpAffine(pixels, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101), np.uint8)


def carded(pixels: Pixels, share: float, level: int) -> Pixels:
    covered = pixels.copy()
    covered[:, : round(share * pixels.shape[1])] = level
    return grained(covered)


FAULTS: dict[str, tuple[Condition, Callable[[Pixels], Pixels]]] = {
    "lens cap": (Condition.DARK, lambda p: grained(np.full(p.shape, 4.0))),
    "over-exposed": (Condition.BRIGHT, lambda p: grained(p * 8.0)),
    "grey card": (Condition.COVERED, lambda p: carded(p, 1.0, 110)),
    "card over two thirds": (Condition.COVERED, lambda p: carded(p, 0.66, 150)),
    "out of focus": (Condition.BLURRED, lambda p: grained(cv2.GaussianBlur(p, (0, 0), 2))),
    "far out of focus": (Condition.BLURRED, lambda p: grained(cv2.GaussianBlur(p, (0, 0), 4))),
    # Sideways, nothing on this line tells a moved camera from a moving belt: the rails look alike all along.
    "downwards": (Condition.MOVED, lambda p: moved(p, x=0.01, y=0.04)),
    "upwards": (Condition.MOVED, lambda p: moved(p, y=-0.05)),
    "turned": (Condition.MOVED, lambda p: moved(p, degrees=5)),
    "lamp brighter": (Condition.RELIT, lambda p: grained(p * 1.4)),
    "lamp darker": (Condition.RELIT, lambda p: grained(p * 0.6)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_suspected_at_once_confirmed_in_time_and_ends(name: str) -> None:
    condition, fault = FAULTS[name]
    camera = learnt()
    camera.line(2.4)  # the part rests under the camera
    began_ns = camera.at_ns
    faulty = camera.line(4.0, fault)
    assert faulty[0].suspect == {condition} and all(look.held for look in faulty[: round(RULES.after_s * FPS)])
    assert camera.told == [(condition.value, "began")] and camera.health.conditions("line-1") == (condition,)
    (trouble,) = camera.changes
    assert trouble.began_at_ns == began_ns + 100_000_000
    confirmed = [bool(look.changes) for look in faulty].index(True)
    # While the belt runs, a part that comes by may look as if it were where it should be.
    assert confirmed <= (RULES.after_s + 1.0) * FPS and all(look.held for look in faulty[confirmed:])
    good_from_ns = camera.at_ns
    camera.line(5.0)
    assert camera.told == [(condition.value, "began"), (condition.value, "ended")]
    ended = camera.changes[-1]
    assert ended == replace(trouble, ended_at_ns=ended.ended_at_ns)
    assert ended.ended_at_ns is not None and good_from_ns < ended.ended_at_ns <= good_from_ns + 10**9
    assert not camera.looks[-1].held and camera.health.conditions("line-1") == ()


@pytest.mark.slow
@pytest.mark.parametrize("seed_camera", [0, 1])
def test_faulty_parts_and_a_running_belt_are_no_trouble_of_the_camera(seed_camera: int) -> None:
    camera = watched()
    camera.show(measure(shown(index, camera=seed_camera)) for index in range(60))
    looks = camera.show(measure(shown(index, True, seed_camera)) for index in range(60, 220))
    assert sum(bool(look.suspect) for look in looks) <= 2 and not camera.changes


@pytest.mark.parametrize("level", [10, 120, 245])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.5, 0.5), (1.0, 0.3)])
def test_a_foreign_object_over_a_fifth_of_the_picture_is_a_matter_of_the_part(
    level: int, place: tuple[float, float]
) -> None:
    def laid(pixels: Pixels) -> Pixels:
        height, width = (round(side * 0.2**0.5) for side in pixels.shape[:2])
        top, left = (
            round(p * (side - s)) for p, side, s in zip(place[::-1], pixels.shape, (height, width), strict=False)
        )
        found = pixels.copy()
        found[top : top + height, left : left + width] = level
        return grained(found)

    camera = learnt()
    camera.line(2.4)
    resting, running = camera.line(1.2, laid), camera.line(4.0, laid)
    assert not any(look.held for look in resting) and not camera.changes
    # While the belt runs, more of the picture is new for a moment.
    assert sum(look.held for look in running) <= 4


def test_nothing_needs_a_reference_but_what_is_told_without_one() -> None:
    camera = watched()
    camera.line(1.0)
    camera.line(3.0, FAULTS["far out of focus"][1])
    assert not camera.changes
    camera.line(4.0, FAULTS["lens cap"][1])
    assert camera.told == [("dark", "began")]


def test_a_picture_that_never_changes_is_frozen_and_nothing_else() -> None:
    camera = learnt()
    still = measure(shown(camera.index))
    looks = camera.show([still] * (11 * FPS))
    assert camera.told == [("frozen", "began")] and looks[-1].held
    assert camera.changes[0].value == pytest.approx(10.0, abs=0.2) and camera.changes[0].limit == 10.0
    # A stream may repeat a picture for a while: that alone holds nothing back.
    assert not looks[5 * FPS].held
    camera.line(5.0)
    assert camera.told[1:] == [("frozen", "ended")]


def test_one_other_picture_in_between_is_not_frozen() -> None:
    camera = watched(BEFORE_REFERENCE)
    a, b = measure(shown(0)), measure(shown(1))
    camera.show(([a] * (9 * FPS) + [b]) * 4)
    assert not camera.changes


@pytest.mark.parametrize("fps", [0.2, 2, 60])
def test_times_count_and_not_frames(fps: float) -> None:
    camera = Camera(CameraHealth(lambda _: BEFORE_REFERENCE), fps=fps)
    looks = camera.show([DARK] * max(4, round(3 * fps)))
    needed = max(2, round(BEFORE_REFERENCE.after_s * fps))  # a step never counts for more than half of it
    assert [bool(look.changes) for look in looks].index(True) == needed


@pytest.mark.slow
def test_a_lasting_change_is_learnt_anew_after_its_time() -> None:
    camera = learnt(replace(RULES, relearn_after_s=12.0))
    camera.line(30.0, FAULTS["lamp brighter"][1])
    assert camera.told == [("relit", "began"), ("relit", "ended")]
    assert camera.health.learnt("line-1") and not camera.looks[-1].held
    back = camera.line(3.0)
    assert back[0].suspect == {Condition.RELIT}


def test_a_cover_is_never_taken_for_normal() -> None:
    camera = learnt(replace(RULES, relearn_after_s=5.0))
    camera.line(20.0, FAULTS["grey card"][1])
    assert camera.told == [("covered", "began")] and camera.looks[-1].held


def test_what_somebody_accepts_is_the_new_normal() -> None:
    camera = learnt()
    camera.line(4.0, FAULTS["downwards"][1])
    ended = camera.health.accept("line-1")
    assert [(t.condition, t.trouble_id) for t in ended] == [(Condition.MOVED, camera.changes[0].trouble_id)]
    assert ended[0].ended_at_ns == camera.at_ns
    camera.line(15.0, FAULTS["downwards"][1])
    assert camera.health.learnt("line-1") and len(camera.changes) == 1 and not camera.looks[-1].held


def test_a_given_reference_tells_that_a_camera_stands_elsewhere_from_the_start() -> None:
    rules = replace(RULES, anchor=reduced(moved(shown(5), y=-0.05)))
    camera = watched(rules)
    camera.line(15.0)
    assert camera.told == [("moved", "began")]


def test_a_reference_outlives_a_restart() -> None:
    before = learnt()
    before.line(3.0, FAULTS["grey card"][1])
    kept = before.health.save("line-1")
    assert kept is not None
    after = watched()
    after.health.restore("line-1", kept)
    after.health.adopt(before.changes)
    after.at_ns, after.index = before.at_ns, before.index
    assert all(look.held for look in after.line(5.0, FAULTS["grey card"][1])) and not after.changes
    after.line(5.0)
    assert [(t.trouble_id, t.ended_at_ns is None) for t in after.changes] == [(before.changes[0].trouble_id, False)]


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x03\x04broken"])
def test_a_reference_that_cannot_be_read_says_so(data: bytes) -> None:
    health = CameraHealth(lambda _: RULES)
    with pytest.raises(ValueError, match="reference"):
        health.restore("line-1", data)
    assert not health.learnt("line-1")


def test_conditions_that_are_ignored_are_neither_told_nor_hold_anything_back() -> None:
    rules = replace(RULES, watch=frozenset(Condition) - {Condition.MOVED, Condition.RELIT})
    camera = learnt(rules)
    assert not any(look.held for look in camera.line(4.0, FAULTS["lamp brighter"][1]))
    camera.line(4.0, FAULTS["downwards"][1])
    assert Condition.MOVED not in camera.health.conditions("line-1")


def test_another_shape_of_the_picture_is_learnt_anew() -> None:
    camera = learnt()
    looks = camera.line(4.0, lambda p: np.asarray(p[:, 60:-60], np.uint8))
    assert not camera.health.learnt("line-1") and not camera.changes and not any(look.held for look in looks)


def test_a_camera_whose_clock_was_set_back_is_watched_on() -> None:
    camera = watched(BEFORE_REFERENCE)
    camera.show([CLEAR] * 5)
    hour_ns = 3_600_000_000_000
    looks = [
        camera.health.see(
            "line-1", replace(DARK, checksum=i), camera.at_ns - hour_ns + i * 100_000_000, camera.at_ns / 1e9 + i / 10
        )
        for i in range(400)
    ]
    (began,) = [change for look in looks for change in look.changes]
    assert began.condition is Condition.DARK and began.began_at_ns < camera.at_ns - hour_ns + 400 * 100_000_000


# Offline -----------------------------------------------------------------------------------------------------------


def ticks(silences: list[float], health: CameraHealth | None = None) -> list[Trouble]:
    """One tick a second with these silences."""
    health = health or CameraHealth(lambda _: RULES, wall_ns=lambda: T0_NS)
    return [change for now_s, silent_s in enumerate(silences) for change in health.tick(now_s, {"line-1": silent_s})]


def test_a_camera_is_offline_after_its_grace_and_online_after_some_frames() -> None:
    silent = [float(s) for s in range(20)]
    began, ended = ticks([*silent, 0.1, 0.1, 0.1, 0.1])
    assert (began.condition, began.value, began.limit) == (Condition.OFFLINE, 15.0, 15.0)
    assert began.began_at_ns == T0_NS - 15_000_000_000 and began.ended_at_ns is None
    assert ended.trouble_id == began.trouble_id and ended.ended_at_ns is not None


def test_a_blip_is_neither_offline_nor_online() -> None:
    assert ticks([float(s % 14) for s in range(100)]) == []
    one_frame = [*(float(s) for s in range(20)), 0.0, *(float(s) for s in range(1, 30))]
    assert [t.ended_at_ns for t in ticks(one_frame)] == [None]


def test_offline_begins_with_the_last_frame_and_an_adopted_one_ends() -> None:
    camera = watched(BEFORE_REFERENCE)
    camera.show([CLEAR])
    (began,) = ticks([float(s) for s in range(20)], camera.health)
    assert began.began_at_ns == camera.at_ns
    assert camera.health.conditions("line-1") == (Condition.OFFLINE,)
    other = CameraHealth(lambda _: RULES)
    other.adopt([began])
    (ended,) = ticks([0.0] * 5, other)
    assert ended.trouble_id == began.trouble_id and other.conditions("line-1") == ()


def test_offline_holds_no_alerts_back() -> None:
    camera = watched(BEFORE_REFERENCE)
    ticks([float(s) for s in range(20)], camera.health)
    assert not camera.show([CLEAR])[0].held


# In time, whatever is suspected --------------------------------------------------------------------------------------

GREY = np.full((60, 80), 90, np.uint8)


def sight(black: float = 0.0, burnt: float = 0.0, checksum: int = 0) -> Sight:
    return Sight(GREY, 4 / 3, black, burnt, 10.0, checksum)


DARK, BRIGHT, CLEAR = sight(black=1.0), sight(burnt=1.0), sight()
frames = st.lists(
    st.tuples(st.sampled_from("d.b"), st.integers(1, 30), st.sampled_from([0.02, 0.1, 0.5, 1.0, 7.0])), max_size=12
).map(lambda runs: [(mark, step_s) for mark, times, step_s in runs for _ in range(times)])
rules = st.builds(
    lambda after, clear: replace(BEFORE_REFERENCE, after_s=after, clear_after_s=clear),
    st.sampled_from([0.0, 0.5, 2.0]),
    st.sampled_from([0.0, 1.0, 3.0]),
)


def play(
    pattern: list[tuple[str, float]], rule: HealthRules, again: bool = False
) -> list[tuple[float, Look, tuple[Condition, ...]]]:
    health = CameraHealth(lambda _: rule, wall_ns=lambda: T0_NS)
    at_s, found, earlier = 0.0, [], []
    for number, (mark, step_s) in enumerate(pattern):
        at_s += step_s
        shown_sight = replace({"d": DARK, "b": BRIGHT, ".": CLEAR}[mark], checksum=number)
        at_ns = T0_NS + round(at_s * 1e9)
        look = health.see("line-1", shown_sight, at_ns, at_s)
        found.append((at_s, look, health.conditions("line-1")))
        earlier.append((shown_sight, at_ns))
        if again:
            for repeated in earlier[-3:]:
                assert health.see("line-1", *repeated, at_s).changes == ()
    return found


def troubles(found: list[tuple[float, Look, tuple[Condition, ...]]]) -> list[Trouble]:
    return [change for _, look, _ in found for change in look.changes]


@given(frames, rules)
def test_begin_and_end_alternate_with_one_id_each(pattern: list[tuple[str, float]], rule: HealthRules) -> None:
    changes = troubles(play(pattern, rule))
    for condition in (Condition.DARK, Condition.BRIGHT):
        own = [change for change in changes if change.condition is condition]
        assert [change.ended_at_ns is None for change in own] == ([True, False] * len(own))[: len(own)]
        for began, ended in zip(own[::2], own[1::2], strict=False):
            assert replace(ended, ended_at_ns=None) == began and ended.ended_at_ns >= began.began_at_ns
    began_ids = [change.trouble_id for change in changes if change.ended_at_ns is None]
    assert len(set(began_ids)) == len(began_ids)


@given(frames, rules)
def test_frames_that_are_delivered_again_change_nothing(pattern: list[tuple[str, float]], rule: HealthRules) -> None:
    assert play(pattern, rule, again=True) == play(pattern, rule)


@given(frames, rules)
def test_held_means_a_suspicion_or_a_trouble_and_a_suspicion_alone_for_so_long_at_most(
    pattern: list[tuple[str, float]], rule: HealthRules
) -> None:
    held_since_s, frames_held = None, 0
    for at_s, look, conditions in play(pattern, rule):
        assert not look.held or look.suspect or conditions
        assert look.held or not conditions
        if not look.held or conditions:
            held_since_s, frames_held = None, 0
        else:
            held_since_s = at_s if held_since_s is None else held_since_s
            frames_held += 1
            assert at_s - held_since_s <= rule.after_s or frames_held <= 3


@given(frames, rules)
def test_nothing_begins_or_ends_before_its_time(pattern: list[tuple[str, float]], rule: HealthRules) -> None:
    for at_s, look, _ in play(pattern, rule):
        for change in look.changes:
            begun = change.ended_at_ns is None
            since_ns = change.began_at_ns if begun else change.ended_at_ns
            assert since_ns is not None
            assert at_s - (since_ns - T0_NS) / 1e9 >= (rule.after_s if begun else rule.clear_after_s) - 1e-6


@given(st.lists(st.tuples(st.integers(1, 19), st.integers(20, 60)), max_size=6))
def test_blips_shorter_than_the_grace_raise_nothing(blips: list[tuple[int, int]]) -> None:
    pattern = [(mark, 0.1) for dark, clear in blips for mark in "d" * dark + "." * clear]
    assert troubles(play(pattern, BEFORE_REFERENCE)) == []


@given(st.integers(21, 60), st.data())
@settings(max_examples=50)
def test_a_lasting_condition_is_told_though_it_flickers(length: int, data: st.DataObject) -> None:
    gaps = data.draw(st.sets(st.integers(5, 300), max_size=length // 10))
    pattern = [("." if i in gaps else "d", 0.1) for i in range(length + 60)]
    assert [t.ended_at_ns for t in troubles(play(pattern, BEFORE_REFERENCE))] == [None]


# Settings ------------------------------------------------------------------------------------------------------------


def test_a_camera_has_limits_of_its_own_and_the_common_ones_else() -> None:
    common = HealthSettings.model_validate(
        {"after_s": 1, "ignore": ["relit"], "cameras": {"line-2": {"after_s": 5, "ignore": []}}}
    )
    first, second = common.rules("line-1"), common.rules("line-2")
    assert (first.after_s, second.after_s) == (1, 5)
    assert first.watch == frozenset(Condition) - {Condition.RELIT} and second.watch == frozenset(Condition)
    assert second.clear_after_s == first.clear_after_s == 3.0


def test_the_settings_and_the_judging_agree_on_what_is_usual() -> None:
    usual, settled = HealthRules(), HealthSettings().rules("line-1")
    assert all(getattr(usual, name) == getattr(settled, name) for name in HealthRules.__slots__)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"cameras": {"a": {"aftr_s": 1}}}, "unknown key aftr_s"),
        ({"cameras": {"a": {"after_s": -1}}}, "cameras.a.after_s"),
        ({"cameras": {"a": {"enabled": False}}}, "unknown key enabled"),
        ({"ignore": ["sleepy"]}, "'moved' or 'relit'"),
        ({"reference": "nowhere.png"}, "nowhere.png"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        HealthSettings.model_validate(wrong)


def test_a_reference_picture_is_read_and_may_vanish_later(tmp_path: Path) -> None:
    file = tmp_path / "line-1.png"
    cv2.imwrite(str(file), shown(5))
    common = HealthSettings.model_validate({"cameras": {"line-1": {"reference": str(file)}}})
    anchor = common.rules("line-1").anchor
    assert anchor is not None and np.array_equal(anchor, reduced(shown(5)))
    assert common.rules("line-2").anchor is None
    file.unlink()
    assert common.rules("line-1").anchor is None


# On real pictures ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_on_the_bottle_film_hands_are_no_trouble_and_a_covered_lens_is(shared_data: Path) -> None:
    film = cv2.VideoCapture(str(shared_data / "video" / "bottle-detection.mp4"))
    health, at_ns = CameraHealth(lambda _: HealthRules(learn_s=5.0)), T0_NS
    pictures = []
    while (read := film.read())[0]:
        pictures.append(read[1])
    for picture in pictures:
        at_ns += 33_522_000
        look = health.see("film", measure(np.asarray(picture, np.uint8)), at_ns, at_ns / 1e9)
        assert not look.suspect and not look.changes
    assert health.learnt("film")
    looks = []
    for picture in pictures[:90]:
        at_ns += 33_522_000
        looks.append(health.see("film", measure(carded(np.asarray(picture, np.uint8), 0.66, 60)), at_ns, at_ns / 1e9))
    assert looks[0].suspect == {Condition.COVERED} and health.conditions("film") == (Condition.COVERED,)
