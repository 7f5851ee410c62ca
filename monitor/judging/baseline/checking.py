"""What may enter a window: numbers that one can reckon with."""

from __future__ import annotations

from functools import lru_cache

from monitor.judging.baseline.port import Rule

GREATEST = 1e300
"""No score is larger, so that no difference of two scores, or twice that, is infinite."""


def check_score(score: float) -> float:
    """The score as a plain float; ValueError where it is no finite number, or an absurd one."""
    if not -GREATEST <= score <= GREATEST:  # also where it is no number at all
        raise ValueError(f"score: expected a finite number, found {score}")
    return float(score)


@lru_cache(maxsize=1024)
def check_rule(rule: Rule) -> None:
    """ValueError where a number of the rule is not finite, or absurd."""
    for name in ("value", "low", "high"):
        number = getattr(rule, name)
        if not -GREATEST <= number <= GREATEST:
            raise ValueError(f"rule: {name}: expected a finite number, found {number}")
