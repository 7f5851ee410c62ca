"""Which rules hold for a camera: the entries of `cameras` that match it, laid over each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from typing import Any, Final

from monitor.line_settings import CameraRules

RulesOf = Callable[[str], CameraRules]
"""The rules of a camera. Cheap, from any thread."""

KEPT: Final = 4096  # cameras whose rules are remembered


def matches(camera: str, pattern: str) -> bool:
    """Whether a camera's id is meant by a pattern: * stands for any characters, ? for one, all others for themselves,
    also [ ; upper and lower case differ."""
    return fnmatchcase(camera, pattern.replace("[", "[[]"))


def rules_for(camera: str, entries: Sequence[CameraRules]) -> CameraRules:
    """What the entries say of a camera: for each key the first matching entry in which it stands, be it empty or null;
    the default where it stands in none. The result's `match` is the camera."""
    said: dict[str, Any] = {}
    for entry in entries:
        if matches(camera, entry.match):
            for key in entry.model_fields_set - said.keys():
                said[key] = getattr(entry, key)
    return CameraRules.model_construct(**{**said, "match": camera})


def remembered(entries: Sequence[CameraRules]) -> RulesOf:
    """rules_for with these entries, remembered for each camera."""
    return lru_cache(maxsize=KEPT)(partial(rules_for, entries=tuple(entries)))
