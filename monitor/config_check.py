"""What a configuration names and what is not there."""

from __future__ import annotations

from pathlib import Path

from monitor.named_files import missing_files
from monitor.settings import Settings
from monitor.settings_file import ConfigError, line_of


def check_files(settings: Settings, config: Path) -> None:
    """Files that a configuration names and that are not there, folders that cannot be made. Raises ConfigError."""
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
    faults += missing_files(settings.sources, config)
    if faults:
        raise ConfigError("\n".join(faults))
