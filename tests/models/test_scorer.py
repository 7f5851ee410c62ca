"""The port's contract, held by GanomalyScorer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.calibration import Calibration
from models.ganomaly import Architecture, Discriminator, Generator
from models.ganomaly_scorer import CHUNK, GanomalyScorer, fingerprint
from models.losses import code_distance
from models.precision import Precision, has_fast_bf16, pick_device, use_bf16
from models.scorer import Scorer

Networks = tuple[Generator, Discriminator]
SMALL = Architecture(size=32, channels=3, nz=16, ngf=8)
POOL = np.random.default_rng(0).integers(0, 256, (18, 32, 32, 3), dtype=np.uint8)


def test_is_a_scorer(scorer: GanomalyScorer, calibration: Calibration) -> None:
    port: Scorer = scorer
    info = port.info
    assert info.calibration == calibration
    assert info.architecture == SMALL.to_dict()
    assert (info.device, info.precision, info.norm) == ("cpu", "fp32", "squared")
    assert len(info.model_id) == 12 and int(info.model_id, 16) >= 0


def test_scores_are_the_code_distance(scorer: GanomalyScorer, networks: Networks) -> None:
    x = torch.from_numpy(POOL).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        made = networks[0](x)
    np.testing.assert_allclose(scorer.score(POOL), code_distance(made.code, made.code_again).numpy(), rtol=1e-4)


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def either(request: pytest.FixtureRequest) -> GanomalyScorer:
    torch.manual_seed(3)
    generator = Generator(SMALL)
    generator(torch.rand(8, 3, 32, 32) * 2 - 1)
    calibration = Calibration.from_scores(np.linspace(1, 2, 20))
    precision: Precision = request.param
    return GanomalyScorer(generator, SMALL, calibration, device="cpu", precision=precision)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=3 * CHUNK["cpu"]))
def test_a_score_does_not_depend_on_its_batch(either: GanomalyScorer, chosen: list[int]) -> None:
    """To the last bit, whatever comes with it and wherever it stands."""
    alone = np.concatenate([either.score(POOL[i : i + 1]) for i in chosen])
    np.testing.assert_array_equal(either.score(POOL[chosen]), alone)


def test_scoring_does_not_change_the_model(scorer: GanomalyScorer, networks: Networks) -> None:
    before = {k: v.clone() for k, v in networks[0].state_dict().items()}
    first = scorer.score(POOL)
    scorer.heat(POOL[0])
    assert all(torch.equal(v, before[k]) for k, v in networks[0].state_dict().items())
    np.testing.assert_array_equal(scorer.score(POOL), first)


def test_scores_in_evaluation_mode_even_after_someone_trained(scorer: GanomalyScorer, networks: Networks) -> None:
    expected = scorer.score(POOL)
    networks[0].train()
    np.testing.assert_array_equal(scorer.score(POOL), expected)


def test_an_empty_batch_has_no_scores(scorer: GanomalyScorer) -> None:
    scores = scorer.score(np.empty((0, 32, 32, 3), np.uint8))
    assert scores.shape == (0,) and scores.dtype == np.float64


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 64, 64, 3), np.uint8),
        np.zeros((2, 32, 32, 1), np.uint8),
        np.zeros((32, 32, 3), np.uint8),
        np.zeros((2, 32, 32, 3), np.float32),
    ],
)
def test_refuses_other_pictures(scorer: GanomalyScorer, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        scorer.score(wrong)


def test_heat_shows_where(scorer: GanomalyScorer) -> None:
    heat = scorer.heat(POOL[0])
    assert heat.shape == (32, 32) and heat.dtype == np.float32
    assert heat.min() >= 0 and heat.max() <= 2
    # An untrained decoder paints grey: the heat is how far the picture is from that, smoothed.
    rebuilt = scorer.rebuild(POOL[:1])[0]
    gap = np.abs(POOL[0] / 127.5 - 1 - rebuilt).mean(axis=2)
    assert heat.mean() == pytest.approx(gap.mean(), rel=0.1)


def test_a_broken_model_is_not_hidden(networks: Networks, calibration: Calibration) -> None:
    with torch.no_grad():
        networks[0].encoder2.last.weight[0, 0, 0, 0] = float("nan")
    broken = GanomalyScorer(networks[0], SMALL, calibration, device="cpu", precision="fp32")
    assert np.isnan(broken.score(POOL)).all()


def test_both_norms_differ_and_others_are_refused(networks: Networks, calibration: Calibration) -> None:
    made = [
        GanomalyScorer(networks[0], SMALL, calibration, norm=n, device="cpu", precision="fp32")
        for n in ("squared", "absolute")
    ]
    assert (made[0].score(POOL) != made[1].score(POOL)).all()
    assert made[0].info.model_id != made[1].info.model_id
    with pytest.raises(ValueError, match="score norm is 'max'"):
        GanomalyScorer(networks[0], SMALL, calibration, norm="max", device="cpu")  # type: ignore[arg-type]


def test_model_id_follows_the_weights(networks: Networks) -> None:
    before = fingerprint(networks[0], SMALL, "squared")
    assert fingerprint(networks[0], SMALL, "squared") == before
    with torch.no_grad():
        networks[0].encoder1.last.weight[0, 0, 0, 0] += 1e-3
    assert fingerprint(networks[0], SMALL, "squared") != before


def test_info_needs_a_calibration(networks: Networks, small: Architecture) -> None:
    with pytest.raises(ValueError, match="calibrated"):
        _ = GanomalyScorer(networks[0], small, None, device="cpu").info


def test_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for wrong in ("gpu", "cuda:x", "cuda:99"):
        with pytest.raises(ValueError, match=wrong):
            pick_device(wrong)


def test_precision() -> None:
    cpu = torch.device("cpu")
    assert use_bf16("bf16", cpu) and not use_bf16("fp32", cpu)
    assert use_bf16("auto", cpu) == has_fast_bf16(cpu)
    with pytest.raises(ValueError, match="auto, fp32, bf16"):
        use_bf16("fp16", cpu)  # type: ignore[arg-type]


def test_half_precision_tells_nearly_the_same(either: GanomalyScorer) -> None:
    exact = GanomalyScorer(either._generator, SMALL, either.info.calibration, device="cpu", precision="fp32")
    np.testing.assert_allclose(either.score(POOL), exact.score(POOL), rtol=0.02)
