"""The pipeline with faults of its own making: the line is watched on, and no frame is lost from the books."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import redis

from models.preprocess import Preprocess
from models.scorer import ModelInfo
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import Outbox
from monitor.alerting.reporter import Reporter
from monitor.alerting.takeover import Takeover
from monitor.embedded import EmbeddedValkey
from monitor.judging.baseline.port import Entry, Mode, Range, WindowRules, WindowUnavailable
from monitor.judging.drift import DriftWatch
from monitor.judging.episodes import EpisodeRule, Episodes
from monitor.judging.judge import Judge
from monitor.judging.presence import Presence
from monitor.judging.rulebook import Calibrated, Rulebook
from monitor.judging.watch import CameraWatch
from monitor.judging_stage import JudgingParts, JudgingStage
from monitor.pipeline import Pipeline, Stages
from monitor.scoring.decoding import Decoder, Optics
from monitor.scoring.inbox import Inbox
from monitor.scoring.models import Models
from monitor.scoring.worker import Worker
from monitor.serving.board import Board
from monitor.serving.ledger import Ledger
from monitor.serving.metrics import Metrics
from monitor.supervision import Custody, SourceOutlet
from streams.codec import encode_jpeg
from streams.frame import Frame
from streams.source import Keep, Outlet
from tests.monitor.scenes import T0_NS, FakeSource

JPEG = encode_jpeg(np.full((16, 16, 3), 90, np.uint8))


class Burst(FakeSource):
    """Offers a number of frames and ends."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def run(self, outlet: Outlet, stop: threading.Event) -> None:  # type: ignore[override]
        for i in range(self.count):
            while not outlet.offer(Frame("line-1", i, T0_NS + i, f"t/0/{i}", payload=JPEG), Keep.ALL):
                time.sleep(0.001)


class Scorer:
    """Scores by `value`, called with the number of the frame."""

    def __init__(self, value: Callable[[int], float]) -> None:
        self.value, self.scored = value, 0

    @property
    def info(self) -> ModelInfo:
        return INFO

    def score(self, pictures: np.ndarray) -> np.ndarray:
        values = [self.value(self.scored + i) for i in range(len(pictures))]
        self.scored += len(pictures)
        return np.array(values)

    def heat(self, picture: np.ndarray) -> np.ndarray:
        return np.zeros(picture.shape[:2], np.float32)


INFO = ModelInfo(
    model_id="m",
    method="fake",
    architecture={},
    preprocess=Preprocess(32, 3),
    calibration=None,
    norm="",
    device="cpu",
    precision="fp32",
)


class NoWindow:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def judge(self, entries: Sequence[Entry]) -> list[Range]:
        raise self.error


def run(
    tmp_path: Path,
    client: redis.Redis,
    prefix: str,
    source: Burst,
    scorer: Scorer,
    window: NoWindow,
    flush_s: float = 0.5,
) -> tuple[Pipeline, Ledger]:
    metrics, board = Metrics(), Board()
    ledger, presence = Ledger(metrics), Presence()
    watch, outbox, episodes = CameraWatch(None, presence), Outbox(client, prefix), Episodes(EpisodeRule(1, 1, 1, 0))
    inbox = Inbox(ledger, max_frames=16, max_bytes=1 << 20, live_frames=2)
    worker = Worker(Models(scorer))  # type: ignore[arg-type]
    rulebook = Rulebook(
        mode=Mode.MINMAX,
        threshold=lambda camera: "auto",
        product=lambda frame: "",
        calibrated=lambda model: Calibrated(0.0, 1.0, 2.0),
        learnt=lambda key, epoch: None,
    )
    judging = JudgingStage(
        JudgingParts(
            presence=presence,
            watch=watch,
            takeover=Takeover(outbox, episodes, watch),
            judge=Judge(window, rulebook),
            drift=DriftWatch(),
            episodes=episodes,
            reporter=Reporter(
                outbox,
                EvidenceStore(tmp_path, 1),
                lambda verdict: worker.heat(verdict.picture, verdict.model),
                model=lambda: "m",
                base_url="http://h",
                keep_s=60,
                written=lambda e: None,
            ),
            publisher=None,
            recorder=None,
            shelved=lambda camera, at_ns: False,
            shelved_by_hand=lambda camera, at_ns: False,
            unsettled=lambda camera: False,
            left=lambda camera: None,
            seen=lambda frame: None,
            window_rules=lambda: WindowRules(100, 60, 10, 100),
            ledger=ledger,
            board=board,
            metrics=metrics,
        )
    )

    def outlet(custody: Custody) -> tuple[Outlet, Callable[[], None]]:
        made = SourceOutlet(custody, inbox, ledger, board, metrics, presence)
        return made, made.ended

    stages = Stages(
        outlet=outlet,
        retired=lambda camera: None,
        inbox=inbox,
        decoder=Decoder(lambda: Optics("m", 8, lambda camera: "", lambda frame, pixels: pixels), 1 << 20, 1),
        worker=worker,
        judging=judging,
        publisher=None,
        recorder=None,
        ledger=ledger,
        metrics=metrics,
    )
    pipeline = Pipeline([source], stages, max_batch=8, max_wait_s=0.001, flush_s=flush_s)
    pipeline.run()
    return pipeline, ledger


AWAY = NoWindow(WindowUnavailable("away"))


def test_every_frame_is_finished_once(tmp_path: Path, redis_client: redis.Redis, prefix: str) -> None:
    source = Burst(100)
    pipeline, ledger = run(tmp_path, redis_client, prefix, source, Scorer(lambda i: 0.5), AWAY)
    assert [f.seq for f in source.finished] == list(range(100))
    assert ledger.accounts()["line-1"].scored == 100 and pipeline.unwritten == 0


class BadCamera(Burst):
    """A topic's camera that sends nothing that can be decoded."""

    cameras = ()

    def run(self, outlet: Outlet, stop: threading.Event) -> None:  # type: ignore[override]
        outlet.offer(Frame("line-1", 1, T0_NS, "t/0/1", payload=b"no picture"), Keep.ALL)
        time.sleep(1.5)  # the judge looks round in between


def test_a_camera_of_which_nothing_was_ever_judged_has_not_left(
    tmp_path: Path, redis_client: redis.Redis, prefix: str
) -> None:
    pipeline, ledger = run(tmp_path, redis_client, prefix, BadCamera(1), Scorer(lambda i: 0.5), AWAY)
    assert ledger.accounts()["line-1"].failed == {"undecodable": 1}
    assert not pipeline._s.judging._p.board.has_left("line-1")


def test_a_score_that_is_no_number_fails_its_frame_alone(
    tmp_path: Path, redis_client: redis.Redis, prefix: str
) -> None:
    source = Burst(40)
    _, ledger = run(tmp_path, redis_client, prefix, source, Scorer(lambda i: float("nan") if i == 7 else 0.5), AWAY)
    account = ledger.accounts()["line-1"]
    assert (account.scored, dict(account.failed), account.in_flight) == (39, {"score_not_finite": 1}, 0)
    assert [f.seq for f, _ in source.rejected] == [7]


def test_a_fault_of_our_own_is_counted_and_the_line_is_watched_on(
    tmp_path: Path, redis_client: redis.Redis, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = Burst(40)
    broken = NoWindow(KeyError("a fault of ours"))
    _, ledger = run(tmp_path, redis_client, prefix, source, Scorer(lambda i: 0.5), broken)
    account = ledger.accounts()["line-1"]
    assert (account.captured, dict(account.failed), account.in_flight) == (40, {"internal_error": 40}, 0)
    assert len(source.rejected) == 40


def test_frames_behind_an_alert_that_is_not_written_are_not_finished(tmp_path: Path, prefix: str) -> None:
    """Redis is away to the end: the run ends all the same, says so, and Kafka would deliver these frames again."""
    with EmbeddedValkey() as server:
        client = redis.Redis.from_url(server.address, decode_responses=True, socket_timeout=1)
    source = Burst(30)
    began_s = time.monotonic()
    pipeline, ledger = run(tmp_path, client, prefix, source, Scorer(lambda i: 9.0 if i >= 20 else 0.5), AWAY)
    assert time.monotonic() - began_s < 60
    assert pipeline.unwritten == 1
    assert ledger.accounts()["line-1"].scored == 30
    assert max((f.seq for f in source.finished), default=-1) < 20
