"""Six cameras over mixed sources, faults at random for some minutes: `python -m scripts.soak --minutes 10`.

Exit code 1 where the ledger does not balance, a frame is lost, or memory, threads or open files grow.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.mischief import Mischief
from tests.faults.pictures import sights
from tests.faults.plant import FOLDER, Plant, plant
from tests.faults.process import until
from tests.faults.procs import Sample, open_files, sample
from tests.faults.service import adds_up
from tests.faults.verdict import Calm, growth

SAMPLE_EVERY_S = 3.0
TELL_EVERY_S = 30.0
CALM_S = 10.0
WELL_WITHIN_S = 120.0


def main() -> int:
    """The whole soak; the process's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="the one that an earlier run printed makes its faults")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 31) if asked.seed is None else asked.seed
    print(f"soak: {asked.minutes:g} minutes of faults, --seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="linewatch-soak-") as folder:
        with plant(Path(folder), sights(Path(folder))) as everything:
            complaints = soak(everything, asked.minutes * 60, seed)
    for complaint in complaints:
        print(f"FAILED: {complaint}", flush=True)
    print("soak: failed" if complaints else "soak: passed", flush=True)
    return 1 if complaints else 0


def soak(everything: Plant, seconds: float, seed: int) -> list[str]:
    """Run the faults; what is to be complained of."""
    mischief = Mischief(everything, seed)
    if not _well(everything):
        return [f"not every camera came up within {WELL_WITHIN_S:.0f} s: {_state(everything)}"]
    mischief.once_each()  # the warm-up: what is set up once is set up now
    if not _well(everything):
        return [f"not well {WELL_WITHIN_S:.0f} s after one fault of each kind: {_state(everything)}"]
    before, files_before = _calm(everything), open_files(everything.service.pid)
    print(f"at rest before: {before}", flush=True)
    samples = _make_mischief(everything, mischief, seconds)
    complaints = []
    if not _well(everything):
        complaints.append(f"not well {WELL_WITHIN_S:.0f} s after the last fault: {_state(everything)}")
    after, files_after = _calm(everything), open_files(everything.service.pid)
    print(f"at rest after:  {after}", flush=True)
    if more := files_after - files_before:
        print("files that were not open before: " + ", ".join(f"{n} {what}" for what, n in more.items()), flush=True)
    print("faults: " + ", ".join(f"{what} {count}" for what, count in sorted(mischief.made.items())), flush=True)
    return complaints + growth(before, after, samples) + _balance(everything)


def _make_mischief(everything: Plant, mischief: Mischief, seconds: float) -> list[Sample]:
    began_s = time.monotonic()
    samples: list[Sample] = []
    next_sample_s = next_told_s = began_s
    while (now_s := time.monotonic()) < began_s + seconds:
        mischief.step()
        if now_s >= next_sample_s:
            next_sample_s = now_s + SAMPLE_EVERY_S
            samples.append(sample(everything.service.pid))
        if now_s >= next_told_s:
            next_told_s = now_s + TELL_EVERY_S
            _tell(everything, samples[-1], now_s - began_s, mischief)
        time.sleep(0.1)
    mischief.end()
    return samples


def _tell(everything: Plant, last: Sample, at_s: float, mischief: Mischief) -> None:
    ledger = everything.service.ledger().values()
    captured, scored = sum(a.captured for a in ledger), sum(a.scored for a in ledger)
    dropped, failed = (sum(sum(getattr(a, kind).values()) for a in ledger) for kind in ("dropped", "failed"))
    print(
        f"{at_s:6.0f} s: {captured} captured, {scored} scored, {dropped} dropped, {failed} failed; "
        f"{last.rss_mb:.0f} MB, {last.threads} threads, {last.fds} files; {last.children} children with "
        f"{last.children_mb:.0f} MB; wrong now: {', '.join(mischief.going) or 'nothing'}",
        flush=True,
    )


def _well(everything: Plant) -> bool:
    return until(everything.well, WELL_WITHIN_S, every_s=0.25) is not None


def _calm(everything: Plant) -> Calm:
    """How it stands while nothing is wrong."""
    end_s, samples = time.monotonic() + CALM_S, []
    while time.monotonic() < end_s:
        samples.append(sample(everything.service.pid))
        time.sleep(0.5)
    return Calm.of(samples)


def _state(everything: Plant) -> str:
    views = everything.service.cameras()
    told = {name: (v["up"], v["stale"], v.get("troubles")) for name, v in views.items()}
    return f"reasons {everything.service.reasons()}, cameras (up, stale, troubles) {told}"


def _balance(everything: Plant) -> list[str]:
    """Let everything end; the frames that are not accounted for."""
    service, complaints = everything.service, []
    everything.end_of_frames()
    shelf = everything.shelf
    if until(lambda: service.ledger()[FOLDER].captured >= shelf.written, 60) is None:
        complaints.append(f"{shelf.written} files were written, {service.ledger()[FOLDER].captured} were captured")
    if until(lambda: not everything.scores.missing(everything.feed.taken), 60) is None:
        lost = {camera: len(seqs) for camera, seqs in everything.scores.missing(everything.feed.taken).items()}
        complaints.append(f"frames that the broker confirmed and that were never scored: {lost}")
    end = service.stop()
    print(end.summary.strip(), flush=True)
    sent = sum(len(seqs) for seqs in everything.feed.taken.values())
    print(f"{sent} frames sent to the topic, {everything.scores.repeated()} of them scored again", flush=True)
    print(f"{shelf.written} files written to the watched folder; stopped within {end.took_s:.1f} s", flush=True)
    if end.code != 0 or not adds_up(end):
        complaints.append(f"it ended with code {end.code} and this account:\n{end.summary}\n{service.tail()}")
    return complaints


if __name__ == "__main__":
    sys.exit(main())
