"""Which files of a watched folder are new and complete: the rules alone, apart from the file system and the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import structlog

log = structlog.get_logger(__name__)

SETTLE_S = 0.5
"""A file that has not changed for so long, and whose end is there, has been written."""
PATIENCE_S = 30.0
"""A file that has not changed for so long is given out as it is: whether it can be used is for the decoder to say."""
CHECK_EVERY_S = 2.0
"""How often the end of a file is looked for that does not change and has none."""
REMEMBER_S = 600.0
"""A name that is gone for so long is forgotten. Until then the same file may come back, as after a network's failure,
and is not given out again."""
SHARE = 0.05
"""Part of a core that listing a folder may take, and part of the time that looking again at known files may take."""
LEAST_LOOKS = 100
"""So many known files are looked at again each time, however long it takes."""


class FolderAway(OSError):
    """The folder cannot be read at present; the message says which one and why."""


class Version(NamedTuple):
    """What tells one content of a file from the next."""

    mtime_ns: int
    size: int


class Files(Protocol):
    """What a watch sees of a file system."""

    def names(self) -> dict[str, int]:
        """Every picture and film there by its name, with its inode number. Raises FolderAway."""
        ...

    def version(self, name: str) -> Version | None:
        """The version there is now; None where it is gone or cannot be seen."""
        ...

    def whole(self, name: str) -> bool:
        """Whether the file's end is there, as far as its format tells; False where it cannot be read."""
        ...


class Found(NamedTuple):
    """A file to be read now; or, with `gone`, one that was complete and went before its turn came."""

    name: str
    version: Version
    gone: bool = False


@dataclass(slots=True)
class _Known:
    """inode: as last seen. taken: the version that was given out last; None where none was."""

    inode: int
    taken: Version | None
    gone_since_s: float | None = None


@dataclass(slots=True)
class _Waiting:
    """A version that was not given out yet. first_s: when its name began to wait. since_s, seen_s: when this version
    was first and last seen. check_s: when its end is looked for again; above 0 only where it had none."""

    version: Version
    first_s: float
    since_s: float
    seen_s: float
    check_s: float = 0.0
    told: bool = False


class Watch:
    """Gives out every complete version of every file once. Not thread-safe.

    New names and new inodes show in each listing, which costs little; that a known file was written over in place only
    shows in its own status, so all are looked at again in turn. Both are bounded to a share of the time, so that a
    folder of a hundred thousand files is seen later and does not keep a core busy.
    """

    def __init__(
        self,
        files: Files,
        *,
        existing: bool,
        started_ns: int,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
        stop: threading.Event | None = None,
    ) -> None:
        """existing: whether what is there at the first look is given out, too; what was written after `started_ns`
        (since the epoch) is new in any case. A look that takes long ends early when `stop` is set."""
        self._files = files
        self._clock, self._cpu = clock, cpu
        self._stop = stop or threading.Event()
        self._baseline_ns = None if existing else started_ns
        self._known: dict[str, _Known] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._round: Iterator[str] = iter(())
        self._next_listing_s = 0.0
        self._looked_s: float | None = None

    @property
    def remembered(self) -> int:
        """How many names are kept in memory."""
        return len(self._known.keys() | self._waiting.keys())

    def due(self) -> Iterator[Found]:
        """Look once, and give out what is complete by now, by time stamp and then by name.

        Each version is checked when its turn comes, which may be long after the look: one that was changed meanwhile
        waits anew. Raises FolderAway, at any turn; what is known stays known, and what waits goes on waiting.
        """
        now_s = self._clock()
        if now_s >= self._next_listing_s:
            began_cpu_s = self._cpu()
            self._take_in(self._files.names(), now_s)
            pause_s = max((self._cpu() - began_cpu_s) / SHARE, self._clock() - now_s)
            self._next_listing_s = self._clock() + pause_s
        for name in list(self._waiting):
            self._look_at(name)
            if self._stop.is_set():
                return
        self._look_again(now_s)
        self._looked_s = now_s
        settled = [name for name, waiting in self._waiting.items() if waiting.seen_s - waiting.since_s >= SETTLE_S]
        settled.sort(key=lambda name: (self._waiting[name].version.mtime_ns, name))
        for name in settled:
            waiting = self._waiting.get(name)
            if waiting is None:  # found to be gone with one before it
                continue
            version = self._files.version(name)
            if version is None:
                yield from self._gone(settled)
            elif version != waiting.version:
                self._look_at(name)
            elif self._complete(name, waiting):
                del self._waiting[name]
                self._known[name].taken = version
                yield Found(name, version)

    def put_back(self, name: str) -> None:
        """It was being written while it was read: it is new again."""
        if name in self._known:
            self._known[name].taken = None
            self._look_at(name)

    def _take_in(self, names: dict[str, int], now_s: float) -> None:
        for name, inode in names.items():
            known = self._known.get(name)
            if known is None:
                version = self._files.version(name)
                if version is None:
                    continue  # gone again, or not to be seen yet
                old = self._baseline_ns is not None and version.mtime_ns < self._baseline_ns
                self._known[name] = _Known(inode, version if old else None)
                if not old:
                    self._look_at(name)
            elif known.inode != inode or known.gone_since_s is not None:
                known.inode, known.gone_since_s = inode, None
                self._look_at(name)
            if self._stop.is_set():
                return
        self._baseline_ns = None
        for name in self._known.keys() - names.keys():
            known = self._known[name]
            self._waiting.pop(name, None)
            if known.gone_since_s is None:
                known.gone_since_s = now_s
            elif now_s - known.gone_since_s > REMEMBER_S:
                del self._known[name]

    def _look_again(self, now_s: float) -> None:
        """At known files in turn, as many as the time allows; once each at most."""
        elapsed_s = now_s - (now_s if self._looked_s is None else self._looked_s)
        end_s = self._clock() + elapsed_s * SHARE
        for looks in range(len(self._known)):
            if looks >= LEAST_LOOKS and self._clock() >= end_s:
                return
            name = next(self._round, None)
            if name is None:
                self._round = iter(list(self._known))
                return
            if name in self._known and name not in self._waiting:
                self._look_at(name)

    def _look_at(self, name: str) -> None:
        """At one known file. A version is taken to be there from the end of the look that first saw it to the beginning
        of the one that last did: with slow disks a look takes its time."""
        began_s, version, now_s = self._clock(), self._files.version(name), self._clock()
        if version is None:
            return  # the next listing will tell whether it is gone
        waiting = self._waiting.get(name)
        if version == self._known[name].taken:
            self._waiting.pop(name, None)
        elif waiting is None:
            self._waiting[name] = _Waiting(version, now_s, now_s, now_s)
        elif waiting.version == version:
            waiting.seen_s = began_s
        else:
            waiting.version, waiting.since_s, waiting.seen_s, waiting.check_s = version, now_s, now_s, 0.0
            if now_s - waiting.first_s > PATIENCE_S and not waiting.told:
                waiting.told = True
                log.warning(
                    "file_keeps_changing",
                    file=printable(name),
                    waited_s=round(now_s - waiting.first_s),
                    remedy="if one file is written over again and again, let each picture have a name of its own",
                )

    def _complete(self, name: str, waiting: _Waiting) -> bool:
        now_s = self._clock()
        if now_s - waiting.since_s >= PATIENCE_S:
            return True
        if now_s < waiting.check_s:
            return False
        if self._files.whole(name):
            return True
        waiting.check_s = now_s + CHECK_EVERY_S
        return False

    def _gone(self, settled: list[str]) -> list[Found]:
        """All that went before its turn. Those that were seen to be incomplete are let go without a word."""
        names = self._files.names()
        gone = [
            Found(name, waiting.version, gone=True)
            for name in settled
            if name not in names and (waiting := self._waiting.get(name)) is not None and not waiting.check_s
        ]
        self._take_in(names, self._clock())
        return gone


def printable(name: str) -> str:
    """A file name that is no UTF-8 holds what can be written to no log, topic or Redis: those bytes as \\xNN."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
