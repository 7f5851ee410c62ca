"""Principal components, held against the textbook's singular value decomposition."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from torch import Tensor

from models.datasets import find, load
from models.ganomaly import Architecture
from models.methods.pca import PART, Pca
from models.preprocess import Preprocess
from tests.models.method_contract import CPU, Album, MethodContract, Scene, judge, tensor


class TestPca(MethodContract):
    kind = Pca
    lower = 0.1


def learned(pictures: Tensor, nz: int) -> Pca:
    method = Pca(Architecture(size=32, channels=pictures.shape[1], nz=nz)).eval()
    with torch.no_grad():
        method.settle(Album(pictures), Album(pictures[:0]))
    return method


def textbook(pictures: Tensor, nz: int) -> tuple[Tensor, Tensor]:
    """The mean and the leading right singular vectors of the centred pictures, float64."""
    rows = pictures.flatten(1).double()
    mean = rows.mean(0)
    return mean, torch.linalg.svd(rows - mean, full_matrices=False).Vh[:nz]


def waves(count: int, seed: int) -> Tensor:
    """Grey pictures of plane waves over some noise: their variance falls slowly from direction to direction."""
    draw = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    angle, pace, phase = (torch.rand(count, 1, 1, 1, generator=draw) * 6 for _ in range(3))
    wave = torch.sin((rows * angle.cos() + columns * angle.sin()) * pace / 6 + phase)
    return (0.8 * wave + 0.05 * torch.randn(count, 1, 32, 32, generator=draw)).clamp(-1, 1)


@pytest.mark.parametrize("count", [40, 3 * PART + 5])
def test_scores_are_those_of_the_textbook(count: int) -> None:
    pictures, unseen = waves(count, seed=1), waves(20, seed=2)
    mean, components = textbook(pictures, 8)
    method = learned(pictures, nz=8)
    gap = unseen.flatten(1).double() - mean
    residual = gap - gap @ components.T @ components
    torch.testing.assert_close(judge(method, "score", unseen).double(), residual.square().mean(1), rtol=1e-4, atol=0)
    method.norm = "absolute"
    torch.testing.assert_close(judge(method, "score", unseen).double(), residual.abs().mean(1), rtol=1e-4, atol=0)
    # Each direction up to its sign.
    torch.testing.assert_close(
        judge(method, "features", unseen).double().abs(), (gap @ components.T).abs(), rtol=1e-3, atol=1e-2
    )


def test_components_are_orthonormal_and_the_widest_comes_first() -> None:
    pictures = waves(150, seed=1)
    method = learned(pictures, nz=12)
    torch.testing.assert_close(method.components @ method.components.T, torch.eye(12), rtol=0, atol=1e-5)
    spread = judge(method, "features", pictures).std(0)
    assert spread.diff().max() <= 0, spread


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 12), copies=st.integers(1, 3), nz=st.integers(1, 20))
def test_fewer_pictures_than_components_leave_zero_rows(count: int, copies: int, nz: int) -> None:
    # `count` pictures span count - 1 directions around their mean, however often each of them comes.
    pictures = waves(count, seed=count).repeat(copies, 1, 1, 1)
    method = learned(pictures, nz)
    found = min(count - 1, nz)
    lengths = method.components.norm(dim=1)
    torch.testing.assert_close(lengths[:found], torch.ones(found), rtol=1e-5, atol=0)
    assert not lengths[found:].any()
    if found == count - 1:
        assert judge(method, "score", pictures).max() < 1e-8, "what it has learned by heart has no residual"


def test_pictures_that_are_all_alike_are_their_mean(scene: Scene) -> None:
    picture = tensor(scene(1, seed=1))
    method = learned(picture.repeat(30, 1, 1, 1), nz=4)
    assert not method.components.any()
    torch.testing.assert_close(judge(method, "rebuild", picture), picture)


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(ValueError, match="no normal picture"):
        learned(torch.empty(0, 3, 32, 32), nz=4)


def test_a_second_learning_forgets_the_first() -> None:
    method = learned(waves(60, seed=1), nz=8)
    with torch.no_grad():
        method.settle(Album(waves(4, seed=2)), Album(waves(4, seed=2)))
    fresh = learned(waves(4, seed=2), nz=8)
    assert torch.equal(method.components, fresh.components) and torch.equal(method.mean, fresh.mean)


def test_a_fault_scores_above_what_is_normal_and_is_where_the_heat_is(scene: Scene) -> None:
    method = learned(tensor(scene(96, seed=1)), nz=8)
    normal, faulty = tensor(scene(20, seed=2)), tensor(scene(20, seed=3, fault=True))
    assert judge(method, "score", faulty).min() > judge(method, "score", normal).max()
    heat = judge(method, "heat", faulty).mean(0)
    assert heat[8:16, 16:24].mean() > 3 * heat[16:24, 8:16].mean()  # the quarter that is missing


@pytest.mark.skipif("LINEWATCH_DATA" not in os.environ, reason="LINEWATCH_DATA is not set")
def test_the_floor_on_bottles() -> None:
    """The figure that stands in the data's own table: 0.988 with 32 components at 64 pixels."""
    preprocess = Preprocess(64, 3)
    data = find(Path(os.environ["LINEWATCH_DATA"]) / "mvtec_ad" / "bottle")
    train, test = (load(part, preprocess) for part in (data.train, data.test))
    method = Pca(Architecture(size=64, channels=3, nz=Pca.nz)).eval()
    normal = preprocess.to_tensor(train.pictures, CPU)
    with torch.no_grad():
        method.settle(Album(normal), Album(normal[:0]))
    scores = judge(method, "score", preprocess.to_tensor(test.pictures, CPU)).numpy()
    labels = np.array([picture.anomalous for picture in test.kept])
    assert roc_auc_score(labels, scores) == pytest.approx(0.988, abs=0.002)
