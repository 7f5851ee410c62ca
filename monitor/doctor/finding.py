"""What an examination finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from monitor.doctor.clock import Clock


class Mark(StrEnum):
    """How bad it is. Only `FAILED` keeps a run from working."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, without secrets. remedy: what to do, or a hint where all is well."""

    mark: Mark
    said: str
    remedy: str | None = None


def ok(said: str, hint: str | None = None) -> Finding:
    return Finding(Mark.OK, said, hint)


def warning(said: str, remedy: str) -> Finding:
    return Finding(Mark.WARNING, said, remedy)


def failed(said: str, remedy: str) -> Finding:
    return Finding(Mark.FAILED, said, remedy)


Examination = Callable[[Clock], Iterator[Finding]]
"""Gives findings as they come. The event is set when its time is over: it should then let go of what it holds."""


@dataclass(frozen=True, slots=True)
class Check:
    """What is examined, under which name, within what time. remedy: for when the time is not enough."""

    name: str
    examine: Examination
    remedy: str
    limit_s: float = 12.0


@dataclass(frozen=True, slots=True)
class Examined:
    """A check's findings, in the order in which they came."""

    name: str
    findings: tuple[Finding, ...]


def worst(examined: Iterator[Examined]) -> Mark:
    """The worst mark of all; OK where there is nothing."""
    order = list(Mark)
    marks = [finding.mark for one in examined for finding in one.findings]
    return max(marks, key=order.index, default=Mark.OK)
