"""The regions of all cameras, from the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import structlog

from monitor.line_rules import remembered
from monitor.line_settings import CameraRules
from monitor.scoring.region import CHECKED_SIDE, WHOLE, Region, check_region

log = structlog.get_logger(__name__)

KEPT: Final = 4096


class Regions:
    """The region of each camera. Thread-safe.

    A camera that nobody named before it came (from Kafka) may get a region and masks of two entries that leave nothing
    together: then its whole picture counts, which is said in the log. Silence would be worse than a needless alert.
    """

    def __init__(self, entries: Sequence[CameraRules], side: int = CHECKED_SIDE) -> None:
        """`side`: of the network's picture, on which enough must be left; before that is known, a finer one."""
        self._side = side
        self._entries = tuple(entries)
        self._rules = remembered(self._entries)
        self._of = lru_cache(maxsize=KEPT)(self._find)

    def __call__(self, camera: str) -> Region:
        return self._of(camera)

    def check(self, cameras: Iterable[str] = ()) -> None:
        """ValueError, naming the entry's pattern or the camera, where too little of a picture is left: in each entry
        alone, and in what the entries together say of these cameras."""
        for entry in self._entries:
            check_region(Region(entry.region, entry.masks), entry.match, self._side)
        for camera in cameras:
            check_region(self._said(camera), camera, self._side)

    def _find(self, camera: str) -> Region:
        region = self._said(camera)
        try:
            check_region(region, camera, self._side)
        except ValueError as error:
            log.error("region_refused", camera=camera, error=str(error), remedy="its whole picture counts meanwhile")
            return WHOLE
        return region

    def _said(self, camera: str) -> Region:
        rules = self._rules(camera)
        return Region(rules.region, rules.masks)
