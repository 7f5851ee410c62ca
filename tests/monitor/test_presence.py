"""How long a camera has been silent, and when its silence says nothing."""

from __future__ import annotations

import pytest

from monitor.judging.presence import Presence


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def presence(clock: Clock) -> Presence:
    found = Presence(clock)
    found.heard("a", "kafka:frames")
    found.heard("b", "rtsp:b")
    return found


def test_silence_counts_from_the_last_frame(presence: Presence, clock: Clock) -> None:
    clock.now_s += 4
    presence.heard("a", "kafka:frames")
    clock.now_s += 1
    assert presence.silence_s() == {"a": 1, "b": 5}


def test_what_is_no_frame_shows_life_and_makes_no_camera_known(presence: Presence, clock: Clock) -> None:
    clock.now_s += 4
    presence.heard_again("a")
    presence.heard_again("unknown")
    assert presence.silence_s() == {"a": 0, "b": 4}


def test_a_camera_of_the_configuration_is_silent_from_the_start(presence: Presence, clock: Clock) -> None:
    presence.expected("c", "rtsp:c")
    clock.now_s += 3
    presence.expected("b", "rtsp:b")
    assert presence.silence_s() == {"a": 3, "b": 3, "c": 3}


def test_while_a_topic_cannot_be_read_its_cameras_are_not_silent(presence: Presence, clock: Clock) -> None:
    presence.deaf("kafka:frames", True)
    clock.now_s += 60
    assert presence.silence_s() == {"b": 60}
    presence.deaf("kafka:frames", False)
    clock.now_s += 2
    assert presence.silence_s() == {"a": 2, "b": 62}
    presence.deaf("kafka:frames", False)
    assert presence.silence_s()["a"] == 2


def test_nor_while_we_let_it_wait(presence: Presence, clock: Clock) -> None:
    clock.now_s += 60
    presence.held_up("kafka:frames")
    assert presence.silence_s() == {"a": 0, "b": 60}


def test_a_camera_that_is_no_longer_ours_is_forgotten(presence: Presence) -> None:
    presence.gone("a")
    presence.gone("never seen")
    assert set(presence.silence_s()) == {"b"}
