"""What people marked, as a folder of pictures to train and evaluate on.

    good/                a false alarm: nothing was wrong with what it shows
    defect/missed/       a defect that raised no alert
    defect/confirmed/    an alert that somebody acknowledged and did not call false, where these are asked for
    withdrawn/           pictures of marks that were withdrawn, under names that no data set takes for pictures
    manifest.jsonl       a line for each picture, the last one counts

This is the layout of one folder a class of models.datasets. `defect` says by its name that not all is normal, so that
a folder without false alarms is refused for training, and never learnt as if it were good.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from monitor.alerting.alert import ANOMALY, MISSED, Alert
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import AlertUnknown, Outbox
from monitor.whole_file import write_whole

log = structlog.get_logger(__name__)

GOOD, MISSED_DEFECT, CONFIRMED = "good", "defect/missed", "defect/confirmed"
WITHDRAWN = "withdrawn"
"""In the data set's layout a folder is a class: what lies here must not look like a picture (`NAME.jpg.withdrawn`)."""
MANIFEST = "manifest.jsonl"
PAGE = 500


class FeedbackError(ValueError):
    """The folder cannot be used; the message says why."""


@dataclass
class Exported:
    """What an export did. written: pictures by folder; there: alerts whose picture was in the folder already; gone:
    alerts without a picture (any more); relabelled: (alert, where its picture lies, where it belongs by now);
    withdrawn: (alert, where its picture lay, where it lies by now)."""

    written: dict[str, int] = field(default_factory=dict)
    there: int = 0
    gone: list[str] = field(default_factory=list)
    relabelled: list[tuple[str, str, str]] = field(default_factory=list)
    withdrawn: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def marked(self) -> int:
        """Alerts that were to be exported, or to be taken back."""
        return sum(self.written.values()) + self.there + len(self.gone) + len(self.relabelled) + len(self.withdrawn)


def label(alert: Alert, confirmed: bool) -> str | None:
    """The folder that an alert's picture belongs in. None where nobody says what it shows: a camera's own trouble, a
    storm or a drift, and an alert that nobody marked, or (unless `confirmed`) that somebody has merely seen."""
    if alert.condition not in (ANOMALY, MISSED):
        return None
    if alert.false_alarm_at is not None:
        return GOOD
    if alert.condition == MISSED:
        return MISSED_DEFECT
    return CONFIRMED if confirmed and alert.acknowledged_at is not None else None


@dataclass(frozen=True)
class Marked:
    """The alerts that are wanted, newest first, none that started before. Everything may raise redis.RedisError."""

    outbox: Outbox
    since_ns: int
    wanted: Callable[[Alert], bool]

    def __iter__(self) -> Iterator[Alert]:
        offset = 0
        while page := self.outbox.newest(offset=offset, limit=PAGE):
            for alert in page:
                if alert.started_at >= self.since_ns and self.wanted(alert):
                    yield alert
            if page[-1].started_at < self.since_ns:
                return
            offset += PAGE

    def find(self, alert_id: str) -> Alert | None:
        """Any alert, wanted or not, as it is now."""
        try:
            return self.outbox.get(alert_id)
        except AlertUnknown:
            return None


def marked(outbox: Outbox, since_ns: int, wanted: Callable[[Alert], bool]) -> Marked:
    """The alerts that are wanted, newest first, none that started before."""
    return Marked(outbox, since_ns, wanted)


def export(
    alerts: Marked, evidence: EvidenceStore, folder: Path, *, confirmed: bool, product: Callable[[Alert], str]
) -> Exported:
    """Add the pictures of these alerts to the folder, which is made where it is not there. Nothing in it is overwritten
    or deleted; doing it again adds what is new, and lays aside the pictures of marks that were withdrawn meanwhile.

    product: of alerts that do not know theirs. Raises FeedbackError.
    """
    done = Exported()
    met: set[str] = set()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = _known(folder)
        for alert in alerts:
            into = label(alert, confirmed)
            if into is not None:
                met.add(alert.alert_id)
                _take(alert, into, evidence, folder, known, done, alert.product or product(alert))
        for alert_id, entry in known.items():
            if alert_id not in met:
                _look_again(entry, alerts, evidence, folder, done)
    except OSError as error:
        raise FeedbackError(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from None
    return done


def _look_again(entry: dict[str, Any], alerts: Marked, evidence: EvidenceStore, folder: Path, done: Exported) -> None:
    """Lay a picture of an earlier export aside where nobody says any more what its folder says."""
    alert_id, name = str(entry["alert_id"]), Path(str(entry["file"])).name
    # Wherever people moved it to since.
    lying = [into for into in (GOOD, MISSED_DEFECT, CONFIRMED) if (folder / into / name).exists()]
    if not lying:
        return
    alert = alerts.find(alert_id)
    if alert is None and (entry.get("condition") != MISSED or not evidence.has(alert_id, "evidence")):
        return  # Alerts and their pictures are forgotten after evidence.keep_days; what was exported outlives that.
    belongs = None if alert is None else label(alert, confirmed=True)
    for into in lying:
        if into == belongs:
            continue
        before, after = f"{into}/{name}", _aside(folder, name)
        (folder / after).parent.mkdir(exist_ok=True)
        os.rename(folder / before, folder / after)
        why = "the alert is gone" if alert is None else f"it is {belongs or 'not marked'} by now"
        _note(folder, {**entry, "file": after, "withdrawn_from": before, "why": why})
        done.withdrawn.append((alert_id, before, after))
        log.warning("picture_withdrawn", alert_id=alert_id, file=before, now=after, folder=str(folder), reason=why)


def _aside(folder: Path, name: str) -> str:
    """A file that is not there yet."""
    number, file = 1, f"{WITHDRAWN}/{name}.{WITHDRAWN}"
    while (folder / file).exists():
        number += 1
        file = f"{WITHDRAWN}/{name}.{number}.{WITHDRAWN}"
    return file


def _take(
    alert: Alert,
    into: str,
    evidence: EvidenceStore,
    folder: Path,
    known: dict[str, dict[str, Any]],
    done: Exported,
    product: str,
) -> None:
    file = f"{into}/{_name(alert)}"
    before = None if alert.alert_id not in known else str(known[alert.alert_id]["file"])
    if before is not None and Path(before).parent.as_posix() != WITHDRAWN and (folder / before).exists():
        if Path(before).parent.as_posix() == into:
            done.there += 1
        else:
            done.relabelled.append((alert.alert_id, before, into))
        return
    if (folder / file).exists():  # copied, and cut off before it was written down
        done.there += 1
    else:
        data = evidence.read(alert.alert_id, "evidence")
        if data is None:
            done.gone.append(alert.alert_id)
            return
        write_whole(folder / file, data)
        done.written[into] = done.written.get(into, 0) + 1
    known[alert.alert_id] = _line(alert, file, product)
    _note(folder, known[alert.alert_id])


def _note(folder: Path, entry: dict[str, Any]) -> None:
    with (folder / MANIFEST).open("a", encoding="utf-8") as manifest:
        manifest.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _line(alert: Alert, file: str, product: str) -> dict[str, Any]:
    false = alert.false_alarm_at is not None
    return {
        "file": file,
        "alert_id": alert.alert_id,
        "camera": alert.camera,
        "product": product,
        "model": alert.model,
        "condition": alert.condition,
        "captured_at": alert.frame.captured_at if alert.frame is not None else alert.started_at,
        "marked_by": alert.false_alarm_by if false else alert.acknowledged_by,
        "marked_at": alert.false_alarm_at if false else alert.acknowledged_at,
        "score": alert.peak_score,
        "limit": alert.threshold,
    }


def _known(folder: Path) -> dict[str, dict[str, Any]]:
    """The last line of each alert in the manifest. FeedbackError where it is none of ours."""
    manifest = folder / MANIFEST
    known: dict[str, dict[str, Any]] = {}
    try:
        lines = manifest.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return known
    except UnicodeDecodeError:
        raise FeedbackError(f"{manifest}: is no manifest of an export; name another folder") from None
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            known[str(entry["alert_id"])] = {**entry, "file": str(entry["file"])}
        except (ValueError, TypeError, KeyError):
            raise FeedbackError(
                f"{manifest}:{number}: expected a JSON object with alert_id and file; mend the line, or name another "
                "folder"
            ) from None
    return known


def _name(alert: Alert) -> str:
    """Sorts by camera and time; the id makes it unique."""
    camera = re.sub(r"[^A-Za-z0-9_.-]+", "_", alert.camera).lstrip(".")[:60] or "camera"
    started = datetime.fromtimestamp(alert.started_at // 10**9, UTC)
    return f"{camera}-{started:%Y%m%dT%H%M%S}-{alert.alert_id}.jpg"
