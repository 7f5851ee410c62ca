"""Network cameras fail in every way at once, and one is dead from the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.pictures import Sights
from tests.faults.runs import Findings, camera_run

pytestmark = pytest.mark.slow


def test_cameras_fail_and_come_back(tmp_path: Path, lab_sights: Sights) -> None:
    found = Findings()
    camera_run(tmp_path, lab_sights, found, 5.0)
    assert all(outcome.noticed_s is None or outcome.noticed_s < 20 for outcome in found.outcomes)
