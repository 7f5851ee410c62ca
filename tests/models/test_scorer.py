"""The port's contract, held by MethodScorer over GANomaly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.calibration import Calibration
from models.ganomaly import Architecture
from models.losses import code_distance
from models.method_scorer import MethodScorer, fingerprint
from models.methods.ganomaly import Ganomaly
from models.precision import Precision, has_fast_bf16, pick_device, use_bf16
from models.preprocess import Preprocess
from models.scorer import Scorer

SMALL = Architecture(size=32, channels=3, nz=16, ngf=8)
POOL = np.random.default_rng(0).integers(0, 256, (18, 32, 32, 3), dtype=np.uint8)


def test_is_a_scorer(scorer: MethodScorer, calibration: Calibration) -> None:
    port: Scorer = scorer
    info = port.info
    assert info.calibration == calibration
    assert info.method == "ganomaly" and info.architecture == SMALL.to_dict()
    assert (info.device, info.precision, info.norm) == ("cpu", "fp32", "squared")
    assert len(info.model_id) == 12 and int(info.model_id, 16) >= 0


def test_scores_are_the_code_distance(scorer: MethodScorer, ganomaly: Ganomaly) -> None:
    x = torch.from_numpy(POOL).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        made = ganomaly.generator(x)
    np.testing.assert_allclose(scorer.score(POOL), code_distance(made.code, made.code_again).numpy(), rtol=1e-4)


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def either(request: pytest.FixtureRequest) -> MethodScorer:
    torch.manual_seed(3)
    made = Ganomaly(SMALL)
    made.generator(torch.rand(8, 3, 32, 32) * 2 - 1)
    calibration = Calibration.from_scores(np.linspace(1, 2, 20))
    precision: Precision = request.param
    return MethodScorer(made, calibration, device="cpu", precision=precision)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=3 * Ganomaly.chunk))
def test_a_score_does_not_depend_on_its_batch(either: MethodScorer, chosen: list[int]) -> None:
    """To the last bit, whatever comes with it and wherever it stands."""
    alone = np.concatenate([either.score(POOL[i : i + 1]) for i in chosen])
    np.testing.assert_array_equal(either.score(POOL[chosen]), alone)


def test_scoring_does_not_change_the_model(scorer: MethodScorer, ganomaly: Ganomaly) -> None:
    before = {k: v.clone() for k, v in ganomaly.state_dict().items()}
    first = scorer.score(POOL)
    scorer.heat(POOL[0])
    assert all(torch.equal(v, before[k]) for k, v in ganomaly.state_dict().items())
    np.testing.assert_array_equal(scorer.score(POOL), first)


def test_scores_in_evaluation_mode_even_after_someone_trained(scorer: MethodScorer, ganomaly: Ganomaly) -> None:
    expected = scorer.score(POOL)
    ganomaly.train()
    np.testing.assert_array_equal(scorer.score(POOL), expected)


def test_an_empty_batch_has_no_scores(scorer: MethodScorer) -> None:
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
def test_refuses_other_pictures(scorer: MethodScorer, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        scorer.score(wrong)


def test_heat_shows_where(scorer: MethodScorer) -> None:
    heat = scorer.heat(POOL[0])
    assert heat.shape == (32, 32) and heat.dtype == np.float32
    assert heat.min() >= 0 and heat.max() <= 2
    # An untrained decoder paints grey: the heat is how far the picture is from that, smoothed.
    rebuilt = scorer.rebuild(POOL[:1])[0]
    gap = np.abs(POOL[0] / 127.5 - 1 - rebuilt).mean(axis=2)
    assert heat.mean() == pytest.approx(gap.mean(), rel=0.1)


def test_a_broken_model_is_not_hidden(ganomaly: Ganomaly, calibration: Calibration) -> None:
    with torch.no_grad():
        ganomaly.generator.encoder2.last.weight[0, 0, 0, 0] = float("nan")
    broken = MethodScorer(ganomaly, calibration, device="cpu", precision="fp32")
    assert np.isnan(broken.score(POOL)).all()


def test_both_norms_differ_and_others_are_refused(ganomaly: Ganomaly, calibration: Calibration) -> None:
    absolute = Ganomaly(SMALL, "absolute")
    absolute.load_state_dict(ganomaly.state_dict())
    made = [MethodScorer(m, calibration, device="cpu", precision="fp32") for m in (ganomaly, absolute)]
    assert (made[0].score(POOL) != made[1].score(POOL)).all()
    assert made[0].info.model_id != made[1].info.model_id
    with pytest.raises(ValueError, match="score norm is 'max'"):
        Ganomaly(SMALL, "max")  # type: ignore[arg-type]


def test_model_id_follows_what_decides_a_score(ganomaly: Ganomaly) -> None:
    preprocess = Preprocess(32, 3)
    before = fingerprint(ganomaly, preprocess)
    assert fingerprint(ganomaly, preprocess) == before
    with torch.no_grad():
        ganomaly.generator.encoder1.last.weight[0, 0, 0, 0] += 1e-3
    assert fingerprint(ganomaly, preprocess) != before


def test_a_model_without_calibration_scores_all_the_same(ganomaly: Ganomaly) -> None:
    scorer = MethodScorer(ganomaly, None, device="cpu")
    assert scorer.info.calibration is None and np.isfinite(scorer.score(POOL)).all()


def test_features_and_reconstructions_are_in_the_order_of_the_pictures(
    scorer: MethodScorer, ganomaly: Ganomaly
) -> None:
    rebuilt, features = scorer.rebuild(POOL), scorer.features(POOL)
    assert rebuilt.shape == POOL.shape and np.abs(rebuilt).max() <= 1
    assert features.shape == (len(POOL), SMALL.deepest * 16)
    np.testing.assert_array_equal(scorer.rebuild(POOL[11:12])[0], rebuilt[11])
    np.testing.assert_array_equal(scorer.features(POOL[11:12])[0], features[11])


def test_the_warm_up_is_of_what_a_frame_needs(ganomaly: Ganomaly, monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[int] = []
    real = Ganomaly.score

    def spy(method: Ganomaly, x: torch.Tensor) -> torch.Tensor:
        scored.append(len(x))
        return real(method, x)

    monkeypatch.setattr(Ganomaly, "score", spy)
    scorer = MethodScorer(ganomaly, None, device="cpu")
    scorer.score(POOL[:1])
    assert scored == [Ganomaly.chunk] * 2


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


def test_half_precision_tells_nearly_the_same(either: MethodScorer) -> None:
    exact = MethodScorer(either._method, either.info.calibration, device="cpu", precision="fp32")
    np.testing.assert_allclose(either.score(POOL), exact.score(POOL), rtol=0.02)
