"""What stored scores say by themselves: how long was watched, which thresholds were in force, which alerts fired."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from monitor.replay.episode import Told
from monitor.replay.reading import Progress
from monitor.replay.rows import Rows, alert_id
from monitor.replay.span import Span, Trace
from monitor.replay.spill import Stored

ModelOf = Callable[[str], str]
"""What a baseline's key calls the model of a camera."""


@dataclass
class Survey:
    """By camera, over the scores from `from_ns` on. limits: the recorded thresholds, where there are any. alerts:
    those that the records name; `tells_alerts`: whether they would have named any."""

    from_ns: int
    until_ns: int
    spans: dict[str, Span] = field(default_factory=dict)
    scores: dict[str, Trace] = field(default_factory=dict)
    limits: dict[str, Trace] = field(default_factory=dict)
    alerts: list[Told] = field(default_factory=list)
    tells_alerts: bool = False


def survey(stored: Stored, model_of: ModelOf, from_ns: int, progress: Progress) -> Survey:
    """Look once through all rows of the wanted models. `from_ns`: rows before it only serve to fill windows."""
    whole = stored.stretch()
    if whole is None:
        return Survey(from_ns, from_ns)
    found = Survey(max(from_ns, whole.first_ns), whole.last_ns + 1)
    done = 0
    for camera in stored.cameras():
        span, scores, limits = Span(), Trace(found.from_ns, found.until_ns), Trace(found.from_ns, found.until_ns)
        named: dict[int, Told] = {}
        for chunk in stored.rows(camera):
            done += len(chunk)
            progress(done, whole.count)
            rows = of_model(chunk, stored, model_of(camera))
            rows = rows[rows["time_ns"] >= from_ns]
            if not len(rows):
                continue
            span.add(rows)
            scores.add(rows["time_ns"], rows["score"])
            limits.add(rows["time_ns"], rows["limit"])
            found.tells_alerts |= bool(rows["told"].any())
            _alerts(camera, rows, named)
        if span.frames:
            found.spans[camera], found.scores[camera] = span, scores
            if limits.filled.any():
                found.limits[camera] = limits
            found.alerts += _closed(list(named.values()), span.last_ns)
    return found


def of_model(rows: Rows, stored: Stored, model: str) -> Rows:
    """The rows that this model scored."""
    codes = np.unique(rows["model"])
    fits = [code for code in codes if stored.maker.models[int(code)] == model]
    return rows if len(fits) == len(codes) else rows[np.isin(rows["model"], fits)]


def _alerts(camera: str, rows: Rows, named: dict[int, Told]) -> None:
    """Take up the alerts that these rows name. A record names the alert that fires after its frame, so an alert seems
    to begin with the last of the frames that it needed, and ends with the last frame that names it."""
    for code in np.unique(rows["alert"]):
        if code == 0:
            continue
        own = rows[rows["alert"] == code]
        peak, limit = float(own["score"].max()), float(own["limit"][0])
        known = named.get(int(code))
        if known is None:
            named[int(code)] = Told(
                alert_id(int(code)), camera, int(own["time_ns"][0]), int(own["time_ns"][-1]), peak, limit, ""
            )
        else:
            named[int(code)] = replace(known, ended_ns=int(own["time_ns"][-1]), peak=max(known.peak, peak))


def _closed(alerts: list[Told], last_ns: int) -> list[Told]:
    """One that the camera's last record names had not ended."""
    return [replace(one, ended_ns=None) if one.ended_ns == last_ns else one for one in alerts]
