"""The threads that read the sources, which may change while the service runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import structlog

from monitor.supervision import Custody, SourceThread
from streams.source import Outlet, Source

log = structlog.get_logger(__name__)

LET_GO_S = 60.0
"""So long the frames of a source that is taken out may take to be finished; a later close repeats them elsewhere."""


@dataclass(frozen=True, slots=True, eq=False)
class _Reader:
    custody: Custody
    outlet: Outlet
    thread: SourceThread
    stop: threading.Event


class Readers:
    """Starts, replaces and ends the sources. Thread-safe.

    A source that is taken out stops reading, its frames are finished by whoever has them, and only then is it closed:
    nothing of it is lost, and what it committed is true.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        outlet: Callable[[Custody], tuple[Outlet, Callable[[], None]]],
        retired: Callable[[str], None] = lambda camera: None,
    ) -> None:
        """`outlet` makes what a source reports to, and what is called when it has come to its end. `retired` is told of
        a camera that nobody reads any more."""
        self._make_outlet = outlet
        self._retired = retired
        self._lock = threading.Lock()
        self._change = threading.Lock()  # one change at a time
        self._stopped = threading.Event()
        self._started = False
        self._exchanging = 0
        self._exchanges: list[threading.Thread] = []
        self._readers = [self._reader(source) for source in sources]

    def start(self) -> None:
        with self._lock:
            self._started = True
            waiting = list(self._readers)
        for reader in waiting:
            reader.thread.start()

    def stop(self) -> None:
        """Stop reading. Safe from a signal handler: it takes no lock."""
        self._stopped.set()
        for reader in list(self._readers):
            reader.stop.set()

    def join(self) -> None:
        """Until every source has ended."""
        while True:
            with self._lock:
                running = [r.thread for r in self._readers if r.thread.is_alive()]
                changing = self._exchanging
            if not running and not changing:
                return
            if running:
                running[0].join(0.5)
            else:
                time.sleep(0.05)

    def close(self) -> None:
        """Close every source; after `join`, when every frame is finished."""
        with self._change:
            exchanges, self._exchanges = self._exchanges, []
            for reader in self._readers:
                reader.custody.source.close()
            self._readers = []
        for exchange in exchanges:
            exchange.join(LET_GO_S)

    def replace(self, gone: Collection[Source], come: Sequence[Source]) -> None:
        """Take these sources out and read those that come. Returns at once.

        One that comes in the place of one that goes begins when that is closed: two members of a Kafka group for a
        moment cost it two rebalances, and a camera may have room for one only.
        """
        with self._change:
            with self._lock:
                leaving = [r for r in self._readers if r.custody.source in gone]
                self._readers = [r for r in self._readers if r not in leaving]
                self._exchanging += 1
            for reader in leaving:
                reader.stop.set()
            places = {_place(r.custody.source) for r in leaving}
            self._begin([source for source in come if _place(source) not in places])
            late = [source for source in come if _place(source) in places]
            exchange = threading.Thread(
                target=self._exchange, args=(leaving, late, come), name="exchange-sources", daemon=True
            )
            self._exchanges = [t for t in self._exchanges if t.is_alive()] + [exchange]
            exchange.start()

    def _exchange(self, leaving: Sequence[_Reader], late: Sequence[Source], come: Sequence[Source]) -> None:
        try:
            for reader in leaving:
                self._let_go(reader)
            # Before the successors begin: a camera of a topic may come back with their first frame, or go on elsewhere.
            with self._lock:
                stay = {camera for reader in self._readers for camera in reader.custody.known()}
            stay |= {camera for source in come for camera in source.cameras}
            for reader in leaving:
                for camera in reader.custody.known() - stay:
                    reader.outlet.camera_gone(camera)
                    if camera in reader.custody.source.cameras:
                        self._retired(camera)
            self._begin(late)
        except Exception:
            log.exception("sources_not_replaced")
        finally:
            with self._lock:
                self._exchanging -= 1

    def _begin(self, sources: Sequence[Source]) -> None:
        with self._lock:
            if self._stopped.is_set():
                return
            arriving = [self._reader(source) for source in sources]
            self._readers += arriving
            started = self._started  # otherwise they begin with the others
        for reader in arriving if started else ():
            reader.thread.start()

    def _let_go(self, reader: _Reader) -> None:
        custody, end_s = reader.custody, time.monotonic() + LET_GO_S
        while (reader.thread.is_alive() or custody.under_way > 0) and time.monotonic() < end_s:
            time.sleep(0.02)
        if custody.under_way > 0:
            log.warning("source_let_go_early", source=custody.source.name, frames=custody.under_way)
        try:
            custody.source.close()
        except Exception:
            log.exception("source_close_failed", source=custody.source.name)
        reader.outlet.trouble(custody.source.name, None)
        log.info("source_taken_out", source=custody.source.name)

    def _reader(self, source: Source) -> _Reader:
        custody, stop = Custody(source), threading.Event()
        if self._stopped.is_set():
            stop.set()
        outlet, ended = self._make_outlet(custody)
        return _Reader(custody, outlet, SourceThread(source, outlet, stop, ended), stop)


def _place(source: Source) -> str:
    """What only one source can have at a time; a consumer group has many topics."""
    kind = source.name.partition(":")[0]
    return kind if kind == "kafka" else source.name
