"""The ports between the streams and whoever consumes them."""

from __future__ import annotations

import threading
from enum import Enum
from typing import Protocol

from streams.frame import Frame


class Keep(Enum):
    """What to do with a frame for which there is no room."""

    ALL = "all"
    """Refuse it; the source holds it back and offers it again. Kafka and files: nothing is lost."""
    NEWEST = "newest"
    """Take it, and let the oldest waiting frame of that camera go, counted. Live cameras."""


class Outlet(Protocol):
    """What a source sees of the monitor. Every method is thread-safe, quick, and never raises.

    Sources report; only the other side counts and measures.
    """

    def offer(self, frame: Frame, keep: Keep) -> bool:
        """Hand a frame over. True: it is taken and counted as captured.

        False (only with `Keep.ALL`): there is no room and nothing was counted; offer the same frame again later.
        """
        ...

    def refuse(self, camera: str, reason: str) -> None:
        """A message that never became a frame: counted as captured and failed with this reason."""
        ...

    def skip(self, camera: str, reason: str) -> None:
        """A frame that the source let go on purpose: counted as captured and dropped with this reason."""
        ...

    def camera_up(self, camera: str, up: bool) -> None:
        """The camera delivers pictures (True) or does not (False)."""
        ...

    def camera_gone(self, camera: str) -> None:
        """The camera is no longer this source's: another worker reads it now."""
        ...

    def lag(self, topic: str, partition: int, messages: int) -> None:
        """How many messages of a partition wait behind the last one read."""
        ...

    def trouble(self, source: str, message: str | None) -> None:
        """Why this source cannot deliver at present, in words for an operator; None when it can again."""
        ...


class Source(Protocol):
    """A place where frames come from.

    One contract suite (tests/streams/test_source_contract.py) runs on every implementation.

    Ordering: frames of one camera are offered in rising `seq`.
    Blocking: `run` blocks until the source ends or `stop` is set; it is called once, in a thread of its own.
    Ends: files that do not loop end by themselves; cameras and topics never do. After `stop`, `run` returns within
    two read time-outs and offers nothing more.
    Errors: what can heal (a dead camera, a broker away) is retried with back-off for ever and told through
    `Outlet.trouble`; what cannot raises from `run`.
    """

    @property
    def name(self) -> str:
        """For logs and messages, without credentials: `kafka:topic`, `rtsp:line-1`, `files:bench`."""
        ...

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras known beforehand; empty where messages name them."""
        ...

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Deliver frames until the end."""
        ...

    def finish(self, frame: Frame) -> None:
        """This frame needs nothing more. Thread-safe and idempotent; at Kafka it moves the offset to commit."""
        ...

    def reject(self, frame: Frame, error: str) -> None:
        """This frame cannot be used. Thread-safe; Kafka puts it on the dead-letter topic and then finishes it."""
        ...

    def close(self) -> None:
        """Commit what is finished and let go of connections. Called once, after `run` has returned."""
        ...
