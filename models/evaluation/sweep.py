"""The sweeps of the paper's figure 2: how the length of the code and the weights of the losses change the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from models.training_config import TrainConfig

NZ = (10, 25, 50, 100, 200, 400)
WEIGHTS = {"adv": (0.1, 10.0), "con": (1.0, 10.0, 100.0), "enc": (0.1, 10.0)}
"""One weight at a time, the other two as they are (the paper's 1, 50 and 1), after a run with all three so."""
SWEEPS = ("nz", "weights")
WEIGHED = ("ganomaly", "skip-ganomaly")
"""The methods whose losses have these weights."""
WITHOUT_CODE = ("riad",)


def variants(base: TrainConfig, sweep: str) -> Iterator[tuple[str, TrainConfig]]:
    """The name of each variant ("nz100", "con10"), and its settings. ValueError for another sweep than SWEEPS, or for
    a method that what it changes means nothing to."""
    if sweep not in SWEEPS:
        raise ValueError(f"sweep is {sweep!r}: choose one of {', '.join(SWEEPS)}")
    if (base.method not in WEIGHED) if sweep == "weights" else (base.method in WITHOUT_CODE):
        raise ValueError(f"a sweep of {sweep} changes nothing for {base.method}: sweep {WEIGHED[0]}")
    if sweep == "nz":
        for nz in NZ:
            yield f"nz{nz}", replace(base, architecture=replace(base.architecture, nz=nz))
        return
    yield "-".join(f"{name}{value:g}" for name, value in base.weights._asdict().items()), base
    for name, values in WEIGHTS.items():
        for value in values:
            yield f"{name}{value:g}", replace(base, weights=base.weights._replace(**{name: value}))
