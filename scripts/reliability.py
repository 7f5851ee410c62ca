"""Writes docs/reliability.md from experiments with real servers: `python -m scripts.reliability`. Takes minutes."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.outcome import Account, Outcome
from tests.faults.pictures import sights
from tests.faults.runs import Findings, camera_run, edge_run, topic_run
from tests.faults.server_faults import How

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
HEAD = """\
# Reliability

Faults that were made under a running `linewatch run`, with real servers over real connections, and what became of
them. The service is watched from outside: `/readyz`, `/api/cameras`, `/api/alerts`, `/metrics`, the scores that it
publishes, and the summary at its end. *Noticed* counts from the begin of the fault to the first word of the service
about it, *recovered* from the end of the fault to the moment from which everything is as before: ready, and with a
topic every frame scored that the broker had confirmed. At the end of each run captured = scored + dropped + failed,
to the frame, in the API, in the metrics and in the summary; an experiment that finds it otherwise fails.

`python -m scripts.reliability` makes this page; `make test` runs the same experiments with shorter outages, and
`make soak MINUTES=10` makes faults at random.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outage", type=float, default=20.0, help="seconds that servers and cameras are away")
    parser.add_argument("--page", type=Path, default=PAGE)
    asked = parser.parse_args()
    found = Findings(lambda line: print(line, flush=True))
    with tempfile.TemporaryDirectory(prefix="linewatch-reliability-") as name:
        network = sights(Path(name))
        folders = [Path(name) / run for run in ("topic", "cameras", "edge")]
        for folder in folders:
            folder.mkdir()
        topic_run(folders[0], network, found, asked.outage, broker=tuple(How), redis=(How.STALLED, How.EMPTY))
        camera_run(folders[1], network, found, asked.outage)
        edge_run(folders[2], found, asked.outage)
    asked.page.write_text(page(found.outcomes, found.accounts), encoding="utf-8")


def page(outcomes: Sequence[Outcome], accounts: Sequence[Account]) -> str:
    """The whole page."""
    lines = [HEAD + _circumstances(), ""]
    lines += ["| fault | lasted | noticed after | told by | recovered after | meanwhile |"]
    lines += ["| --- | ---: | ---: | --- | ---: | --- |"]
    for found in outcomes:
        noticed = "–" if found.noticed_s is None else f"{found.noticed_s:.1f} s"
        lasted = "–" if found.lasted_s == 0 else f"{found.lasted_s:.1f} s"
        lines.append(
            f"| {found.fault} | {lasted} | {noticed} | {found.told} | {found.recovered_s:.1f} s | {found.meanwhile} |"
        )
    lines += ["", "## The ledger at the end of each run", ""]
    lines += ["`sent` are the frames that the broker had confirmed; a frame that is read twice is captured twice."]
    lines += ["At the edge, captured = sent + dropped + failed. A worker that is killed takes its ledger with it.", ""]
    lines += ["| run | camera | sent | captured | scored | dropped | failed |"]
    lines += ["| --- | --- | ---: | ---: | ---: | --- | --- |"]
    for account in accounts:
        sent, scored = ("–" if count is None else str(count) for count in (account.sent, account.scored))
        lines.append(
            f"| {account.run} | {account.camera} | {sent} | {account.captured} | {scored} | "
            f"{_reasons(account.dropped)} | {_reasons(account.failed)} |"
        )
    return "\n".join(lines) + "\n"


def _reasons(counts: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items())) or "0"


def _circumstances() -> str:
    return (
        f"Measured on {time.strftime('%Y-%m-%d')}: {os.cpu_count()} cores, {platform.system()} on "
        f"{platform.machine()}, Python {sys.version_info.major}.{sys.version_info.minor};\na small network, cameras "
        "with 8 frames a second, servers and cameras on the same machine."
    )


if __name__ == "__main__":
    main()
