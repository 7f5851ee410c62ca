"""The processor's engine holds the port's contract, with networks as they are and packed."""

from __future__ import annotations

import gc
import threading
from typing import ClassVar

import numpy as np
import pytest
import torch

from models.engines.engine import Engine
from models.engines.lanes import LanesEngine
from models.method import Method
from models.methods.anogan import AnoGan
from models.methods.ganomaly import Ganomaly
from models.packed import pack
from models.preprocess import Preprocess
from tests.models.engine_contract import COLOUR, POOL, EngineContract, network


class TestOneLane(EngineContract):
    def build(self, method: Method, preprocess: Preprocess, *, bf16: bool) -> Engine:
        return LanesEngine(method, preprocess, bf16=bf16, threads=None)


class TestSeveralLanes(EngineContract):
    def build(self, method: Method, preprocess: Preprocess, *, bf16: bool) -> Engine:
        return LanesEngine(method, preprocess, bf16=bf16, threads=3)


class TestPacked(EngineContract):
    follows: ClassVar[bool] = False

    def build(self, method: Method, preprocess: Preprocess, *, bf16: bool) -> Engine:
        pack(method, torch.bfloat16 if bf16 else torch.float32)
        return LanesEngine(method, preprocess, bf16=bf16, threads=2)


def test_chunks_are_scored_at_the_same_time() -> None:
    """Two passes wait for each other: with one after the other they would wait in vain."""
    together = threading.Barrier(2, timeout=30)

    class Waiting(Ganomaly):
        def score(self, x: torch.Tensor) -> torch.Tensor:
            together.wait()
            return super().score(x)

        def warm_up(self, x: torch.Tensor) -> None:
            super().score(x)

    engine = LanesEngine(Waiting(network().arch), COLOUR, bf16=False, threads=2)
    engine.warm_up()
    assert len(engine.score(POOL[: 2 * engine.chunk])) == 2 * engine.chunk


def test_a_method_that_cannot_do_that_has_one_lane() -> None:
    assert not AnoGan.packs
    assert LanesEngine(AnoGan(network().arch), COLOUR, bf16=False, threads=4).lanes == 1


def test_an_error_of_the_method_goes_through_and_the_next_call_is_sound() -> None:
    class Failing(Ganomaly):
        fails = False

        def score(self, x: torch.Tensor) -> torch.Tensor:
            if self.fails:
                raise RuntimeError("the device is gone")
            return super().score(x)

    method = Failing(network().arch)
    engine = LanesEngine(method, COLOUR, bf16=False, threads=2)
    engine.warm_up()
    expected = engine.score(POOL)
    method.fails = True
    with pytest.raises(RuntimeError, match="the device is gone"):
        engine.score(POOL)
    method.fails = False
    np.testing.assert_array_equal(engine.score(POOL), expected)


def test_its_threads_end_with_it() -> None:
    """A model that a reload has replaced leaves nothing behind."""
    before = set(threading.enumerate())
    engine = LanesEngine(network(), COLOUR, bf16=False, threads=3)
    engine.warm_up()
    engine.score(POOL)
    lanes = set(threading.enumerate()) - before
    assert lanes
    del engine
    gc.collect()
    for thread in lanes:
        thread.join(30)
        assert not thread.is_alive()
