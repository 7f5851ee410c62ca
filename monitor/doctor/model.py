"""Whether the checkpoint can be used, and how fast it is here."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import numpy as np
import torch

from models.checkpoint import CheckpointError, load_checkpoint, scorer_of
from models.precision import pick_device
from monitor.doctor.finding import Finding, failed, ok, warning
from monitor.model_loading import threads_of
from monitor.settings import Model

SLOW_PASS_S = 3.0
"""A first pass that took this long is not repeated."""


def examine_model(settings: Model, over: threading.Event) -> Iterator[Finding]:
    """Checkpoint, calibration, device, and the time of one forward pass."""
    try:
        held = load_checkpoint(settings.checkpoint)
    except CheckpointError as error:
        yield failed(str(error), "make one with `linewatch train` or `linewatch import`, or correct model.checkpoint")
        return
    arch = held.method.arch
    yield ok(f"{settings.checkpoint}: {held.method.name}, {arch.size} px, {arch.channels} channels")
    if held.calibration is None:
        yield failed(
            "it has no calibration, so nobody knows which scores are normal",
            "import it again with `linewatch import FILE --normal FOLDER`, naming pictures of good parts",
        )
    else:
        known = held.calibration
        yield ok(f"calibrated on {known.count} normal pictures, threshold {known.threshold:.4g}")
    try:
        device = pick_device(settings.device)
    except ValueError as error:
        yield failed(str(error), "set model.device to auto or cpu, or mend the GPU's driver")
        return
    if over.is_set():
        return
    cores = os.cpu_count() or 1
    threads = threads_of(settings)
    where = (
        f"{device} ({torch.cuda.get_device_name(device)})"
        if device.type == "cuda"
        else f"cpu, {threads} thread{'s' * (threads != 1)}"
    )
    began_s = time.perf_counter()
    scorer = scorer_of(held, str(device), settings.precision, threads)
    took_s = time.perf_counter() - began_s
    count = 16
    if took_s < SLOW_PASS_S and not over.is_set():
        picture = np.zeros((count, arch.size, arch.size, arch.channels), np.uint8)
        began_s = time.perf_counter()
        finite = bool(np.isfinite(scorer.score(picture)).all())
        took_s = time.perf_counter() - began_s
        if not finite:
            yield failed(
                f"on {where} it gives scores that are no numbers",
                "try model.device: cpu; if it is the same there, train anew",
            )
            return
    yield ok(
        f"device {settings.device}: {where}, {scorer.info.precision}; {count} pictures scored in {took_s * 1000:.0f} ms"
    )
    if threads > cores:
        yield warning(
            f"model.threads is {threads}, but this machine has {cores} cores", "set it to the number of cores at most"
        )
