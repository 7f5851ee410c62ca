"""What a replay found, as text and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.replay.compare import Change, Comparison
from monitor.replay.episode import Outcome, Told
from monitor.replay.span import Span, Trace
from monitor.replay.words import length, rate, score, when

PRINTED = 20
"""Alerts of one kind that are listed on the terminal."""


@dataclass(frozen=True)
class Replayed:
    """All that a replay found. changes: the keys that differ, with the values now and then. traces: by camera, the
    scores, the threshold now, and then."""

    title: str
    comparison: Comparison
    now: Outcome | None
    then: Outcome
    changes: Sequence[tuple[str, str, str]]
    notes: Sequence[str]
    scores: dict[str, Trace] = field(default_factory=dict)
    now_limits: dict[str, Trace] = field(default_factory=dict)
    then_limits: dict[str, Trace] = field(default_factory=dict)


def as_text(found: Replayed) -> str:
    """Tables by camera and by day, then the alerts that appear and vanish."""
    compared = found.comparison
    lines = [f"now:  {found.now.says if found.now else 'unknown'}", f"then: {found.then.says}"]
    lines += [f"changed: {key}: {before} -> {after}" for key, before, after in found.changes]
    width = max((len(camera) for camera in compared.by_camera()), default=6)
    width = min(max(width, 10), 40)
    lines += ["", _heading("camera", width) + f" {'watched':>9} {'a day now':>10} {'a day then':>10}"]
    for camera, change in compared.by_camera().items():
        lines.append(
            _row(camera, width, change, compared.knows_now) + _rates(change, compared.spans.get(camera), found)
        )
    if len(compared.by_camera()) > 1:
        lines.append(_row("all", width, compared.total(), compared.knows_now))
    lines += ["", _heading("day (UTC)", width)]
    lines += [_row(day, width, change, compared.knows_now) for day, change in compared.by_day().items()]
    for what, episodes in (("vanish", compared.vanished), ("appear", compared.appeared)):
        if episodes and compared.knows_now:
            lines += ["", f"alerts that {what}: {len(episodes)}"]
            lines += [f"  {_told(one)}" for one in episodes[:PRINTED]]
            if len(episodes) > PRINTED:
                lines.append(f"  and {len(episodes) - PRINTED} more")
    for outcome in (found.now, found.then):
        if outcome is not None and (lines_beside := beside(outcome)):
            whose = "now" if outcome is found.now else "then"
            lines += ["", *(f"{whose}: {line}" for line in lines_beside)]
    return "\n".join(lines)


def as_json(found: Replayed) -> dict[str, Any]:
    """Everything, for machines."""
    compared = found.comparison
    return {
        "title": found.title,
        "now": None if found.now is None else _outcome(found.now),
        "then": _outcome(found.then),
        "changes": [{"key": key, "now": before, "then": after} for key, before, after in found.changes],
        "notes": list(found.notes),
        **compared.to_dict(),
        "vanished": [_episode(one) for one in compared.vanished],
        "appeared": [_episode(one) for one in compared.appeared],
        "stayed": [_episode(one) for one in compared.stayed],
        "stayed_as": [_episode(one) for one in compared.stayed_as],
    }


def _heading(first: str, width: int) -> str:
    return f"{first:<{width}} {'now':>6} {'then':>6} {'stay':>9} {'vanish':>7} {'appear':>7}"


def _row(name: str, width: int, change: Change, knows_now: bool) -> str:
    stay = str(change.stay) if change.stay == change.stay_as else f"{change.stay} as {change.stay_as}"
    now = (str(change.now), stay, str(change.vanish), str(change.appear)) if knows_now else ("?", "?", "?", "?")
    return f"{name[:width]:<{width}} {now[0]:>6} {change.then:>6} {now[1]:>9} {now[2]:>7} {now[3]:>7}"


def _rates(change: Change, span: Span | None, found: Replayed) -> str:
    if span is None:
        return ""
    now = rate(span.a_day(change.now)) if found.comparison.knows_now else "?"
    return f" {length(span.watched_s):>9} {now:>10} {rate(span.a_day(change.then)):>10}"


def _told(one: Told) -> str:
    return (
        f"{when(one.started_ns)}  {one.camera}  {length(one.length_s)}, peak {score(one.peak)} "
        f"(threshold {score(one.limit)})" + (f", {one.severity}" if one.severity else "")
    )


def beside(outcome: Outcome) -> list[str]:
    """What did not become an alert, windows that were learnt anew, and the thresholds that were found."""
    lines = [
        f"{camera}: {count} held back ({reason.replace('_', ' ')})"
        for (camera, reason), count in sorted(outcome.held_back.items())
    ]
    lines += [f"{camera}: window learnt anew {count} times" for camera, count in sorted(outcome.relearnt.items())]
    return lines + [f"{name}: threshold {says}" for name, says in sorted(outcome.thresholds.items())]


def _outcome(outcome: Outcome) -> dict[str, Any]:
    held_back: dict[str, dict[str, int]] = {}
    for (camera, reason), count in sorted(outcome.held_back.items()):
        held_back.setdefault(camera, {})[reason] = count
    return {
        "says": outcome.says,
        "alerts": len(outcome.episodes),
        "held_back": held_back,
        "relearnt": dict(sorted(outcome.relearnt.items())),
        "thresholds": dict(sorted(outcome.thresholds.items())),
    }


def _episode(one: Told) -> dict[str, Any]:
    return {
        "alert_id": one.alert_id or None,
        "camera": one.camera,
        "started_at": one.started_ns,
        "ended_at": one.ended_ns,
        "length_s": one.length_s,
        "peak_score": one.peak,
        "threshold": one.limit if math.isfinite(one.limit) else None,
        "severity": one.severity or None,
    }
