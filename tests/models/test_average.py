from __future__ import annotations

import pytest
import torch

from models.average import Average
from models.ganomaly import Architecture
from models.methods.ganomaly import Ganomaly


def first(made: Ganomaly) -> torch.Tensor:
    return made.generator.encoder1.last.weight.detach()


def statistics(made: Ganomaly) -> torch.Tensor:
    return made.generator.get_buffer("decoder.first.1.running_mean")


def test_none_is_the_trained_network_itself(small: Architecture) -> None:
    trained = Ganomaly(small)
    average = Average(trained, 0.0)
    average.update()
    assert average.method is trained and average.updates == 0


def test_follows_slowly_and_statistics_with_it(small: Architecture) -> None:
    trained = Ganomaly(small)
    average = Average(trained, 0.5)
    assert average.method.generator is not trained.generator
    assert average.method.discriminator is trained.discriminator
    with torch.no_grad():
        first(trained).fill_(1.0)
        statistics(trained).fill_(4.0)
        first(average.method).fill_(0.0)
        statistics(average.method).fill_(0.0)
    shares = []
    for step in (1, 2, 3):
        average.update()
        shares.append(float(first(average.method).mean()))
        # early steps keep only (1 + n) / (10 + n) of the old, until that passes the decay
        kept = torch.prod(torch.tensor([(1 + n) / (10 + n) for n in range(1, step + 1)]))
        assert shares[-1] == pytest.approx(1 - float(kept), rel=1e-5)
    assert float(statistics(average.method).mean()) == pytest.approx(4 * shares[-1], rel=1e-5)
    assert float(first(trained).mean()) == 1.0


def test_late_steps_count_by_the_decay(small: Architecture) -> None:
    trained = Ganomaly(small)
    average = Average(trained, 0.9)
    average.updates = 10_000
    with torch.no_grad():
        first(trained).fill_(1.0)
        first(average.method).fill_(0.0)
    average.update()
    assert float(first(average.method).mean()) == pytest.approx(0.1, rel=1e-4)
