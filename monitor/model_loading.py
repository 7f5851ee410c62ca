"""The model of a configuration, loaded to serve."""

from __future__ import annotations

import os

from models.checkpoint import load
from models.scorer import Scorer
from monitor.settings import Model


def threads_of(model: Model) -> int:
    """How many processor threads the network may use: by default as many as this process may run on."""
    may_run_on = getattr(os, "sched_getaffinity", None)
    return model.threads or (len(may_run_on(0)) if may_run_on else os.cpu_count() or 1)


def loaded(model: Model) -> Scorer:
    """Warmed up. Raises models.checkpoint.CheckpointError, and ValueError for a device that is not there."""
    return load(model.checkpoint, model.device, model.precision, threads_of(model))
