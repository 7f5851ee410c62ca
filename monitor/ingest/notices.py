"""What an operator has to know, told once when it begins and once when it is over."""

from __future__ import annotations

import threading

import structlog

log = structlog.get_logger(__name__)


class Notices:
    """Troubles by their place, in the log. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}

    def tell(self, place: str, trouble: str | None) -> None:
        """Why this place does not work at present; None when it does again."""
        with self._lock:
            if self._known.get(place) == trouble:
                return
            if trouble is None:
                del self._known[place]
            else:
                self._known[place] = trouble
        if trouble is None:
            log.info("works_again", place=place)
        else:
            log.warning("trouble", place=place, what=trouble)
