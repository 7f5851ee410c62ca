"""Clips of alerts: the frames shortly before and after the one that triggered, as a film."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from monitor.alerting.clip_frames import FrameEncoder
from monitor.alerting.clip_ring import ClipRings, Sample
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.film import MORE_TO_COME, Picture, film
from monitor.evidence_settings import Clip
from monitor.whole_file import write_whole
from streams.frame import Frame

log = structlog.get_logger(__name__)

MOST_CLIPS = 16
"""So many are begun and not complete at a time. In a storm the first ones get their clips: they show how it began, and
what was promised to somebody is kept."""
EARLY_BELOW = 4
"""Where fewer are, each is written at once with what came before; otherwise only when it is complete."""
BEGIN_BELOW, MOST_HELD = 0.5, 0.75
"""Of memory_bytes: what clips that are begun may hold where another begins, and where one ends before its time. A frame
that is in two clips counts twice here."""
REST = 3.0
"""After each film the thread rests so many times as long as it took: a quarter of a core at most."""
TICK_S = 0.25
SILENT_S = 1.0
"""Where no frame comes for after_s and so much more, the clip ends there."""
SAY_EVERY_S = 60.0
LOOK_EVERY_S, PROBE_BYTES = 5.0, 1 << 20
"""While clips cannot be written: how often it is tried, and how much room there must be."""
HAND_OVER_SHARE = 0.25
"""Of memory_bytes, what pixels may take that wait to be encoded; one frame always may."""


@dataclass(eq=False, slots=True)
class _Clip:
    """One that is being made. at_ns: of the frame that triggered; until_ns: of the last that belongs in. Times in
    seconds are on the monotonic clock."""

    alert_id: str
    camera: str
    at_ns: int
    until_ns: int
    begun_s: float
    trigger: Sample | None
    samples: list[Sample] = field(default_factory=list)
    seen_s: float = 0.0
    early: bool = False
    complete: bool = False


class ClipMaker:
    """`see` and `begin` belong to the thread that judges and wait for no encoder; `begin` looks once into the folder.
    The rest is thread-safe.

    skipped: clips that were not made, since too many were at once. failed: those that could not be made or written.
    """

    def __init__(self, store: EvidenceStore, settings: Clip, max_pixels: int = 50_000_000) -> None:
        """max_pixels: a frame of more is left out, undecoded."""
        self._store = store
        self._settings = settings
        self._max_pixels = max_pixels
        self._before_ns, self._after_ns = round(settings.before_s * 1e9), round(settings.after_s * 1e9)
        self._rings = ClipRings(settings.before_s, settings.fps, settings.memory_bytes)
        self._clips: dict[str, _Clip] = {}
        self._clip_bytes = 0
        self._change = threading.Condition()
        waiting_bytes = round(settings.memory_bytes * HAND_OVER_SHARE)
        self._encoder = FrameEncoder(self._encoded, settings.width, max_pixels, waiting_bytes)
        self._stopping = not settings.enabled
        self._give_up = False
        self._rest_until_s = 0.0
        self._said_s = self._next_look_s = float("-inf")
        self._trouble: str | None = None
        self.skipped = self.failed = self.made = 0
        self._thread = threading.Thread(target=self._run, name="clips", daemon=True)

    @property
    def dropped(self) -> int:
        """Frames with pixels that came faster than they could be encoded."""
        return self._encoder.dropped

    @property
    def trouble(self) -> str | None:
        """Why clips cannot be written at present."""
        return self._trouble

    @property
    def held_bytes(self) -> int:
        """What the encoded frames take in memory."""
        return self._rings.size

    def see(self, frame: Frame) -> None:
        """Every frame that was judged, in order."""
        if not self._rings.due(frame.camera, frame.captured_at_ns) or self._stopping:
            return
        payload = frame.payload
        with self._change:
            self._rings.claim(frame.camera, frame.captured_at_ns)
            if payload is not None:
                self._rings.add(frame.camera, Sample(frame.captured_at_ns, payload))
                return
        self._encoder.take(frame)

    def begin(self, alert_id: str, frame: Frame) -> bool:
        """There is an alert, triggered by this frame, of which the evidence is kept already. Returns whether there is a
        clip of it, or will be. Again, for the same alert, changes nothing."""
        if self._stopping:
            return False
        with self._change:
            if alert_id in self._clips:
                return True
        if self._store.find(alert_id, "clip") is not None:  # the frame was delivered again
            return True
        with self._change:
            if len(self._clips) >= MOST_CLIPS or self._clip_bytes > BEGIN_BELOW * self._settings.memory_bytes:
                self._skip(alert_id)
                return False
            at_ns, now_s = frame.captured_at_ns, time.monotonic()
            clip = _Clip(alert_id, frame.camera, at_ns, at_ns + self._after_ns, now_s, None, seen_s=now_s)
            clip.samples = [s for s in self._rings.newest(frame.camera) if s.at_ns >= at_ns - self._before_ns]
            if frame.payload is not None:
                clip.trigger = next(
                    (s for s in clip.samples if s.payload is frame.payload), Sample(at_ns, frame.payload)
                )
                if clip.trigger.users == 0:
                    clip.samples.append(clip.trigger)
            for sample in clip.samples:
                self._hold(sample)
            newest_ns = max((s.at_ns for s in clip.samples), default=at_ns)
            clip.complete = self._after_ns == 0 or newest_ns > clip.until_ns
            ring = self._rings.rings.get(frame.camera)
            if ring is not None and not clip.complete:
                ring.collecting.append(lambda sample: self._collect(clip, sample))
            self._clips[alert_id] = clip
            self._change.notify_all()
        return True

    def making(self, alert_id: str) -> bool:
        """Whether its clip is being made."""
        return alert_id in self._clips

    def wait(self, alert_id: str, wait_s: float) -> None:
        """Until its clip is complete, if one is being made; so long at most."""
        with self._change:
            self._change.wait_for(lambda: alert_id not in self._clips, wait_s)

    def start(self) -> None:
        """Begin to make clips; what was seen and begun before waits."""
        if self._settings.enabled:
            self._thread.start()
            self._encoder.start()

    def stop(self, flush_s: float) -> None:
        """Make complete what was begun, of the frames that are there; so long at most, beside the film that is being
        made. No frames are taken any more."""
        end_s = time.monotonic() + flush_s
        self._encoder.stop(flush_s)
        with self._change:
            self._stopping = True
            for clip in self._clips.values():
                clip.complete = True
            self._change.notify_all()
        if self._thread.is_alive():
            self._thread.join(max(0.0, end_s - time.monotonic()))
        self._give_up = True

    def _collect(self, clip: _Clip, sample: Sample) -> bool:
        """A frame after the trigger; whether it wants more. Under the lock."""
        if clip.complete:
            return False
        clip.seen_s = time.monotonic()
        most = 2 * (self._settings.before_s + self._settings.after_s + 2) * self._settings.fps + 8
        full = len(clip.samples) > most or self._clip_bytes > MOST_HELD * self._settings.memory_bytes
        if sample.at_ns > clip.until_ns or full:
            clip.complete = True
        elif sample.at_ns >= clip.at_ns - self._before_ns:
            self._hold(sample)
            clip.samples.append(sample)
        if clip.complete:
            self._change.notify_all()
        return not clip.complete

    def _hold(self, sample: Sample) -> None:
        self._clip_bytes += len(sample.payload)
        self._rings.hold(sample)

    def _skip(self, alert_id: str) -> None:
        self.skipped += 1
        now_s = time.monotonic()
        if now_s - self._said_s >= SAY_EVERY_S:
            self._said_s = now_s
            log.warning(
                "clips_skipped",
                alert_id=alert_id,
                skipped=self.skipped,
                being_made=len(self._clips),
                reason="too many alerts at once; said once a minute at most",
            )

    def _encoded(self, frame: Frame, payload: bytes) -> None:
        with self._change:
            self._rings.add(frame.camera, Sample(frame.captured_at_ns, payload))

    def _run(self) -> None:
        """The thread that makes films, one at a time."""
        while not self._give_up:
            with self._change:
                clip = self._next()
                if clip is None:
                    if self._stopping and not self._clips:
                        return
                    self._change.wait(TICK_S)
                    self._rings.forget_gone(time.monotonic())
            if clip is None:
                self._look_whether_it_works()
                continue
            begun_s = time.monotonic()
            self._make(clip)
            self._rest_until_s = time.monotonic() + REST * (time.monotonic() - begun_s)

    def _next(self) -> _Clip | None:
        """The one of which a film is to be made now. Under the lock."""
        now_s = time.monotonic()
        silent_s = self._settings.after_s + SILENT_S
        for clip in self._clips.values():
            clip.complete = clip.complete or now_s - clip.seen_s > silent_s or now_s - clip.begun_s > 10 * silent_s
        if now_s < self._rest_until_s and not self._stopping:
            return None
        complete = next((clip for clip in self._clips.values() if clip.complete), None)
        if complete is not None or len(self._clips) >= EARLY_BELOW:
            return complete
        return next((clip for clip in self._clips.values() if not clip.early), None)

    def _make(self, clip: _Clip) -> None:
        with self._change:
            final, clip.early, samples = clip.complete, True, list(clip.samples)
        try:
            pictures = [Picture(s.at_ns, s.payload, marked=s is clip.trigger) for s in samples]
            if clip.trigger is None:  # it came as pixels, of which the evidence is a JPEG by now
                evidence = self._store.read(clip.alert_id, "evidence")
                pictures += [] if evidence is None else [Picture(clip.at_ns, evidence, marked=True)]
            note = "" if final else MORE_TO_COME
            data = film(pictures, self._settings.width, self._store.folder, self._max_pixels, note)
            self._store.put(clip.alert_id, "clip", clip.at_ns, data)
            self.made += final
            self._worked()
        except OSError as error:
            self.failed += final
            self._failed(clip, error)
        except Exception as error:
            self.failed += final
            log.warning("clip_failed", alert_id=clip.alert_id, error=f"{type(error).__name__}: {error}")
        finally:
            if final:
                with self._change:
                    for sample in clip.samples:
                        self._clip_bytes -= len(sample.payload)
                        self._rings.let_go(sample)
                    del self._clips[clip.alert_id]
                    self._change.notify_all()

    def _failed(self, clip: _Clip, error: OSError) -> None:
        told = error.strerror or type(error).__name__
        if self._trouble is None:
            log.error(
                "clips_not_written",
                alert_id=clip.alert_id,
                folder=str(self._store.folder),
                error=told,
                remedy="make room below evidence.dir, or give the service's user the right to write there",
            )
        self._trouble = f"clips cannot be written in {self._store.folder}: {told.lower()}"

    def _look_whether_it_works(self) -> None:
        """The next alert may be hours away; there may be room sooner."""
        if self._trouble is None or time.monotonic() < self._next_look_s:
            return
        self._next_look_s = time.monotonic() + LOOK_EVERY_S
        probe = self._store.folder / f".{os.getpid()}-probe.part"
        with suppress(OSError):
            write_whole(probe, bytes(PROBE_BYTES))
            probe.unlink()
            self._worked()

    def _worked(self) -> None:
        if self._trouble is not None:
            log.info("clips_written_again", failed=self.failed)
        self._trouble = None
