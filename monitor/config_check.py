"""What a configuration names and what is not there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from monitor.delivery.hours import NeverOpen, opens_ms
from monitor.inputs import Input
from monitor.named_files import missing_files
from monitor.settings import Settings
from monitor.settings_file import ConfigError, line_of
from monitor.shown import may_hold_password, without


def check_hours(settings: Settings, config: Path) -> None:
    """Subscriptions that could never tell anything. Raises ConfigError."""
    faults = []
    for number, one in enumerate(settings.subscriptions):
        try:
            opens_ms(one.when, time.time_ns() // 1_000_000)
        except NeverOpen as error:
            faults.append(f"{line_of(config, 'subscriptions', number, 'when')}: subscription {one.name}: {error}")
    if faults:
        raise ConfigError("\n".join(faults))


def check_files(settings: Settings, config: Path, known: Sequence[Input] = ()) -> None:
    """Files that a configuration names and that are not there, folders that cannot be made. Raises ConfigError.

    known: sources that are read already. Their files are not asked for: they may have been read to their end, and
    taken away since.
    """
    faults = []
    folders = [("evidence", settings.evidence.dir)]
    if settings.recording is not None:
        folders.append(("recording", settings.recording.dir))
    for section, folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            faults.append(f"{line_of(config, section, 'dir')}: the folder cannot be made: {error}")
    if not settings.model.checkpoint.is_file():
        faults.append(
            f"{line_of(config, 'model', 'checkpoint')}: no file {settings.model.checkpoint}; "
            "`linewatch train` makes one"
        )
    # An empty entry in the place of each that is known: the others keep their numbers.
    faults += missing_files([Input.model_construct() if e in known else e for e in settings.sources], config)
    if faults:
        named = [str(settings.model.checkpoint), *(str(folder) for _, folder in folders)]
        named += [entry.files.path for entry in settings.sources if entry.files is not None]
        raise ConfigError(without("\n".join(faults), filter(may_hold_password, named)))
