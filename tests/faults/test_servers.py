"""Redis, the disk, the broker and the worker fail under a running service; no frame and no alert is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.pictures import Sights
from tests.faults.runs import Findings, topic_run
from tests.faults.server_faults import How

pytestmark = pytest.mark.slow


def test_a_topic_survives_its_servers(tmp_path: Path, lab_sights: Sights) -> None:
    found = Findings()
    topic_run(tmp_path, lab_sights, found, 5.0, broker=(How.REFUSED, How.STALLED), redis=(How.EMPTY,))
    assert all(outcome.recovered_s < 30 for outcome in found.outcomes)
    # The broker's outage is told as the broker's, and not as that of its cameras.
    brokers = [outcome for outcome in found.outcomes if outcome.fault.startswith("Broker")]
    assert len(brokers) == 2 and all("kafka:frames" in outcome.told for outcome in brokers), brokers
