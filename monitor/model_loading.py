"""The model of a configuration, loaded to serve."""

from __future__ import annotations

import os

from models.checkpoint import load
from models.scorer import Scorer
from monitor.settings import Model


def threads_of(model: Model) -> int:
    """How many processor threads the network may use."""
    return model.threads or len(os.sched_getaffinity(0))


def loaded(model: Model) -> Scorer:
    """Warmed up. Raises models.checkpoint.CheckpointError, and ValueError for a device that is not there."""
    return load(model.checkpoint, model.device, model.precision, threads_of(model))
