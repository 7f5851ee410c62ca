"""What was really wrong and when, and how a monitor's alerts stand against it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar


class AlertLike(Protocol):
    """An alert as far as judging it needs; `ended_at_ns` is None while it is still on."""

    @property
    def camera(self) -> str: ...
    @property
    def started_at_ns(self) -> int: ...
    @property
    def ended_at_ns(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Planted:
    """A planted defect and the closed interval in which it could be seen, ns since the epoch.

    `judged` is False for a stretch where nobody can say what is right: alerts there count
    neither as found nor as false.
    """

    camera: str
    kind: str
    started_at_ns: int
    ended_at_ns: int
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Alert:
    """The smallest thing that can be judged against the truth."""

    camera: str
    started_at_ns: int
    ended_at_ns: int | None = None


AnyAlert = TypeVar("AnyAlert", bound=AlertLike)


@dataclass(frozen=True)
class Outcome(Generic[AnyAlert]):
    """Every planted defect is in one of the first three, every alert that met none in `false`.

    `undecided` holds the defects that were not wholly inside the watched time and found by no
    alert: the monitor cannot be blamed for those.
    """

    found: tuple[Planted, ...]
    missed: tuple[Planted, ...]
    undecided: tuple[Planted, ...]
    false: tuple[AnyAlert, ...]


def match(
    planted: Sequence[Planted],
    alerts: Sequence[AnyAlert],
    slack_s: float,
    watched_from_ns: int | None = None,
    watched_until_ns: int | None = None,
) -> Outcome[AnyAlert]:
    """Hold alerts against the truth, camera by camera.

    A defect is found if an alert overlaps its interval, widened by `slack_s` at both ends; an
    alert that overlaps none is false. One alert may find several defects, and several alerts
    the same one: how often a defect is reported is not judged here. An alert that is still on
    reaches to the end of time.
    """
    if slack_s < 0:
        raise ValueError(f"slack_s must not be negative, got {slack_s}")
    slack_ns = round(slack_s * 1e9)
    found: list[Planted] = []
    missed: list[Planted] = []
    undecided: list[Planted] = []
    for defect in planted:
        if not defect.judged:
            continue
        if any(_meet(defect, alert, slack_ns) for alert in alerts):
            found.append(defect)
        elif (watched_from_ns is not None and defect.started_at_ns < watched_from_ns) or (
            watched_until_ns is not None and defect.ended_at_ns > watched_until_ns
        ):
            undecided.append(defect)
        else:
            missed.append(defect)
    false = [alert for alert in alerts if not any(_meet(defect, alert, slack_ns) for defect in planted)]
    return Outcome(tuple(found), tuple(missed), tuple(undecided), tuple(false))


def write_truth(path: Path, planted: Iterable[Planted]) -> None:
    """Write one JSON object a line, replacing the file as a whole or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with partial.open("w", encoding="utf-8") as lines:
            for defect in planted:
                lines.write(json.dumps(asdict(defect), ensure_ascii=False) + "\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_truth(path: Path) -> list[Planted]:
    """Read what `write_truth` wrote. ValueError names the file and line that it could not read."""
    planted: list[Planted] = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                planted.append(_planted(line, f"{path}, line {number}"))
    return planted


def _planted(line: str, where: str) -> Planted:
    try:
        row = json.loads(line)
        defect = Planted(
            camera=str(row["camera"]),
            kind=str(row["kind"]),
            started_at_ns=int(row["started_at_ns"]),
            ended_at_ns=int(row["ended_at_ns"]),
            judged=bool(row.get("judged", True)),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{where}: expected a JSON object with camera, kind, started_at_ns and ended_at_ns") from error
    if defect.ended_at_ns < defect.started_at_ns:
        raise ValueError(f"{where}: ended_at_ns is before started_at_ns")
    return defect


def _meet(defect: Planted, alert: AlertLike, slack_ns: int) -> bool:
    if alert.camera != defect.camera or alert.started_at_ns > defect.ended_at_ns + slack_ns:
        return False
    return alert.ended_at_ns is None or alert.ended_at_ns >= defect.started_at_ns - slack_ns
