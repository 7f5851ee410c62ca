"""The demo: a whole plant in one process tree, and an account at its end of what was planted and what was found."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog

from monitor.alerting.alert import ANOMALY, Alert
from monitor.compose import compose
from monitor.embedded import EmbeddedBroker, EmbeddedRtsp, EmbeddedValkey
from monitor.service import Service
from monitor.serving.ledger import Account
from monitor.settings import Settings
from monitor.summary import table
from streams.simulator.footage import FilmFootage, Footage, LineFootage
from streams.simulator.notes import truth_of_plays
from streams.simulator.player import KafkaPlayer
from streams.simulator.scene import Line
from streams.simulator.span import Span
from streams.simulator.truth import Alert as Alarm
from streams.simulator.truth import Outcome, Planted, match, write_truth

log = structlog.get_logger(__name__)

TOPIC = "frames"
SLACK_S = 1.5
"""An alert may begin or end so much before or after the defect's time in view: RTSP has a delay of its own."""


@dataclass(frozen=True, slots=True)
class Plant:
    """What the cameras look at. `film` is played over RTSP, `footages` over Kafka; spans tell the film's truth."""

    rtsp_camera: str
    film: Path
    film_spans: Sequence[Span]
    film_fps: float
    footages: dict[str, Footage]


@dataclass(frozen=True, slots=True)
class CameraReport:
    """One camera's account: frames, and defects against alerts."""

    camera: str
    account: Account
    outcome: Outcome[Alarm]

    @property
    def planted(self) -> int:
        return len(self.outcome.found) + len(self.outcome.missed)


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo prints and is judged by."""

    cameras: tuple[CameraReport, ...]
    undelivered: int

    @property
    def good(self) -> bool:
        """The ledger balances, every frame that was sent arrived, every defect was found, one false alert at most."""
        return (
            all(c.account.in_flight == 0 for c in self.cameras)
            and self.undelivered == 0
            and not any(c.outcome.missed for c in self.cameras)
            and sum(len(c.outcome.false) for c in self.cameras) <= 1
        )


def lines(seed: int, cameras: int) -> list[Line]:
    """The simulated lines, one a camera."""
    return [Line(seed, index) for index in range(cameras)]


def simulated_plant(seed: int, film: Path, film_frames: int) -> Plant:
    """Three cameras over three simulated lines; `film` is the first one's, already written."""
    first, *others = lines(seed, 3)
    return Plant(
        rtsp_camera="line-1",
        film=film,
        film_spans=first.spans(film_frames),
        film_fps=float(first.fps),
        footages={f"line-{index}": LineFootage(line) for index, line in enumerate(others, start=2)},
    )


def film_plant(film: Path, segments: Path | None, spans: Sequence[Span]) -> Plant:
    """Two cameras that look at one real film, one over RTSP and one over Kafka.

    Raises FileNotFoundError, ValueError.
    """
    footage = FilmFootage(film, segments)
    return Plant(
        rtsp_camera="film-rtsp", film=film, film_spans=spans, film_fps=footage.fps, footages={"film-kafka": footage}
    )


def demo_settings(
    checkpoint: Path,
    folder: Path,
    *,
    redis: str,
    kafka: str,
    rtsp: dict[str, str],
    port: int,
    cooldown_s: float,
) -> Settings:
    """The configuration that a user would write for this plant."""
    return Settings.model_validate(
        {
            "model": {"checkpoint": checkpoint},
            "sources": [
                *({"rtsp": {"camera": camera, "url": url}} for camera, url in rtsp.items()),
                {
                    "kafka": {
                        "bootstrap_servers": kafka,
                        "topic": TOPIC,
                        "group_id": "linewatch",
                        "session_timeout_ms": 6000,
                    }
                },
            ],
            "redis": {"url": redis},
            "alerts": {"cooldown_s": cooldown_s},
            "publish": {"bootstrap_servers": kafka},
            "channels": [{"name": "shift-topic", "kafka": {"bootstrap_servers": kafka, "topic": "shift"}}],
            "subscriptions": [
                {"name": "shift", "to": ["shift-topic"], "escalate": {"to": "foreman", "after_s": 60}},
                {
                    "name": "foreman",
                    "to": ["shift-topic"],
                    "from_severity": "critical",
                    "when": {"quiet": [{"start": "22:00", "end": "06:00"}]},
                    "how_often": {"digest": {"every_s": 60}},
                },
            ],
            "http": {"port": port, "link_key": secrets.token_hex(24)},
            "evidence": {"dir": folder / "evidence"},
        }
    )


class Demo:
    """One demo. `run` blocks until `seconds` are over, or until `stop`; the servers end with it."""

    def __init__(self, plant: Plant, checkpoint: Path, folder: Path, *, port: int, cooldown_s: float) -> None:
        self._plant = plant
        self._checkpoint = checkpoint
        self._folder = folder
        self._port = port
        self._cooldown_s = cooldown_s
        self._end = threading.Event()

    def stop(self) -> None:
        """End the demo in order. Safe from a signal handler."""
        self._end.set()

    def run(self, seconds: float | None, announce: Callable[[str], None]) -> DemoReport:
        """Start everything, watch, stop everything. `announce` is called with the page's address when it is served.

        Raises EmbeddedServerError where a server cannot start and OSError where the page's port is taken.
        """
        plant = self._plant
        with ExitStack() as servers:
            valkey = servers.enter_context(EmbeddedValkey())
            broker = servers.enter_context(EmbeddedBroker())
            rtsp = servers.enter_context(EmbeddedRtsp(plant.film.parent))
            broker.create_topic(TOPIC, partitions=len(plant.footages))
            service = compose(
                demo_settings(
                    self._checkpoint,
                    self._folder,
                    redis=valkey.address,
                    kafka=broker.address,
                    rtsp={plant.rtsp_camera: rtsp.url(plant.film.stem)},
                    port=self._port,
                    cooldown_s=self._cooldown_s,
                )
            )
            players = [
                KafkaPlayer(footage, camera, TOPIC, broker.address) for camera, footage in plant.footages.items()
            ]
            watch = threading.Thread(target=service.run, name="service")
            began_ns = time.time_ns()
            watch.start()
            try:
                for player in players:
                    player.start()
                announce(service.server.url)
                self._end.wait(seconds)
            finally:
                until_ns = time.time_ns()
                for player in players:
                    player.stop()
                _drain(service, {p.camera: p.sent for p in players})
                alerts = service.outbox.newest(offset=0, limit=10_000)
                service.stop()
                watch.join()
            truth = {player.camera: player.truth() for player in players}
            truth[plant.rtsp_camera] = truth_of_plays(
                plant.film_spans, plant.rtsp_camera, plant.film_fps, [at for _, at in rtsp.plays], until_ns
            )
            write_truth(self._folder / "truth.jsonl", [planted for found in truth.values() for planted in found])
            accounts = service.ledger.accounts()
            undelivered = sum(p.sent - accounts.get(p.camera, Account()).captured for p in players)
            return DemoReport(
                tuple(
                    _report(camera, accounts.get(camera, Account()), truth[camera], alerts, began_ns, until_ns)
                    for camera in sorted(truth)
                ),
                undelivered,
            )


def _drain(service: Service, sent: dict[str, int], patience_s: float = 15.0) -> None:
    """Wait until every frame that the players sent has arrived and been judged."""
    end_s = time.monotonic() + patience_s
    while time.monotonic() < end_s:
        accounts = service.ledger.accounts()
        if all(
            accounts.get(camera, Account()).captured >= count and accounts[camera].in_flight == 0
            for camera, count in sent.items()
            if count
        ):
            return
        time.sleep(0.1)


def _report(
    camera: str, account: Account, truth: Sequence[Planted], alerts: Sequence[Alert], from_ns: int, until_ns: int
) -> CameraReport:
    about_parts = (a for a in alerts if a.camera == camera and a.condition == ANOMALY)
    alarms = [Alarm(a.camera, a.started_at, a.ended_at) for a in about_parts]
    return CameraReport(camera, account, match(truth, alarms, SLACK_S, from_ns, until_ns))


def describe(report: DemoReport) -> str:
    """The table that a demo ends with."""
    head = ("camera", "captured", "scored", "dropped", "failed", "planted", "found", "missed", "false alerts")
    rows = [
        (
            c.camera,
            str(c.account.captured),
            str(c.account.scored),
            str(sum(c.account.dropped.values())),
            str(sum(c.account.failed.values())),
            str(c.planted),
            str(len(c.outcome.found)),
            str(len(c.outcome.missed)),
            str(len(c.outcome.false)),
        )
        for c in report.cameras
    ]
    text = table(head, rows)
    for camera in report.cameras:
        text += [
            f"missed on {camera.camera}: {planted.kind}, in view for "
            f"{(planted.ended_at_ns - planted.started_at_ns) / 1e9:.1f} s"
            for planted in camera.outcome.missed
        ]
    balanced = all(c.account.in_flight == 0 for c in report.cameras)
    text.append("captured = scored + dropped + failed on every camera." if balanced else "THE LEDGER DOES NOT BALANCE.")
    if report.undelivered:
        text.append(f"{report.undelivered} FRAMES THAT WERE SENT NEVER ARRIVED.")
    return "\n".join(text)
