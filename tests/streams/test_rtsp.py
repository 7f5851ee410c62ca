"""Network cameras over real connections: in order, at the wanted rate, and through everything that a camera can do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.embedded import EmbeddedRtsp
from streams.rtsp import RtspSource, RtspSourceOptions
from streams.simulator import Line, write_film
from streams.source import Keep
from tests.streams.outlet import NotingOutlet, Running
from tests.streams.rtsp_peer import RtspPeer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_film(Line(1, 0, width=160, height=120), folder / "line.mp4", 4)
    return folder


def camera(url: str, name: str = "cam", **options: Any) -> RtspSource:
    return RtspSource(RtspSourceOptions(name, url, **{"open_timeout_s": 5.0, "read_timeout_s": 2.0, **options}))


def told(outlet: NotingOutlet, words: str) -> bool:
    return any(trouble is not None and words in trouble for trouble in outlet.troubles)


def shapes(outlet: NotingOutlet) -> set[tuple[int, ...]]:
    return {frame.pixels.shape for frame in outlet.frames if frame.pixels is not None}


def everything_is_accounted_for(outlet: NotingOutlet) -> None:
    captured = len(outlet.frames) + len(outlet.skipped) + len(outlet.refused)
    assert outlet.frames and outlet.frames[-1].seq <= captured
    seqs = [frame.seq for frame in outlet.frames]
    assert seqs == sorted(set(seqs)) and len(seqs) <= captured


def test_frames_come_in_order_and_the_newest_win(films: Path) -> None:
    outlet = NotingOutlet()
    with EmbeddedRtsp(films) as server, Running(camera(server.url("line")), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 60), outlet.troubles
    assert [f.seq for f in outlet.frames] == list(range(1, len(outlet.frames) + 1))
    times = [f.captured_at_ns for f in outlet.frames]
    assert times == sorted(times)
    assert outlet.keeps == {Keep.NEWEST}
    assert shapes(outlet) == {(120, 160, 3)}
    assert outlet.ups[:2] == [("cam", False), ("cam", True)]


def test_a_camera_that_ends_is_told_and_connected_again(films: Path) -> None:
    outlet = NotingOutlet()
    with EmbeddedRtsp(films) as server, Running(camera(server.url("line", loop=False)), outlet):
        assert outlet.wait(lambda: outlet.ups.count(("cam", True)) >= 2, 60), (outlet.ups, outlet.troubles)
    assert ("cam", False) in outlet.ups[2:]
    assert told(outlet, "stopped after")
    everything_is_accounted_for(outlet)


def test_frames_beyond_the_wanted_rate_are_let_go_and_counted(films: Path) -> None:
    outlet = NotingOutlet()
    with EmbeddedRtsp(films) as server, Running(camera(server.url("line"), fps=2.0), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 8), outlet.troubles
    assert len(outlet.skipped) > len(outlet.frames)
    assert set(outlet.skipped) == {("cam", "fps_limit")}
    everything_is_accounted_for(outlet)


def test_of_key_frames_only_the_others_are_let_go_and_counted() -> None:
    outlet = NotingOutlet()
    with RtspPeer(key_every=5) as peer, Running(camera(peer.url, key_frames_only=True), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 10), outlet.troubles
    assert set(outlet.skipped) == {("cam", "not_a_key_frame")}
    assert 3 * len(outlet.frames) < len(outlet.skipped) < 5 * len(outlet.frames)
    everything_is_accounted_for(outlet)


@pytest.mark.parametrize("options", [{"transport": "udp"}, {"low_latency": True}, {"hardware_decoding": "any"}])
def test_it_plays_over_udp_with_low_latency_and_where_there_may_be_no_hardware(options: dict[str, Any]) -> None:
    outlet = NotingOutlet()
    with RtspPeer() as peer, Running(camera(peer.url, **options), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 25), outlet.troubles
    assert shapes(outlet) == {(120, 160, 3)}


def test_a_camera_dead_at_the_start_delays_nobody_and_comes_when_it_can() -> None:
    late, other = NotingOutlet(), NotingOutlet()
    with RtspPeer() as dead, RtspPeer() as alive:
        dead.stop()
        with Running(camera(dead.url, "late"), late), Running(camera(alive.url, "other"), other):
            assert other.wait(lambda: len(other.frames) >= 25), other.troubles
            assert late.wait(lambda: told(late, "does not answer")), late.troubles
            assert not late.frames
            dead.start()
            assert late.wait(lambda: len(late.frames) >= 5, 60), late.troubles
    assert late.troubles[-1] is None and other.troubles == [None]


def test_a_camera_that_accepts_and_never_answers_is_noticed() -> None:
    outlet = NotingOutlet()
    with RtspPeer() as peer:
        peer.mute()
        with Running(camera(peer.url, open_timeout_s=1.0), outlet):
            assert outlet.wait(lambda: told(outlet, "does not answer"), 40), outlet.troubles
    assert ("cam", True) not in outlet.ups


def test_a_stall_is_told_while_the_connection_stands_and_then_it_is_reconnected() -> None:
    outlet = NotingOutlet()
    with RtspPeer() as peer, Running(camera(peer.url, read_timeout_s=4.0), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 25), outlet.troubles
        begin_s = time.monotonic()
        peer.stall()
        assert outlet.wait(lambda: outlet.ups[-1] == ("cam", False)), outlet.ups
        noticed_s = time.monotonic() - begin_s
        assert peer.plays == 1 and told(outlet, "no sound picture for 2")
        assert outlet.wait(lambda: told(outlet, "stopped after")), outlet.troubles
        ended_s = time.monotonic() - begin_s
        peer.play()
        begin_s = time.monotonic()
        assert outlet.wait(lambda: outlet.ups[-1] == ("cam", True), 60), outlet.troubles
        print(f"\nstall: noticed {noticed_s:.1f} s, let go {ended_s:.1f} s, back {time.monotonic() - begin_s:.1f} s")
    assert 1.5 < noticed_s < 3.9 and ended_s > 3.5
    assert outlet.troubles[-1] is None and peer.plays >= 2


def test_a_short_stall_is_over_without_a_new_connection() -> None:
    outlet = NotingOutlet()
    with RtspPeer() as peer, Running(camera(peer.url, read_timeout_s=20.0), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 25), outlet.troubles
        peer.stall()
        assert outlet.wait(lambda: outlet.ups[-1] == ("cam", False)), outlet.ups
        peer.play()
        assert outlet.wait(lambda: outlet.ups[-1] == ("cam", True)), outlet.ups
    assert outlet.troubles[-1] is None and peer.plays == 1


def test_a_camera_that_goes_away_comes_back() -> None:
    outlet = NotingOutlet()
    with RtspPeer() as peer, Running(camera(peer.url), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 25), outlet.troubles
        peer.stop()
        assert outlet.wait(lambda: outlet.ups[-1] == ("cam", False)), outlet.ups
        peer.start()
        assert outlet.wait(lambda: outlet.ups[-1] == ("cam", True), 60), outlet.troubles
    everything_is_accounted_for(outlet)


def test_another_size_in_mid_stream_gives_frames_of_that_size_on_the_same_connection() -> None:
    outlet = NotingOutlet()
    with RtspPeer(160, 120) as peer, Running(camera(peer.url), outlet):
        for width, height in ((160, 120), (320, 240), (100, 50)):
            peer.resize(width, height)
            assert outlet.wait(lambda shape=(height, width, 3): shape in shapes(outlet)), outlet.troubles  # type: ignore[misc]
    assert peer.plays == 1 and not outlet.refused


def test_another_codec_is_taken_with_the_next_connection() -> None:
    outlet = NotingOutlet()
    with RtspPeer() as peer, Running(camera(peer.url), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 10), outlet.troubles
        peer.resize(320, 240)
        peer.recode("mpeg4")
        assert outlet.wait(lambda: (240, 320, 3) in shapes(outlet), 60), outlet.troubles
    assert shapes(outlet) == {(120, 160, 3), (240, 320, 3)}


def test_no_damaged_picture_is_shown_and_sound_ones_come_again() -> None:
    outlet = NotingOutlet()
    with RtspPeer(320, 240) as peer, Running(camera(peer.url, read_timeout_s=10.0), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 25), outlet.troubles
        peer.garble()
        assert outlet.wait(lambda: len(outlet.refused) >= 30, 60), (outlet.troubles, len(outlet.refused))
        peer.play()
        before = len(outlet.frames)
        assert outlet.wait(lambda: len(outlet.frames) >= before + 25, 60), outlet.troubles
    assert set(outlet.refused) == {("cam", "undecodable")}
    slope = np.linspace(40, 160, 320)
    for frame in outlet.frames:
        assert frame.pixels is not None and frame.pixels.shape == (240, 320, 3)
        wrong = np.abs(frame.pixels.mean(axis=2) - slope) > 20
        assert wrong.sum() <= 1.5 * 40 * 40, f"frame {frame.seq}: {wrong.sum()} pixels are not of this scene"
    everything_is_accounted_for(outlet)


def test_who_comes_between_key_pictures_sees_and_counts_no_damaged_ones() -> None:
    outlet = NotingOutlet()
    with RtspPeer(key_every=25, joins_at=5) as peer, Running(camera(peer.url), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 25), outlet.troubles
    assert not outlet.refused and outlet.troubles == [None] and peer.plays == 1


@pytest.mark.parametrize("fault", ["garble", "spam"])
def test_what_cannot_be_decoded_for_long_is_told_and_reconnected(fault: str) -> None:
    outlet = NotingOutlet()
    with RtspPeer() as peer, Running(camera(peer.url, read_timeout_s=1.5), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 25), outlet.troubles
        getattr(peer, fault)()
        assert outlet.wait(lambda: told(outlet, "stopped after"), 60), outlet.troubles
        peer.play()
        assert outlet.wait(lambda: outlet.ups[-1] == ("cam", True), 60), outlet.troubles
    everything_is_accounted_for(outlet)


def test_a_frozen_picture_is_told_and_reconnected() -> None:
    outlet = NotingOutlet()
    with RtspPeer() as peer, Running(camera(peer.url, reconnect_if_frozen_s=1.0), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 40), outlet.troubles
        assert peer.plays == 1
        peer.freeze()
        assert outlet.wait(lambda: told(outlet, "has not changed by a single bit for 1 s")), outlet.troubles
        peer.play()
        assert outlet.wait(lambda: peer.plays >= 2 and outlet.troubles[-1] is None, 60), outlet.troubles


def test_a_frozen_picture_stays_where_nobody_minds() -> None:
    outlet = NotingOutlet()
    with RtspPeer() as peer, Running(camera(peer.url, reconnect_if_frozen_s=0.0), outlet):
        peer.freeze()
        assert outlet.wait(lambda: len(outlet.frames) >= 75), outlet.troubles
    assert peer.plays == 1
