"""A training's losses as a table that a spreadsheet or a plotting tool reads: `<stem>.log.csv`."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from models.writing import replacing


def log_path(out: Path) -> Path:
    return out.with_name(f"{out.stem}.log.csv")


def write_log(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """A row for each look at the held-out pictures: step, elapsed_s, the mean of each loss since the last look, and
    the held-out loss. Written whole each time, so that a resumed training has one table and no row twice.

    The table is an aid: where it cannot be written (a full disk) the training goes on."""
    columns = dict.fromkeys(name for row in history for name in row)
    with suppress(OSError), replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(columns))
        table.writeheader()
        table.writerows(history)
