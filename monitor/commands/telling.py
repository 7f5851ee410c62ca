"""What an evaluation says on a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence

from models.evaluation.bootstrap import Estimate
from models.evaluation.contest import Run
from models.evaluation.evaluated import Evaluated
from models.evaluation.measures import measure_kinds


def tell(found: Evaluated) -> str:
    """The measures with their intervals, then a line for each kind of picture."""
    m = found.measures
    lines = [
        f"{m.normal} normal, {m.anomalous} anomalous; in brackets 95 % intervals (bootstrap)",
        f"AUROC {_span(m.auroc)}, average precision {_span(m.average_precision)}",
        f"best F1 {_span(m.best_f1)} at {m.best_threshold:.4g}, "
        f"false-positive rate at 95 % recall {_span(m.fpr_at_95_recall)}",
    ]
    if m.threshold is None:
        lines.append("the checkpoint has no threshold of its own")
    else:
        lines.append(
            f"at the threshold {m.threshold:.4g}: recall {_span(m.recall)}, "
            f"false-positive rate {_span(m.false_positive_rate)}, F1 {_span(m.f1)}"
        )
    if found.pixels is not None:
        lines.append(
            f"pixels: AUROC {found.pixels.auroc:.3f}, AUPRO {found.pixels.aupro:.3f} "
            f"({found.pixels.regions} regions in {found.pixels.faulty_pictures} pictures)"
        )
    for row in measure_kinds(found.scores, found.anomalous, found.kinds, m.threshold):
        above = "" if row.above is None else f", {row.above.value:.0%} above the threshold"
        auroc = "" if row.auroc is None else f", AUROC {row.auroc.value:.3f}"
        lines.append(f"  {row.kind:<32} {row.pictures:>5} frames, median score {row.median:.4g}{auroc}{above}")
    # A folder's name that is no UTF-8 holds what cannot be printed.
    return "\n".join(lines).encode("utf-8", "replace").decode()


def tell_json(found: Evaluated) -> str:
    kinds = measure_kinds(found.scores, found.anomalous, found.kinds, found.measures.threshold)
    return json.dumps(
        {
            "model": found.model_id,
            "scorer": found.scorer,
            "dataset": found.dataset,
            **found.measures.to_dict(),
            "pixels": None if found.pixels is None else found.pixels.to_dict(),
            "kinds": {row.kind: row.to_dict() for row in kinds},
        },
        allow_nan=False,
    )


def tell_runs(runs: Sequence[Run]) -> str:
    """Scorers side by side, the best AUROC first: means over all data sets and seeds that each has run on."""
    by_name: dict[str, list[Run]] = {}
    for run in runs:
        by_name.setdefault(f"{run.scorer} {run.variant}".strip(), []).append(run)
    rows = sorted(by_name.items(), key=lambda item: -_mean([run.auroc for run in item[1]]))
    lines = [f"{'scorer':<24} {'AUROC':>20} {'AP':>7} {'F1':>7} {'FPR95':>7} {'training':>9} {'frames/s':>9}"]
    for name, theirs in rows:
        auroc = f"{_mean([run.auroc for run in theirs]):.3f}"
        if len(theirs) == 1:
            held = theirs[0].measures["auroc"]
            auroc += f" [{held['low']:.3f}, {held['high']:.3f}]"
        else:
            auroc += f" (of {len(theirs)} runs)"
        values = [
            _mean([run.measures[key]["value"] for run in theirs])
            for key in ("average_precision", "best_f1", "fpr_at_95_recall")
        ]
        seconds = _mean([run.training_s for run in theirs])
        speed = _mean([run.frames_per_s or 0.0 for run in theirs])
        told = " ".join(f"{value:>7.3f}" for value in values)
        lines.append(f"{name:<24} {auroc:>20} {told} {seconds:>7.0f} s {speed:>9.1f}")
    return "\n".join(lines)


def _span(value: Estimate | None) -> str:
    return "–" if value is None else f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
