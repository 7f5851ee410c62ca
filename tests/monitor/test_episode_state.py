"""What a restart, a crash or another worker must neither repeat nor forget: on a model, and on a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import uuid4

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.alerting.alert import Alert, Event
from monitor.alerting.outbox import Outbox
from monitor.alerting.reporter import Reporter
from monitor.alerting.takeover import Takeover
from monitor.judging.baseline.port import BaselineKey
from monitor.judging.episodes import EpisodeRule, Episodes, EpisodeState, Hold, Reason, StateUnreadable
from monitor.judging.judge import Verdict
from monitor.judging.presence import Presence
from monitor.judging.watch import CameraWatch
from tests.monitor.scenes import STEP_NS, T0_NS, frame, verdict

STEP_S = STEP_NS / 1e9


class Killed(BaseException):
    """The worker ends here, as by SIGKILL."""


class Kept(Protocol):
    """What survives a worker."""

    def write(self, event: Event, ttl_s: float, states: Mapping[str, str] | None = None) -> bool: ...
    def keep(self, states: Mapping[str, str]) -> None: ...
    def states(self, cameras: Iterable[str]) -> dict[str, str]: ...
    def firing(self) -> list[Alert]: ...


class Model:
    """Redis as a dict: what is written, and which document is refused."""

    def __init__(self) -> None:
        self.docs: dict[str, str] = {}
        self.alerts: dict[str, Alert] = {}
        self.events: list[Event] = []

    def write(self, event: Event, ttl_s: float, states: Mapping[str, str] | None = None) -> bool:
        self.events.append(event)
        known = self.alerts.get(event.alert.alert_id)
        if known is None or known.ended_at is None:
            self.alerts[event.alert.alert_id] = event.alert
        self.keep(states or {})
        return True

    def keep(self, states: Mapping[str, str]) -> None:
        for camera, doc in states.items():
            if camera not in self.docs or not behind(json.loads(doc)["marks"], json.loads(self.docs[camera])["marks"]):
                self.docs[camera] = doc

    def states(self, cameras: Iterable[str]) -> dict[str, str]:
        return {camera: self.docs[camera] for camera in cameras if camera in self.docs}

    def firing(self) -> list[Alert]:
        return [alert for alert in self.alerts.values() if alert.ended_at is None]


def behind(new: dict[str, list[int]], kept: dict[str, list[int]]) -> bool:
    return all(s in kept and n <= kept[s][0] and t <= kept[s][1] for s, (n, t) in new.items()) and new != kept


class Mortal:
    """What a worker writes through, until it is killed: after so many transactions, or in the middle of the next,
    which is then in or not."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.left: int | None = None
        self.last_arrives = False

    def _live(self) -> bool:
        if self.left is None:
            return True
        self.left -= 1
        return self.left >= 0

    def write(self, event: Event, ttl_s: float, states: Mapping[str, str] | None = None) -> bool:
        if self._live():
            return self.kept.write(event, ttl_s, states)
        if self.last_arrives:
            self.kept.write(event, ttl_s, states)
        raise Killed

    def keep(self, states: Mapping[str, str]) -> None:
        if self._live():
            return self.kept.keep(states)
        if self.last_arrives:
            self.kept.keep(states)
        raise Killed

    def states(self, cameras: Iterable[str]) -> dict[str, str]:
        return self.kept.states(cameras)

    def firing(self) -> list[Alert]:
        return self.kept.firing()


@dataclass(frozen=True)
class Shot:
    """A frame of a test: what it scores, whose it is, under which hold, and whether the gate is open then."""

    score: float
    camera: str = "a"
    hold: Hold = Hold.NO
    open: bool = True
    product: str = ""
    late_ns: int = 0


@dataclass
class Line:
    """The frames of one partition, and what became of them."""

    shots: Sequence[Shot]
    rule: EpisodeRule
    kept: Kept
    evidence: list[str] = field(default_factory=list)

    def verdict(self, index: int) -> Verdict:
        shot = self.shots[index]
        made = verdict(index, shot.score > 2, shot.score, shot.camera)
        at_ns = T0_NS + index * STEP_NS - shot.late_ns
        return replace(
            made, frame=frame(index, shot.camera, at_ns), key=BaselineKey(shot.camera, made.model, shot.product)
        )

    def gate(self, camera: str, at_ns: int) -> Reason | None:
        index = round((at_ns - T0_NS) / STEP_NS + 0.4)
        return None if self.shots[index].open else Reason.MAINTENANCE


class Worker:
    """A process that judges the line's frames from some frame on."""

    def __init__(self, line: Line, position: int) -> None:
        self.line, self.position = line, position
        self.outbox = Mortal(line.kept)
        self.episodes = Episodes(line.rule, line.gate)
        outbox: Any = self.outbox
        self.takeover = Takeover(outbox, self.episodes, CameraWatch(None, Presence()))
        evidence: Any = self
        self.reporter = Reporter(
            outbox,
            evidence,
            lambda v: np.zeros((8, 8), np.float32),
            model=lambda: "m",
            base_url="http://here",
            keep_s=60,
            written=lambda e: None,
        )

    def save(self, alert_id: str, *_: object) -> None:
        self.line.evidence.append(alert_id)

    def find(self, alert_id: str, kind: str) -> str | None:
        return "it" if alert_id in self.line.evidence else None

    def judge(self, count: int) -> int:
        """One batch; from where on its frames are finished."""
        indices = range(self.position, min(self.position + count, len(self.line.shots)))
        verdicts = [self.line.verdict(i) for i in indices]
        found = self.takeover.meet({v.frame.camera for v in verdicts})
        assert found.ended == ()
        steps = (self.episodes.step(v, self.line.shots[i].hold) for i, v in zip(indices, verdicts, strict=True))
        self.reporter.report([t for t in steps if t is not None], self.episodes.changed())
        assert self.reporter.waiting == 0
        self.position = indices.stop
        return self.position


@dataclass(frozen=True)
class Act:
    """What happens next: a batch, or one in which the worker dies after so many transactions; or the partition goes
    to another worker, and the old one still judges so many batches that it had read, some time later. The next worker
    begins `again` frames before the first that is not finished."""

    batch: int
    dies_after: int | None = None
    last_arrives: bool = False
    moves: bool = False
    lingers: int = 0
    after: int = 0
    again: int = 0


def told(events: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Events by id, in order, without exact repeats."""
    found: dict[str, Any] = {}
    for name, what in events:
        assert found.setdefault(name, what) == what, f"{name} told twice, and not the same"
    return found


def of(model: Model) -> dict[str, Any]:
    return told(
        (e.event_id, (e.alert.camera, e.alert.started_at, e.alert.ended_at, e.alert.peak_score, e.alert.severity))
        for e in model.events
    )


def without_interruption(shots: Sequence[Shot], rule: EpisodeRule) -> dict[str, Any]:
    model = Model()
    Worker(Line(shots, rule, model), 0).judge(len(shots))
    assert len(model.events) == len(of(model))
    return of(model)


def with_interruptions(line: Line, acts: Sequence[Act]) -> None:
    worker, finished, lingering = Worker(line, 0), 0, list[tuple[Worker, int, int]]()
    for act in acts:
        if act.moves:
            lingering.append((worker, act.lingers, act.after))
            worker = Worker(line, max(0, finished - act.again))
        worker.outbox.left, worker.outbox.last_arrives = act.dies_after, act.last_arrives
        try:
            finished = max(finished, worker.judge(act.batch))
        except Killed:
            worker = Worker(line, max(0, finished - act.again))
        worker.outbox.left = None
        for old, left, wait in lingering:
            if left > 0 and wait <= 0:
                old.judge(act.batch)
        lingering = [(old, left - (wait <= 0), wait - 1) for old, left, wait in lingering]
    while worker.position < len(line.shots):
        worker.judge(7)


shot = st.builds(
    Shot,
    st.sampled_from([1.0, 1.0, 1.9, 2.5, 3.0, 9.0]),
    st.sampled_from("aaab"),
    st.sampled_from([Hold.NO] * 8 + [Hold.SUSPECT, Hold.TROUBLE]),
    st.sampled_from([True, True, True, False]),
    st.sampled_from(["", "", "", "", "", "", "new"]),
    st.sampled_from([0, 0, 0, STEP_NS // 3]),
)
# Runs of frames that are alike: single ones hardly ever make an episode.
shots = st.lists(st.tuples(shot, st.integers(1, 7)), min_size=6, max_size=24).map(
    lambda runs: [one for one, times in runs for _ in range(times)]
)
rules = st.builds(
    lambda k, extra, m, cool, fire, resolve: EpisodeRule(
        k, k + extra, m, cool * STEP_S, fire * STEP_S, resolve * STEP_S, 0.9
    ),
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(1, 4),
    st.integers(0, 6),
    st.sampled_from([0, 0, 2, 5]),
    st.sampled_from([0, 0, 2, 5]),
)
acts = st.lists(
    st.builds(
        Act,
        st.integers(1, 9),
        st.one_of(st.none(), st.integers(0, 3)),
        st.booleans(),
        st.booleans(),
        st.integers(0, 3),
        st.integers(0, 6),
        st.integers(0, 12),
    ),
    min_size=4,
    max_size=16,
)


@settings(max_examples=200)
@given(shots, rules)
def test_one_firing_and_one_resolved_for_each_episode(frames: list[Shot], rule: EpisodeRule) -> None:
    firing: dict[str, str] = {}
    critical: set[str] = set()
    for name in without_interruption(frames, rule).items():
        (alert_id, kind), (camera, started, ended, _, _) = name[0].split("."), name[1]
        if kind == "firing":
            assert camera not in firing and ended is None
            firing[camera] = alert_id
        elif kind == "raised":
            assert firing[camera] == alert_id and ended is None and alert_id not in critical
            critical.add(alert_id)
        else:
            assert firing.pop(camera) == alert_id and ended >= started


@settings(max_examples=300)
@given(shots, rules, acts)
def test_interruptions_neither_repeat_nor_forget_an_event(
    frames: list[Shot], rule: EpisodeRule, plan: list[Act]
) -> None:
    model = Model()
    with_interruptions(Line(frames, rule, model), plan)
    expected = without_interruption(frames, rule)
    assert of(model) == expected
    for camera in ("a", "b"):  # between two cameras there is no order: their batches were cut differently
        names = [n for n, (c, *_) in of(model).items() if c == camera]
        assert names == [n for n, (c, *_) in expected.items() if c == camera]
    assert {a.alert_id for a in model.firing()} == {
        name.split(".")[0] for name in expected if name.replace("firing", "resolved") not in expected
    }


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shots, rules, acts)
def test_so_it_is_on_a_real_server(
    redis_client: redis.Redis, frames: list[Shot], rule: EpisodeRule, plan: list[Act]
) -> None:
    outbox = Outbox(redis_client, f"test-{uuid4().hex[:10]}")
    with_interruptions(Line(frames, rule, outbox), plan)
    rows: Any = redis_client.xrange(outbox.stream)
    events = [json.loads(fields["event"]) for _, fields in rows]
    expected = without_interruption(frames, rule)
    assert sorted(e["id"] for e in events) == sorted(expected)  # here, nothing is told twice at all
    for camera in ("a", "b"):
        assert [e["id"] for e in events if e["subject"] == camera] == [
            n for n, (c, *_) in expected.items() if c == camera
        ]
    assert {a.alert_id for a in outbox.firing()} == {
        name.split(".")[0] for name in expected if name.replace("firing", "resolved") not in expected
    }


RULE = EpisodeRule(3, 5, 4, cooldown_s=2 * STEP_S)


def stepped(pattern: str, rule: EpisodeRule = RULE, hold: Callable[[int], Hold] = lambda i: Hold.NO) -> Episodes:
    """Episodes after these frames; `x` is an anomalous one."""
    episodes = Episodes(rule)
    for i, mark in enumerate(pattern):
        episodes.step(verdict(i, mark == "x"), hold(i))
    return episodes


def test_a_quiet_camera_is_told_of_once() -> None:
    episodes = stepped("....")
    assert episodes.changed() == {}
    episodes.step(verdict(4, True))
    assert set(episodes.changed()) == {"line-1"} and episodes.state("line-1") is EpisodeState.PENDING
    assert episodes.changed() == {}
    told_of = []
    for i in range(5, 20):
        episodes.step(verdict(i, False))
        told_of += list(episodes.changed().values())
    # While the anomalous frame is among the last five, each frame moves it on; then quiet, once.
    assert len(told_of) == 5 and "recent" not in told_of[-1] and "recent" in told_of[-2]
    assert episodes.state("line-1") is EpisodeState.QUIET


def test_a_document_is_small_and_holds_no_picture() -> None:
    pending = stepped("x.x").changed()["line-1"]
    assert len(pending) < 250, pending
    assert len(fired("xxx")) < 500
    after = stepped("xxx...")
    resolved = after.step(verdict(6, False))
    assert resolved is not None and resolved.doc is not None and len(resolved.doc) < 120


def test_what_was_judged_before_a_restart_is_known_again_however_much_it_is() -> None:
    doc = stepped("." * 5000 + "x").changed()["line-1"]
    after = Episodes(EpisodeRule(1, 1, 1, 0))
    after.restore("line-1", doc)
    assert [t for i in range(5001) if (t := after.step(verdict(i, True)))] == []
    assert after.step(verdict(5001, True)) is not None


def test_a_source_that_counts_anew_after_a_restart_is_not_taken_for_one_that_repeats() -> None:
    after = Episodes(EpisodeRule(1, 1, 1, 0))
    after.restore("line-1", stepped("." * 500 + "x").changed()["line-1"])
    later = replace(verdict(0, True), frame=frame(0, at_ns=T0_NS + 501 * STEP_NS))
    assert after.step(later) is not None
    assert after.step(later) is None


def test_frames_whose_capture_times_are_out_of_order_are_known_again_too() -> None:
    rule, seen = EpisodeRule(3, 3, 1, 0), [replace(verdict(i, True), frame=frame(i)) for i in range(3)]
    seen[0] = replace(seen[0], frame=frame(0, at_ns=T0_NS + 50 * STEP_NS))
    before, after = Episodes(rule), Episodes(rule)
    assert [before.step(v) for v in seen[:2]] == [None, None]
    after.restore("line-1", before.changed()["line-1"])
    assert [after.step(v) for v in (*seen[:2], *seen[:2])] == [None] * 4
    assert after.step(seen[2]) is not None


def test_only_so_many_streams_are_remembered() -> None:
    episodes = Episodes(EpisodeRule(2, 2, 1, 0))
    for i in range(200):
        film = replace(frame(i), origin=f"film-{i}.mp4#0")
        episodes.step(replace(verdict(i, i == 199), frame=film))
    marks = json.loads(episodes.changed()["line-1"])["marks"]
    assert list(marks) == [f"film-{i}.mp4" for i in range(184, 200)]


def test_the_highest_scoring_frame_whose_picture_is_at_hand_is_shown() -> None:
    before = Episodes(RULE)
    before.step(verdict(0, True, 9.0))
    after = Episodes(RULE)
    after.restore("line-1", before.changed()["line-1"])
    after.step(verdict(1, True, 2.5))
    transition = after.step(verdict(2, True, 3.0))
    assert transition is not None and transition.trigger is not None
    assert (transition.trigger.frame.seq, transition.episode.trigger_seq) == (2, 2)
    assert transition.episode.peak_score == 9.0
    assert transition.episode.started_at_ns == verdict(0, True).frame.captured_at_ns


def test_an_episode_of_which_no_picture_is_at_hand_fires_all_the_same() -> None:
    before = stepped("xxx", hold=lambda i: Hold.SUSPECT)
    after = Episodes(RULE)
    after.restore("line-1", before.changed()["line-1"])
    assert after.undecided() == ["line-1"]
    for i in range(3, 8):
        assert after.step(verdict(i, False), Hold.SUSPECT) is None
    transition = after.step(verdict(8, False))
    assert transition is not None and transition.trigger is None and transition.episode.trigger_seq == 0


def test_what_was_counted_for_another_product_is_dropped_after_a_restart_too() -> None:
    after = Episodes(RULE)
    after.restore("line-1", stepped("xx").changed()["line-1"])
    other = replace(verdict(2, True), key=BaselineKey("line-1", "m", "another"))
    for again in (0, 1):
        after.step(verdict(again, True))  # delivered again: no change of product
    assert after.step(other) is None and after.state("line-1") is EpisodeState.PENDING
    same = Episodes(RULE)
    same.restore("line-1", stepped("xx").changed()["line-1"])
    assert same.step(verdict(2, True)) is not None


@pytest.mark.parametrize(
    ("doc", "says"),
    [
        ('{"v":2,"marks":{}}', "version 1"),
        ("{", "JSON"),
        ("[]", "object"),
        ('{"v":1,"marks":{"t/0":[1]}}', "marks"),
        ('{"v":1,"marks":{},"recent":[["t/0/1",1,2,null,0,1]]}', "recent"),
        ('{"v":1,"marks":{},"firing":{"alert_id":"1"}}', "firing"),
        ('{"v":1,"marks":{},"colour":"red"}', "colour"),
    ],
)
def test_a_document_that_cannot_be_read_says_why_and_changes_nothing(doc: str, says: str) -> None:
    episodes = stepped("xx")
    with pytest.raises(StateUnreadable, match=says):
        episodes.restore("line-1", doc)
    assert episodes.step(verdict(2, True)) is not None


def test_a_state_that_comes_late_ends_no_episode_and_begins_none() -> None:
    """Redis was away when the worker began."""
    doc = fired("xxx")
    own = stepped("....")
    assert own.restore("line-1", doc) is None
    assert own.state("line-1") is EpisodeState.FIRING
    other = Episodes(RULE)
    for i in range(10, 13):
        other.step(verdict(i, True))
    left = other.restore("line-1", doc)
    assert left is not None and left.started_at_ns == T0_NS
    active = other.active("line-1")
    assert active is not None and active.started_at_ns > T0_NS
    assert other.restore("line-1", fired("xxx", start=10)) is None  # the very same


def test_so_it_is_at_a_camera_whose_frames_never_come_again() -> None:
    """Of which no mark is kept."""

    def captured(index: int) -> Verdict:
        seen = verdict(index, True)
        return replace(seen, frame=replace(seen.frame, origin=f"rtsp:line-1/{index}"))

    episodes = Episodes(RULE)
    for index in range(10, 13):
        episodes.step(captured(index))
    own = episodes.active("line-1")
    left = episodes.restore("line-1", fired("xxx"))
    assert own is not None and left is not None and left.started_at_ns == T0_NS
    assert episodes.active("line-1") == own


def fired(pattern: str, start: int = 0) -> str:
    """The state that came with the firing."""
    episodes = Episodes(RULE)
    docs = [t.doc for i, mark in enumerate(pattern, start) if (t := episodes.step(verdict(i, mark == "x")))]
    assert docs[0] is not None
    return docs[0]
