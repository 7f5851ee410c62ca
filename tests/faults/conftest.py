"""One network for all fault tests."""

from __future__ import annotations

import pytest

from tests.faults.pictures import Sights, sights


@pytest.fixture(scope="session")
def lab_sights(tmp_path_factory: pytest.TempPathFactory) -> Sights:
    return sights(tmp_path_factory.mktemp("network"))
