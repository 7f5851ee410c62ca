"""`linewatch ingest` without its broker, and without room on its disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.runs import Findings, edge_run

pytestmark = pytest.mark.slow


def test_the_edge_keeps_what_it_can_and_counts_the_rest(tmp_path: Path) -> None:
    found = Findings()
    edge_run(tmp_path, found, 6.0)
    assert all(outcome.recovered_s < 30 for outcome in found.outcomes)
