"""A configuration that is to be tried: its rules, and what its checkpoint says of normal frames."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from models.checkpoint import CheckpointError, load_checkpoint
from models.method_scorer import fingerprint
from monitor.judging.rulebook import Calibrated
from monitor.live import LiveRules
from monitor.reload import changed_keys
from monitor.scoring.region import baseline_model
from monitor.settings import Settings
from monitor.settings_file import PREFIX, ConfigError, line_of, load_settings

TRIED = ("model", "window", "alerts", "cameras", "products", "maintenance")
"""Sections that decide which scores become alerts."""


@dataclass(frozen=True)
class Candidate:
    """label: how it is called in a report. model_id, calibrated: of the checkpoint."""

    label: str
    rules: LiveRules
    model_id: str
    calibrated: Calibrated

    @property
    def settings(self) -> Settings:
        return self.rules.settings

    def baseline_model(self, camera: str) -> str:
        """What the keys of baselines call the model at this camera: its region belongs to it."""
        return baseline_model(self.model_id, self.rules.region_of(camera))


@dataclass(frozen=True, slots=True)
class Override:
    """`--set key=value`."""

    key: str
    value: str

    @property
    def variable(self) -> str:
        """The environment variable that would say the same."""
        return PREFIX + "__".join(part.upper() for part in self.key.split("."))


def load_candidate(
    path: Path,
    checkpoint: Path | None = None,
    overrides: Sequence[Override] = (),
    environ: Mapping[str, str] | None = None,
) -> Candidate:
    """The configuration at `path`, with the overrides laid over it. Raises ConfigError with every fault.

    checkpoint: instead of the configuration's, for a machine on which that lies elsewhere.
    """
    environ = dict(os.environ if environ is None else environ) | {one.variable: one.value for one in overrides}
    try:
        settings = load_settings(path, environ)
    except ConfigError as error:
        text = str(error)
        for one in overrides:
            text = text.replace(f"environment variable {one.variable}:", f"--set {one.key}:")
        raise ConfigError(text) from None
    try:
        known = _read_checkpoint(settings.model.checkpoint if checkpoint is None else checkpoint)
    except CheckpointError as error:
        where = line_of(path, "model", "checkpoint") if checkpoint is None else "--checkpoint"
        raise ConfigError(f"{where}: {error}") from None
    rules = LiveRules(settings, known.side)
    try:
        rules.regions.check()
    except ValueError as error:
        raise ConfigError(f"{line_of(path, 'cameras')}: {error}") from None
    label = ", ".join([str(path), *(f"{one.key}={one.value}" for one in overrides)])
    return Candidate(label, rules, known.model_id, known.calibrated)


def differences(now: Settings, then: Settings) -> list[tuple[str, str, str]]:
    """Each key that decides on alerts and differs, with both values."""
    keys = [key for key in changed_keys(now, then) if key.split(".")[0] in TRIED]
    return [(key, _value(now, key), _value(then, key)) for key in keys]


@dataclass(frozen=True, slots=True)
class _Known:
    model_id: str
    side: int
    calibrated: Calibrated


@lru_cache(maxsize=4)
def _read_checkpoint(file: Path) -> _Known:
    """Raises CheckpointError."""
    held = load_checkpoint(file)
    found = held.calibration
    if found is None:
        raise CheckpointError(
            f"{file}: the checkpoint has no calibration, so nobody knows which scores are normal: import it again with "
            "`linewatch import FILE --normal FOLDER`"
        )
    return _Known(
        fingerprint(held.method, held.preprocess),
        held.preprocess.size,
        Calibrated(found.low, found.high, found.threshold),
    )


def _value(settings: Settings, key: str) -> str:
    value: object = settings
    for part in key.split("."):
        value = getattr(value, part, None)
    return str(value)
