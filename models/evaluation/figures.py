"""The charts of a report, each drawn for light and for dark ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from models.evaluation.bootstrap import Values
from models.evaluation.curves import Curves
from models.figures import BLUE, GREY, ORANGE, RED, png

Labels = npt.NDArray[np.bool_]

Corner = Literal["best", "lower right", "lower left", "upper left"]

SIZE, DPI = (4.6, 3.4), 180
BINS = 36
WIDE = 20.0
"""Scores that span so many times their lowest are drawn on a log scale."""
NORMAL, ANOMALOUS = "normal", "anomalous"


@dataclass(frozen=True)
class Theme:
    """Colours: ink of letters and lines, grid, and what stands for normal, anomalous and the threshold."""

    ink: str
    grid: str
    normal: str
    anomalous: str
    threshold: str


LIGHT = Theme("#2d3748", "#cbd5e0", BLUE, ORANGE, RED)
DARK = Theme("#c6d2de", "#33424f", "#54c7ec", "#f3a35c", "#ff6b70")


def histogram(scores: Values, anomalous: Labels, threshold: float | None, theme: Theme) -> bytes:
    """How the scores of both kinds are spread, each in shares of its own number."""
    figure, axes = _figure(theme)
    marks = scores if threshold is None else np.append(scores, threshold)
    low, high = float(marks.min()), float(marks.max())
    log = low > 0 and high / low > WIDE
    if high <= low:  # one score for all
        low, high = low - max(abs(low), 1.0) / 10, high + max(abs(high), 1.0) / 10
    edges = np.geomspace(low, high, BINS + 1) if log else np.linspace(low, high, BINS + 1)
    for wanted, label, colour in ((False, NORMAL, theme.normal), (True, ANOMALOUS, theme.anomalous)):
        own = scores[anomalous == wanted]
        shares = np.histogram(np.clip(own, edges[0], edges[-1]), edges)[0] / own.size
        axes.stairs(shares, edges, fill=True, color=colour, alpha=0.35)
        axes.stairs(shares, edges, color=colour, lw=1.6, label=f"{label} ({own.size})")
    if threshold is not None:
        axes.axvline(threshold, color=theme.threshold, lw=1.4, ls="--", label=f"threshold {threshold:.4g}")
    if log:
        axes.set_xscale("log")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set(xlabel="raw score", ylabel="share of its kind", ylim=(0, None))
    _legend(axes, theme)
    return png(figure)


def roc(drawn: Curves, area: float, at: tuple[float, float] | None, theme: Theme) -> bytes:
    """at: false-positive rate and recall at the model's own threshold."""
    figure, axes = _figure(theme)
    axes.fill_between(
        drawn.grid, drawn.low, drawn.high, step="post", color=theme.normal, alpha=0.22, lw=0, label="95 % of resamples"
    )
    axes.plot(drawn.fpr, drawn.recall, color=theme.normal, lw=1.8, label=f"area {area:.3f}")
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.9, ls=":", label="chance")
    _point(axes, at, theme)
    _unit(axes, "false-positive rate", "recall")
    _legend(axes, theme, "lower right")
    return png(figure)


def precision_recall(drawn: Curves, area: float, at: tuple[float, float] | None, theme: Theme) -> bytes:
    """at: recall and precision at the model's own threshold."""
    figure, axes = _figure(theme)
    precision = np.concatenate([drawn.precision[:1], drawn.precision])
    axes.step(
        drawn.recall, precision, where="pre", color=theme.anomalous, lw=1.8, label=f"average precision {area:.3f}"
    )
    axes.axhline(drawn.precision[-1], color=GREY, lw=0.9, ls=":", label="chance")
    _point(axes, at, theme)
    _unit(axes, "recall", "precision")
    _legend(axes, theme, "lower left")
    return png(figure)


def cloud(places: Values, anomalous: Labels, azimuth: float, theme: Theme) -> bytes:
    """places [n, 3] seen from `azimuth` degrees."""
    figure = Figure(figsize=SIZE, dpi=DPI)
    figure.patch.set_alpha(0.0)
    # Any: matplotlib's stubs know two dimensions only.
    axes: Any = figure.add_axes((0.0, 0.0, 1.0, 1.0), projection="3d")
    axes.patch.set_alpha(0.0)
    size = float(np.clip(4000 / len(places), 6, 40))
    for wanted, label, colour in ((False, NORMAL, theme.normal), (True, ANOMALOUS, theme.anomalous)):
        own = places[anomalous == wanted]
        axes.scatter(*own.T, s=size, color=colour, alpha=0.75, linewidths=0, label=f"{label} ({len(own)})")
    axes.view_init(elev=18, azim=azimuth)
    axes.set_box_aspect((1, 1, 1), zoom=1.12)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((*to_rgb(theme.grid), 0.18))
        axis.set_ticks([])
        axis.line.set_color(theme.grid)
    _legend(axes, theme, "upper left")
    return png(figure)


def _figure(theme: Theme) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    figure.patch.set_alpha(0.0)
    axes = figure.subplots()
    axes.patch.set_alpha(0.0)
    axes.grid(color=theme.grid, lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=theme.ink, labelsize=10)
    for edge, spine in axes.spines.items():
        spine.set_color(theme.grid)
        spine.set_visible(edge in ("left", "bottom"))
    axes.xaxis.label.set(color=theme.ink, size=11)
    axes.yaxis.label.set(color=theme.ink, size=11)
    return figure, axes


def _unit(axes: Axes, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.03))


def _point(axes: Axes, at: tuple[float, float] | None, theme: Theme) -> None:
    if at is not None:
        axes.plot(*at, "o", color=theme.threshold, ms=7, label="at the threshold", zorder=5)


def _legend(axes: Axes, theme: Theme, where: Corner = "best") -> None:
    axes.legend(loc=where, fontsize=10, frameon=False, labelcolor=theme.ink)
