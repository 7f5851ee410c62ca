"""The replay's engine against the line's own parts taken step by step, and what is made of two runs."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.judging.baseline.memory_window import MemoryWindow
from monitor.judging.episodes import Episodes, Hold
from monitor.judging.judge import Judge
from monitor.judging.rulebook import Calibrated, Rulebook
from monitor.live import LiveRules
from monitor.replay import camera_run
from monitor.replay.candidate import Candidate
from monitor.replay.compare import compare
from monitor.replay.engine import Engine
from monitor.replay.episode import Outcome, Told
from monitor.replay.rows import ROW, RowMaker
from monitor.replay.span import Span, Trace
from monitor.replay.spill import Stored
from monitor.replay.storm_gate import StormGate
from monitor.replay.survey import survey
from monitor.scoring.inbox import Arrival
from monitor.scoring.score import Score
from monitor.settings import Settings
from streams.frame import Frame
from tests.monitor.recorded import NOON_NS, record

CALIBRATED = Calibrated(low=0.0, high=1.0, limit=1.5)
PICTURE = np.zeros((1, 1, 3), np.uint8)
S_NS = 10**9


def candidate(**sections: Any) -> Candidate:
    """A number as threshold, small windows, no cool-down, unless said otherwise."""
    chosen: dict[str, Any] = {
        "model": {"checkpoint": "m.safetensors"},
        "sources": [{"files": {"camera": "bench", "path": "x"}}],
        "window": {"max_frames": 40, "warm_up_frames": 10, "relearn_after_frames": 60},
        "alerts": {"threshold": 1.0, "cooldown_s": 0, "resolve_after": {"frames": 3}},
    }
    return Candidate("candidate.yaml", LiveRules(Settings(**(chosen | sections)), 32), "m1", CALIBRATED)


@contextmanager
def held(records: Iterable[dict[str, Any]]) -> Iterator[Stored]:
    with Stored(RowMaker()) as stored:
        for one in records:
            stored.add(*stored.maker.row(one))
        stored.sort()
        yield stored


def run(records: Iterable[dict[str, Any]], tried: Candidate, from_ns: int = 0, **more: Any) -> Outcome:
    with held(records) as stored:
        whole = stored.stretch()
        return Engine(tried, stored, from_ns, whole.last_ns + 1 if whole else 1, **more).run(lambda done, total: None)


def by_hand(records: list[dict[str, Any]], tried: Candidate) -> list[tuple[str, int, int | None, float]]:
    """The line's own parts, frame by frame."""
    judge = Judge(
        MemoryWindow(tried.rules.window),
        Rulebook(
            tried.rules.window.mode,
            tried.rules.threshold,
            lambda frame: frame.product or "",
            lambda model: CALIBRATED,
            lambda key, epoch: None,
        ),
    )
    episodes, found, product = Episodes(tried.rules.episode), {}, None
    transitions = []
    for one in records:
        frame = Frame(one["camera"], one["seq"], one["captured_at"], one["origin"], product=one["product"] or None)
        hold = Hold(one["hold"])
        verdict = judge.judge(
            [Score(Arrival(frame, None, 0.0), PICTURE, one["score"], "m1")],  # type: ignore[arg-type]
            {0} if hold is not Hold.NO else (),
        )[0]
        if product is not None and product != verdict.key.product:
            episodes.changeover(frame.camera)
        product = verdict.key.product
        transitions.append(episodes.step(verdict, hold))
    transitions += [episodes.let_go(camera) for camera in episodes.undecided()]
    for transition in transitions:
        if transition is not None:
            found[transition.episode.alert_id] = transition.episode
    for camera in {one["camera"] for one in records}:
        if (firing := episodes.active(camera)) is not None:
            found[firing.alert_id] = firing
    return sorted((e.alert_id, e.started_at_ns, e.ended_at_ns, e.peak_score) for e in found.values())


def shown(outcome: Outcome) -> list[tuple[str, int, int | None, float]]:
    return sorted((e.alert_id, e.started_ns, e.ended_ns, e.peak) for e in outcome.episodes)


def line(scores: Iterable[float], **more: Any) -> list[dict[str, Any]]:
    return [record(n, score, **more) for n, score in enumerate(scores)]


QUIET = [0.3, 0.4, 0.5, 0.6, 0.45, 0.35, 0.55, 0.4, 0.5, 0.45]

frames = st.lists(
    st.tuples(
        st.sampled_from([0.1, 0.2, 0.4, 0.5, 0.8, 1.2, 3.0]),
        st.sampled_from(["no", "no", "no", "no", "suspect", "trouble"]),
        st.sampled_from(["bolts", "bolts", "bolts", "nuts"]),
    ),
    min_size=1,
    max_size=160,
)


@settings(max_examples=60)
@given(frames=frames, threshold=st.sampled_from(["auto", 0.7, 1.0]), mode=st.sampled_from(["minmax", "quantile"]))
def test_the_same_alerts_as_on_the_line(frames: list[tuple[float, str, str]], threshold: Any, mode: str) -> None:
    tried = candidate(
        window={"max_frames": 40, "warm_up_frames": 10, "relearn_after_frames": 25, "mode": mode},
        alerts={"threshold": threshold, "cooldown_s": 0, "resolve_after": {"frames": 3}},
    )
    records = [record(n, score, hold=hold, product=product) for n, (score, hold, product) in enumerate(frames)]
    assert shown(run(records, tried)) == by_hand(records, tried)


def test_an_alert_has_the_id_that_it_has_on_the_line() -> None:
    records = line(QUIET * 3 + [4.0] * 6 + QUIET * 2)
    outcome = run(records, candidate())
    assert shown(outcome) == by_hand(records, candidate())
    (told,) = outcome.episodes
    assert (told.started_ns, told.ended_ns) == (records[30]["captured_at"], records[38]["captured_at"])
    assert (told.peak, told.severity) == (4.0, "critical")


def test_neither_order_nor_batches_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(5)
    scores = [rng.lognormvariate(-1, 0.5) for _ in range(1500)]
    for begun in range(100, 1500, 150):
        scores[begun : begun + 6] = [30.0] * 6
    records = [one for n, s in enumerate(scores) for one in (record(n, s), record(n, scores[-n], camera="line-2"))]
    tried = candidate()
    whole = run(records, tried)
    assert len(whole.episodes) > 3
    mixed = records[:]
    rng.shuffle(mixed)
    assert run(mixed, tried) == whole
    monkeypatch.setattr(camera_run, "BATCH", 7)
    assert run(records, tried) == whole


def test_frames_of_other_models_are_no_part_of_it() -> None:
    others = [record(n, 9.0, model="m2") for n in range(100, 130)]
    assert run(line(QUIET * 3) + others, candidate()).episodes == []
    regioned = line(QUIET * 3 + [4.0] * 6, region="abcdef01")
    assert run(regioned, candidate()).episodes == []


def test_trouble_and_suspicion_as_they_were_recorded() -> None:
    burst = line(QUIET * 3 + [4.0] * 6 + QUIET)
    assert len(run(burst, candidate()).episodes) == 1
    for n in range(30, 36):
        burst[n]["hold"] = "trouble"
    outcome = run(burst, candidate())
    assert outcome.episodes == [] and outcome.held_back == {("line-1", "camera_trouble"): 1}
    for n in range(30, 36):
        burst[n]["hold"] = "suspect"
    assert len(run(burst, candidate()).episodes) == 1  # it was about the part after all
    del burst[36:]
    assert len(run(burst, candidate()).episodes) == 1  # also where nothing more comes


def test_who_was_shelved_by_hand_stays_so_and_maintenance_is_the_candidates() -> None:
    burst = line(QUIET * 3 + [4.0] * 6 + QUIET)
    for one in burst[30:]:
        one["shelved"] = True
    assert run(burst, candidate()).held_back == {("line-1", "maintenance"): 1}
    assert run(burst, candidate()).episodes == []
    plain = line(QUIET * 3 + [4.0] * 6 + QUIET)
    planned = candidate(maintenance=[{"cameras": ["line-*"], "start": "11:00", "end": "13:00"}])
    elsewhere = candidate(maintenance=[{"cameras": ["press"], "start": "11:00", "end": "13:00"}])
    assert run(plain, planned).episodes == [] and len(run(plain, elsewhere).episodes) == 1


def test_a_storm_is_held_back_over_all_cameras() -> None:
    storm = {"max_alerts": 2, "within_s": 60}
    records = [one for c in range(5) for one in line(QUIET * 3 + [4.0] * 6 + QUIET, camera=f"line-{c}")]
    open_, capped = candidate(), candidate(alerts={"threshold": 1.0, "cooldown_s": 0, "storm": storm})
    assert len(run(records, open_).episodes) == 5
    outcome = run(records, capped)
    assert [e.camera for e in outcome.episodes] == ["line-0", "line-1"]
    assert outcome.held_back == {(f"line-{c}", "storm"): 1 for c in (2, 3, 4)}


@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 5), st.integers(1, 60))
def test_the_storm_gate(asked_s: list[int], most: int, within_s: int) -> None:
    gate, admitted = StormGate(most, within_s), []
    for at_s in sorted(asked_s):
        room = sum(at_s - before < within_s for before in admitted) < most
        assert gate.admit(at_s * S_NS) is room
        admitted += [at_s] if room else []


def test_earlier_scores_fill_the_windows_and_tell_no_alerts() -> None:
    records = line(QUIET * 3 + [4.0] * 6 + QUIET * 3 + [4.0] * 6 + QUIET)
    from_ns = records[40]["captured_at"]
    with held(records) as stored:
        seen = survey(stored, lambda camera: "m1", from_ns, lambda done, total: None)
        outcome = Engine(candidate(), stored, seen.from_ns, seen.until_ns).run(lambda done, total: None)
    told = compare(None, outcome.episodes, seen.spans, seen.from_ns)
    assert [e.started_ns for e in told.appeared] == [records[66]["captured_at"]]
    assert seen.spans["line-1"].frames == len(records) - 40
    cold = run(records[60:], candidate())  # without them the checkpoint's range would have served
    assert cold.episodes[0].limit != told.appeared[0].limit


def test_a_threshold_is_learnt_from_a_wished_rate_and_not_from_alarms() -> None:
    rng = np.random.default_rng(4)
    scores = rng.lognormal(-1, 0.3, 36_000)
    for start in (9_000, 20_000, 30_000):
        scores[start : start + 40] = 30.0
    records = [{**record(n, float(s)), "captured_at": NOON_NS + n * S_NS // 5} for n, s in enumerate(scores)]
    alerts = {"threshold": "auto", "max_false_alarms_per_day": 48, "cooldown_s": 0}
    tried = candidate(window={"max_frames": 1000, "warm_up_frames": 100}, alerts=alerts)
    outcome = run(records, tried)
    real = [e for e in outcome.episodes if e.peak == 30.0]
    false = [e for e in outcome.episodes if e.peak < 30.0]
    assert len(real) == 3
    # 1.5 hours after it was found, of 48 a day: 3 are wished.
    assert len(false) <= 9
    assert "first found 2026-05-31 12:30" in outcome.thresholds["line-1"]
    assert 0.4 < max(e.limit for e in outcome.episodes[-1:]) < 1.5  # below the checkpoint's, above the usual
    everything_false = lambda camera, from_ms, to_ms: [(from_ms, to_ms)]  # noqa: E731
    pulled = run(records, tried, false=everything_false)
    assert pulled.thresholds != outcome.thresholds


def test_a_window_that_is_learnt_anew_is_told() -> None:
    window = {"max_frames": 40, "warm_up_frames": 10, "relearn_after_frames": 30, "mode": "quantile"}
    outcome = run(line(QUIET * 4 + [4.0 + score for score in QUIET] * 8), candidate(window=window))
    assert outcome.relearnt == {"line-1": 1}
    assert len(outcome.episodes) == 1 and outcome.episodes[0].ended_ns is not None


# ---- what scores say by themselves, and two runs held against each other


def test_a_survey_of_what_was_recorded(tmp_path: Path) -> None:
    records = line([0.5] * 40)
    for n in range(10, 20):
        records[n] |= {"alert": "00000000000000aa", "score": 2.0 + n, "limit": 1.0}
    records[39]["alert"] = "00000000000000bb"
    later = [{**record(n), "captured_at": NOON_NS + 3600 * S_NS + n * S_NS, "hold": "trouble"} for n in range(40, 45)]
    with held(records + later) as stored:
        seen = survey(stored, lambda camera: "m1", 0, lambda done, total: None)
    first, second = seen.alerts
    assert (first.alert_id, first.peak, first.limit) == ("00000000000000aa", 21.0, 1.0)
    assert (first.started_ns, first.ended_ns) == (records[10]["captured_at"], records[19]["captured_at"])
    assert second.ended_ns is not None  # records came after it that do not name it
    span = seen.spans["line-1"]
    assert (span.frames, span.held, span.days) == (45, 5, {"2026-05-31"})
    assert span.watched_s == pytest.approx(3.9 + 4)  # nobody watched in the hour between
    assert seen.tells_alerts and seen.limits["line-1"].greatest.max() == 1.0


@given(st.lists(st.tuples(st.integers(0, 999), st.floats(-5, 5)), min_size=1, max_size=200), st.integers(1, 50))
def test_no_peak_is_lost_in_a_trace(points: list[tuple[int, float]], bins: int) -> None:
    trace = Trace(0, 1000, bins)
    times, values = np.array([t for t, _ in points]), np.array([v for _, v in points])
    trace.add(times, values)
    assert trace.greatest.max() == values.max() and trace.least.min() == values.min()
    width = -(-1000 // bins)
    for index in np.flatnonzero(trace.filled):
        own = values[times // width == index]
        assert (trace.least[index], trace.greatest[index]) == (own.min(), own.max())


def test_a_day_without_much_watching_promises_nothing() -> None:
    span = Span()
    rows = np.zeros(60, ROW)
    rows["time_ns"] = NOON_NS + np.arange(60) * 60 * S_NS
    span.add(rows)
    assert span.watched_s == 59 * 60 and span.a_day(1) is None
    rows["time_ns"] += (3600 + 3600) * S_NS  # nobody watched for an hour between
    span.add(rows)
    assert span.watched_s == 2 * 59 * 60 and span.a_day(2) == pytest.approx(2 * 86_400 / 7080)


@st.composite
def alerts(draw: st.DrawFn) -> list[Told]:
    found, at = [], 0
    for length, pause in draw(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), max_size=12)):
        at += pause
        found.append(Told("", "line-1", at, at + length, 1.0, 0.5, "warning"))
        at += length
    if found and draw(st.booleans()):
        found[-1] = Told("", "line-1", found[-1].started_ns, None, 1.0, 0.5, "warning")
    return found


@given(now=alerts(), then=alerts(), from_ns=st.integers(0, 20))
def test_every_alert_stays_appears_or_vanishes(now: list[Told], then: list[Told], from_ns: int) -> None:
    def meets(one: Told, others: list[Told]) -> bool:
        return any(o.started_ns <= one.last_ns and one.started_ns <= o.last_ns for o in others)

    found = compare(now, then, {"line-1": Span()}, from_ns)
    late_now = [one for one in now if one.started_ns >= from_ns]
    late_then = [one for one in then if one.started_ns >= from_ns]
    assert found.stayed == [one for one in late_now if meets(one, then)]
    assert found.vanished == [one for one in late_now if not meets(one, then)]
    assert found.stayed_as == [one for one in late_then if meets(one, now)]
    assert found.appeared == [one for one in late_then if not meets(one, now)]
    total = found.total()
    assert (total.now, total.then) == (len(late_now), len(late_then))
    for grouped in (found.by_camera(), found.by_day(), found.by_camera_and_day()["line-1"]):
        assert sum(change.now for change in grouped.values()) == total.now
        assert sum(change.then for change in grouped.values()) == total.then
