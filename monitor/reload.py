"""A changed configuration, taken over while the service runs; a wrong one is refused and the last good one stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog
from pydantic import BaseModel

from models.checkpoint import CheckpointError
from monitor.config_check import check_files, check_hours
from monitor.delivering import ChannelError
from monitor.scoring.region import RegionError
from monitor.settings import Settings
from monitor.settings_file import ConfigError, line_of, load_settings
from streams.redact import redact_text

log = structlog.get_logger(__name__)

NEEDS_RESTART = (
    "model.device",
    "model.precision",
    "model.threads",
    "redis",
    "batching",
    "health",
    "delivery",
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
    raises CheckpointError, RegionError, or whatever else went wrong. What it answers then takes it over, and does not
    fail. `model_changed`: the checkpoint has another name, or other content.
    """

    def prepare(self, settings: Settings, model_changed: bool) -> Callable[[], None]: ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """The configuration that serves. `refused`: what was wrong with the last one, where that was not taken."""

    at_s: float
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class _Ready:
    settings: Settings
    changed: list[str]
    model: tuple[int, int] | None
    apply: Callable[[], None]


class Reloader:
    """Reads the file again and takes it over. Thread-safe; one reload at a time."""

    def __init__(self, path: Path | None, settings: Settings, live: Live, told: Callable[[Loaded, str], None]) -> None:
        """`path`: None where the configuration did not come from a file. `told` is called at the start and after each
        reload, with `taken` or `refused`."""
        self._path = path
        self._settings = settings
        self._live = live
        self._told = told
        self._model = _stamp(settings.model.checkpoint)
        self._lock = threading.Lock()
        self.loaded = Loaded(time.time())
        told(self.loaded, "start")

    def reload(self) -> list[str]:
        """The keys that changed. Raises ConfigError with file, line and key; everything is as before then."""
        with self._lock:
            try:
                ready = self._ready()
            except ConfigError as error:
                self._refuse(error, error)
                raise
            except Exception as error:
                refused = ConfigError(f"{self._path}: {type(error).__name__}: {redact_text(str(error), '')}")
                self._refuse(refused, error)
                raise refused from None
            ready.apply()
            self._settings, self._model, changed = ready.settings, ready.model, ready.changed
            self.loaded = Loaded(time.time())
            log.info("configuration_taken", changed=changed)
            self._told(self.loaded, "taken")
            return changed

    def _ready(self) -> _Ready:
        """Everything that can fail. What cannot change is looked at first, before anything is made for it."""
        if self._path is None:
            raise ConfigError("this configuration did not come from a file: there is nothing to read again")
        settings = load_settings(self._path)
        changed = changed_keys(self._settings, settings)
        refuse_fixed(changed, self._path)
        check_files(settings, self._path, self._settings.sources)
        check_hours(settings, self._path)
        model = _stamp(settings.model.checkpoint)
        if model != self._model and "model.checkpoint" not in changed:
            changed.append("model.checkpoint")
        try:
            return _Ready(settings, changed, model, self._live.prepare(settings, "model.checkpoint" in changed))
        except CheckpointError as error:
            raise ConfigError(f"{line_of(self._path, 'model', 'checkpoint')}: {error}") from None
        except RegionError as error:
            raise ConfigError(f"{line_of(self._path, 'cameras')}: {error}") from None
        except ChannelError as error:
            raise ConfigError(f"{line_of(self._path, *error.key)}: {error}") from None

    def _refuse(self, refused: ConfigError, cause: Exception) -> None:
        self.loaded = Loaded(self.loaded.at_s, str(refused))
        log.error(
            "configuration_refused",
            error=str(refused),
            type=type(cause).__name__,
            remedy="mend the file and reload again",
        )
        self._told(self.loaded, "refused")


def refuse_fixed(changed: Sequence[str], path: Path, wired: tuple[str, ...] = NEEDS_RESTART) -> None:
    """Raises ConfigError where something is changed that is wired once."""
    if fixed := [key for key in changed if key.startswith(wired)]:
        raise ConfigError(
            "\n".join(
                f"{line_of(path, *key.split('.'))}: cannot change while linewatch runs; restart it, or undo this change"
                for key in fixed
            )
        )


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


def _stamp(file: Path) -> tuple[int, int] | None:
    """What tells that a file was written anew; None where it is not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
