"""Episodes: one firing and one resolved event each, whatever the scores do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.judging.baseline.port import BaselineKey
from monitor.judging.episodes import (
    Change,
    EpisodeRule,
    Episodes,
    EpisodeState,
    Hold,
    Reason,
    Severity,
    Transition,
)
from monitor.judging.judge import Verdict
from tests.monitor.scenes import STEP_NS, T0_NS, verdict

RULE = EpisodeRule(fire_frames=3, fire_of=5, resolve_frames=4, cooldown_s=0)


def play(pattern: str, rule: EpisodeRule = RULE, episodes: Episodes | None = None) -> list[tuple[int, Transition]]:
    """`x` is an anomalous frame, anything else a normal one; returns (frame, transition)."""
    episodes = episodes or Episodes(rule)
    found = []
    for i, mark in enumerate(pattern):
        transition = episodes.step(verdict(i, mark == "x"))
        if transition is not None:
            found.append((i, transition))
    return found


def told(pattern: str, rule: EpisodeRule = RULE) -> list[tuple[int, str]]:
    return [(i, t.change.value) for i, t in play(pattern, rule)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("....x.....x....", []),
        ("..xx...xx......", []),
        ("..xxx", [(4, "firing")]),
        ("x.x.x", [(4, "firing")]),
        ("x..x..x..x", []),
        ("xxx...x....", [(2, "firing"), (10, "resolved")]),
        ("xxx....", [(2, "firing"), (6, "resolved")]),
        ("xxx....xxx....", [(2, "firing"), (6, "resolved"), (9, "firing"), (13, "resolved")]),
        ("xxxxxxxxxxxxxxxx", [(2, "firing")]),
    ],
)
def test_on_delay_and_off_delay(pattern: str, expected: list[tuple[int, str]]) -> None:
    assert told(pattern) == expected


def test_an_episode_begins_with_its_first_anomalous_frame_and_shows_its_worst() -> None:
    episodes = Episodes(RULE)
    for i, value in enumerate([1.0, 2.5, 1.0, 3.5, 3.0]):
        transition = episodes.step(verdict(i, value > 2, value))
    assert transition is not None and transition.trigger is not None
    episode = transition.episode
    assert episode.started_at_ns == verdict(1, True).frame.captured_at_ns
    assert (episode.trigger_seq, transition.trigger.frame.seq, episode.peak_score) == (3, 3, 3.5)
    assert episodes.active("line-1") == episode


def test_peak_and_severity_grow_while_it_fires() -> None:
    episodes = Episodes(RULE)
    for i in range(3):
        episodes.step(verdict(i, True, 2.5))
    firing = episodes.active("line-1")
    assert firing is not None and firing.severity is Severity.WARNING
    episodes.step(verdict(3, True, 9.0))
    episodes.step(verdict(4, True, 3.0))
    firing = episodes.active("line-1")
    assert firing is not None and (firing.peak_score, firing.severity) == (9.0, Severity.CRITICAL)


def test_a_cool_down_holds_back_and_counts() -> None:
    rule = EpisodeRule(2, 2, 2, cooldown_s=6 * STEP_NS / 1e9)
    episodes = Episodes(rule)
    found = [(i, t.change.value) for i, t in play("xx..xxx.xxxxxxx", rule, episodes)]
    assert found == [(1, "firing"), (3, "resolved"), (9, "firing")]
    assert episodes.held_back == {("line-1", Reason.COOL_DOWN): 1}


def test_the_id_is_the_same_when_the_frames_come_again() -> None:
    first, again, other = (play(p)[0][1].episode.alert_id for p in ("..xxx", "..xxx", ".xxx"))
    assert first == again != other


def test_cameras_have_episodes_of_their_own() -> None:
    episodes = Episodes(RULE)
    for i in range(3):
        for camera in ("a", "b"):
            transition = episodes.step(verdict(i, camera == "b", camera=camera))
    assert transition is not None and transition.episode.camera == "b"
    assert episodes.active("a") is None


def test_an_adopted_episode_ends_with_its_own_id() -> None:
    before = Episodes(RULE)
    (_, fired), *_ = play("xxx", episodes=before)
    after = Episodes(RULE)
    after.adopt([fired.episode])
    found = [t for t in (after.step(verdict(i, False)) for i in range(10, 14)) if t]
    assert [(t.change, t.episode.alert_id) for t in found] == [(Change.RESOLVED, fired.episode.alert_id)]


patterns = st.text(alphabet="x.", max_size=120)
rules = st.builds(
    lambda k, extra, m, c: EpisodeRule(k, k + extra, m, c * STEP_NS / 1e9),
    st.integers(1, 4),
    st.integers(0, 4),
    st.integers(1, 5),
    st.integers(0, 8),
)


@given(patterns, rules)
def test_firing_and_resolved_alternate_with_one_id(pattern: str, rule: EpisodeRule) -> None:
    found = [t for _, t in play(pattern, rule)]
    assert [t.change for t in found] == ([Change.FIRING, Change.RESOLVED] * len(found))[: len(found)]
    for fired, resolved in zip(found[::2], found[1::2], strict=False):
        assert fired.episode.alert_id == resolved.episode.alert_id
        assert resolved.episode.ended_at_ns is not None
        assert resolved.episode.ended_at_ns > fired.episode.started_at_ns
        assert resolved.episode.peak_score >= fired.episode.peak_score
    assert len({t.episode.alert_id for t in found}) == len(found[::2])


@given(patterns, rules)
def test_fires_only_on_enough_anomalous_frames_and_ends_only_on_enough_normal_ones(
    pattern: str, rule: EpisodeRule
) -> None:
    for at, transition in play(pattern, rule):
        if transition.change is Change.FIRING:
            assert pattern[max(0, at - rule.fire_of + 1) : at + 1].count("x") >= rule.fire_frames
        else:
            assert "x" not in pattern[at - rule.resolve_frames + 1 : at + 1]


@given(st.text(alphabet="x.", min_size=1, max_size=80))
def test_without_a_cool_down_a_lasting_anomaly_always_fires(pattern: str) -> None:
    assert any(t.change is Change.FIRING for _, t in play(pattern + "xxx"))


@given(patterns, rules)
def test_frames_that_are_delivered_again_change_nothing(pattern: str, rule: EpisodeRule) -> None:
    once = [(t.change, t.episode) for _, t in play(pattern, rule)]
    episodes = Episodes(rule)
    again = []
    for i, mark in enumerate(pattern):
        for index, known in [(i, mark), (max(0, i - 2), pattern[max(0, i - 2)]), (i, mark)]:
            transition = episodes.step(verdict(index, known == "x"))
            if transition is not None:
                again.append((transition.change, transition.episode))
    assert again == once


HOLDS = {"?": Hold.SUSPECT, "!": Hold.TROUBLE}


def held(pattern: str) -> tuple[list[tuple[int, str]], int]:
    """Pairs of marks: the frame (`x` anomalous) and the hold (`?` suspect, `!` trouble). Changes, and how many
    episodes the camera's trouble held back."""
    episodes = Episodes(RULE)
    found = []
    for i in range(len(pattern) // 2):
        mark, hold = pattern[2 * i], pattern[2 * i + 1]
        transition = episodes.step(verdict(i, mark == "x"), HOLDS.get(hold, Hold.NO))
        if transition is not None:
            found.append((i, transition.change.value))
    return found, episodes.held_back.get(("line-1", Reason.CAMERA_TROUBLE), 0)


@pytest.mark.parametrize(
    ("pattern", "changes", "held_back"),
    [
        ("x!x!x!x!x!x!", [], 1),
        ("x x!x!. . . . ", [], 1),  # what was pending goes with it
        ("x!x!. . . . . ", [], 0),
        ("x?x?x?x?x!x!. . . . ", [], 1),  # a suspicion that proves true
        ("x?x?x?x?x x ", [(4, "firing")], 0),  # one that does not, the part being bad all the same
        ("x?x?x?.?.?.?.?. . . . . . . . ", [(7, "firing"), (11, "resolved")], 0),  # also where the part is past
        ("x!x!x!x!x x x ", [(6, "firing")], 1),  # after it, the anomaly has to show itself anew
        ("x!x!x!. x!x!x!. ", [], 2),
        ("x x x .!.!.!.!.!. . . . ", [(2, "firing"), (11, "resolved")], 0),  # no data is not resolved
        ("x x x .?.?.?.?.?. . . . ", [(2, "firing"), (11, "resolved")], 0),
    ],
)
def test_trouble_of_the_camera_holds_back_and_counts(
    pattern: str, changes: list[tuple[int, str]], held_back: int
) -> None:
    assert held(pattern) == (changes, held_back)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(list(Hold))), max_size=120))
def test_nothing_begins_or_ends_under_a_hold(frames: list[tuple[bool, Hold]]) -> None:
    episodes, last = Episodes(RULE), None
    for i, (anomalous, hold) in enumerate(frames):
        transition = episodes.step(verdict(i, anomalous), hold)
        if transition is not None:
            assert hold is Hold.NO
            assert transition.change is not last
            last = transition.change


def test_what_waits_for_a_decision_begins_where_none_will_come() -> None:
    episodes = Episodes(RULE)
    for i in range(3):
        assert episodes.step(verdict(i, True), Hold.SUSPECT) is None
    assert episodes.undecided() == ["line-1"]
    transition = episodes.let_go("line-1")
    assert transition is not None and transition.change is Change.FIRING
    assert transition.episode.started_at_ns == verdict(0, True).frame.captured_at_ns
    assert episodes.undecided() == [] and episodes.let_go("line-1") is None


def test_a_clock_that_is_set_back_neither_silences_a_camera_nor_keeps_its_alert_open() -> None:
    """The offsets rise on, whatever the clock does; that is how frames that come again are told from these."""
    hour = 3_600_000_000_000 // STEP_NS

    def later(number: int, step: int, anomalous: bool) -> Verdict:
        seen = verdict(step, anomalous)
        return replace(seen, frame=replace(seen.frame, origin=f"t/0/{number}"))

    episodes = Episodes(EpisodeRule(1, 1, 2, cooldown_s=30))
    assert episodes.step(later(1, hour, True)) is not None
    assert episodes.step(later(2, 1, False)) is None
    resolved = episodes.step(later(3, 2, False))
    assert resolved is not None and resolved.change is Change.RESOLVED
    again = Episodes(EpisodeRule(1, 1, 1, cooldown_s=30))
    again.step(later(1, hour, True))
    again.step(later(2, hour + 1, False))
    assert again.step(later(3, 1, True)) is not None


def test_a_camera_that_left_is_unknown() -> None:
    episodes = Episodes(RULE)
    for i in range(3):
        episodes.step(verdict(i, True))
    episodes.forget("line-1")
    assert episodes.active("line-1") is None


STEP_S = STEP_NS / 1e9


def marked(pattern: str, rule: EpisodeRule) -> str:
    """The state after each frame, by its first letter, capital where an event was told. `x` is anomalous, `-` lies
    between the lower threshold (1.8 at 0.9) and the threshold (2)."""
    episodes, states = Episodes(rule), ""
    for i, mark in enumerate(pattern):
        transition = episodes.step(verdict(i, mark == "x", {"x": 3.0, "-": 1.9}.get(mark, 1.0)))
        state = episodes.state("line-1").value[0]
        states += state if transition is None else state.upper()
    return states


@pytest.mark.parametrize(
    ("rule", "pattern", "states"),
    [
        (EpisodeRule(2, 3, 2, 0), "..x...xx.x...", "qqpppqpFrfrQq"),
        # Between the two thresholds: no end, and the count begins anew; without a lower one it is a normal frame.
        (EpisodeRule(2, 3, 3, 0, below=0.9), "xx..-..-...", "pFrrfrrfrrQ"),
        (EpisodeRule(2, 3, 3, 0), "xx..-...", "pFrrQqqq"),
        (EpisodeRule(2, 3, 1, 0), "---------", "qqqqqqqqq"),
        # Enough of them, for three steps without a break.
        (EpisodeRule(2, 3, 1, 0, fire_s=3 * STEP_S), "xx.xx.xx", "ppppFQpp"),
        (EpisodeRule(2, 3, 1, 0, fire_s=3 * STEP_S), "x.x..xxxxx", "pppppppppF"),
        (EpisodeRule(2, 3, 2, 0, resolve_s=4 * STEP_S), "xx....x......", "pFrrrrfrrrrQq"),
        (EpisodeRule(2, 3, 2, cooldown_s=5 * STEP_S), "xx..xx.xxxxx", "pFrQppppFfff"),
    ],
)
def test_the_states_of_a_camera(rule: EpisodeRule, pattern: str, states: str) -> None:
    assert marked(pattern, rule) == states


@pytest.mark.parametrize("critical_at", [2.0, 4.0])
def test_how_far_above_the_threshold_is_critical_can_be_set(critical_at: float) -> None:
    for score, critical in ((critical_at * 2, True), (critical_at * 2 - 0.1, False)):
        transition = Episodes(EpisodeRule(1, 1, 1, 0, critical_at=critical_at)).step(verdict(0, True, score))
        assert transition is not None and (transition.episode.severity is Severity.CRITICAL) is critical


def gated(pattern: str, closed: dict[int, Reason], rule: EpisodeRule = RULE) -> tuple[list[int], list[Reason]]:
    """At which frames episodes began, and what was told as held back. closed: frames at which the gate is shut."""
    told_of: list[Reason] = []
    episodes = Episodes(
        rule,
        lambda camera, at_ns: closed.get((at_ns - T0_NS) // STEP_NS),
        lambda camera, reason: told_of.append(reason),
    )
    found = play(pattern, rule, episodes)
    assert sum(episodes.held_back.values()) == len(told_of)
    return [i for i, t in found if t.change is Change.FIRING], told_of


def test_a_gate_holds_back_counts_once_and_lets_in_what_is_still_anomalous() -> None:
    storm = dict.fromkeys(range(8), Reason.STORM)
    assert gated("xxxxxxxxxx", storm) == ([8], [Reason.STORM])
    assert gated("xxx.......", storm) == ([], [Reason.STORM])
    assert gated("xxx.....xxxxx", dict.fromkeys(range(11), Reason.MAINTENANCE)) == ([11], [Reason.MAINTENANCE] * 2)
    assert gated("xxxxxxxxxx", storm | {3: Reason.MAINTENANCE}) == ([8], [Reason.STORM, Reason.MAINTENANCE])


def test_what_was_let_in_late_begins_with_the_frames_of_then() -> None:
    episodes = Episodes(RULE, lambda camera, at_ns: Reason.STORM if at_ns < T0_NS + 8 * STEP_NS else None)
    ((at, transition),) = play("xxxxxxxxxx", episodes=episodes)
    assert at == 8 and transition.episode.started_at_ns == verdict(4, True).frame.captured_at_ns


def test_no_cool_down_follows_what_was_not_told() -> None:
    closed = dict.fromkeys(range(2, 5), Reason.STORM)
    assert gated("xxx.....xxx", closed, replace(RULE, cooldown_s=60)) == ([10], [Reason.STORM])


def test_the_gate_holds_back_what_waited_for_a_suspicion_too() -> None:
    episodes = Episodes(RULE, lambda camera, at_ns: Reason.MAINTENANCE)
    for i in range(3):
        episodes.step(verdict(i, True), Hold.SUSPECT)
    assert episodes.let_go("line-1") is None and episodes.undecided() == []
    assert episodes.held_back == {("line-1", Reason.MAINTENANCE): 1}


def of_product(seq: int, anomalous: bool, product: str) -> Verdict:
    return replace(verdict(seq, anomalous), key=BaselineKey("line-1", "m", product))


def test_a_changeover_drops_what_is_pending_and_nothing_that_fires() -> None:
    episodes = Episodes(RULE)
    assert [episodes.step(of_product(i, True, "lids" if i < 2 else "cups")) for i in range(4)] == [None] * 4
    fired = episodes.step(of_product(4, True, "cups"))
    assert fired is not None and fired.episode.started_at_ns == verdict(2, True).frame.captured_at_ns
    assert episodes.step(of_product(5, True, "lids")) is None and episodes.active("line-1") == fired.episode
    by_hand = Episodes(RULE)
    for i in range(2):
        by_hand.step(verdict(i, True))
    by_hand.changeover("line-1")
    assert by_hand.state("line-1") is EpisodeState.QUIET and by_hand.step(verdict(2, True)) is None


def test_a_rule_may_change_between_two_frames() -> None:
    episodes = Episodes(EpisodeRule(4, 20, 9, 0))
    for i in range(3):
        episodes.step(verdict(i, True))
    episodes.rule = EpisodeRule(2, 2, 1, 0)
    assert episodes.step(verdict(3, False)) is None
    for i, change in ((4, None), (5, Change.FIRING), (6, Change.RESOLVED)):
        transition = episodes.step(verdict(i, i < 6))
        assert (transition and transition.change) is change


def test_pictures_that_nobody_will_ask_for_are_let_go() -> None:
    episodes = Episodes(EpisodeRule(50, 100, 1, 0))
    for i in range(40):
        episodes.step(verdict(i, True, 3.0 + i))
    looks = episodes._cameras["line-1"].recent
    assert len(looks) == 40 and sum(look.verdict is not None for look in looks) == 1
