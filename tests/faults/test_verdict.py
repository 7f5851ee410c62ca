"""The soak has to be able to fail: what grows is complained of, what breathes is not."""

from __future__ import annotations

import os
import random
import subprocess
from dataclasses import replace

import pytest

from tests.faults.process import Ended
from tests.faults.procs import Sample, descendants, sample, slope_per_minute
from tests.faults.service import adds_up
from tests.faults.verdict import Calm, growth

CALM = Calm(rss_mb=450, threads=25, fds=34, children=2, children_mb=105, children_fds=10)


def ten_minutes(mb_per_minute: float) -> list[Sample]:
    """A look every three seconds, with noise and a few outliers."""
    chance = random.Random(1)
    return [
        Sample(
            at_s=at_s,
            rss_mb=450 + mb_per_minute * at_s / 60 + chance.uniform(-3, 3) + (60 if chance.random() < 0.03 else 0),
            threads=25,
            fds=34,
            children=2,
            children_mb=105,
            children_fds=10,
        )
        for at_s in range(0, 600, 3)
    ]


def test_a_service_that_only_breathes_is_not_complained_of() -> None:
    assert growth(CALM, replace(CALM, threads=26, fds=36), ten_minutes(0.3)) == []


def test_memory_that_grows_is_complained_of() -> None:
    complaints = growth(CALM, CALM, ten_minutes(20.0))
    assert len(complaints) == 2
    assert "MB a minute" in complaints[0] and "grew from" in complaints[1]


@pytest.mark.parametrize(
    ("what", "grown"), [("threads", 30), ("fds", 60), ("children", 3), ("children_fds", 20), ("children_mb", 140)]
)
def test_what_is_held_at_rest_must_not_grow(what: str, grown: float) -> None:
    complaints = growth(CALM, replace(CALM, **{what: grown}), ten_minutes(0.0))
    assert len(complaints) == 1, complaints


def test_a_short_soak_judges_no_memory_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert growth(CALM, CALM, ten_minutes(50.0)[:20]) == []
    assert "not judged" in capsys.readouterr().out


def test_the_slope_is_that_of_the_line_under_the_outliers() -> None:
    assert slope_per_minute([(s.at_s, s.rss_mb) for s in ten_minutes(4.0)]) == pytest.approx(4.0, abs=0.2)


def test_a_table_that_does_not_add_up_is_seen() -> None:
    said = "every frame is accounted for."
    assert adds_up(Ended(0, said, {"a": [10, 7, 2, 1, 0]}, 1.0))
    assert not adds_up(Ended(0, said, {"a": [10, 7, 2, 0, 0]}, 1.0))
    assert not adds_up(Ended(0, said, {"a": [10, 7, 1, 1, 1]}, 1.0))
    assert not adds_up(Ended(0, "1 FRAMES ARE NOT ACCOUNTED FOR.", {"a": [10, 7, 2, 1, 0]}, 1.0))


def test_a_process_and_its_children_are_looked_at() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            assert child.pid in descendants(os.getpid())
            now = sample(os.getpid())
            assert now.children >= 1 and now.children_mb > 0 and now.rss_mb > 1 and now.threads >= 1 and now.fds > 2
        finally:
            child.kill()
