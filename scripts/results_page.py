# ruff: noqa: E501 (the page's rows are long lines)
"""Write docs/results.md from the stored runs in docs/results; `--check` says whether it is current."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, pstdev

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models.evaluation.contest import Run, load_run
from models.methods.catalogue import METHODS, method

ROOT = Path(__file__).resolve().parents[1]
RUNS, PAGE = ROOT / "docs" / "results", ROOT / "docs" / "results.md"
FIVE = ("bottle", "aliens", "dobot_cubes", "hazelnut_toy", "PA_BRG03_TL")
"""The data sets over which means are taken; each named after its folder."""

HEAD = """# Results

This page is made by `python scripts/results_page.py` from the runs stored in `docs/results`. Each run was made by
`linewatch evaluate --scorer NAME DATASET --save docs/results`; its JSON holds the settings, the seed, the measures
with their intervals, the times and the machine. AUROC is of whole pictures. The interval in brackets is a bootstrap
of the test pictures (95 %, 1000 resamples); where there are several seeds the mean is given, and the interval is
the mean of theirs. Training is the time of the steps and of what is measured after them, on {machines}.
Frames a second are of scoring alone, pictures decoded, on the same machine with the default threads.

All networks of the paper's story ran with linewatch's settings for a line (half the paper's width, batch 16, small
changes of light, averaged weights), not with the papers' own training lengths: they are compared at equal and small
expense, which is what a line has. Where a paper trains for days, its figure here says little about the paper.
"""

PUBLISHED = """## Published figures, for orientation
None of them was measured here, and none on the same pictures.

| figure | source |
| --- | --- |
| UBA / FFOB AUROC: AnoGAN .569 / .703, EGBAD .597 / .712, GANomaly .643 / .882 | Akcay et al. 2018 (arXiv 1805.06725), by way of secondary sources; neither data set is public |
| runtime a picture: AnoGAN 7120 ms, EGBAD 8.9 ms, GANomaly 2.2 to 2.8 ms | the same; the authors' code times a batch without synchronisation |
| CIFAR-10, GANomaly, mean of the ten classes .610 (bird .510, car .631, cat .587, deer .593, dog .628, frog .683, horse .605, plane .633, ship .616, truck .617) | Skip-GANomaly (arXiv 1901.08954), as remembered; only bird is confirmed. In train mode: the authors' issue 47 reports .410 for bird in eval mode |
| MVTec AD, image AUROC, GANomaly at 256 px: bottle .251, screw .231, mean of 15 .421 | anomalib's README |
| MVTec AD, mean image AUROC with weights pre-trained on ImageNet: PatchCore .980, EfficientAd .982, Dinomaly .997 | anomalib's README |
"""


def page(runs: Sequence[Run]) -> str:
    """Markdown. runs: at least one."""
    machines = sorted({run.machine for run in runs})
    parts = [HEAD.format(machines="; ".join(machines)), _five(runs)]
    by_dataset: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_dataset[run.dataset].append(run)
    published = [name for name in by_dataset if name.startswith(("mnist", "cifar"))]
    for name in sorted(set(by_dataset) - set(published), key=lambda n: (n not in FIVE, n.lower())):
        parts.append(_dataset(name, by_dataset[name]))
    for family in ("mnist", "cifar"):
        chosen = {name: by_dataset[name] for name in sorted(published) if name.startswith(family)}
        if chosen:
            parts.append(_protocol(family, chosen))
    return "\n".join([*parts, PUBLISHED])


def _five(runs: Sequence[Run]) -> str:
    """The mean over the five sets, of those scorers that ran on each of them."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if run.dataset in FIVE and not run.variant:
            found[run.scorer][run.dataset].append(run.auroc)
    rows = []
    for scorer, held in found.items():
        if set(held) == set(FIVE):
            each = [mean(held[name]) for name in FIVE]
            seeds = "/".join(str(len(held[name])) for name in FIVE)
            rows.append(
                (
                    mean(each),
                    f"| {_title(scorer)} | {' | '.join(f'{v:.3f}' for v in each)} | **{mean(each):.3f}** | {seeds} |",
                )
            )
    head = " | ".join(FIVE)
    table = [f"| scorer | {head} | mean | seeds |", "| --- " * (len(FIVE) + 3) + "|"]
    return "## AUROC over five products\n" + "\n".join([*table, *(row for _, row in sorted(rows, reverse=True))]) + "\n"


def _dataset(name: str, runs: Sequence[Run]) -> str:
    rules = sorted({run.rule for run in runs})
    normal, anomalous = runs[0].measures["normal"], runs[0].measures["anomalous"]
    head = f"## {name}\n{runs[0].train_pictures} normal pictures to train, {normal} normal and {anomalous} anomalous to test. "
    head += " ".join(f"Division: {rule}." for rule in rules)
    table = [
        "| scorer | seeds | AUROC | average precision | best F1 | FPR at 95 % recall | pixel AUROC / AUPRO | training | frames/s |",
        "| --- " * 9 + "|",
    ]
    rows = [(mean(r.auroc for r in theirs), _row(label, theirs)) for label, theirs in _by_scorer(runs)]
    return "\n".join([head, "", *table, *(row for _, row in sorted(rows, reverse=True)), ""])


def _row(label: str, runs: Sequence[Run]) -> str:
    def value(key: str) -> str:
        return f"{mean(run.measures[key]['value'] for run in runs):.3f}"

    low, high = (mean(run.measures["auroc"][end] for run in runs) for end in ("low", "high"))
    spread = f", ± {pstdev([run.auroc for run in runs]):.3f} between seeds" if len(runs) > 1 else ""
    pixels = [run.pixels for run in runs if run.pixels]
    told = "–" if not pixels else f"{mean(p['auroc'] for p in pixels):.3f} / {mean(p['aupro'] for p in pixels):.3f}"
    speed = [run.frames_per_s for run in runs if run.frames_per_s]
    return (
        f"| {label} | {', '.join(str(run.seed) for run in runs)} | {value('auroc')} [{low:.3f}, {high:.3f}]{spread} | "
        f"{value('average_precision')} | {value('best_f1')} | {value('fpr_at_95_recall')} | {told} | "
        f"{mean(run.training_s for run in runs):.0f} s | {f'{mean(speed):.0f}' if speed else '–'} |"
    )


def _protocol(family: str, by_class: dict[str, list[Run]]) -> str:
    title = {"mnist": "MNIST", "cifar": "CIFAR-10"}[family]
    runs = [run for theirs in by_class.values() for run in theirs]
    whole = all(run.complete for run in runs)
    told = (
        "the paper's protocol in full"
        if whole
        else "**a subset of the paper's protocol, not the protocol**: " + runs[0].rule.split(", abnormal")[0]
    )
    lines = [f"## {title}", f"One class abnormal, the other nine normal; {told}. AUROC, mean of the seeds.", ""]
    labels = sorted({label for theirs in by_class.values() for label, _ in _by_scorer(theirs)})
    classes = sorted({name.split("-")[1] for name in by_class})
    lines += [f"| scorer | {' | '.join(classes)} | mean | seeds | training each |", "| --- " * (len(classes) + 4) + "|"]
    for label in labels:
        cells, values, seeds, seconds = [], [], set(), []
        for name in classes:
            theirs = [
                run
                for held, runs_of in by_class.items()
                if held.split("-")[1] == name
                for label_of, several in _by_scorer(runs_of)
                if label_of == label
                for run in several
            ]
            cells.append(f"{mean(run.auroc for run in theirs):.3f}" if theirs else "–")
            values += [mean(run.auroc for run in theirs)] if theirs else []
            seeds |= {run.seed for run in theirs}
            seconds += [run.training_s for run in theirs]
        chosen = ", ".join(map(str, sorted(seeds)))
        lines.append(f"| {label} | {' | '.join(cells)} | {mean(values):.3f} | {chosen} | {mean(seconds):.0f} s |")
    return "\n".join([*lines, ""])


def _by_scorer(runs: Iterable[Run]) -> list[tuple[str, list[Run]]]:
    """(label, its runs by seed), in the catalogue's order."""
    found: dict[tuple[int, str], list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.seed):
        place = METHODS.index(run.scorer) if run.scorer in METHODS else len(METHODS)
        found[place, f"{_title(run.scorer)} {run.variant}".strip()].append(run)
    return [(label, theirs) for (_, label), theirs in sorted(found.items())]


def _title(scorer: str) -> str:
    return method(scorer).title if scorer in METHODS else scorer


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="Only say whether the page is current.")
    check = arguments.parse_args().check
    runs = [load_run(path) for path in sorted(RUNS.glob("*.json"))]
    if not runs:
        print(f"{RUNS} holds no runs: linewatch evaluate --all DATASET --save {RUNS}", file=sys.stderr)
        return 1
    text = page(runs)
    if not check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
    print("current" if current else f"{PAGE} is not current: python scripts/results_page.py", file=sys.stderr)
    return 0 if current else 1


if __name__ == "__main__":
    raise SystemExit(main())
