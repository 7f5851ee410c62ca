"""Which entries of `cameras` hold for a camera."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.line_rules import matches, remembered, rules_for
from monitor.line_settings import CameraRules


def rules(match: str, **values: object) -> CameraRules:
    return CameraRules.model_validate({"match": match, **values})


def test_the_first_entry_that_says_something_wins_key_by_key() -> None:
    entries = [
        rules("line-3", threshold=0.8),
        rules("line-*", threshold=0.9, max_false_alarms_per_day=1),
        rules("*", max_false_alarms_per_day=7, region=[[(0, 0), (1, 0), (1, 1)]]),
    ]
    merged = rules_for("line-3", entries)
    assert (merged.match, merged.threshold, merged.max_false_alarms_per_day) == ("line-3", 0.8, 1)
    assert merged.region == entries[2].region and merged.masks == ()
    assert rules_for("line-4", entries).threshold == 0.9
    other = rules_for("press", entries)
    assert (other.threshold, other.max_false_alarms_per_day) == (None, 7)


def test_what_an_entry_says_may_be_nothing() -> None:
    entries = [
        rules("line-3", region=[], threshold=None),
        rules("*", region=[[(0, 0), (1, 0), (1, 1)]], threshold=0.9),
    ]
    assert rules_for("line-3", entries).region == () and rules_for("line-3", entries).threshold is None
    assert rules_for("line-4", entries).threshold == 0.9


def test_without_a_matching_entry_there_are_the_defaults() -> None:
    assert rules_for("line-3", []) == rules("line-3") == rules_for("line-3", [rules("Line-3", threshold=0.5)])


def test_rules_are_remembered() -> None:
    of = remembered([rules("line-*", threshold=0.5)])
    assert of("line-3") is of("line-3") and of("line-3").threshold == 0.5
    assert of("press").threshold is None


@pytest.mark.parametrize(
    ("camera", "pattern", "expected"),
    [
        ("line-3", "line-?", True),
        ("line-13", "line-?", False),
        ("hall [2]", "hall [2]", True),
        ("hall 2", "hall [2]", False),
        ("hall [2]", "hall [?]", True),
        ("LINE-3", "line-*", False),
        ("line-3", "ine-3", False),
    ],
)
def test_patterns(camera: str, pattern: str, expected: bool) -> None:
    assert matches(camera, pattern) is expected


@given(st.text("ab[]!-*?.\\", max_size=8), st.text("ab[]!-*?.\\", min_size=1, max_size=8))
def test_only_stars_and_question_marks_mean_something_else(camera: str, pattern: str) -> None:
    meaning = {"*": ".*", "?": "."}
    expected = re.fullmatch("".join(meaning.get(c) or re.escape(c) for c in pattern), camera, re.DOTALL)
    assert matches(camera, pattern) is (expected is not None)
