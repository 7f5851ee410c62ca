"""The choice of threads is by measurement, and a tie goes to one."""

from __future__ import annotations

import time

import pytest
import torch

import models.threads
from models.threads import settle_threads


def use(monkeypatch: pytest.MonkeyPatch, every: int) -> list[int]:
    """Let torch have `every` threads, whatever the machine has; returns the counts that are set."""
    counts = [every]
    monkeypatch.setattr(torch, "get_num_threads", lambda: counts[-1])
    monkeypatch.setattr(torch, "set_num_threads", counts.append)
    return counts


@pytest.mark.parametrize(("alone_s", "together_s", "chosen"), [(0.02, 0.005, 4), (0.01, 0.01, 1), (0.005, 0.02, 1)])
def test_what_is_clearly_faster_is_kept(
    monkeypatch: pytest.MonkeyPatch, alone_s: float, together_s: float, chosen: int
) -> None:
    counts = use(monkeypatch, 4)
    assert settle_threads(lambda: time.sleep(alone_s if counts[-1] == 1 else together_s)) == chosen
    assert counts[-1] == chosen


def test_slow_work_is_tried_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, done = use(monkeypatch, 4), []
    monkeypatch.setattr(models.threads, "LONG_S", 0.001)

    def work() -> None:
        done.append(counts[-1])
        time.sleep(0.002)

    settle_threads(work)
    assert done == [1, 1, 4, 4]  # once to warm up, once for the measurement


def test_one_thread_needs_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, 1)
    assert settle_threads(lambda: pytest.fail("nothing to measure")) == 1
