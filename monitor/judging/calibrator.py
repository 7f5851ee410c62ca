"""Keeps the thresholds up to date: a thread beside the judge, which reads what is new in the windows."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import TypeVar

import redis
import structlog

from monitor.judging.baseline.port import BaselineKey
from monitor.judging.following import FIT_EVERY_S, SETTLE_MS, Following, Found, How
from monitor.judging.thresholds.sources import Alarms, Store
from monitor.judging.thresholds.statistic import AlarmRule
from monitor.judging.thresholds.wished import Method

__all__ = ["FIT_EVERY_S", "SETTLE_MS", "Calibrator", "Found"]

T = TypeVar("T")

log = structlog.get_logger(__name__)

EVERY_S = 2.0
"""Often enough that nothing leaves a window unseen: 100 frames at 25 a second are 4 s."""

LIST_EVERY_S = 60.0
"""What other workers have found is looked up so often, for the cameras that may come over."""

LIST_FOR_S = 5.0
"""So long a round at most, before the baselines that are fed have their turn again."""

KNOWN_FOR_S = 86_400.0
"""A baseline that is not listed any more is forgotten so long after its last frame."""


class Calibrator:
    """`found` may be read from any thread at any time; it is replaced as a whole.

    A baseline whose epoch has risen (reset, or learnt anew) begins with an empty tail. While Redis is away everything
    stays as it was found last, and so it does for a baseline that cannot be read.
    """

    def __init__(
        self,
        store: Store,
        keys: Callable[[], Collection[BaselineKey]],
        wished: Callable[[str], float],
        alarms: Alarms,
        rule: AlarmRule,
        method: Method = "spot",
        *,
        every_s: float = EVERY_S,
    ) -> None:
        """keys: the baselines that are fed here at present. wished: false alarms a day, by camera. `alarms` may raise
        redis.RedisError."""
        self._store = store
        self._keys = keys
        self._wished = wished
        self._following = Following(store, wished, alarms)
        self._how: How = (rule, method)
        self._every_s = every_s
        self._found: Mapping[BaselineKey, Found] = MappingProxyType({})
        self._faults: dict[BaselineKey, str] = {}
        self._due: dict[BaselineKey, None] = {}
        self._listed_s = -math.inf
        self._listed_how: How | None = None
        self._away = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def found(self) -> Mapping[BaselineKey, Found]:
        """What is known of each baseline that is fed, also where that is not yet enough for a threshold, and of those
        that were fed or have a tail in the store."""
        return self._found

    def use(self, rule: AlarmRule, method: Method) -> None:
        """From the next round on; a tail of another rule begins anew. From any thread."""
        self._how = (rule, method)

    def start(self) -> None:
        """Look round now, so that what was kept is there from the first frame on, and then again and again."""
        self._guarded_round()
        self._thread = threading.Thread(target=self._run, name="calibrator", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Once the round under way has ended, keep what was not kept yet."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)
            if self._thread.is_alive():
                return
        try:
            for key, known in list(self._following.known.items()):
                if known.unsaved_s is not None:
                    self._tried(self._following.save, key, known)
        except redis.RedisError as error:
            log.warning("thresholds_not_kept", error=type(error).__name__)

    def look_round(self) -> None:
        """One pass over the baselines that are fed, and over some of the others. Raises nothing for Redis."""
        how = self._how
        fed = dict.fromkeys(self._keys())
        try:
            for key in fed:
                if self._stop.is_set():
                    break
                self._tried(self._following.look_at, key, how)
            self._publish()
            for key in [key for key, known in self._following.known.items() if known.fed and key not in fed]:
                self._tried(self._following.leave, key, how)
            self._look_up_others(fed, how)
        except redis.RedisError as error:
            if not self._away:
                log.warning("thresholds_wait_for_redis", error=type(error).__name__)
            self._away = True
        else:
            if self._away:
                log.info("thresholds_go_on")
            self._away = False
        self._publish()

    def _publish(self) -> None:
        self._found = MappingProxyType({key: known.found for key, known in self._following.known.items()})

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self._guarded_round()

    def _guarded_round(self) -> None:
        try:
            self.look_round()
        except Exception:
            log.exception("calibrator_failed")

    def _tried(self, do: Callable[[BaselineKey, T], None], key: BaselineKey, what: T) -> None:
        """What is wrong with one baseline must not keep the others from theirs. Raises where Redis is away."""
        try:
            do(key, what)
        except (redis.ConnectionError, redis.TimeoutError):
            raise
        except Exception as error:
            fault = type(error).__name__
            if self._faults.get(key) != fault:
                log.warning(
                    "threshold_stays_as_it_is",
                    camera=key.camera,
                    model=key.model,
                    product=key.product,
                    error=f"{fault}: {error}",
                    remedy="reset this baseline if it goes on",
                )
            self._faults[key] = fault

    def _look_up_others(self, fed: Collection[BaselineKey], how: How) -> None:
        """What the store holds of baselines that are not fed here, so that it is known before their first frame."""
        now_s = time.monotonic()
        if now_s - self._listed_s >= LIST_EVERY_S or how != self._listed_how:
            self._due = dict.fromkeys(self._store.list())
            self._listed_s, self._listed_how = now_s, how
            for key in self._following.known.keys() - self._due.keys() - set(fed):
                if now_s - self._following.known[key].fed_s > KNOWN_FOR_S:
                    del self._following.known[key]
                    self._faults.pop(key, None)
        for key, known in self._following.known.items():
            if not known.fed and known.found.threshold.wished_per_day != self._wished(key.camera):
                self._due[key] = None
        while self._due and not self._stop.is_set() and time.monotonic() - now_s < LIST_FOR_S:
            key = next(iter(self._due))
            waiting = self._following.known.get(key)
            if key not in fed and not (waiting and waiting.fed):
                self._tried(self._following.look_up, key, how)
            del self._due[key]
