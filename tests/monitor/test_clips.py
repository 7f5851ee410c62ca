"""Clips of alerts: what is kept of each camera, and the films that come of it."""

from __future__ import annotations

import io
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.alerting.clip_frames import FrameEncoder
from monitor.alerting.clip_ring import EARLIER_S, ClipRings, Sample
from monitor.alerting.clips import MOST_CLIPS, ClipMaker
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.film import MORE_TO_COME, NoFilm, Picture, encoder, film
from monitor.alerting.strip import caption, strip
from monitor.evidence_settings import Clip
from streams.codec import decode, encode_jpeg
from streams.frame import Frame, Pixels
from tests.monitor.until import wait_until

BEGUN_NS = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


def pixels(grey: int, width: int = 96, height: int = 64) -> Pixels:
    return np.full((height, width, 3), grey, np.uint8)


def frame(at_s: float, grey: int = 100, camera: str = "line-1", raw: bool = False, **size: int) -> Frame:
    picture = pixels(grey, **size)
    at_ns = BEGUN_NS + round(at_s * SECOND)
    if raw:
        return Frame(camera, 1, at_ns, "o", pixels=picture)
    return Frame(camera, 1, at_ns, "o", payload=encode_jpeg(picture))


def shown(mp4: bytes) -> list[tuple[float, Pixels]]:
    """Seconds from the beginning, and uint8 [H, W, 3] BGR, of each picture of a film but the repeated last one."""
    with av.open(io.BytesIO(mp4)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name in ("h264", "mpeg4") and stream.codec_context.pix_fmt == "yuv420p"
        found = [
            (float(f.time or 0), np.asarray(f.to_ndarray(format="bgr24"), np.uint8)) for f in container.decode(stream)
        ]
    return found[:-1]


def wait_for_clip(maker: ClipMaker, alert_id: str) -> None:
    maker.wait(alert_id, 60)
    assert not maker.making(alert_id)


def red(picture: Pixels) -> bool:
    """Whether there is a border around it."""
    blue, _, red_ = picture[:, :1].astype(int).mean((0, 1))
    return bool(red_ > blue + 60)


def test_a_film_has_the_times_of_its_pictures_and_a_mark(tmp_path: Path) -> None:
    times_s = [0.0, 0.21, 0.4, 10.0, 10.15]
    pictures = [
        Picture(BEGUN_NS + round(s * SECOND), encode_jpeg(pixels(40 + 40 * n)), n == 2) for n, s in enumerate(times_s)
    ]
    broken = Picture(BEGUN_NS + SECOND, b"\xff\xd8 no picture")
    mp4 = film([pictures[3], broken, *pictures[:3], pictures[4], pictures[0]], 640, tmp_path, 1 << 20)
    found = shown(mp4)
    assert encoder() == "libx264" and mp4.find(b"moov") < mp4.find(b"mdat")
    # Sorted, the broken one left out, none twice, and the gap of ten seconds shortened.
    assert [s for s, _ in found] == pytest.approx([0, 0.21, 0.4, 2.4, 2.55], abs=0.002)
    assert [red(p) for _, p in found] == [False, False, True, False, False]
    assert [p[32, 48].mean() for _, p in found] == pytest.approx([40, 80, 120, 160, 200], abs=6)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=15)
@given(sizes=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=4))
def test_any_sizes_make_a_film_no_wider_than_asked(sizes: list[tuple[int, int]], tmp_path_factory: object) -> None:
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    pictures = [
        Picture(n * SECOND, encode_jpeg(pixels(90, width=w, height=h)), n == 0) for n, (w, h) in enumerate(sizes)
    ]
    found = shown(film(pictures, 128, tmp_path_factory.mktemp("film"), 1 << 20))
    assert len(found) == len(sizes)
    height, width = found[0][1].shape[:2]
    assert width % 2 == height % 2 == 0 and 16 <= width <= 128


def test_no_film_of_nothing_nor_of_what_is_too_large(tmp_path: Path) -> None:
    with pytest.raises(NoFilm, match="none of 2"):
        film([Picture(1, b""), Picture(2, encode_jpeg(pixels(3)), True)], 64, tmp_path, 96 * 64 - 1)


def test_the_clip_shows_before_and_after_and_the_trigger_first_of_all(tmp_path: Path) -> None:
    """What came before is there at once; the same file is complete when the time after has passed."""
    store = EvidenceStore(tmp_path, 1)
    maker = ClipMaker(store, Clip(before_s=1, after_s=1, fps=10, width=96))
    maker.start()
    for number in range(21):  # 20 a second, of which ten are kept
        maker.see(frame(2 + number / 20, grey=50))
    trigger = frame(3.05, grey=200)  # one that is not kept, but triggers
    maker.see(trigger)
    assert maker.begin("abc1", trigger) and maker.begin("abc1", trigger) and maker.making("abc1")
    wait_until(lambda: store.find("abc1", "clip") is not None)
    assert MORE_TO_COME.encode() in (store.read("abc1", "clip") or b"")
    early = shown(store.read("abc1", "clip") or b"")
    assert [red(p) for _, p in early] == [False] * (len(early) - 1) + [True] and 9 <= len(early) <= 12
    for number in range(30):
        maker.see(frame(3.1 + number / 20, grey=50))
    wait_for_clip(maker, "abc1")
    assert MORE_TO_COME.encode() not in (store.read("abc1", "clip") or b"")
    found = shown(store.read("abc1", "clip") or b"")
    marked = [s for s, p in found if red(p)]
    assert len(found) > len(early) and len(marked) == 1
    assert marked[0] == pytest.approx(1, abs=0.1) and found[-1][0] - marked[0] == pytest.approx(1, abs=0.11)
    path = store.find("abc1", "clip")
    assert path is not None and maker.begin("abc1", trigger) and not maker.making("abc1")  # delivered again
    assert (maker.made, maker.skipped, maker.failed) == (1, 0, 0)
    maker.stop(5)
    assert not maker.begin("abc2", trigger)


def test_pixels_are_encoded_elsewhere_and_silence_ends_a_clip(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path, 1)
    maker = ClipMaker(store, Clip(before_s=2, after_s=0.3, fps=5, width=64))
    maker.start()
    for number in range(10):
        maker.see(frame(number / 5, grey=60, raw=True))
    wait_until(lambda: len(list(maker._rings.newest("line-1"))) == 10)
    trigger = frame(2, grey=200, raw=True)
    store.save("abc1", trigger, None)
    maker.see(trigger)
    assert maker.begin("abc1", trigger)
    wait_for_clip(maker, "abc1")
    found = shown(store.read("abc1", "clip") or b"")
    assert len(found) == 11 and red(found[-1][1]) and found[-1][1].shape[1] == 64
    assert maker.held_bytes < 11 * 64 * 64
    maker.stop(5)


def test_a_storm_gets_as_many_clips_as_there_is_room_for_and_counts_the_others(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path, 1)
    maker = ClipMaker(store, Clip(before_s=1, after_s=1, fps=5, width=64))
    maker.start()
    shots = [frame(0, camera=f"line-{number}") for number in range(500)]
    begun = []
    for number, shot in enumerate(shots):
        maker.see(shot)
        begun.append(maker.begin(f"{number:04x}", shot))
    assert all(begun[:MOST_CLIPS]) and begun.count(True) < 2 * MOST_CLIPS
    assert maker.skipped == begun.count(False)
    maker.stop(60)  # makes what was begun
    made = {p.name[:4] for p in tmp_path.glob("*/*-clip.mp4")}
    assert made == {f"{number:04x}" for number, ok in enumerate(begun) if ok}
    assert all(shown(p.read_bytes()) for p in tmp_path.glob("*/*-clip.mp4"))


def test_a_full_disk_is_told_once_and_over_when_it_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store = EvidenceStore(tmp_path, 1)
    maker = ClipMaker(store, Clip(before_s=0, after_s=0, fps=5))
    maker.start()
    monkeypatch.setattr("monitor.alerting.clips.LOOK_EVERY_S", 0.2)
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        for alert_id in ("a1", "a2", "a3"):
            assert maker.begin(alert_id, frame(1))
            wait_for_clip(maker, alert_id)
        assert maker.trouble is not None and "no space left" in maker.trouble and str(tmp_path) in maker.trouble
        assert maker.failed == 3 and caplog.text.count("clips_not_written") == 1
        assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    wait_until(lambda: maker.trouble is None)  # without waiting for the next alert
    assert maker.begin("a4", frame(1))
    wait_for_clip(maker, "a4")
    assert store.find("a4", "clip") is not None and len(list(tmp_path.rglob("*.*"))) == 1
    maker.stop(5)


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(-3000, 3000), st.integers(1, 400)), max_size=200)


@given(steps=STEPS, memory=st.integers(400, 4000))
def test_rings_keep_to_time_rate_and_memory_whatever_the_clocks_do(
    steps: list[tuple[str, int, int]], memory: int
) -> None:
    rings, now_ms = ClipRings(before_s=2, fps=5, memory_bytes=memory), dict.fromkeys("abc", 10_000)
    for camera, step_ms, size in steps:
        now_ms[camera] += step_ms
        at_ns = now_ms[camera] * 1_000_000
        if rings.due(camera, at_ns):
            rings.claim(camera, at_ns)
            rings.add(camera, Sample(at_ns, b"x" * size))
        assert rings.size == sum(len(s.payload) for ring in rings.rings.values() for s in ring.samples) <= memory
        assert all(ring.size == sum(len(s.payload) for s in ring.samples) for ring in rings.rings.values())
        assert all(len(ring.samples) <= (2 + EARLIER_S) * 5 + 2 for ring in rings.rings.values())
    rings.forget_gone(time.monotonic() + 61.9)
    assert rings.rings.keys() <= set("abc")
    rings.forget_gone(time.monotonic() + 63)
    assert rings.rings == {} and rings.size == 0


@pytest.mark.parametrize("jitter_ms", [0, 3, 20])
def test_a_camera_that_jitters_has_no_fewer_frames(jitter_ms: int) -> None:
    rings, kept = ClipRings(before_s=60, fps=5, memory_bytes=1 << 20), 0
    for number in range(300):
        at_ns = (number * 100 + (jitter_ms if number % 3 else -jitter_ms)) * 1_000_000
        if rings.due("a", at_ns):
            rings.claim("a", at_ns)
            kept += 1
    assert 146 <= kept <= 151


def test_cameras_share_the_memory(tmp_path: Path) -> None:
    rings = ClipRings(before_s=10, fps=10, memory_bytes=10_000)
    for number in range(100):
        for camera, size in (("small", 50), ("large", 1000)):
            if rings.due(camera, number * 100_000_000):
                rings.claim(camera, number * 100_000_000)
                rings.add(camera, Sample(number * 100_000_000, b"x" * size))
    assert rings.rings["small"].size == 100 * 50 and rings.rings["large"].size == 5000


def test_a_strip_shows_the_newest_twelve_with_their_names() -> None:
    pictures = [encode_jpeg(pixels(10 * n, width=50 + 40 * n)) for n in range(15)]
    made = strip([*pictures[:14], b"broken", pictures[14]], [caption(f"Línea {n}", BEGUN_NS) for n in range(16)])
    assert made is not None
    found = decode(made, 1 << 24)
    assert found.shape == (3 * 262, 4 * 320, 3)
    assert found[120, 160].mean() == pytest.approx(40, abs=6), "the first of eleven, since one was broken"
    assert found[240:262].max() > 180, "there are captions"
    assert strip([b"broken"], ["x"]) is None and strip([], []) is None
    assert caption("a", BEGUN_NS) == "a  11-14 22:13:20 UTC"
    assert cv2.imdecode(np.frombuffer(made, np.uint8), cv2.IMREAD_COLOR) is not None


def test_pixels_that_come_too_fast_are_dropped_and_nobody_waits(tmp_path: Path) -> None:
    """A quarter of the memory may wait, whatever the encoder does meanwhile."""
    busy, seen = threading.Event(), []

    def done(shot: Frame, payload: bytes) -> None:
        busy.wait(60)
        seen.append(shot.seq)

    encoder_ = FrameEncoder(done, 64, 1 << 20, waiting_bytes=3 * 96 * 64 * 3)
    encoder_.start()
    shots = [replace(frame(number, raw=True), seq=number) for number in range(20)]
    encoder_.take(shots[0])
    wait_until(lambda: not encoder_._waiting)
    for shot in shots[1:]:
        encoder_.take(shot)
    assert encoder_.dropped == 16
    busy.set()
    encoder_.stop(60)
    assert seen == [0, 1, 2, 3]
