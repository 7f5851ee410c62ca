"""`linewatch run`, watched through its HTTP surface."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.faults.process import Ended, Process, until


@dataclass(frozen=True)
class Ledger:
    """One camera's account, as the service tells it."""

    captured: int
    scored: int
    dropped: dict[str, int]
    failed: dict[str, int]

    @property
    def in_flight(self) -> int:
        return self.captured - self.scored - sum(self.dropped.values()) - sum(self.failed.values())


class Service(Process):
    """Everything asked of it is what its HTTP surface tells."""

    command, answers_at = "run", "/healthz"

    def served_at(self, port: int) -> dict[str, Any]:
        return {"http": {"port": port}}

    def reasons(self) -> dict[str, str]:
        """What /readyz gives as reasons, by part; empty when ready."""
        status, body = self.get("/readyz")
        if status == 0:
            return {"http": "no answer"}
        reasons: dict[str, str] = json.loads(body)["reasons"]
        assert (status == 200) == (not reasons), (status, reasons)
        return reasons

    def cameras(self) -> dict[str, dict[str, Any]]:
        """What /api/cameras tells, by camera; empty where it does not answer."""
        status, body = self.get("/api/cameras")
        return {view["camera"]: view for view in json.loads(body)} if status == 200 else {}

    def ledger(self) -> dict[str, Ledger]:
        """Every camera's account now."""
        return {
            camera: Ledger(**{k: view["ledger"][k] for k in ("captured", "scored", "dropped", "failed")})
            for camera, view in self.cameras().items()
        }

    def scored(self, camera: str) -> int:
        found = self.ledger().get(camera)
        return found.scored if found is not None else 0

    def alerts(self) -> list[dict[str, Any]] | None:
        """The newest alerts; None where the service says that it cannot read them now."""
        status, body = self.get("/api/alerts?limit=200")
        return json.loads(body)["alerts"] if status == 200 else None

    def at_rest(self, timeout_s: float = 30.0) -> dict[str, Ledger]:
        """The ledger once no frame is on its way and for a second none has come. Only where nothing comes any more."""
        seen: list[dict[str, Ledger]] = [{}]

        def still() -> bool:
            seen.append(self.ledger())
            before, now = seen[-2:]
            return bool(now) and now == before and all(account.in_flight == 0 for account in now.values())

        until(still, timeout_s, every_s=1.0)
        return seen[-1]


def adds_up(end: Ended) -> bool:
    """Whether the table of its summary does: captured = scored + dropped + failed, and nothing in flight."""
    return end.balances and all(
        captured == scored + dropped + failed and in_flight == 0
        for captured, scored, dropped, failed, in_flight, *_ in end.rows.values()
    )
