"""What thresholds are found from, as the calibrator asks for it."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from monitor.judging.baseline.port import BaselineKey
from monitor.judging.baseline.series import Series


class AnyLife(Protocol):
    """What is asked of baseline.life.Life."""

    @property
    def epoch(self) -> int: ...
    @property
    def newest_ms(self) -> int | None: ...


class Store(Protocol):
    """What is asked of baseline.store.BaselineStore. Each may raise redis.RedisError."""

    def list(self) -> builtins.list[BaselineKey]: ...
    def life(self, key: BaselineKey) -> AnyLife: ...
    def series(self, key: BaselineKey, since_ms: int = 0) -> Series: ...
    def tail(self, key: BaselineKey) -> dict[str, Any] | None: ...
    def save_tail(self, key: BaselineKey, document: dict[str, Any], epoch: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class Alarmed:
    """stretches: the alarms, from and to, ms since the epoch. since_ms: from then on these are all that there were;
    of what was before, some may be forgotten."""

    stretches: Sequence[tuple[int, int]]
    since_ms: int = 0


Alarms = Callable[[str, int, int], Alarmed]
"""(camera, from_ms, to_ms) -> the alarms that reach into it, those left out that somebody has called false."""
