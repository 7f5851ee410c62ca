"""What every engine behind models/engines/engine.py must hold to. An engine gets these tests by saying how it is built:

class TestLanes(EngineContract):
    def build(self, method: Method, preprocess: Preprocess, *, bf16: bool) -> Engine:
        return LanesEngine(method, preprocess, bf16=bf16, threads=2)
"""

from __future__ import annotations

import copy
import threading
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.engines.engine import Engine
from models.ganomaly import Architecture
from models.method import Method
from models.methods.ganomaly import Ganomaly
from models.precision import autocast, place
from models.preprocess import Picture, Preprocess

CPU = torch.device("cpu")
COLOUR = Preprocess(32, 3)
POOL = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)


def network(channels: int = 3, seed: int = 5) -> Ganomaly:
    """Small and untrained, with batch norm statistics unlike the initial ones; the same at each call."""
    torch.manual_seed(seed)
    made = Ganomaly(Architecture(size=32, channels=channels, nz=16, ngf=8))
    for _ in range(3):
        made.generator(torch.rand(8, channels, 32, 32) * 2 - 1)
    return place(made.eval(), CPU)


def plain(method: Method, pictures: Picture, preprocess: Preprocess = COLOUR, *, bf16: bool = False) -> np.ndarray:
    """The method's own scores, in one pass."""
    method.eval()
    with torch.no_grad(), autocast(CPU, bf16):
        return method.score(preprocess.to_tensor(pictures, CPU)).float().numpy()


class EngineContract:
    """tolerance: how far, relatively, scores may be from the method's own, by whether they are in bfloat16. follows:
    whether weights that were changed count after `warm_up`; an engine that has made something else of them says False.
    """

    tolerance: ClassVar[dict[bool, float]] = {False: 1e-4, True: 0.02}
    follows: ClassVar[bool] = True

    def build(self, method: Method, preprocess: Preprocess, *, bf16: bool) -> Engine:
        """An engine on the CPU, not warmed up, to which the method belongs from now on."""
        raise NotImplementedError

    @pytest.fixture(params=[False, True], ids=["fp32", "bf16"])
    def bf16(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    @pytest.fixture
    def engine(self, bf16: bool) -> Engine:
        made = self.build(network(), COLOUR, bf16=bf16)
        made.warm_up()
        return made

    def fresh(self, method: Method | None = None, preprocess: Preprocess = COLOUR) -> Engine:
        made = self.build(method or network(), preprocess, bf16=False)
        made.warm_up()
        return made

    def test_scores_are_the_methods_in_the_order_of_the_pictures(self, engine: Engine, bf16: bool) -> None:
        scores = engine.score(POOL)
        assert scores.shape == (len(POOL),) and scores.dtype == np.float32
        np.testing.assert_allclose(scores, plain(network(), POOL, bf16=bf16), rtol=self.tolerance[bf16])
        assert engine.name and engine.chunk >= 1 and engine.shortages == 0

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(chosen=st.lists(st.integers(0, len(POOL) - 1), max_size=36))
    def test_a_score_does_not_depend_on_its_call(self, engine: Engine, chosen: list[int]) -> None:
        """To the last bit, whatever comes with it and wherever it stands."""
        alone = np.array([engine.score(POOL[i : i + 1])[0] for i in chosen], np.float32)
        np.testing.assert_array_equal(engine.score(POOL[chosen]), alone)

    def test_keeps_nothing_of_a_call(self, engine: Engine) -> None:
        pictures = POOL.copy()
        scores = engine.score(pictures)
        np.testing.assert_array_equal(pictures, POOL)
        before = scores.copy()
        pictures[...] = 7
        engine.score(pictures)
        np.testing.assert_array_equal(scores, before)

    def test_takes_pictures_however_they_lie_in_memory(self, engine: Engine) -> None:
        backwards = POOL[::-1]
        lying = np.asfortranarray(POOL)
        lying.setflags(write=False)
        expected = engine.score(POOL)
        np.testing.assert_array_equal(engine.score(backwards), expected[::-1])
        np.testing.assert_array_equal(engine.score(lying), expected)

    def test_refuses_other_pictures(self, engine: Engine) -> None:
        small, grey = np.zeros((2, 16, 16, 3), np.uint8), np.zeros((2, 32, 32, 1), np.uint8)
        numbers: Any = POOL.astype(np.float32)
        for wrong in (small, grey, POOL[0], numbers):
            with pytest.raises(ValueError, match="expected uint8"):
                engine.score(wrong)

    def test_may_be_used_by_one_thread_after_another(self, engine: Engine) -> None:
        found: list[np.ndarray] = []
        threads = [threading.Thread(target=lambda: found.append(engine.score(POOL))) for _ in range(2)]
        for thread in threads:
            thread.start()
            thread.join(60)
        np.testing.assert_array_equal(found, [engine.score(POOL)] * 2)

    @pytest.mark.parametrize("preprocess", [Preprocess(32, 1), Preprocess(32, 3, "imagenet")], ids=str)
    def test_prepares_pictures_as_the_model_asks(self, preprocess: Preprocess) -> None:
        pictures = np.ascontiguousarray(POOL[:3, ..., : preprocess.channels])
        expected = plain(network(preprocess.channels), pictures, preprocess)
        scores = self.fresh(network(preprocess.channels), preprocess).score(pictures)
        np.testing.assert_allclose(scores, expected, rtol=self.tolerance[False])

    def test_a_broken_model_is_not_hidden(self) -> None:
        broken = network()
        with torch.no_grad():
            broken.generator.encoder2.last.weight[0, 0, 0, 0] = float("nan")
        assert np.isnan(self.fresh(broken).score(POOL)).all()

    def test_scores_in_evaluation_mode_and_changes_nothing(self) -> None:
        method = network()
        engine = self.fresh(method)
        state, expected = copy.deepcopy(method.state_dict()), engine.score(POOL)
        method.train()
        np.testing.assert_array_equal(engine.score(POOL), expected)
        assert all(torch.equal(held, state[name]) for name, held in method.state_dict().items())

    def test_changed_weights_count_after_a_warm_up(self) -> None:
        if not self.follows:
            pytest.skip("this engine has made something else of the weights")
        method = network()
        engine = self.fresh(method)
        method.load_state_dict(network(seed=6).state_dict())
        engine.warm_up()
        np.testing.assert_allclose(engine.score(POOL), plain(network(seed=6), POOL), rtol=self.tolerance[False])
