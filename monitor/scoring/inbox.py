"""Where all sources put their frames and the batcher takes them: bounded, fair to cameras, and counted."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Protocol

from streams.frame import Frame
from streams.source import Keep


class Origin(Protocol):
    """Who wants to know what became of a frame; a source, or who counts its frames. Thread-safe."""

    def finish(self, frame: Frame) -> None: ...
    def reject(self, frame: Frame, error: str) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A frame and who wants to know what became of it. `arrived_s` is monotonic."""

    frame: Frame
    source: Origin
    arrived_s: float


class Account(Protocol):
    """Who counts the frames; `monitor.serving.ledger.Ledger` does. Every captured frame ends in one other column."""

    def captured(self, camera: str) -> None: ...
    def dropped(self, camera: str, reason: str) -> None: ...


class Inbox:
    """Frames that wait for a batch. Thread-safe.

    Patient frames (`Keep.ALL`) wait in one queue, bounded in number and bytes; a full one refuses. Of each live
    camera (`Keep.NEWEST`) the newest `live_frames` wait, fewer where all of them together hold more than `max_bytes`,
    but always one; the oldest goes, counted as dropped `superseded`.
    A batch takes live frames first, round the cameras, and then patient ones in their order, to which a quarter of it
    belongs where they wait.
    """

    def __init__(self, account: Account, *, max_frames: int, max_bytes: int, live_frames: int) -> None:
        self._account = account
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._live_frames = live_frames
        self._patient: deque[Arrival] = deque()
        self._patient_bytes = 0
        self._live_bytes = 0
        self._live: OrderedDict[str, deque[Arrival]] = OrderedDict()
        self._change = threading.Condition()
        self._closed = False

    def offer(self, source: Origin, frame: Frame, keep: Keep) -> bool:
        """Take a frame in if there is room; False where a patient one has to wait outside."""
        arrival = Arrival(frame, source, time.monotonic())
        superseded: list[Arrival] = []
        with self._change:
            if self._closed:
                return False
            if keep is Keep.ALL:
                full = len(self._patient) >= self._max_frames
                heavy = self._patient_bytes + frame.size_bytes > self._max_bytes
                if self._patient and (full or heavy):
                    return False
                self._patient.append(arrival)
                self._patient_bytes += frame.size_bytes
            else:
                waiting = self._live.setdefault(frame.camera, deque())
                while waiting and (
                    len(waiting) >= self._live_frames or self._live_bytes + frame.size_bytes > self._max_bytes
                ):
                    superseded.append(waiting.popleft())
                    self._live_bytes -= superseded[-1].frame.size_bytes
                waiting.append(arrival)
                self._live_bytes += frame.size_bytes
            self._account.captured(frame.camera)
            self._change.notify()
        for gone in superseded:
            self._account.dropped(gone.frame.camera, "superseded")
            gone.source.finish(gone.frame)
        return True

    def gather(self, max_size: int, max_wait_s: float) -> list[Arrival] | None:
        """The next batch: full, or as large as it has become when its oldest frame has waited `max_wait_s`.

        Blocks until there is a frame. None once the inbox is closed and empty.
        """
        with self._change:
            while True:
                waiting = len(self._patient) + sum(len(frames) for frames in self._live.values())
                if waiting >= max_size or (waiting and self._closed):
                    return self._take(max_size)
                if waiting:
                    remaining_s = self._oldest_s() + max_wait_s - time.monotonic()
                    if remaining_s <= 0:
                        return self._take(max_size)
                    self._change.wait(remaining_s)
                elif self._closed:
                    return None
                else:
                    self._change.wait()

    def close(self) -> None:
        """Take nothing more; `gather` gives out what is there and then None."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _oldest_s(self) -> float:
        firsts = [frames[0].arrived_s for frames in self._live.values() if frames]
        if self._patient:
            firsts.append(self._patient[0].arrived_s)
        return min(firsts)

    def _take(self, max_size: int) -> list[Arrival]:
        batch: list[Arrival] = []
        # A quarter of a batch belongs to patient frames that wait, so that busy cameras cannot starve them.
        live_share = max_size - min(len(self._patient), max_size // 4)
        # One frame of each live camera in turn; the camera served first goes to the end for the next batch.
        while len(batch) < live_share and any(self._live.values()):
            for camera in list(self._live):
                if len(batch) >= live_share:
                    break
                frames = self._live[camera]
                if frames:
                    batch.append(frames.popleft())
                    self._live_bytes -= batch[-1].frame.size_bytes
                    self._live.move_to_end(camera)
        while len(batch) < max_size and self._patient:
            arrival = self._patient.popleft()
            self._patient_bytes -= arrival.frame.size_bytes
            batch.append(arrival)
        return batch
