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
STOPS_WITHIN_S = 30.0


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
        self, sources: Sequence[Source], outlet: Callable[[Custody], tuple[Outlet, Callable[[], None]]]
    ) -> None:
        """`outlet` makes what a source reports to, and what is called when it has come to its end."""
        self._make_outlet = outlet
        self._lock = threading.Lock()
        self._change = threading.Lock()  # one change at a time
        self._stopped = threading.Event()
        self._changing = False
        self._readers = [self._reader(source) for source in sources]

    def start(self) -> None:
        for reader in self._readers:
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
                changing = self._changing
            if not running and not changing:
                return
            if running:
                running[0].join(0.5)
            else:
                time.sleep(0.05)

    def close(self) -> None:
        """Close every source; after `join`, when every frame is finished."""
        with self._change:
            for reader in self._readers:
                reader.custody.source.close()
            self._readers = []

    def replace(self, gone: Collection[Source], come: Sequence[Source]) -> None:
        """Take these sources out and read those that come. Returns when the old ones have stopped
        reading and the new ones have begun; what the old ones still have under way is finished in the background."""
        with self._change:
            with self._lock:
                leaving = [r for r in self._readers if r.custody.source in gone]
                self._changing = True
            try:
                for reader in leaving:
                    reader.stop.set()
                for reader in leaving:
                    reader.thread.join(STOPS_WITHIN_S)
                arriving = [self._reader(source) for source in come]
                with self._lock:
                    self._readers = [r for r in self._readers if r not in leaving] + arriving
                if self._stopped.is_set():
                    return
                for reader in arriving:
                    reader.thread.start()
            finally:
                self._changing = False
        stay = {camera for reader in self._readers for camera in reader.custody.cameras}
        for reader in leaving:
            threading.Thread(
                target=self._let_go, args=(reader, stay), name=f"let-go-{reader.custody.source.name}", daemon=True
            ).start()

    def _let_go(self, reader: _Reader, stay: Collection[str]) -> None:
        custody, end_s = reader.custody, time.monotonic() + LET_GO_S
        while (reader.thread.is_alive() or custody.under_way > 0) and time.monotonic() < end_s:
            time.sleep(0.05)
        if custody.under_way > 0:
            log.warning("source_let_go_early", source=custody.source.name, frames=custody.under_way)
        try:
            custody.source.close()
        except Exception:
            log.exception("source_close_failed", source=custody.source.name)
        reader.outlet.trouble(custody.source.name, None)
        for camera in custody.cameras - set(stay):
            reader.outlet.camera_gone(camera)
        log.info("source_taken_out", source=custody.source.name)

    def _reader(self, source: Source) -> _Reader:
        custody, stop = Custody(source), threading.Event()
        if self._stopped.is_set():
            stop.set()
        outlet, ended = self._make_outlet(custody)
        return _Reader(custody, outlet, SourceThread(source, outlet, stop, ended), stop)
