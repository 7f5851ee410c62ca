"""The broker and Redis go away and come back."""

from __future__ import annotations

import time
from enum import StrEnum

from tests.faults.lab import TopicLab, resume, stall
from tests.faults.outcome import Fault, Outcome
from tests.faults.process import until


class How(StrEnum):
    """In which way a server is away."""

    REFUSED = "connections cut and refused, data kept"
    STALLED = "stalled: connections stay, nothing is answered"
    EMPTY = "stopped and started again without its data"


def broker_away(lab: TopicLab, how: How, outage_s: float) -> Outcome:
    """Every frame that the broker confirmed is scored at least once. The feed goes on meanwhile, but where the broker
    loses its data."""
    service = lab.service
    if how is How.EMPTY:
        lab.feed.pause()
        assert until(lab.all_scored, 30) is not None, lab.scores.missing(lab.feed.taken)
        service.at_rest()
        time.sleep(1.5)  # the offsets are committed every second
    before = lab.scores.repeated()
    fault = Fault(f"Broker {how}")
    if how is How.REFUSED:
        lab.servers.door.shut()
    elif how is How.STALLED:
        stall(lab.servers.broker)
    else:
        lab.servers.broker.stop()
    fault.noticed(
        {
            "/readyz `kafka:frames`": lambda: "kafka:frames" in service.reasons(),
            "/api/cameras `up`": lambda: not any(view["up"] for view in service.cameras().values()),
        }
    )
    fault.lasts(outage_s)
    if how is How.REFUSED:
        lab.servers.door.open()
    elif how is How.STALLED:
        resume(lab.servers.broker)
    else:
        lab.servers.broker.start()
        lab.servers.create_topics()
        lab.feed.renew()
    scored = {camera: service.scored(camera) for camera in lab.feed.taken}
    fault.over()
    lab.feed.go_on()
    first_s = fault.recovered(lambda: any(service.scored(c) > n for c, n in scored.items()), "frames are scored again")
    lab.feed.pause()
    recovered_s = fault.recovered(lambda: lab.all_scored() and not service.reasons(), "every confirmed frame is scored")
    lab.feed.go_on()
    repeated = lab.scores.repeated() - before
    return fault.outcome(
        recovered_s, f"first score after {first_s:.1f} s, no frame lost, {repeated} repeated and known as such"
    )


def redis_away(lab: TopicLab, how: How, outage_s: float) -> Outcome:
    """Frames are scored on as `degraded`; an alert that begins meanwhile is written afterwards, with its picture."""
    service, camera = lab.service, next(iter(lab.feed.taken))
    known = {alert["alert_id"] for alert in service.alerts() or []}
    fault = Fault(f"Redis {how}".replace("without its data", "with its data"))
    began_ns = time.time_ns()
    if how is How.STALLED:
        stall(lab.servers.valkey)
    else:
        lab.servers.valkey.stop()
    fault.noticed(
        {f"/readyz `{part}`": lambda part=part: part in service.reasons() for part in ("redis", "window")}  # type: ignore[misc]
    )
    assert until(lambda: lab.scores.state(camera) == "degraded", 20) is not None, "frames are not scored as degraded"
    degraded = service.scored(camera)
    lab.look(camera, anomalous=True)
    assert until(lambda: service.scored(camera) >= degraded + 10, 30) is not None, "scoring stands still without Redis"
    assert service.alerts() is None, "alerts were read while Redis was away"
    fault.lasts(outage_s)
    if how is How.STALLED:
        resume(lab.servers.valkey)
    else:
        lab.servers.valkey.start()
    over_ns = time.time_ns()
    fault.over()

    def written() -> bool:
        alerts = [a for a in service.alerts() or [] if a["alert_id"] not in known and a["camera"] == camera]
        return any(began_ns < a["started_at"] < over_ns and a["evidence_url"] for a in alerts)

    alert_s = fault.recovered(written, "the alert that began meanwhile is in the outbox")
    recovered_s = fault.recovered(
        lambda: not service.reasons() and lab.scores.state(camera) != "degraded", "frames are held against the window"
    )
    scored = service.scored(camera) - degraded
    lab.look(camera, anomalous=False)
    fault.recovered(lambda: all(a["ended_at"] for a in service.alerts() or [{"ended_at": 0}]), "the alert is resolved")
    return fault.outcome(
        recovered_s, f"{scored} frames of one camera scored as `degraded`; its alert was written after {alert_s:.1f} s"
    )
