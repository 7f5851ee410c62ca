"""The plots of a replay: scores over time with both thresholds and the alerts, and alerts a day as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from models.figures import BLUE, GREY, ORANGE, RED, png
from monitor.replay.compare import Change
from monitor.replay.episode import Told
from monitor.replay.span import Trace

GREEN = "#2f855a"
DPI = 130
WIDE = 20.0
"""Scores that span so many times their usual value are drawn on a log scale."""
NARROWEST = 0.002
"""An alert is drawn at least so wide a share of the plot, so that short ones can be seen."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is drawn of one camera. Thresholds are raw; now_limit is None where nobody knows it. alerts: under a label
    and a colour, the row (0 is now, 1 is then) and the alerts in it."""

    camera: str
    scores: Trace
    now_limit: Trace | None
    then_limit: Trace
    stayed: Sequence[Told]
    vanished: Sequence[Told]
    stayed_as: Sequence[Told]
    appeared: Sequence[Told]


def over_time(drawn: Drawn) -> bytes:
    """A PNG, 1430 pixels wide, on white ground."""
    figure = Figure(figsize=(11, 3.6), dpi=DPI, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
    filled = drawn.scores.filled
    times = _dates(drawn.scores.middles_ns)
    least, greatest = drawn.scores.least[filled], drawn.scores.greatest[filled]
    upper.vlines(times[filled], least, greatest, color=BLUE, lw=0.9, alpha=0.85, label="score")
    upper.plot(times[filled], greatest, color=BLUE, lw=0.5)
    if drawn.now_limit is not None:
        _limit(upper, drawn.now_limit, GREY, "threshold now")
    _limit(upper, drawn.then_limit, RED, "threshold then")
    tops = [greatest, *(t.greatest[t.filled] for t in (drawn.now_limit, drawn.then_limit) if t is not None)]
    top = max((float(values.max()) for values in tops if len(values)), default=1.0)
    usual = float(np.median(greatest)) if len(greatest) else 1.0
    if usual > 0 and top / usual > WIDE and float(least.min()) > 0:
        upper.set_yscale("log")
    else:
        upper.set_ylim(min(0.0, float(least.min())) if len(least) else 0.0, top * 1.08 or 1.0)
    upper.set_ylabel("raw score")
    upper.grid(alpha=0.25)
    upper.legend(loc="upper left", fontsize=8, frameon=False, ncols=3)
    _alerts(lower, drawn, times)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    lower.xaxis.set_major_locator(locator)
    lower.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    lower.set_xlabel("UTC", fontsize=8)
    return png(figure)


def a_day(days: Mapping[str, Change], knows_now: bool) -> bytes:
    """Alerts by the day on which they began, over all cameras: a PNG on white ground."""
    figure = Figure(figsize=(11, 2.8), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(days))
    if knows_now:
        vanish = [change.vanish for change in days.values()]
        stay = [change.stay for change in days.values()]
        axes.bar(places - 0.2, stay, 0.38, color=GREY, label="now, and they stay")
        axes.bar(places - 0.2, vanish, 0.38, bottom=stay, color=GREEN, label="now, and they vanish")
    stay_as = [change.stay_as for change in days.values()]
    appear = [change.appear for change in days.values()]
    axes.bar(places + 0.2, stay_as, 0.38, color=BLUE, label="then, as now")
    axes.bar(places + 0.2, appear, 0.38, bottom=stay_as, color=ORANGE, label="then, new" if knows_now else "then")
    step = max(1, len(days) // 14)
    axes.set_xticks(places[::step], list(days)[::step], fontsize=8)
    axes.set_xlim(-0.7, max(len(days), 7) - 0.3)
    axes.set_ylabel("alerts")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", alpha=0.25)
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0, 1))
    return png(figure)


def _limit(axes: Axes, limit: Trace, colour: str, label: str) -> None:
    filled = limit.filled
    times = _dates(limit.middles_ns)[filled]
    axes.plot(times, limit.greatest[filled], color=colour, lw=1.2, label=label)
    if np.any(limit.greatest[filled] > limit.least[filled]):
        axes.fill_between(times, limit.least[filled], limit.greatest[filled], color=colour, alpha=0.2, lw=0)


def _alerts(axes: Axes, drawn: Drawn, times: NDArray[np.datetime64]) -> None:
    first_ns, last_ns = int(drawn.scores.middles_ns[0]), int(drawn.scores.middles_ns[-1])
    narrowest_ns = round((last_ns - first_ns) * NARROWEST)
    for row, colour, episodes in (
        (1, GREY, drawn.stayed),
        (1, GREEN, drawn.vanished),
        (0, BLUE, drawn.stayed_as),
        (0, ORANGE, drawn.appeared),
    ):
        for told in episodes:
            end_ns = max(min(told.last_ns, last_ns), told.started_ns + narrowest_ns)
            begin, end = _dates(np.array([told.started_ns, end_ns]))
            axes.fill_between([begin, end], row + 0.12, row + 0.88, color=colour, lw=0)
    axes.set_ylim(0, 2)
    axes.set_yticks([0.5, 1.5], ["then", "now"] if drawn.now_limit or drawn.stayed or drawn.vanished else ["then", ""])
    axes.set_xlim(times[0], times[-1])
    axes.grid(axis="x", alpha=0.25)


def _dates(times_ns: NDArray[np.int64]) -> NDArray[np.datetime64]:
    return times_ns.astype("datetime64[ns]").astype("datetime64[ms]")
