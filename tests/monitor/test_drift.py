"""A drift is told once when it begins and once when it ends, however the count of refused frames flickers."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from monitor.judging.baseline.port import BaselineKey, Fate, Phase
from monitor.judging.drift import Drift, DriftWatch
from monitor.judging.judge import State, Verdict
from tests.monitor.scenes import MODEL, verdict, window_range

FROM = 10


def seen(seq: int, refused: int, fate: Fate = Fate.REFUSED, camera: str = "line-1") -> Verdict:
    phase = Phase.DRIFTING if refused >= FROM else Phase.READY
    return replace(verdict(seq, True, camera=camera), window=window_range(phase=phase, fate=fate, refused=refused))


def test_it_begins_and_ends_with_what_was_refused_at_most() -> None:
    watch = DriftWatch()
    assert watch.see([seen(i, i) for i in range(FROM)], FROM) == []
    (begun,) = watch.see([seen(10, 10)], FROM)
    assert begun.ended_at_ns is None and begun.key.camera == "line-1"
    assert watch.see([seen(11, 12), seen(12, 9), seen(13, 6)], FROM) == []
    (ended,) = watch.see([seen(14, 5, Fate.ENTERED)], FROM)
    assert (ended.began_at_ns, ended.refused, ended.relearnt) == (begun.began_at_ns, 12, False)
    assert ended.ended_at_ns == verdict(14, True).frame.captured_at_ns


def test_what_is_learnt_ends_it() -> None:
    watch = DriftWatch()
    watch.see([seen(1, 10)], FROM)
    (ended,) = watch.see([seen(2, 39, Fate.RELEARNT)], FROM)
    assert ended.relearnt and ended.refused == 39


def test_one_that_was_adopted_is_not_begun_again_and_ends() -> None:
    watch = DriftWatch()
    assert watch.adopt(Drift("c0de", BaselineKey("line-1", MODEL), 5, 20)) is None
    assert watch.see([seen(1, 15)], FROM) == []
    (ended,) = watch.see([seen(2, 0, Fate.ENTERED)], FROM)
    assert (ended.began_at_ns, ended.refused) == (5, 20)


def test_one_that_nobody_goes_on_with_is_over() -> None:
    watch = DriftWatch()
    watch.see([seen(1, 15)], FROM)
    over = watch.adopt(Drift("c0de", BaselineKey("line-1", MODEL), 5, 20))
    assert over is not None and over.drift_id == "c0de" and over.ended_at_ns is not None


def test_each_product_drifts_for_itself() -> None:
    """Parts of two products in turn: what drifts at the one does not end with each frame of the other."""
    watch, changes = DriftWatch(), list[Drift]()
    for seq in range(1, 100):
        bottle = replace(seen(seq, 20), key=BaselineKey("line-1", MODEL, "bottle"))
        can = replace(seen(seq, 0, Fate.ENTERED), key=BaselineKey("line-1", MODEL, "can"))
        changes += watch.see([bottle, can], FROM)
    assert [drift.key.product for drift in changes] == ["bottle"]


def test_a_reset_ends_it() -> None:
    watch = DriftWatch()
    watch.see([seen(1, 15)], FROM)
    anew = replace(seen(2, 12), window=window_range(phase=Phase.DRIFTING, refused=12, epoch=2))
    (ended,) = watch.see([anew], FROM)
    assert ended.ended_at_ns is not None and not ended.relearnt


def test_without_redis_nothing_is_said_of_drift() -> None:
    watch = DriftWatch()
    away = replace(seen(1, 30), state=State.DEGRADED)
    assert watch.see([away, replace(away, window=None)], FROM) == []


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.sampled_from(["a", "b"])), max_size=80))
def test_each_drift_has_one_beginning_and_at_most_one_end(steps: list[tuple[int, bool, str]]) -> None:
    watch, open_since = DriftWatch(), dict[str, int]()
    for seq, (refused, relearnt, camera) in enumerate(steps):
        fate = Fate.RELEARNT if relearnt else Fate.REFUSED
        for drift in watch.see([seen(seq, refused, fate, camera)], FROM):
            if drift.ended_at_ns is None:
                assert drift.key.camera not in open_since
                open_since[drift.key.camera] = drift.began_at_ns
            else:
                assert open_since.pop(drift.key.camera) == drift.began_at_ns <= drift.ended_at_ns
