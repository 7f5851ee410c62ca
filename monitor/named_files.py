"""Whether the files that a configuration names are there, asked before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monitor.inputs import CameraInput
from monitor.settings_file import line_of
from streams.folder import find_files


def missing_files(sources: Sequence[CameraInput], config: Path) -> list[str]:
    """A line with file, line, key and reason for each source without pictures and films.

    Watched and looped folders are left out: they may be filled later.
    """
    faults = []
    for index, entry in enumerate(sources):
        if entry.files is None or entry.files.loop or entry.files.watch:
            continue
        try:
            found, why = find_files(entry.files.path), ""
        except OSError as error:
            found, why = [], f": {error.strerror or type(error).__name__}"
        if not found:
            key = line_of(config, "sources", index, "files", "path")
            faults.append(f"{key}: no picture or film at {entry.files.path}{why}")
    return faults
