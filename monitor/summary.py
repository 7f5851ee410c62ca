"""What a run prints at its end: the ledger per camera, rates, alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monitor.serving.ledger import Account

HEADINGS = ("camera", "captured", "scored", "dropped", "failed", "in flight", "fps", "alerts")


def summary(
    accounts: Mapping[str, Account],
    alerts: Mapping[str, int],
    elapsed_s: float,
    held_back: Mapping[str, Mapping[str, int]] | None = None,
) -> str:
    """A table, a line a camera, then whether every frame is accounted for, and the alerts that were held back."""
    rows = [
        (
            camera,
            str(a.captured),
            str(a.scored),
            by_reason(a.dropped),
            by_reason(a.failed),
            str(a.in_flight),
            f"{a.scored / elapsed_s:.1f}" if elapsed_s > 0 else "-",
            str(alerts.get(camera, 0)),
        )
        for camera, a in accounts.items()
    ]
    lines = table(HEADINGS, rows)
    lost = sum(account.in_flight for account in accounts.values())
    scored = sum(account.scored for account in accounts.values())
    lines.append(
        f"{scored} frames scored in {elapsed_s:.1f} s; "
        + ("every frame is accounted for." if lost == 0 else f"{lost} FRAMES ARE NOT ACCOUNTED FOR.")
    )
    for camera, reasons in (held_back or {}).items():
        if reasons:
            told = ", ".join(f"{reason.replace('_', ' ')} {count}" for reason, count in sorted(reasons.items()))
            lines.append(f"Alerts of {camera} that were held back: {told}.")
    return "\n".join(lines)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, its columns as wide as they need to be."""
    widths = [max(len(row[i]) for row in (headings, *rows)) for i in range(len(headings))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (headings, *rows)
    ]


def by_reason(counts: Mapping[str, int]) -> str:
    """The sum, and in brackets what it consists of."""
    total = sum(counts.values())
    if not total:
        return "0"
    return f"{total} ({', '.join(f'{reason} {count}' for reason, count in sorted(counts.items()))})"
