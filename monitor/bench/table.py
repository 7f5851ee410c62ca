"""Rows as a table, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

NOTHING = "–"


class Column(NamedTuple):
    """key: in a row. title: above it. format: as for `format`, "" for text. unit: behind each value."""

    key: str
    title: str
    format: str = ""
    unit: str = ""


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> str:
    """Text to the left, numbers to the right; a value that is absent or None is a dash."""
    cells = [[column.title for column in columns], *([_cell(row, column) for column in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column.format else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in cells
    )


def _cell(row: Mapping[str, Any], column: Column) -> str:
    value = row.get(column.key)
    if value is None:
        return NOTHING
    return f"{value:{column.format}}" + (f" {column.unit}" if column.unit else "")
