"""Every alert arrives, whatever fails on the way."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from tests.faults.delivery_storm import Flood, storm

pytestmark = pytest.mark.slow


def test_every_event_of_a_storm_arrives_with_one_id_and_in_order(tmp_path: Path) -> None:
    flood = Flood(cameras=50, episodes=10)
    found = storm(tmp_path, flood, share=0.5, kill_every_s=4, within_s=120)
    assert len(found.events) == flood.events  # the worker has told each beginning and each end once
    assert found.hook.arrived() == {event["id"] for event in found.events}
    assert found.hook.unsigned == 0 and all(found.hook.failures.values()) and found.kills
    keys: dict[str, set[str]] = defaultdict(set)
    first: dict[str, list[str]] = defaultdict(list)
    for came in found.hook.came:
        if came.event_id not in keys:
            first[came.camera].append(came.event_id)
        keys[came.event_id].add(came.key)
    assert {len(found) for found in keys.values()} == {1}
    for camera, ids in first.items():
        assert ids == [event["id"] for event in found.events if event["subject"] == camera]
