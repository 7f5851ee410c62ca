"""Matching alerts with the truth, and the files that carry truth."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.simulator import (
    Alert,
    Planted,
    Span,
    match,
    read_segments,
    read_truth,
    truth_of_plays,
    write_truth,
)
from streams.simulator.notes import TruthNotes

SECOND = 1_000_000_000
CAMERAS = st.sampled_from(["line-1", "line-2"])
TIMES = st.integers(0, 100 * SECOND)


@st.composite
def planted_defects(draw: st.DrawFn) -> Planted:
    start, length = draw(TIMES), draw(st.integers(0, 5 * SECOND))
    kind = draw(st.text(max_size=12))
    return Planted(draw(CAMERAS), kind, start, start + length, draw(st.booleans()))


@st.composite
def some_alerts(draw: st.DrawFn) -> Alert:
    start = draw(TIMES)
    end = draw(st.none() | st.integers(start, start + 10 * SECOND))
    return Alert(draw(CAMERAS), start, end)


PLANTED = st.lists(planted_defects(), max_size=8)
ALERTS = st.lists(some_alerts(), max_size=8)


@given(PLANTED, ALERTS, st.floats(0, 3), st.none() | TIMES, st.none() | TIMES)
def test_every_judged_defect_has_exactly_one_outcome(
    planted: list[Planted],
    alerts: list[Alert],
    slack_s: float,
    from_ns: int | None,
    until_ns: int | None,
) -> None:
    outcome = match(planted, alerts, slack_s, from_ns, until_ns)
    sorted_out = [*outcome.found, *outcome.missed, *outcome.undecided]
    judged = [defect for defect in planted if defect.judged]
    assert sorted(sorted_out, key=repr) == sorted(judged, key=repr)
    assert all(alert in alerts for alert in outcome.false)
    if from_ns is None and until_ns is None:
        assert not outcome.undecided


@given(PLANTED)
def test_an_alert_for_each_defect_finds_all_and_raises_nothing_false(
    planted: list[Planted],
) -> None:
    alerts = [Alert(defect.camera, defect.ended_at_ns, None) for defect in planted]
    outcome = match(planted, alerts, slack_s=0)
    assert not outcome.missed
    assert not outcome.false


@given(PLANTED, ALERTS, st.floats(0, 3), st.floats(0, 3))
def test_more_slack_never_finds_less(
    planted: list[Planted], alerts: list[Alert], slack_s: float, more_s: float
) -> None:
    tight, loose = match(planted, alerts, slack_s), match(planted, alerts, slack_s + more_s)
    assert len(loose.found) >= len(tight.found)
    assert len(loose.false) <= len(tight.false)


def test_slack_and_camera_decide() -> None:
    planted = [Planted("line-1", "stain", 10 * SECOND, 12 * SECOND)]
    late = Alert("line-1", 13 * SECOND, 14 * SECOND)
    early = Alert("line-1", 8 * SECOND, 9 * SECOND)
    elsewhere = Alert("line-2", 11 * SECOND, 12 * SECOND)
    assert match(planted, [late], 0.9).false == (late,)
    assert match(planted, [late], 1.0).found == tuple(planted)
    assert match(planted, [early], 1.0).found == tuple(planted)
    outcome = match(planted, [elsewhere], 1.0)
    assert outcome.missed == tuple(planted)
    assert outcome.false == (elsewhere,)


def test_what_was_not_wholly_watched_is_not_held_against_anyone() -> None:
    planted = [Planted("line-1", "stain", 10 * SECOND, 12 * SECOND)]
    assert match(planted, [], 0, watched_until_ns=11 * SECOND).undecided == tuple(planted)
    assert match(planted, [], 0, watched_from_ns=11 * SECOND).undecided == tuple(planted)
    assert match(planted, [], 0, 9 * SECOND, 13 * SECOND).missed == tuple(planted)


def test_negative_slack_is_refused() -> None:
    with pytest.raises(ValueError, match="slack_s"):
        match([], [], -1)


@given(PLANTED)
def test_truth_survives_the_file(tmp_path_factory: pytest.TempPathFactory, planted: list[Planted]) -> None:
    path = tmp_path_factory.mktemp("truth") / "truth.jsonl"
    write_truth(path, planted)
    assert read_truth(path) == planted
    assert [file.name for file in path.parent.iterdir()] == ["truth.jsonl"]


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        "3",
        '{"camera": "a"}',
        '{"camera": "a", "kind": "b", "started_at_ns": 5, "ended_at_ns": 1}',
    ],
)
def test_a_broken_truth_file_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "truth.jsonl"
    good = '{"camera": "a", "kind": "b", "started_at_ns": 1, "ended_at_ns": 5}'
    path.write_text(f"{good}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"truth\.jsonl, line 3"):
        read_truth(path)


def test_segments_join_touching_rows_and_keep_transitions_apart(tmp_path: Path) -> None:
    path = tmp_path / "clip.segments.csv"
    path.write_text(
        "first_frame,last_frame,label,what\n"
        '0,9,normal,"all, well"\n'
        "10,12,transition,shadow\n"
        '13,19,anomaly,"hand, reaching"\n'
        "20,29,anomaly,gone\n"
        "30,39,empty,\n"
        "40,49,bolt,\n",
        encoding="utf-8",
    )
    assert read_segments(path) == [
        Span("shadow", 10, 12, judged=False),
        Span("hand, reaching; gone", 13, 29),
        Span("bolt", 40, 49),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("first_frame,last_frame,label\n0,1,normal\n", "line 1: no column what"),
        ("", "line 1: no column"),
        ("first_frame,last_frame,label,what\n0,1,odd,x\n", "line 2: label is 'odd'"),
        ("first_frame,last_frame,label,what\n0,x,normal,x\n", "line 2: .* whole numbers"),
        ("first_frame,last_frame,label,what\n5,1,normal,x\n", "line 2: expected 0 <="),
        ("first_frame,last_frame,label,what\n0,5,normal,x\n5,9,normal,y\n", "line 3: frame 5"),
        ("first_frame,last_frame,label,what\n0\n", "line 2: label is ''"),
    ],
)
def test_broken_segments_are_named_with_their_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "clip.segments.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        read_segments(path)


def test_notes_follow_the_clock_and_not_the_plan() -> None:
    span, frame_ns = Span("stain", 2, 4), 100
    notes = TruthNotes("line-1", frame_ns)
    captured = [1000, 1100, 1205, 1390, 1400, 1500]
    for index, captured_at_ns in enumerate(captured):
        notes.note(span if 2 <= index <= 4 else None, index, captured_at_ns)
        if index == 2:  # in view: the end is the planned one
            assert notes.planted() == [Planted("line-1", "stain", 1205, 1505)]
    assert notes.planted() == [Planted("line-1", "stain", 1205, 1500)]
    notes.note(span, 2, 9000)  # the film came round again
    assert len(notes.planted()) == 2


def test_rounds_of_a_film_repeat_its_truth_in_time() -> None:
    spans = [Span("stain", 10, 19), Span("shadow", 50, 59, judged=False)]
    starts = [100 * SECOND, 110 * SECOND]
    truth = truth_of_plays(spans, "line-1", 10.0, starts, until_ns=114 * SECOND)
    assert truth == [
        Planted("line-1", "stain", 101 * SECOND, 102 * SECOND),
        Planted("line-1", "shadow", 105 * SECOND, 106 * SECOND, judged=False),
        Planted("line-1", "stain", 111 * SECOND, 112 * SECOND),
    ]


def test_a_round_cut_short_by_a_reconnect_is_not_judged() -> None:
    starts = [100 * SECOND, 101 * SECOND + SECOND // 2]
    truth = truth_of_plays([Span("stain", 10, 19)], "line-1", 10.0, starts, 200 * SECOND)
    assert [defect.judged for defect in truth] == [False, True]
