from __future__ import annotations

import pytest

from models.evaluation.sweep import NZ, variants
from models.training_config import for_line


def test_the_length_of_the_code() -> None:
    base = for_line("ganomaly")
    made = dict(variants(base, "nz"))
    assert [config.architecture.nz for config in made.values()] == list(NZ) and next(iter(made)) == "nz10"
    assert made["nz100"] == base  # where everything else is the same


def test_one_weight_at_a_time_and_nothing_twice() -> None:
    base = for_line("ganomaly")
    made = dict(variants(base, "weights"))
    assert made.pop("adv1-con50-enc1") == base
    assert len({config.weights for config in made.values()}) == len(made) == 7
    for name, config in made.items():
        changed = {
            field: value for field, value in config.weights._asdict().items() if value != getattr(base.weights, field)
        }
        ((field, value),) = changed.items()
        assert name == f"{field}{value:g}" and config.architecture == base.architecture


@pytest.mark.parametrize(
    ("method", "sweep", "told"),
    [
        ("ganomaly", "lr", "sweep is 'lr': choose one of nz, weights"),
        ("pca", "weights", "a sweep of weights changes nothing for pca"),
        ("riad", "nz", "a sweep of nz changes nothing for riad"),
    ],
)
def test_a_sweep_that_means_nothing_is_refused(method: str, sweep: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        list(variants(for_line(method), sweep))
