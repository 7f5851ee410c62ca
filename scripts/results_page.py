# ruff: noqa: E501 (the page's rows are long lines)
"""Write docs/results.md from the stored runs in docs/results; `--check` says whether it is current."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, pstdev

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models.evaluation.contest import Run, load_run
from models.methods.catalogue import METHODS, method
from models.training_config import SOUND

ROOT = Path(__file__).resolve().parents[1]
RUNS, PAGE = ROOT / "docs" / "results", ROOT / "docs" / "results.md"
FIVE = ("bottle", "aliens", "dobot_cubes", "hazelnut_toy", "PA_BRG03_TL")
"""The data sets over which means are taken; each named after its folder."""
PROTOCOL_CLASSES, PROTOCOL_SEEDS = 10, 3

HEAD = """# Results

This page is made by `python scripts/results_page.py` from the runs stored in `docs/results`. Each run was made by
`linewatch evaluate --scorer NAME DATASET --save docs/results`; its JSON holds the settings, the seed, the measures
with their intervals, the times and the machine. AUROC is of whole pictures. The interval in brackets is a bootstrap
of the test pictures (95 %, 1000 resamples); where there are several seeds the mean is given, and the interval is
the mean of theirs. Training is the time of the steps and of what is measured after them. Frames a second are of
scoring alone, pictures decoded. The runs stored now ran two at a time on two cores, each with one thread and partly
beside other work: times are those of a busy machine, and steps fewer than a quiet one would make. [evaluating.md](evaluating.md) tells what each measure means.

All networks of the paper's story ran with linewatch's settings for a line (half the paper's width, small batches,
small changes of light, averaged weights), not with the papers' own training lengths; rows marked `paper` ran with the
paper's settings, but no longer. They are compared at equal and small expense, which is what a line has. Where a paper
trains for days, its figure here says little about the paper.

{machines}
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
    machines = {name: chr(ord("A") + i) for i, name in enumerate(sorted({run.machine for run in runs}))}
    told = "\n".join(f"- Machine {letter}: {name}" for name, letter in machines.items())
    parts = [HEAD.format(machines=told), *_five(runs)]
    datasets, protocols = _grouped(runs, "dataset"), _grouped(runs, "protocol")
    for name in sorted(datasets, key=lambda n: (n not in FIVE, n.lower(), n)):
        if not datasets[name][0].protocol:
            parts.append(_dataset(name, datasets[name], machines))
    parts += [_protocol(name, protocols[name], machines) for name in sorted(protocols) if name]
    return "\n".join([*parts, PUBLISHED])


def _five(runs: Sequence[Run]) -> list[str]:
    """The mean over the five sets, of those scorers that ran on each of them."""
    rows = []
    for label, theirs in _by_scorer(run for run in runs if run.dataset in FIVE and not run.variant):
        held = _grouped(theirs, "dataset")
        if set(held) == set(FIVE):
            each = [mean(run.auroc for run in held[name]) for name in FIVE]
            seeds = "/".join(str(len(held[name])) for name in FIVE)
            cells = " | ".join(f"{value:.3f}" for value in each)
            rows.append((mean(each), f"| {label} | {cells} | **{mean(each):.3f}** | {seeds} |"))
    if not rows:
        return []
    head = [f"| scorer | {' | '.join(FIVE)} | mean | seeds |", "| --- " * (len(FIVE) + 3) + "|"]
    return ["## AUROC over five products\n" + "\n".join([*head, *_best_first(rows)]) + "\n"]


def _dataset(name: str, runs: Sequence[Run], machines: Mapping[str, str]) -> str:
    def count(values: Iterable[object]) -> str:
        return " or ".join(str(value) for value in sorted(set(values), key=str))

    head = (
        f"{count(run.train_pictures for run in runs)} normal pictures to train, "
        f"{count(run.measures['normal'] for run in runs)} normal and "
        f"{count(run.measures['anomalous'] for run in runs)} anomalous to test. "
        f"Division: {count(run.rule for run in runs)}."
    )
    notes = [f"- {note}" for note in sorted({note for run in runs for note in run.notes})]
    table = [
        "| scorer | seeds | AUROC | average precision | best F1 | FPR at 95 % recall | pixel AUROC / AUPRO | training | frames/s | machine |",
        "| --- " * 10 + "|",
    ]
    rows = [(mean(r.auroc for r in theirs), _row(label, theirs, machines)) for label, theirs in _by_scorer(runs)]
    return "\n".join([f"## {name}", head, *notes, "", *table, *_best_first(rows), *_unsound(runs), ""])


def _row(label: str, runs: Sequence[Run], machines: Mapping[str, str]) -> str:
    def value(key: str) -> str:
        return f"{mean(run.measures[key]['value'] for run in runs):.3f}"

    spread = f", ± {pstdev([run.auroc for run in runs]):.3f} between seeds" if len(runs) > 1 else ""
    pixels = [run.pixels for run in runs if run.pixels]
    told = "–" if not pixels else f"{mean(p['auroc'] for p in pixels):.3f} / {mean(p['aupro'] for p in pixels):.3f}"
    return (
        f"| {label} | {', '.join(str(run.seed) for run in runs)} | {value('auroc')} {_interval(runs)}{spread} | "
        f"{value('average_precision')} | {value('best_f1')} | {value('fpr_at_95_recall')} | {told} | "
        f"{mean(run.training_s for run in runs):.0f} s | {_speed(runs)} | "
        f"{_letters(runs, machines)} |"
    )


def _protocol(name: str, runs: Sequence[Run], machines: Mapping[str, str]) -> str:
    """One table for one set in one form and extent: a subset has its own and never stands beside the whole."""
    classes = sorted({run.abnormal for run in runs})
    seeds = {run.seed for run in runs}
    if not all(run.complete for run in runs):
        told = "**A subset, not the paper's protocol.**"
    elif len(classes) < PROTOCOL_CLASSES or len(seeds) < PROTOCOL_SEEDS:
        told = (
            f"Every picture is used, as in the paper's protocol, but **not the whole protocol**: {len(classes)} of its "
            f"{PROTOCOL_CLASSES} classes, {len(seeds)} of its {PROTOCOL_SEEDS} seeds."
        )
    else:
        told = "The paper's protocol: every picture, every class, three seeds."
    lines = [f"## {name}", f"{told} One class abnormal, the others normal. AUROC, mean of the seeds.", ""]
    head = f"| scorer | {' | '.join(classes)} | mean | seeds | training each | frames/s | machine |"
    lines += [head, "| --- " * (len(classes) + 6) + "|"]
    rows = []
    for label, theirs in _by_scorer(runs):
        held = _grouped(theirs, "abnormal")
        values = [mean(run.auroc for run in held[kind]) if kind in held else None for kind in classes]
        cells = " | ".join("–" if value is None else f"{value:.3f}" for value in values)
        known = [value for value in values if value is not None]
        # A mean over other classes than the next row's would compare nothing: it has none, and stands below.
        whole = len(known) == len(classes)
        total = f"**{mean(known):.3f}** {_interval(theirs)}" if whole else "–"
        chosen = ", ".join(str(seed) for seed in sorted({run.seed for run in theirs}))
        rows.append(
            (
                mean(known) - (not whole),
                f"| {label} | {cells} | {total} | {chosen} | {mean(run.training_s for run in theirs):.0f} s | "
                f"{_speed(theirs)} | {_letters(theirs, machines)} |",
            )
        )
    return "\n".join([*lines, *_best_first(rows), *_unsound(runs), ""])


def _unsound(runs: Sequence[Run]) -> list[str]:
    """A note for each training that went wrong."""
    wrong = [run for run in runs if run.stopped not in SOUND]
    notes = [f"- {run.name}: {run.stopped}; measured with the best weights before." for run in wrong]
    return ["", *notes] if notes else []


def _speed(runs: Sequence[Run]) -> str:
    known = [run.frames_per_s for run in runs if run.frames_per_s]
    return "–" if not known else f"{mean(known):.0f}" if mean(known) >= 10 else f"{mean(known):.2g}"


def _interval(runs: Sequence[Run]) -> str:
    low, high = (mean(run.measures["auroc"][end] for run in runs) for end in ("low", "high"))
    return f"[{low:.3f}, {high:.3f}]"


def _letters(runs: Sequence[Run], machines: Mapping[str, str]) -> str:
    return ", ".join(sorted({machines[run.machine] for run in runs}))


def _best_first(rows: Iterable[tuple[float, str]]) -> list[str]:
    return [row for _, row in sorted(rows, key=lambda row: -row[0])]


def _grouped(runs: Iterable[Run], field: str) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        found[getattr(run, field)].append(run)
    return found


def _by_scorer(runs: Iterable[Run]) -> list[tuple[str, list[Run]]]:
    """(label, its runs by seed), in the catalogue's order."""
    found: dict[tuple[int, str], list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.seed):
        place = METHODS.index(run.scorer) if run.scorer in METHODS else len(METHODS)
        found[place, f"{_title(run.scorer)} {run.variant}".strip()].append(run)
    return [(label, theirs) for (_, label), theirs in sorted(found.items())]


def _title(scorer: str) -> str:
    return method(scorer).title if scorer in METHODS else scorer


def stored(folder: Path) -> list[Run]:
    """The runs of a folder, none where there is no folder. ValueError, with the file's name, for one that is none."""
    return [load_run(path) for path in sorted(folder.glob("*.json"))]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="Only say whether the page is current.")
    check = arguments.parse_args().check
    try:
        runs = stored(RUNS)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if not runs and not (check and not PAGE.exists()):
        print(f"{RUNS} holds no runs: linewatch evaluate --all DATASET --save {RUNS}", file=sys.stderr)
        return 1
    if not check:
        PAGE.write_text(page(runs), encoding="utf-8")
        return 0
    current = not runs or (PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page(runs))
    print("current" if current else f"{PAGE} is not current: python scripts/results_page.py", file=sys.stderr)
    return 0 if current else 1


if __name__ == "__main__":
    raise SystemExit(main())
