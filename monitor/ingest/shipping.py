"""The last stage at the edge: frames go to the broker, or to the buffer on disk until it takes them.

One thread owns the buffer and decides; producers and the search for the broker only leave notes for it. While the
buffer holds anything that is not on its way, new frames line up behind it, so each camera's order holds.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog

from monitor.ingest.contact import Contact
from monitor.ingest.ledger import EdgeLedger
from monitor.ingest.link import Link, LinkError, RefusedError
from monitor.ingest.notices import Notices
from monitor.serving.metrics import IngestMetrics
from streams.frame import Frame
from streams.spool import Spool
from streams.spool_rows import Kept

log = structlog.get_logger(__name__)

IN_FLIGHT_FRAMES = 1000
IN_FLIGHT_BYTES = 16 << 20
"""So much may be on its way at once; it is in memory, and sent again where a link is given up."""
WAITING_BATCHES = 4
"""So many batches may wait for this stage; then the cameras' own rules hold."""
DISCONNECTED_S, STALLED_S = 1.0, 4.0
"""After so long without an acknowledgement the broker counts as away: without a connection, and with one."""
SOUND_AFTER_S = 10.0
"""A link that held for so long was a good one: the next is looked for at once."""
SETTLE_S = 5.0
"""How long, after a signal, what waits is still sent."""
TELL_EVERY_S = 10.0
TICK_S = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Outgoing:
    """An encoded frame. live: its camera cannot wait (Keep.NEWEST). reserved_bytes: what `reserve` was asked for."""

    frame: Frame
    live: bool
    reserved_bytes: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Settled:
    link: Link
    number: int
    error: Exception | None


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    link: Link


class _End:
    pass


_Note = Sequence[Outgoing] | _Settled | _Found | _End


def expected_bytes(frame: Frame) -> int:
    """What a frame will take when it is encoded; pixels become a quarter at the most, or nearly."""
    return len(frame.payload) if frame.payload is not None else frame.size_bytes // 4


class Shipper:
    """Sends frames, and accounts for each: sent, dropped, failed, or in the buffer.

    `take`, `reserve` and `release` may be called from any thread; `run` belongs to one.
    """

    def __init__(
        self,
        spool: Spool,
        connect: Callable[[], Link],
        ledger: EdgeLedger,
        notices: Notices,
        metrics: IngestMetrics,
        *,
        max_bytes: int,
    ) -> None:
        """`connect` blocks until there is a link, and raises LinkError. `max_bytes`: of the buffer."""
        self._spool = spool
        self._ledger = ledger
        self._notices = notices
        self._metrics = metrics
        self._max_bytes = max_bytes
        self._notes: queue.SimpleQueue[_Note] = queue.SimpleQueue()
        self._set_aside: list[_Note] = []
        self._seats = threading.BoundedSemaphore(WAITING_BATCHES)
        self._contact = Contact(connect, lambda link: self._notes.put(_Found(link)), partial(notices.tell, "broker"))
        self._link: Link | None = None
        self._linked_s = 0.0
        self._stalled = False
        self._in_flight: dict[int, Kept] = {}
        self._in_flight_bytes = 0
        self._progress_s = 0.0
        self._began_s = time.monotonic()
        self._told_s = self._began_s
        self._ended = False
        self._reserving = threading.Lock()
        self._reserved_bytes = 0
        self._account()

    def take(self, frames: Sequence[Outgoing]) -> None:
        """Take encoded frames over; blocks while this stage is behind."""
        self._seats.acquire()
        self._notes.put(frames)

    def reserve(self, size_bytes: int) -> bool:
        """Whether a frame that can wait at its source may come now; what it reserves is free again when it is here, or
        after `release`. Such frames leave half of the buffer to live cameras, and so are never pushed out of it."""
        with self._reserving:
            if self._room(size_bytes + self._reserved_bytes):
                self._reserved_bytes += size_bytes
                return True
            return False

    def release(self, size_bytes: int) -> None:
        """A frame for which `reserve` was asked does not come."""
        with self._reserving:
            self._reserved_bytes -= size_bytes

    def _room(self, coming_bytes: int) -> bool:
        held_bytes = self._spool.bytes + self._in_flight_bytes + coming_bytes
        if self._link is not None and not self._stalled:
            if len(self._in_flight) >= IN_FLIGHT_FRAMES // 2:
                return False
            return held_bytes < min(IN_FLIGHT_BYTES, self._max_bytes // 4) or self._idle()
        if time.monotonic() - self._began_s < STALLED_S:
            return False  # the broker is being looked for; nothing has to be written to disk yet
        return self._spool.trouble is None and held_bytes < self._max_bytes // 2

    def _idle(self) -> bool:
        """Whether nothing is here and nothing comes but this: one frame may always pass, however large."""
        return self._reserved_bytes == 0 and not self._in_flight and not self._spool.frames

    def end(self) -> None:
        """Nothing more comes. `run` returns when all is sent or, after a stop, what can be sent in some seconds."""
        self._notes.put(_End())

    def run(self, stop: threading.Event) -> None:
        """Until the end. Raises nothing that a broker, a disk or a frame could cause."""
        self._contact.look(after_failure=False)
        settle_until_s: float | None = None
        while True:
            try:
                self._handle(self._next_notes())
                self._watch_link()
                self._send_waiting()
                self._tell()
            except Exception:
                log.exception("shipping_failed")
                time.sleep(TICK_S)
            if not self._ended:
                continue
            if not self._in_flight and not self._spool.frames:
                break
            if stop.is_set():
                settle_until_s = settle_until_s or time.monotonic() + SETTLE_S
                if self._link is None or self._stalled or time.monotonic() > settle_until_s:
                    break
        self._leave()

    def _next_notes(self) -> list[_Note]:
        """All that has come; waits a little where nothing has."""
        if not self._set_aside:
            with suppress(queue.Empty):
                self._set_aside.append(self._notes.get(timeout=TICK_S))
        return self._all_notes()

    def _all_notes(self) -> list[_Note]:
        """What has come by now."""
        notes, self._set_aside = self._set_aside, []
        with suppress(queue.Empty):
            while len(notes) < 4 * IN_FLIGHT_FRAMES:
                notes.append(self._notes.get_nowait())
        return notes

    def _handle(self, notes: Sequence[_Note]) -> None:
        arrived: list[Kept] = []
        settled: list[_Settled] = []
        reserved = 0
        for note in notes:
            if isinstance(note, _Settled):
                settled.append(note)
            elif isinstance(note, _End):
                self._ended = True
            elif isinstance(note, _Found):
                self._adopt(note.link)
            else:
                self._seats.release()
                reserved += sum(item.reserved_bytes for item in note)
                arrived += [Kept(self._spool.next_number(), item.frame, item.live) for item in note]
        self._settle(settled)
        self._accept(arrived)
        self.release(reserved)
        self._account()

    def _accept(self, arrived: Sequence[Kept]) -> None:
        """Send new frames directly while nothing waits before them; the rest goes to the buffer."""
        for index, kept in enumerate(arrived):
            if self._spool.unread or not self._may_send(len(kept.frame.payload or b"")) or not self._send(kept):
                self._spool.append(arrived[index:])
                return

    def _may_send(self, size_bytes: int) -> bool:
        if self._link is None or self._stalled:
            return False
        room = len(self._in_flight) < IN_FLIGHT_FRAMES and self._in_flight_bytes + size_bytes <= IN_FLIGHT_BYTES
        return room or not self._in_flight

    def _send_waiting(self) -> None:
        """Send from the buffer, oldest first, as much as may be on its way."""
        while self._spool.unread and self._may_send(0):
            room_bytes = IN_FLIGHT_BYTES - self._in_flight_bytes
            found = self._spool.read(IN_FLIGHT_FRAMES - len(self._in_flight), room_bytes)
            if not found:
                return
            for kept in found:
                if not self._send(kept):
                    return  # the buffer has it, and starts again with it

    def _send(self, kept: Kept) -> bool:
        """Whether the frame is on its way or settled; False where the link is lost and it is nowhere but here."""
        link = self._link
        if link is None:
            return False
        if not self._in_flight:
            self._progress_s = time.monotonic()
        self._in_flight[kept.number] = kept
        self._in_flight_bytes += len(kept.frame.payload or b"")
        try:
            link.send(kept.frame, lambda error: self._notes.put(_Settled(link, kept.number, error)))
        except RefusedError as error:
            self._settle([_Settled(link, kept.number, error)])
        except LinkError as error:
            self._forget(kept.number)
            self._give_up(str(error))
            return False
        return True

    def _settle(self, settled: Sequence[_Settled]) -> None:
        """Note what became of frames that were on their way."""
        done, broken = [], None
        for note in settled:
            if note.error is not None and not isinstance(note.error, RefusedError):
                broken = str(note.error) if note.link is self._link else broken
                continue
            if note.link is self._link:
                self._progress_s = time.monotonic()
                if self._stalled:
                    self._stalled = False
                    self._back()
            kept = self._forget(note.number)
            if kept is None:
                continue  # of a link that was given up, and accounted for since
            done.append(note.number)
            if note.error is None:
                self._ledger.sent(kept.frame.camera)
            else:
                self._ledger.failed(kept.frame.camera, note.error.reason)
                log.warning("frame_refused", camera=kept.frame.camera, origin=kept.frame.origin, error=str(note.error))
        if done:
            self._spool.acknowledge(done)
        if broken is not None:
            self._give_up(broken)

    def _forget(self, number: int) -> Kept | None:
        kept = self._in_flight.pop(number, None)
        if kept is not None:
            self._in_flight_bytes -= len(kept.frame.payload or b"")
        return kept

    def _adopt(self, link: Link) -> None:
        if self._link is not None:  # cannot be: one is looked for only where there is none
            link.close(0)
            return
        self._link, self._linked_s = link, time.monotonic()
        self._back()

    def _back(self) -> None:
        self._notices.tell("broker", None)
        log.info("broker_reached", waiting_frames=self._spool.frames, waiting_bytes=self._spool.bytes)

    def _watch_link(self) -> None:
        """Notice a broker that is away. The link is kept, since what it was given arrives once if it comes back."""
        if self._link is None or self._stalled or not self._in_flight:
            return
        silent_s = time.monotonic() - self._progress_s
        if silent_s < DISCONNECTED_S or (silent_s < STALLED_S and self._link.connected):
            return
        self._stalled = True
        self._notices.tell("broker", "Kafka acknowledges nothing; new frames go to the buffer, retrying")
        self._spool.guard(list(self._in_flight.values()))

    def _give_up(self, why: str) -> None:
        """The link has failed: what it had not delivered is in the buffer again, and another is looked for."""
        link, self._link, self._stalled = self._link, None, False
        if link is None:
            return
        self._notices.tell("broker", f"{why}; new frames go to the buffer, retrying")
        threading.Thread(target=link.close, args=(0.0,), name="close-broker", daemon=True).start()
        self._settle_what_came()
        self._keep_in_flight()
        self._contact.look(after_failure=time.monotonic() - self._linked_s < SOUND_AFTER_S)

    def _settle_what_came(self) -> None:
        """What was acknowledged before the link broke is not to be sent again."""
        notes = self._all_notes()
        self._set_aside = [note for note in notes if not isinstance(note, _Settled)]
        self._settle([note for note in notes if isinstance(note, _Settled)])

    def _keep_in_flight(self) -> None:
        undelivered, self._in_flight, self._in_flight_bytes = self._in_flight, {}, 0
        self._spool.append([kept for _, kept in sorted(undelivered.items())])
        self._spool.rewind()

    def _account(self) -> None:
        for camera, count in self._spool.recovered().items():
            self._ledger.restored(camera, count)
        for (camera, reason), count in self._spool.losses().items():
            self._ledger.dropped(camera, reason, count)
        self._metrics.buffer_frames.set(self._spool.frames)
        self._metrics.buffer_bytes.set(self._spool.bytes)
        self._metrics.broker_up.set(0 if self._link is None or self._stalled else 1)
        self._notices.tell("buffer", self._spool.trouble)

    def _tell(self) -> None:
        if self._spool.frames and time.monotonic() - self._told_s >= TELL_EVERY_S:
            self._told_s = time.monotonic()
            away = self._link is None or self._stalled
            log.info(
                "buffer_waits", frames=self._spool.frames, bytes=self._spool.bytes, broker="away" if away else "up"
            )

    def _leave(self) -> None:
        """What is not acknowledged goes to the buffer; the next start sends it."""
        self._contact.stop()
        if self._link is not None:
            self._link.close(0.0 if self._stalled else 1.0)
        self._link = None
        self._settle_what_came()
        for note in self._set_aside:
            if isinstance(note, _Found):
                note.link.close(0)
        self._keep_in_flight()
        self._account()
        if self._spool.frames:
            log.warning("frames_left_in_the_buffer", frames=self._spool.frames, bytes=self._spool.bytes)
