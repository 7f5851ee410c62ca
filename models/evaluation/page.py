"""What a model is worth on one data set, to read and to compute with: `report.html` and `report.json`."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from models.evaluation import figures
from models.evaluation.bootstrap import Estimate, Ranking
from models.evaluation.cases import Group, find_cases
from models.evaluation.curves import curves
from models.evaluation.embedding import embed, some
from models.evaluation.evaluated import Evaluated
from models.evaluation.figures import DARK, LIGHT, Theme
from models.evaluation.measures import KindMeasures, Measures, measure_kinds
from models.writing import replace_file

TEMPLATE = "page.html"
VIEWS = (30.0, 120.0)  # degrees around the cloud


@dataclass(frozen=True)
class Chart:
    """light, dark: data URIs."""

    title: str
    says: str
    light: str
    dark: str


def write_page(folder: Path, case: Evaluated) -> list[Path]:
    """Write both files into the folder, made if need be, and return their paths, HTML first.

    The page needs no network and no script, and shows its pictures from within itself. The JSON holds all numbers
    and every picture's score. OSError where the folder cannot be written to; ValueError as find_cases and embed.
    """
    kinds = measure_kinds(case.scores, case.anomalous, case.kinds, case.threshold)
    groups = find_cases(case)
    loader = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    loader.filters |= {"uri": _uri, "score": _score, "share": _share, "span": _span}
    loader.filters |= {"percent": lambda share: _percent(share.value), "percents": _percents}
    page = loader.get_template(TEMPLATE).render(
        case=case,
        verdict=_verdict(case.measures),
        tiles=_tiles(case),
        rows=_rows(case.measures),
        kinds=kinds,
        groups=groups,
        charts=_charts(case),
        summary=[(label, "–" if value is None else _text(value)) for label, value in case.summary.items()],
    )
    folder.mkdir(parents=True, exist_ok=True)
    html, told = folder / "report.html", folder / "report.json"
    # A file name that is no UTF-8 holds what cannot be written: a question mark stands for it.
    replace_file(html, page.encode("utf-8", "replace"))
    replace_file(told, json.dumps(_tell(case, kinds, groups), indent=1, allow_nan=False).encode())
    return [html, told]


def _tell(case: Evaluated, kinds: Sequence[KindMeasures], groups: Sequence[Group]) -> dict[str, Any]:
    return {
        "title": case.title,
        "scorer": case.scorer,
        "model_id": case.model_id,
        "dataset": case.dataset,
        "summary": {
            label: None if isinstance(value, float) and not math.isfinite(value) else value
            for label, value in case.summary.items()
        },
        "measures": case.measures.to_dict(),
        "pixels": None if case.pixels is None else case.pixels.to_dict(),
        "kinds": [row.to_dict() for row in kinds],
        "cases": {group.title: [str(case.names[shown.index]) for shown in group.cases] for group in groups},
        "pictures": [
            {"name": str(name), "kind": str(kind), "anomalous": bool(label), "score": float(score)}
            for name, kind, label, score in zip(case.names, case.kinds, case.anomalous, case.scores, strict=True)
        ],
    }


def _verdict(found: Measures) -> str:
    """The result in a sentence, as counts: what a person on the line would see."""
    if found.threshold is None or found.recall is None or found.false_positive_rate is None:
        return (
            f"{found.anomalous} anomalous and {found.normal} normal pictures. The model has no threshold: "
            "it was not calibrated on normal pictures that it had not seen."
        )
    hits = round(found.recall.value * found.anomalous)
    false = round(found.false_positive_rate.value * found.normal)
    return (
        f"At the model's own threshold, {hits} of {found.anomalous} anomalous pictures raise an alarm, "
        f"and {false} of {found.normal} normal ones do too."
    )


def _tiles(case: Evaluated) -> list[tuple[str, str, str]]:
    """What stands large at the top: label, value, interval."""
    found = case.measures
    tiles = [("AUROC", _share(found.auroc), _span(found.auroc))]
    tiles.append(("Average precision", _share(found.average_precision), _span(found.average_precision)))
    if found.recall is not None and found.false_positive_rate is not None:
        tiles.append(("Recall at the threshold", _percent(found.recall.value), _percents(found.recall)))
        rate = found.false_positive_rate
        tiles.append(("False alarms at the threshold", _percent(rate.value), _percents(rate)))
    else:
        tiles.append(("Best F1", _share(found.best_f1), _span(found.best_f1)))
        rate = found.fpr_at_95_recall
        tiles.append(("False alarms at 95 % recall", _percent(rate.value), _percents(rate)))
    if case.pixels is not None:
        tiles.append(("Pixel AUROC", f"{case.pixels.auroc:.3f}", f"{case.pixels.faulty_pictures} faulty pictures"))
        tiles.append(("AUPRO", f"{case.pixels.aupro:.3f}", f"{case.pixels.regions} regions"))
    return tiles


def _rows(found: Measures) -> list[tuple[str, Estimate | None]]:
    at = "" if found.threshold is None else f" at the threshold {_score(found.threshold)}"
    rows: list[tuple[str, Estimate | None]] = [
        ("AUROC", found.auroc),
        ("Average precision", found.average_precision),
        (f"F1 at the best threshold {_score(found.best_threshold)}", found.best_f1),
        ("False-positive rate at 95 % recall", found.fpr_at_95_recall),
    ]
    if at:
        rows += [
            (f"F1{at}", found.f1),
            (f"Recall{at}", found.recall),
            (f"Precision{at}", found.precision),
            (f"False-positive rate{at}", found.false_positive_rate),
        ]
    return rows


def _charts(case: Evaluated) -> list[Chart]:
    found, scores, labels = case.measures, case.scores, case.anomalous
    drawn = curves(Ranking.of(scores, labels))
    on_roc = on_pr = None
    if found.recall is not None and found.false_positive_rate is not None:
        on_roc = found.false_positive_rate.value, found.recall.value
        on_pr = None if found.precision is None else (found.recall.value, found.precision.value)
    made = [
        _chart(
            "Scores",
            "The further apart the two heaps, the better. What lies right of the threshold raises an alarm.",
            lambda theme: figures.histogram(scores, labels, case.threshold, theme),
        ),
        _chart(
            "ROC curve",
            "How many anomalies are found for the false alarms that are put up with, at every possible threshold.",
            lambda theme: figures.roc(drawn, found.auroc.value, on_roc, theme),
        ),
        _chart(
            "Precision and recall",
            "Which share of the alarms is right, against which share of the anomalies is found.",
            lambda theme: figures.precision_recall(drawn, found.average_precision.value, on_pr, theme),
        ),
    ]
    shown = some(labels)
    places = None if case.see is None else embed(case.see(shown))
    if places is not None:
        cloud = partial(figures.cloud, places, labels[shown])
        made += [
            _chart(
                "What the model sees",
                f"Features of {len(shown)} pictures, laid out in three dimensions by t-SNE. Neighbours look alike "
                "to the model; how far apart two clouds lie means nothing.",
                partial(cloud, VIEWS[0]),
            ),
            _chart(
                "The same from another side",
                "One side alone does not tell how deep a point lies.",
                partial(cloud, VIEWS[1]),
            ),
        ]
    return made


def _chart(title: str, says: str, draw: Callable[[Theme], bytes]) -> Chart:
    return Chart(title, says, _uri(draw(LIGHT), "png"), _uri(draw(DARK), "png"))


def _uri(content: bytes, kind: str = "jpeg") -> str:
    return f"data:image/{kind};base64,{b64encode(content).decode()}"


def _score(value: float) -> str:
    return f"{value:.4g}"


def _share(value: Estimate | None) -> str:
    return "–" if value is None else f"{value.value:.3f}"


def _span(value: Estimate | None) -> str:
    return "–" if value is None else f"{value.low:.3f} to {value.high:.3f}"


def _percent(share: float) -> str:
    """Never a rounded 0 % or 100 % where it is not exactly that."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{share:.1%}".replace(".0%", "%").replace("%", " %")


def _percents(value: Estimate) -> str:
    return f"{_percent(value.low)} to {_percent(value.high)}"


def _text(value: str | float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
