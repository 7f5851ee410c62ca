"""Whose turn it is: what must arrive in order waits in one lane, and a lane that waits holds up no other."""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from streams.backoff import Backoff


@dataclass(frozen=True, slots=True)
class Turn:
    """An entry that may be tried now. tries: how often it was tried before."""

    lane: str
    entry_id: str
    tries: int


@dataclass(slots=True)
class _Lane:
    """ready_s: not before. known: it stands in the list of what is ready, or somebody has its turn."""

    backoff: Backoff
    waiting: deque[str] = field(default_factory=deque)
    ready_s: float = 0.0
    known: bool = False
    tried: str = ""
    tries: int = 0


class Lanes:
    """Entries by lane, in the order in which they were added; of each lane one at a time. Thread-safe.

    Only ids are kept, so that a lane which waits for hours may grow long. Lanes take turns: the one that has been ready
    for longest is next.
    """

    def __init__(self, max_wait_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}
        self._ready: list[tuple[float, int, str]] = []
        self._number = count()
        self._out: set[str] = set()
        self._size = 0
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """How many entries are not done, those that are out among them."""
        return self._size

    @property
    def busy(self) -> int:
        """How many turns are out."""
        return len(self._out)

    def add(self, name: str, entry_id: str) -> None:
        """At the end of its lane."""
        with self._changed:
            lane = self._lanes.get(name)
            if lane is None:
                lane = self._lanes[name] = _Lane(Backoff(limit_s=self._max_wait_s))
            lane.waiting.append(entry_id)
            self._size += 1
            self._offer(name, lane)

    def take(self) -> Turn | None:
        """The next turn; waits for it. None once they are closed."""
        with self._changed:
            while not self._closed:
                if turn := self._next():
                    return turn
                self._changed.wait(max(0.0, self._ready[0][0] - self._clock()) if self._ready else None)
        return None

    def poll(self) -> Turn | None:
        """The next turn, if there is one now."""
        with self._changed:
            return None if self._closed else self._next()

    def done(self, turn: Turn) -> None:
        """The other side has answered, whatever it said: the lane's next is ready."""
        with self._changed:
            lane = self._back(turn)
            self._drop(lane, turn)
            lane.backoff.reset()
            self._offer(turn.lane, lane)

    def failed(self, turn: Turn, at_least_s: float = 0.0, *, last: bool = False) -> float:
        """The lane waits, by back-off and for `at_least_s`; then this entry is tried again, or the next one if it was
        the last try. Returns for how many seconds."""
        with self._changed:
            lane = self._back(turn)
            lane.tried, lane.tries = turn.entry_id, turn.tries + 1
            if last:
                self._drop(lane, turn)
            wait_s = max(at_least_s, lane.backoff.next_s())
            lane.ready_s = self._clock() + wait_s
            self._offer(turn.lane, lane)
            return wait_s

    def untried(self, turn: Turn, wait_s: float) -> None:
        """It could not be tried for reasons of our own."""
        with self._changed:
            lane = self._back(turn)
            lane.ready_s = self._clock() + wait_s
            self._offer(turn.lane, lane)

    def clear(self) -> None:
        """Forget all entries, to add them anew. What is out stays out, lanes that are to wait will, and how often an
        entry was tried is remembered."""
        with self._changed:
            for lane in self._lanes.values():
                lane.waiting.clear()
            self._size = 0

    def soonest_s(self) -> float | None:
        """When the next is ready, by the clock; None where none waits."""
        with self._changed:
            return min((ready_s for ready_s, _, name in self._ready if self._lanes[name].waiting), default=None)

    def close(self) -> None:
        """No more turns."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _next(self) -> Turn | None:
        while self._ready and self._ready[0][0] <= self._clock():
            _, _, name = heapq.heappop(self._ready)
            lane = self._lanes[name]
            if lane.waiting:
                self._out.add(name)
                head = lane.waiting[0]
                return Turn(name, head, lane.tries if lane.tried == head else 0)
            del self._lanes[name]
        return None

    def _back(self, turn: Turn) -> _Lane:
        self._out.discard(turn.lane)
        lane = self._lanes[turn.lane]
        lane.known = False
        return lane

    def _drop(self, lane: _Lane, turn: Turn) -> None:
        if lane.waiting and lane.waiting[0] == turn.entry_id:  # cleared meanwhile, it is no longer
            lane.waiting.popleft()
            self._size -= 1

    def _offer(self, name: str, lane: _Lane) -> None:
        if lane.known:
            return
        if not lane.waiting and lane.ready_s <= self._clock():
            del self._lanes[name]
            return
        lane.known = True
        heapq.heappush(self._ready, (max(lane.ready_s, self._clock()), next(self._number), name))
        self._changed.notify()
