"""The disk for evidence is full."""

from __future__ import annotations

from typing import Any

from tests.faults.lab import TopicLab
from tests.faults.outcome import Fault, Outcome
from tests.faults.process import until


def evidence_disk_full(lab: TopicLab, outage_s: float) -> Outcome:
    """Alerts go on without their picture, /readyz says so, and the next alert after has one again."""
    service, disk, camera = lab.service, lab.disk, next(iter(lab.feed.taken))
    assert disk is not None
    kind = "file system" if disk.mounted else "limit on files"
    fault = Fault(f"Disk full for evidence ({kind})")
    disk.fill(service.pid)
    without = _next_alert(lab, camera)
    assert without["evidence_url"] is None, without
    fault.noticed({"/readyz `evidence`, at the next alert": lambda: "evidence" in service.reasons()})
    fault.lasts(outage_s)
    disk.free(service.pid)
    fault.over()
    pictured = _next_alert(lab, camera)
    assert pictured["evidence_url"], (pictured, service.reasons())
    status, picture = service.get(f"/api/alerts/{pictured['alert_id']}/evidence.jpg")
    assert status == 200 and picture.startswith(b"\xff\xd8"), status
    recovered_s = fault.recovered(lambda: not service.reasons(), "ready again")
    return fault.outcome(recovered_s, "the alert was told without its picture; the next one had its picture")


def _next_alert(lab: TopicLab, camera: str) -> dict[str, Any]:
    """Let an episode begin and end; its alert."""
    known = {alert["alert_id"] for alert in lab.service.alerts() or []}

    def new() -> list[dict[str, Any]]:
        return [alert for alert in lab.service.alerts() or [] if alert["alert_id"] not in known]

    lab.look(camera, anomalous=True)
    assert until(lambda: bool(new()), 30) is not None, f"no alert: {lab.service.tail()}"
    lab.look(camera, anomalous=False)
    assert until(lambda: bool(new()[0]["ended_at"]), 30) is not None, new()
    return new()[0]
