"""A worker is killed, and another takes its place."""

from __future__ import annotations

from tests.faults.lab import TopicLab
from tests.faults.outcome import Fault, Outcome
from tests.faults.process import until
from tests.faults.service import Service


def worker_killed(lab: TopicLab) -> Outcome:
    """SIGKILL in the middle of the work; another worker of the same group is started at once. `lab.service` is the new
    one afterwards. An alert that was firing stays one alert."""
    camera = next(iter(lab.feed.taken))
    known = {alert["alert_id"] for alert in lab.service.alerts() or []}
    lab.look(camera, anomalous=True)

    def new_alerts() -> list[dict[str, object]]:
        return [a for a in lab.service.alerts() or [] if a["alert_id"] not in known]

    assert until(lambda: bool(new_alerts()), 30) is not None, "no alert before the kill"
    before = lab.scores.repeated()
    fault = Fault("Worker killed with SIGKILL, another started at once")
    lab.service.kill()
    lab.service = Service(lab.config, lab.folder, "second").start()
    fault.over()  # the time that a process needs to start is no fault's
    fault.noticed({"the new one's /readyz `kafka:frames`": lambda: "kafka:frames" in lab.service.reasons()})
    first_s = fault.recovered(lambda: lab.service.scored(camera) > 0, "the new worker scores")
    lab.feed.pause()
    recovered_s = fault.recovered(lambda: lab.all_scored() and not lab.service.reasons(), "every frame is scored")
    lab.look(camera, anomalous=False)
    lab.feed.go_on()
    resolved = fault.recovered(lambda: all(alert["ended_at"] for alert in new_alerts()), "the alert is resolved")
    assert resolved and len(new_alerts()) == 1, new_alerts()
    repeated = lab.scores.repeated() - before
    return fault.outcome(
        recovered_s,
        f"first score {first_s:.1f} s after the new worker answered, no frame lost, {repeated} scored twice, one alert",
    )
