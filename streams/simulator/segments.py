"""Reading a film's labels: the `.segments.csv` that lies beside it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

from streams.simulator.span import Span

COLUMNS: Final = ("first_frame", "last_frame", "label", "what")
NORMAL_LABELS: Final = frozenset({"normal", "empty"})
ANOMALOUS_LABELS: Final = frozenset({"anomaly", "bolt"})
IGNORED_LABELS: Final = frozenset({"transition"})


def segments_beside(film: Path) -> Path:
    """Where a film's labels are looked for: `clip.mp4` has `clip.segments.csv`."""
    return film.with_suffix(".segments.csv")


def read_segments(path: Path) -> list[Span]:
    """The stretches that are not plainly normal, in order; labels are those named above.

    Rows that touch and are judged alike become one span, named after all that happens in it:
    a monitor that raises one alert for one uninterrupted event is right. ValueError names file
    and line of a row that cannot be read, or that overlaps the one before.
    """
    spans: list[Span] = []
    previous_last = -1
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        missing = set(COLUMNS) - set(rows.fieldnames or ())
        if missing:
            raise ValueError(f"{path}, line 1: no column {', '.join(sorted(missing))}")
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            span, label = _read_row(row, where)
            if span.first_frame <= previous_last:
                raise ValueError(f"{where}: frame {span.first_frame} is in the row before too")
            previous_last = span.last_frame
            if label not in NORMAL_LABELS:
                _append(spans, span)
    return spans


def _read_row(row: dict[str, str], where: str) -> tuple[Span, str]:
    label = (row["label"] or "").strip()
    known = NORMAL_LABELS | ANOMALOUS_LABELS | IGNORED_LABELS
    if label not in known:
        raise ValueError(f"{where}: label is {label!r}, expected one of {', '.join(sorted(known))}")
    try:
        first, last = int(row["first_frame"]), int(row["last_frame"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: first_frame and last_frame must be whole numbers") from error
    if not 0 <= first <= last:
        raise ValueError(f"{where}: expected 0 <= first_frame <= last_frame, got {first}, {last}")
    what = (row["what"] or "").strip()
    return Span(what or label, first, last, judged=label not in IGNORED_LABELS), label


def _append(spans: list[Span], span: Span) -> None:
    last = spans[-1] if spans else None
    if last and last.judged == span.judged and last.last_frame + 1 == span.first_frame:
        kind = f"{last.kind}; {span.kind}"
        spans[-1] = Span(kind, last.first_frame, span.last_frame, span.judged)
    else:
        spans.append(span)
