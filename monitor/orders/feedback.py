"""What people marked, as a folder of pictures to train and evaluate on.

    good/                a false alarm: nothing was wrong with what it shows
    defect/missed/       a defect that raised no alert
    defect/confirmed/    an alert that somebody acknowledged and did not call false, where these are asked for
    manifest.jsonl       a line for each picture

This is the layout of one folder a class of models.datasets. `defect` says by its name that not all is normal, so that
a folder without false alarms is refused for training, and never learnt as if it were good.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitor.alerting.alert import ANOMALY, MISSED, Alert
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import Outbox

GOOD, MISSED_DEFECT, CONFIRMED = "good", "defect/missed", "defect/confirmed"
MANIFEST = "manifest.jsonl"
PAGE = 500


class FeedbackError(ValueError):
    """The folder cannot be used; the message says why."""


@dataclass
class Exported:
    """What an export did. written: pictures by folder; there: alerts whose picture was in the folder already; gone:
    alerts without a picture (any more); relabelled: (alert, where its picture lies, where it belongs by now)."""

    written: dict[str, int] = field(default_factory=dict)
    there: int = 0
    gone: list[str] = field(default_factory=list)
    relabelled: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def marked(self) -> int:
        """Alerts that were to be exported."""
        return sum(self.written.values()) + self.there + len(self.gone) + len(self.relabelled)


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


def marked(outbox: Outbox, since_ns: int, wanted: Callable[[Alert], bool]) -> Iterator[Alert]:
    """The alerts that are wanted, newest first, none that started before. May raise redis.RedisError."""
    offset = 0
    while page := outbox.newest(offset=offset, limit=PAGE):
        for alert in page:
            if alert.started_at >= since_ns and wanted(alert):
                yield alert
        if page[-1].started_at < since_ns:
            return
        offset += PAGE


def export(
    alerts: Iterable[Alert], evidence: EvidenceStore, folder: Path, *, confirmed: bool, product: Callable[[Alert], str]
) -> Exported:
    """Add the pictures of these alerts to the folder, which is made where it is not there. Nothing in it is overwritten
    or taken away; doing it again adds what is new. Raises FeedbackError."""
    done = Exported()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = _known(folder)
        for alert in alerts:
            into = label(alert, confirmed)
            if into is not None:
                _take(alert, into, evidence, folder, known, done, product(alert))
    except OSError as error:
        raise FeedbackError(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from None
    return done


def _take(
    alert: Alert,
    into: str,
    evidence: EvidenceStore,
    folder: Path,
    known: dict[str, str],
    done: Exported,
    product: str,
) -> None:
    file = f"{into}/{_name(alert)}"
    before = known.get(alert.alert_id)
    if before is not None and (folder / before).exists():
        if Path(before).parent.as_posix() == into:
            done.there += 1
        else:
            done.relabelled.append((alert.alert_id, before, into))
        return
    picture = evidence.find(alert.alert_id, "evidence")
    if picture is None:
        done.gone.append(alert.alert_id)
        return
    if (folder / file).exists():  # copied, and cut off before it was written down
        done.there += 1
    else:
        try:
            data = picture.read_bytes()
        except FileNotFoundError:  # the retention took it this moment
            done.gone.append(alert.alert_id)
            return
        _write(folder / file, data)
        done.written[into] = done.written.get(into, 0) + 1
    known[alert.alert_id] = file
    with (folder / MANIFEST).open("a", encoding="utf-8") as manifest:
        manifest.write(json.dumps(_line(alert, file, product), ensure_ascii=False) + "\n")


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


def _known(folder: Path) -> dict[str, str]:
    """The file of each alert, as the manifest tells. FeedbackError where it is none of ours."""
    manifest = folder / MANIFEST
    known: dict[str, str] = {}
    try:
        lines = manifest.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return known
    except UnicodeDecodeError:
        raise FeedbackError(f"{manifest}: is no manifest of an export; name another folder") from None
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            known[str(entry["alert_id"])] = str(entry["file"])
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


def _write(path: Path, data: bytes) -> None:
    """All of it under the name, or nothing; a hidden file meanwhile, which no data set takes for a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
