"""GANomaly as a method: the contract, and what only it has."""

from __future__ import annotations

import torch

from models.ganomaly import Architecture
from models.losses import Weights
from models.method import Learning
from models.methods.ganomaly import Ganomaly
from tests.models.method_contract import MethodContract


class TestGanomaly(MethodContract):
    kind = Ganomaly
    uses_norm = True


def test_the_loss_that_chooses_weighs_as_the_training_does(small: Architecture) -> None:
    torch.manual_seed(0)
    method = Ganomaly(small)
    x = torch.rand(4, 3, 32, 32) * 2 - 1
    method.begin(Learning(weights=Weights(con=0.0, enc=0.0)))
    with torch.no_grad():
        assert float(method.eval().loss(x)) == 0
    method.begin(Learning())
    with torch.no_grad():
        assert float(method.eval().loss(x)) > 1
