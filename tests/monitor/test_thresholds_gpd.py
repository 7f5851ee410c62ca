"""The generalised Pareto fit: against scipy, against the truth, and on what is no sample at all."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitor.judging.thresholds.gpd import GREATEST_SHAPE, LEAST_SHAPE, Gpd, fit, log_likelihood


@pytest.mark.parametrize("shape", [-0.3, -0.1, 0.0, 0.1, 0.4])
def test_the_fit_is_as_likely_as_the_one_of_scipy(shape: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    for seed in range(5):
        y = np.asarray(stats.genpareto.rvs(shape, scale=2.5, size=300, random_state=seed))
        ours = fit(y)
        theirs_shape, _, theirs_scale = stats.genpareto.fit(y, floc=0)
        assert log_likelihood(ours, y) >= log_likelihood(Gpd(theirs_shape, theirs_scale), y) - 0.01


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.3])
def test_the_truth_is_found_in_a_large_sample(shape: float) -> None:
    rng = np.random.default_rng(3)
    truth = Gpd(shape, 7.0)
    y = np.array([truth.quantile(p) for p in rng.random(20_000)])
    found = fit(y)
    assert found.shape == pytest.approx(shape, abs=0.03)
    assert found.scale == pytest.approx(7.0, rel=0.03)


@given(st.floats(-0.5, 1.0), st.floats(1e-6, 1e6), st.floats(1e-12, 1.0))
def test_quantile_and_survival_are_each_others_inverse(shape: float, scale: float, survival: float) -> None:
    gpd = Gpd(shape, scale)
    assert gpd.survival(gpd.quantile(survival)) == pytest.approx(survival, rel=1e-3)


@given(arrays(np.float64, st.integers(0, 40), elements=st.floats(allow_nan=True, allow_infinity=True, width=32)))
def test_whatever_comes_the_answer_is_a_number(y: np.ndarray) -> None:
    found = fit(y)
    assert LEAST_SHAPE - 1e-9 <= found.shape <= GREATEST_SHAPE + 1e-9
    assert math.isfinite(found.scale) and found.scale >= 0
    assert all(math.isfinite(found.quantile(p)) and found.quantile(p) >= 0 for p in (1.0, 0.5, 1e-9))


@pytest.mark.parametrize("y", [[3.0] * 20, [0.0] * 5, [], [2.0], [1.0, 1.0, 1.0 + 1e-15]])
def test_without_variance_it_is_exponential(y: list[float]) -> None:
    found = fit(np.array(y))
    assert found.shape == 0.0
    assert found.scale == pytest.approx(np.mean(y) if y else 0.0)


def test_the_unit_of_the_scores_does_not_matter() -> None:
    y = np.random.default_rng(1).exponential(1.0, 200)
    small, large = fit(y * 1e-8), fit(y * 1e8)
    assert small.shape == pytest.approx(large.shape, abs=1e-6)
    assert small.scale * 1e16 == pytest.approx(large.scale, rel=1e-6)
