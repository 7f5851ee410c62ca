"""Looks for the broker, for ever and beside the work: connecting takes seconds, and cameras do not wait."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from monitor.ingest.link import Link, LinkError
from streams.backoff import Backoff

log = structlog.get_logger(__name__)


class Contact:
    """Makes links, one at a time, each in a thread of its own; hands them to `found`."""

    def __init__(
        self, connect: Callable[[], Link], found: Callable[[Link], None], trouble: Callable[[str], None]
    ) -> None:
        """`connect` blocks, and raises LinkError. `found` and `trouble` are called from another thread."""
        self._connect = connect
        self._found = found
        self._trouble = trouble
        self._backoff = Backoff(first_s=0.5, limit_s=10.0)
        self._stop = threading.Event()

    def look(self, *, after_failure: bool) -> None:
        """Begin to look for the broker; returns at once. `after_failure`: the last link failed soon, so wait first."""
        if not after_failure:
            self._backoff.reset()
        wait_s = self._backoff.next_s() if after_failure else 0.0
        threading.Thread(target=self._run, args=(wait_s,), name="find-broker", daemon=True).start()

    def stop(self) -> None:
        """Look no longer; a link that is found later is closed."""
        self._stop.set()

    def _run(self, wait_s: float) -> None:
        while not self._stop.wait(wait_s):
            try:
                link = self._connect()
            except LinkError as error:
                self._trouble(str(error))
                wait_s = self._backoff.next_s()
                continue
            except Exception as error:  # a fault of ours must not end the search for good
                log.exception("connecting_failed")
                self._trouble(f"connecting failed ({type(error).__name__}); retrying")
                wait_s = self._backoff.next_s()
                continue
            if self._stop.is_set():
                link.close(0)
            else:
                self._found(link)
            return
