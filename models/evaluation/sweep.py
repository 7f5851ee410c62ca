"""The sweeps of the paper's figure 2: how the length of the code and the weights of the losses change the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from models.training_config import TrainConfig

NZ = (10, 25, 50, 100, 200, 400)
WEIGHTS = {
    "adv": (0.1, 1.0, 10.0),
    "con": (1.0, 10.0, 50.0, 100.0),
    "enc": (0.1, 1.0, 10.0),
}
"""One weight at a time; the other two stay at the paper's 1, 50 and 1."""
SWEEPS = ("nz", "weights")


def variants(base: TrainConfig, sweep: str) -> Iterator[tuple[str, TrainConfig]]:
    """The name of each variant ("nz100", "con50"), and its settings. ValueError for another sweep than SWEEPS."""
    if sweep == "nz":
        for nz in NZ:
            yield f"nz{nz}", replace(base, architecture=replace(base.architecture, nz=nz))
    elif sweep == "weights":
        for name, values in WEIGHTS.items():
            for value in values:
                yield f"{name}{value:g}", replace(base, weights=base.weights._replace(**{name: value}))
    else:
        raise ValueError(f"sweep is {sweep!r}: choose one of {', '.join(SWEEPS)}")
