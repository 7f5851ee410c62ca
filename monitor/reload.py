"""A changed configuration, taken over while the service runs; a wrong one is refused and the last good one stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog
from pydantic import BaseModel

from models.checkpoint import CheckpointError
from monitor.config_check import check_files
from monitor.settings import Settings
from monitor.settings_file import ConfigError, line_of, load_settings

log = structlog.get_logger(__name__)

NEEDS_RESTART = (
    "model.device",
    "model.threads",
    "redis",
    "batching",
    "health",
    "subscriptions",
    "publish",
    "grafana",
    "http",
    "evidence",
    "recording",
    "limits",
)
"""What is wired once, at the start."""


class Live(Protocol):
    """What a configuration is applied to.

    `prepare` makes everything ready that can fail (a model is loaded, sources are checked) and changes nothing;
    raises CheckpointError, ValueError or OSError. `apply` then takes it over, and does not fail.
    """

    def prepare(self, settings: Settings) -> Callable[[], None]: ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """The configuration that serves. `refused`: what was wrong with the last one, where that was not taken."""

    at_s: float
    refused: str | None = None


class Reloader:
    """Reads the file again and takes it over. Thread-safe; one reload at a time."""

    def __init__(self, path: Path | None, settings: Settings, live: Live, told: Callable[[Loaded, str], None]) -> None:
        """`path`: None where the configuration did not come from a file. `told` is called at the start and after each
        reload, with `taken` or `refused`."""
        self._path = path
        self._settings = settings
        self._live = live
        self._told = told
        self._lock = threading.Lock()
        self.loaded = Loaded(time.time())
        told(self.loaded, "start")

    def reload(self) -> list[str]:
        """The keys that changed. Raises ConfigError with file, line and key; everything is as before then."""
        with self._lock:
            try:
                changed = self._take()
            except ConfigError as error:
                self.loaded = Loaded(self.loaded.at_s, str(error))
                log.error("configuration_refused", error=str(error), remedy="mend the file and reload again")
                self._told(self.loaded, "refused")
                raise
            self.loaded = Loaded(time.time())
            log.info("configuration_taken", changed=changed)
            self._told(self.loaded, "taken")
            return changed

    def _take(self) -> list[str]:
        if self._path is None:
            raise ConfigError("this configuration did not come from a file: there is nothing to read again")
        settings = load_settings(self._path)
        check_files(settings, self._path)
        changed = changed_keys(self._settings, settings)
        fixed = [key for key in changed if key.startswith(NEEDS_RESTART)]
        if fixed:
            raise ConfigError(
                "\n".join(
                    f"{line_of(self._path, *key.split('.'))}: cannot change while linewatch runs; "
                    "restart it, or undo this change"
                    for key in fixed
                )
            )
        try:
            apply = self._live.prepare(settings)
        except CheckpointError as error:
            raise ConfigError(f"{line_of(self._path, 'model', 'checkpoint')}: {error}") from None
        except (ValueError, OSError) as error:
            raise ConfigError(f"{self._path}: {error}") from None
        apply()
        self._settings = settings
        return changed


def changed_keys(before: BaseModel, after: BaseModel, path: str = "") -> list[str]:
    """The keys that differ, like `alerts.fire_after.frames`; a list that differs is named as a whole."""
    found: list[str] = []
    for name in type(after).model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        if _same_section(old, new):
            found += changed_keys(old, new, f"{path}{name}.")
        else:
            found.append(f"{path}{name}")
    return found


def _same_section(old: Any, new: Any) -> bool:
    return isinstance(old, BaseModel) and type(old) is type(new)
