"""What a camera's own trouble means for the alerts about its parts, and which cameras may be called silent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import redis

from monitor.judging.episodes import Hold
from monitor.judging.health import Condition, Look, Trouble
from monitor.judging.presence import Presence
from monitor.judging.references import RedisReferences, ReferencesAway
from monitor.judging.watch import CameraWatch
from monitor.scoring.inbox import Inbox
from monitor.scoring.score import Score
from monitor.serving.board import Board
from monitor.serving.ledger import Ledger
from monitor.serving.metrics import Metrics
from monitor.supervision import Custody, SourceOutlet
from streams.frame import Frame
from streams.source import Keep
from tests.monitor.scenes import FakeSource, frame, score


class FakeHealth:
    """Says what it is told to; the real one is tested in test_camera_health.py."""

    def __init__(self) -> None:
        self.holding: tuple[Condition, ...] = ()
        self.held = False
        self.silences: list[Mapping[str, float]] = []
        self.accepted: list[str] = []
        self.presents: list[str] = []
        self.forgotten: list[str] = []
        self.reference: bytes | None = None

    def see(self, camera: str, sight: Any, frame_time_ns: int, now_s: float) -> Look:
        return Look(suspect=frozenset(), held=self.held or bool(set(self.holding) - {Condition.OFFLINE}))

    def tick(self, now_s: float, silence_s: Mapping[str, float]) -> list[Trouble]:
        self.silences.append(silence_s)
        return []

    def conditions(self, camera: str) -> tuple[Condition, ...]:
        return self.holding

    def adopt(self, troubles: Iterable[Trouble]) -> None:
        raise NotImplementedError

    def accept(self, camera: str) -> list[Trouble]:
        self.accepted.append(camera)
        return []

    def offline(self) -> list[str]:
        return ["line-1"] if Condition.OFFLINE in self.holding else []

    def present(self, camera: str) -> list[Trouble]:
        self.presents.append(camera)
        return []

    def online_after_s(self, camera: str) -> float:
        return 2.0

    def forget(self, camera: str) -> None:
        self.forgotten.append(camera)

    def learnt(self, camera: str) -> bool:
        return self.reference is not None

    def save(self, camera: str) -> bytes | None:
        return self.reference

    def restore(self, camera: str, reference: bytes) -> None:
        if reference == b"odd":
            raise ValueError("odd")
        self.reference = reference


def seen() -> Score:
    return replace(score(1.0), sight=object())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("holding", "held", "expected"),
    [
        ((), False, Hold.NO),
        ((), True, Hold.SUSPECT),
        ((Condition.COVERED,), False, Hold.TROUBLE),
        ((Condition.OFFLINE,), False, Hold.SUSPECT),
        ((Condition.OFFLINE, Condition.DARK), True, Hold.TROUBLE),
    ],
)
def test_what_is_held_and_how(holding: tuple[Condition, ...], held: bool, expected: Hold) -> None:
    health = FakeHealth()
    health.holding, health.held = holding, held
    watch = CameraWatch(health, Presence())  # type: ignore[arg-type]
    assert watch.see([seen()])[0] == [expected]


def test_without_a_sight_or_without_health_nothing_is_held() -> None:
    health = FakeHealth()
    health.held = True
    assert CameraWatch(health, Presence()).see([score(1.0)])[0] == [Hold.NO]  # type: ignore[arg-type]
    alone = CameraWatch(None, Presence())
    assert alone.see([seen()])[0] == [Hold.NO] and alone.tick() == [] and alone.conditions("line-1") == ()


def test_what_comes_back_waits_until_it_counts_as_back_and_no_longer() -> None:
    now_s, health = [0.0], FakeHealth()
    health.holding = (Condition.OFFLINE,)
    watch = CameraWatch(health, Presence(), clock=lambda: now_s[0])  # type: ignore[arg-type]
    assert watch.see([seen()])[0] == [Hold.SUSPECT]
    now_s[0] += 20  # a camera that sends every 20 s is never online again, by its settings
    assert watch.see([seen()])[0] == [Hold.NO]
    health.holding = ()
    watch.see([seen()])
    health.holding = (Condition.OFFLINE,)
    assert watch.see([seen()])[0] == [Hold.SUSPECT]


def test_a_camera_that_owes_nothing_is_not_offline() -> None:
    health, presence = FakeHealth(), Presence()
    health.holding = (Condition.OFFLINE,)
    presence.expected("line-1", "files:line-1")
    CameraWatch(health, presence).tick()  # type: ignore[arg-type]
    assert health.presents == []
    presence.gone("line-1")  # its folder can be read again
    CameraWatch(health, presence).tick()  # type: ignore[arg-type]
    assert health.presents == ["line-1"]


def test_a_camera_that_comes_back_to_this_worker_begins_anew() -> None:
    desk = Desk(Source("kafka:frames"))
    desk.outlet.offer(live(), Keep.ALL)
    assert desk.watch.departed() == ["line-1"]  # nothing may be left of an earlier time here
    desk.outlet.offer(frame(2), Keep.ALL)
    assert desk.watch.departed() == []
    desk.outlet.camera_gone("line-1")
    assert desk.watch.departed() == ["line-1"] and desk.health.forgotten == ["line-1"] * 2
    desk.outlet.offer(frame(3), Keep.ALL)
    assert desk.watch.departed() == ["line-1"]
    camera = Desk(Source("rtsp:line-1", ("line-1",)))
    camera.outlet.offer(live(), Keep.NEWEST)
    camera.outlet.camera_up("line-1", False)
    camera.outlet.camera_up("line-1", True)
    camera.outlet.offer(frame(2), Keep.NEWEST)
    assert camera.watch.departed() == []  # a camera that reconnects is the same


def test_a_topic_that_has_ended_owes_nothing() -> None:
    desk = Desk(Source("kafka:frames"))
    desk.outlet.offer(live(), Keep.ALL)
    desk.outlet.ended()
    assert desk.silent(60) == {}


def test_a_view_is_accepted_by_somebodys_word_in_the_watchs_own_time() -> None:
    health = FakeHealth()
    watch = CameraWatch(health, Presence())  # type: ignore[arg-type]
    assert watch.accept("line-1") and health.accepted == []
    assert not CameraWatch(None, Presence()).accept("line-1")
    watch.tick()
    assert health.accepted == ["line-1"]


class Kept:
    def __init__(self, kept: bytes | None = None) -> None:
        self.kept = kept

    def load(self, camera: str) -> bytes | None:
        return self.kept

    def save(self, camera: str, reference: bytes) -> None:
        self.kept = reference

    def forget(self, camera: str) -> None:
        self.kept = None


class Away(Kept):
    away = True

    def load(self, camera: str) -> bytes | None:
        if self.away:
            raise ReferencesAway
        return self.kept


def test_what_is_learnt_anew_does_not_come_back_as_it_was() -> None:
    now_s, health, kept = [0.0], FakeHealth(), Kept(b"old")
    watch = CameraWatch(health, Presence(), kept, clock=lambda: now_s[0])  # type: ignore[arg-type]
    watch.see([seen()])
    assert health.reference == b"old"
    health.reference = None  # somebody accepted another view, and it is being learnt
    watch.see([seen()])
    assert kept.kept is None
    health.reference = b"new"
    now_s[0] += 2
    watch.see([seen()])
    assert kept.kept == b"new"


def test_what_cannot_be_read_now_is_not_replaced_by_what_is_learnt_meanwhile() -> None:
    now_s, health, kept = [0.0], FakeHealth(), Away(b"old")
    watch = CameraWatch(health, Presence(), kept, clock=lambda: now_s[0])  # type: ignore[arg-type]
    watch.see([seen()])
    health.reference = b"learnt meanwhile"
    now_s[0] += 1000
    watch.see([seen()])
    assert kept.kept == b"old"
    kept.away = False
    now_s[0] += 1000
    watch.see([seen()])
    assert health.reference == b"old"


def test_how_a_camera_looks_is_kept_and_found_again() -> None:
    now_s, health, kept = [0.0], FakeHealth(), Kept()
    watch = CameraWatch(health, Presence(), kept, clock=lambda: now_s[0])  # type: ignore[arg-type]
    watch.see([seen()])
    health.reference = b"learnt"
    watch.see([seen()])
    assert kept.kept is None
    now_s[0] += 2
    watch.see([seen()])
    assert kept.kept == b"learnt"
    fresh = FakeHealth()
    CameraWatch(fresh, Presence(), kept).see([seen()])  # type: ignore[arg-type]
    assert fresh.reference == b"learnt"


def test_what_was_kept_and_is_no_reference_is_learnt_anew() -> None:
    health = FakeHealth()
    assert CameraWatch(health, Presence(), Kept(b"odd")).see([seen()])[0] == [Hold.NO]  # type: ignore[arg-type]
    assert health.reference is None


def test_references_in_redis(redis_client: redis.Redis, prefix: str) -> None:
    kept = RedisReferences(redis_client, prefix)
    assert kept.load("line 1/ä") is None
    kept.save("line 1/ä", b"\x00\xff")
    assert kept.load("line 1/ä") == b"\x00\xff" and kept.load("line-2") is None
    (key,) = redis_client.keys(f"{prefix}:*")  # type: ignore[misc]
    assert redis_client.ttl(key) > 86_400  # type: ignore[operator]
    redis_client.set(key, "*")
    assert kept.load("line 1/ä") is None
    kept.save("line 1/ä", b"x")
    kept.forget("line 1/ä")
    assert kept.load("line 1/ä") is None


def test_references_while_redis_is_away(prefix: str) -> None:
    client = redis.Redis(port=1, decode_responses=True)
    kept = RedisReferences(client, prefix)
    kept.save("line-1", b"x")
    kept.forget("line-1")
    with pytest.raises(ReferencesAway):
        kept.load("line-1")


class Source(FakeSource):
    def __init__(self, name: str, cameras: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.name, self.cameras = name, cameras  # type: ignore[assignment]


class Desk:
    """One source's outlet, and what the watch hears of the silence of cameras."""

    def __init__(self, source: Source, room: int = 100) -> None:
        self.now_s = 0.0
        self.presence = Presence(lambda: self.now_s)
        self.health = FakeHealth()
        self.watch = CameraWatch(self.health, self.presence, clock=lambda: self.now_s)  # type: ignore[arg-type]
        metrics = Metrics()
        ledger = Ledger(metrics)
        inbox = Inbox(ledger, max_frames=room, max_bytes=1 << 20, live_frames=1)
        self.outlet = SourceOutlet(Custody(source), inbox, ledger, Board(), metrics, self.presence)

    def silent(self, after_s: float) -> dict[str, float]:
        self.now_s += after_s
        self.watch.tick()
        return dict(self.health.silences[-1])


def live(camera: str = "line-1") -> Frame:
    return frame(1, camera)


def test_a_network_camera_is_silent_from_its_start_on() -> None:
    desk = Desk(Source("rtsp:line-1", ("line-1",)))
    desk.outlet.camera_up("line-1", False)
    assert desk.silent(20) == {"line-1": 20}
    desk.outlet.camera_up("line-1", True)
    desk.outlet.offer(live(), Keep.NEWEST)
    assert desk.silent(3) == {"line-1": 3}
    desk.outlet.camera_up("line-1", False)
    assert desk.silent(4) == {"line-1": 7}


def test_a_film_owes_nothing_between_its_frames_nor_after_its_end() -> None:
    desk = Desk(Source("files:bench", ("bench",)))
    desk.outlet.camera_up("bench", True)
    desk.outlet.offer(live("bench"), Keep.ALL)
    assert desk.silent(60) == {}
    desk.outlet.camera_up("bench", False)
    desk.outlet.ended()
    assert desk.silent(60) == {}


def test_a_topics_cameras_are_silent_only_while_it_can_be_read() -> None:
    desk = Desk(Source("kafka:frames"))
    desk.outlet.offer(live(), Keep.ALL)
    desk.outlet.refuse("unknown", "no_camera")
    assert desk.silent(5) == {"line-1": 5}
    desk.outlet.trouble("kafka:frames", "does not answer")
    assert desk.silent(60) == {}
    desk.outlet.trouble("kafka:frames", None)
    assert desk.silent(2) == {"line-1": 2}
    desk.outlet.refuse("line-1", "oversized")
    assert desk.silent(1) == {"line-1": 1}


def test_a_full_house_is_no_fault_of_the_cameras() -> None:
    desk = Desk(Source("kafka:frames"), room=1)
    assert desk.outlet.offer(live(), Keep.ALL)
    desk.now_s += 30
    assert not desk.outlet.offer(live(), Keep.ALL)
    assert desk.silent(1) == {"line-1": 1}
