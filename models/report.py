"""What a training did, on one page: `<stem>.report.png` and `<stem>.report.json`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.figures import BLUE, RED, png
from models.preprocess import Picture
from models.scorer import Scorer
from models.training_config import TrainResult
from models.writing import replace_file

COLUMNS = 8  # held-out pictures shown


def write_report(result: TrainResult, scorer: Scorer, pictures: Picture) -> list[Path]:
    """Write both files beside the checkpoint and return their paths, PNG first.

    scorer: as loaded from result.out. pictures: those given to train, uint8 [N, S, S, C].
    """
    unseen = pictures[result.held_out]
    picture = result.out.with_name(f"{result.out.stem}.report.png")
    text = result.out.with_name(f"{result.out.stem}.report.json")
    replace_file(picture, _draw(result, scorer, unseen))
    told = json.dumps(_tell(result, scorer, len(pictures)), indent=2, allow_nan=False)
    replace_file(text, told.encode())
    return [picture, text]


def _tell(result: TrainResult, scorer: Scorer, count: int) -> dict[str, Any]:
    info = scorer.info
    return {
        "model_id": info.model_id,
        "method": info.method,
        "architecture": info.architecture,
        "score_norm": info.norm,
        "pictures": count,
        "held_out_pictures": int(result.held_out.sum()),
        "steps": result.steps,
        "best_step": result.best_step,
        "held_out_loss": result.held_out_loss,
        "stopped": result.stopped,
        "elapsed_s": round(result.elapsed_s, 1),
        "discriminator_resets": result.discriminator_resets,
        "calibration": result.calibration.to_dict(),
        "held_out_scores": [round(float(score), 9) for score in result.scores],
        "history": [
            {key: value if math.isfinite(value) else None for key, value in row.items()} for row in result.history
        ],
    }


def _draw(result: TrainResult, scorer: Scorer, unseen: Picture) -> bytes:
    figure = Figure(figsize=(13, 9.5), layout="constrained")
    upper, lower = np.ravel(figure.subfigures(2, 1, height_ratios=(1.0, 1.25), squeeze=False))
    curves, histogram = upper.subplots(1, 2)
    _curves(curves, result)
    _histogram(histogram, result)

    shown = np.argsort(result.scores)[np.linspace(0, len(unseen) - 1, min(COLUMNS, len(unseen))).round().astype(int)]
    chosen = unseen[shown]
    rows = (
        ("original", chosen),
        ("rebuilt", np.clip((scorer.rebuild(chosen) + 1) / 2, 0, 1)),
        ("residual", scorer.heats(chosen)),
    )
    grid = lower.subplots(3, len(shown), squeeze=False)
    brightest = float(rows[2][1].max()) or 1.0  # a scale of its own would make noise glow
    for row, (name, images) in enumerate(rows):
        for column, image in enumerate(images):
            axes: Axes = grid[row, column]
            if name == "residual":
                axes.imshow(image, cmap="magma", vmin=0.0, vmax=brightest)
            else:
                axes.imshow(image.squeeze(), cmap="gray" if image.shape[-1] == 1 else None)
            axes.set_xticks([])
            axes.set_yticks([])
            if row == 0:
                axes.set_title(f"{result.scores[shown[column]]:.3g}", fontsize=9)
            if column == 0:
                axes.set_ylabel(name)
    lower.suptitle("Held-out normal pictures, lowest to highest score", fontsize=10)
    figure.suptitle(
        f"{result.out.name}: {result.steps} steps in {result.elapsed_s:.0f} s, best at step {result.best_step}",
        fontsize=12,
    )
    return png(figure)


def _curves(axes: Axes, result: TrainResult) -> None:
    steps = [row["step"] for row in result.history]
    names = [name for name in (result.history[0] if result.history else {}) if name not in ("step", "elapsed_s")]
    for name in names:
        colour = RED if name == "held_out" else None
        label = "held out, the one that chooses" if name == "held_out" else name
        axes.plot(steps, [row.get(name, math.nan) for row in result.history], label=label, color=colour, lw=1.4)
    axes.axvline(result.best_step, color=RED, lw=0.8, ls=":")
    axes.set_yscale("log" if steps else "linear")
    axes.set(title="Losses (dotted: the weights kept)", xlabel="step")
    if steps:
        axes.legend(fontsize=8, frameon=False)
    axes.grid(alpha=0.25)


def _histogram(axes: Axes, result: TrainResult) -> None:
    threshold = result.calibration.threshold
    axes.hist(result.scores, bins=min(30, max(5, len(result.scores) // 3)), color=BLUE, alpha=0.8)
    axes.axvline(threshold, color=RED, label=f"threshold {threshold:.3g}")
    axes.set(
        title=f"Scores of {len(result.scores)} held-out normal pictures",
        xlabel="raw score",
        ylabel="pictures",
        xlim=(0, None),
    )
    axes.legend(fontsize=8, frameon=False)
    axes.grid(alpha=0.25)
