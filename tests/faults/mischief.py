"""Faults at random, some of them at the same time, each mended after a while."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.lab import resume, stall
from tests.faults.plant import MAX_MESSAGE_BYTES, ON_NETWORK, ON_TOPIC, Plant
from tests.faults.procs import descendants
from tests.streams.rtsp_peer import RtspPeer

LASTS_S = (2.0, 12.0)
PAUSE_S = (0.5, 4.0)
SIZE, OTHER_SIZE = (160, 120), (320, 240)
BROKEN_SEQ = 10**9
"""Numbers of messages that are no frames, far from those of the feed."""


@dataclass(frozen=True)
class _Kind:
    """One thing that can go wrong. `undo` is None where it is over as soon as it happened."""

    victim: str
    what: str
    do: Callable[[], object]
    undo: Callable[[], object] | None = None


class Mischief:
    """Call `step` often. The same seed draws the same faults in the same order."""

    def __init__(self, plant: Plant, seed: int) -> None:
        self._plant = plant
        self._random = random.Random(seed)
        self._kinds = [*self._cameras(), *self._servers(), *self._inputs()]
        self._going: dict[str, tuple[float, _Kind]] = {}
        self._next_s = time.monotonic()
        self._stopped: list[int] = []
        self._messages = BROKEN_SEQ
        self.made: Counter[str] = Counter()
        """How many faults of each kind there were."""

    @property
    def going(self) -> list[str]:
        """What is wrong now."""
        return sorted(f"{kind.victim} {kind.what}" for _, kind in self._going.values())

    def once_each(self) -> None:
        """One of every kind, one after the other: what the service sets up at the first of them is no growth later."""
        for kind in self._kinds:
            self._make(kind)
            if kind.undo is not None:
                time.sleep(1.0)
                kind.undo()

    def step(self) -> None:
        """Mend what has lasted long enough, and perhaps make another fault. A victim has one at a time."""
        now_s = time.monotonic()
        for victim, (until_s, kind) in list(self._going.items()):
            if until_s <= now_s and kind.undo is not None:
                del self._going[victim]
                kind.undo()
        if now_s < self._next_s:
            return
        # Drawn in any case, so that the order does not depend on how long things take.
        kind, lasts_s = self._random.choice(self._kinds), self._random.uniform(*LASTS_S)
        self._next_s = now_s + self._random.uniform(*PAUSE_S)
        if kind.victim not in self._going:
            self._make(kind)
            if kind.undo is not None:
                self._going[kind.victim] = (now_s + lasts_s, kind)

    def end(self) -> None:
        """Mend everything."""
        for _, kind in self._going.values():
            if kind.undo is not None:
                kind.undo()
        self._going.clear()

    def _make(self, kind: _Kind) -> None:
        self.made[f"{kind.victim} {kind.what}"] += 1
        kind.do()

    def _cameras(self) -> list[_Kind]:
        kinds = []
        for name, peer in ((name, self._plant.peers[name]) for name in ON_NETWORK):
            modes = (("stalled", peer.stall), ("mute", peer.mute), ("garbled", peer.garble), ("frozen", peer.freeze))
            kinds += [_Kind(name, what, do, peer.play) for what, do in modes]
            kinds.append(_Kind(name, "sending no stream", peer.spam, peer.play))
            kinds.append(_Kind(name, "stopped", peer.stop, peer.start))
            kinds.append(_Kind(name, "resized", lambda peer=peer: _other_size(peer)))  # type: ignore[misc]
        # The process that captures a camera stands still, and cannot even be asked to end.
        kinds.append(_Kind("capture process", "halted", self._halt_capture, self._let_captures_go))
        return kinds

    def _servers(self) -> list[_Kind]:
        servers = self._plant.servers
        return [
            _Kind("broker", "stalled", lambda: stall(servers.broker), lambda: resume(servers.broker)),
            _Kind("broker", "refusing", servers.door.shut, servers.door.open),
            _Kind("Redis", "stalled", lambda: stall(servers.valkey), lambda: resume(servers.valkey)),
            _Kind("Redis", "stopped", servers.valkey.stop, servers.valkey.start),
        ]

    def _inputs(self) -> list[_Kind]:
        return [
            _Kind("message", "broken", lambda: self._message(b"\xff\xd8 this is no picture")),
            _Kind("message", "empty", lambda: self._message(b"")),
            _Kind("message", "oversized", lambda: self._message(bytes(MAX_MESSAGE_BYTES + 1))),
            _Kind("file", "half-written for a while", lambda: self._plant.shelf.leave_half_written(2.0)),
        ]

    def _message(self, value: bytes) -> None:
        self._messages += 1
        self._plant.feed.send(ON_TOPIC[self._messages % len(ON_TOPIC)], value, self._messages)

    def _halt_capture(self) -> None:
        children = descendants(self._plant.service.pid)
        if children:
            pid = random.choice(children)  # not of the seed: how many there are is chance already
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                self._stopped.append(pid)

    def _let_captures_go(self) -> None:
        """A child that the service has killed meanwhile needs it no more."""
        below = descendants(self._plant.service.pid)
        for pid in self._stopped:
            if pid in below:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        self._stopped.clear()


def _other_size(peer: RtspPeer) -> None:
    peer.resize(*(SIZE if peer.size == OTHER_SIZE else OTHER_SIZE))
