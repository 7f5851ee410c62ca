"""What the doctor says: a table for people, JSON for machines."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Sequence

import typer

from monitor.doctor.finding import Examined, Mark

COLOURS = {Mark.OK: typer.colors.GREEN, Mark.WARNING: typer.colors.YELLOW, Mark.FAILED: typer.colors.RED}
MARK_WIDTH = len("warning")


def as_text(examined: Sequence[Examined], took_s: float) -> str:
    """A line for each finding, its remedy on the next, and the sum at the end. Holds colours."""
    names = max((len(one.name) for one in examined), default=0)
    width = max(80, min(140, shutil.get_terminal_size((120, 24)).columns))
    indent = " " * (MARK_WIDTH + names + 4)
    lines: list[str] = []
    for one in examined:
        name = one.name
        for finding in one.findings:
            mark = typer.style(f"{finding.mark:<{MARK_WIDTH}}", fg=COLOURS[finding.mark], bold=finding.mark != Mark.OK)
            first, *rest = _wrapped(finding.said, width - len(indent)) or [""]
            lines.append(f"{mark}  {name:<{names}}  {first}")
            lines += [indent + line for line in rest]
            if finding.remedy is not None:
                told = _wrapped(finding.remedy, width - len(indent) - 2)
                lines += [f"{indent}{'→ ' if n == 0 else '  '}{line}" for n, line in enumerate(told)]
            name = ""
    count = {mark: sum(f.mark == mark for one in examined for f in one.findings) for mark in Mark}
    lines.append("")
    lines.append(
        f"{count[Mark.OK]} ok, {count[Mark.WARNING]} warning{'s' * (count[Mark.WARNING] != 1)}, "
        f"{count[Mark.FAILED]} failed; examined in {took_s:.1f} s"
    )
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most this width, paths and addresses in one piece, so that they can be copied."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def as_json(examined: Sequence[Examined], worst: Mark, took_s: float) -> str:
    """One document: `result`, and `findings` with check, mark, said and remedy (null where there is none)."""
    return json.dumps(
        {
            "result": worst.value,
            "took_s": round(took_s, 3),
            "findings": [
                {"check": one.name, "mark": found.mark.value, "said": found.said, "remedy": found.remedy}
                for one in examined
                for found in one.findings
            ],
        },
        ensure_ascii=False,
    )
