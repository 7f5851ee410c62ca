"""What a storm of alerts costs the scoring, and what a killed Redis loses: the figures of docs/delivery.md.

python -m scripts.delivery_storm rate --rounds 5
python -m scripts.delivery_storm redis --kills 10
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import redis

from monitor.alerting.alert import Alert, Event
from monitor.alerting.outbox import FIRING, Outbox
from monitor.embedded import EmbeddedValkey
from monitor.judging.episodes import Severity
from tests.faults.delivery_storm import Flood, config, flooded
from tests.faults.hook import FlakyHook
from tests.faults.process import until
from tests.faults.service import Service

FLOOD = Flood(cameras=50, episodes=10, pause=33)


def scored_per_s(share: float | None) -> float:
    """Frames a second through a worker that also delivers to a webhook of which this share fails; None: to nobody."""
    with (
        tempfile.TemporaryDirectory() as name,
        flooded(Path(name), FLOOD) as (model, broker, valkey),
        FlakyHook(share or 0.0) as hook,
    ):
        settings = config(model, broker, valkey, Path(name), None if share is None else hook.url, here=True)
        with Service(settings, Path(name), "worker") as worker:

            def scored() -> float:
                return worker.metric("linewatch_frames_scored_total")

            assert until(lambda: scored() > FLOOD.frames / 10, 60, 0.02) is not None
            from_frames, from_s = scored(), time.monotonic()
            assert until(lambda: scored() >= FLOOD.frames, 180, 0.02) is not None
            took_s = time.monotonic() - from_s
            if share is not None:
                told = "all" if until(lambda: len(hook.arrived()) >= FLOOD.events, 120) is not None else "not all"
                print(f"  {told} of {FLOOD.events} events arrived, {sum(hook.failures.values())} failures", flush=True)
            return (FLOOD.frames - from_frames) / took_s


def rate(rounds: int) -> None:
    """Alternating, so that a machine that does other things as well hits both."""
    print(f"{FLOOD.events // 2} episodes on {FLOOD.cameras} cameras, {FLOOD.frames} frames")
    rates: dict[str, list[float]] = {"to nobody": [], "to a webhook that fails half the time": []}
    for number, name in itertools.product(range(rounds), rates):
        found = scored_per_s(0.5 if "fails" in name else None)
        rates[name].append(found)
        print(f"round {number + 1}: {found:7.0f} frames/s {name}", flush=True)
    alone, along = (statistics.median(found) for found in rates.values())
    print(f"median: {alone:.0f} and {along:.0f} frames/s, {100 * (1 - along / alone):+.1f} % less")


def killed(kills: int) -> None:
    """Kill Valkey (append-only file, everysec) while events are written, and count those that were confirmed and are
    gone."""
    written = lost = 0
    with tempfile.TemporaryDirectory() as name:
        for number in range(kills):
            data = Path(name) / str(number)
            data.mkdir()
            with EmbeddedValkey(data=data) as valkey:
                confirmed = _write_until_killed(valkey)
            with EmbeddedValkey(data=data) as valkey:
                client: Any = redis.Redis.from_url(valkey.address, decode_responses=True)
                kept = {alert.alert_id for alert in Outbox(client, "p").newest(offset=0, limit=1_000_000)}
            gone = confirmed - kept
            written, lost = written + len(confirmed), lost + len(gone)
            print(f"kill {number + 1}: {len(confirmed)} events confirmed, {len(gone)} of them gone", flush=True)
    print(f"{written} events confirmed, {lost} gone after {kills} times SIGKILL of the server")


def _event(number: int) -> Event:
    alert = Alert(
        alert_id=f"{number:016x}",
        camera=f"camera-{number % 50}",
        severity=Severity.WARNING,
        started_at=time.time_ns(),
        peak_score=2.0,
        threshold=1.0,
        frame=None,
        model="m",
    )
    return Event(FIRING, alert.started_at, alert)


def _write_until_killed(valkey: EmbeddedValkey) -> set[str]:
    outbox, confirmed = Outbox(redis.Redis.from_url(valkey.address, decode_responses=True), "p"), set()
    threading.Timer(1.0, lambda: os.kill(valkey.pid or 0, signal.SIGKILL)).start()
    for number in itertools.count(1):
        event = _event(number)
        try:
            outbox.write(event, 600)
        except redis.RedisError:
            return confirmed
        confirmed.add(event.alert.alert_id)
    raise AssertionError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.delivery_storm", description=__doc__)
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("rate").add_argument("--rounds", type=int, default=5)
    what.add_parser("redis").add_argument("--kills", type=int, default=10)
    options = parser.parse_args(arguments)
    if options.what == "rate":
        rate(options.rounds)
    else:
        killed(options.kills)
    return 0


if __name__ == "__main__":
    sys.exit(main())
