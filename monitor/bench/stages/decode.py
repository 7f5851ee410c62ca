"""Decoding: the picture alone on one thread, and all that the service's decoding threads do to a batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from models.checkpoint import load_checkpoint
from monitor.bench.stages.frames import arrivals, frames
from monitor.bench.stages.lap import StageFailed, timed
from monitor.bench.stages.task import Setup, Task
from monitor.scoring.decoding import Decoder, Optics
from monitor.scoring.fill import MemoryFills
from monitor.scoring.lens import RegionLens
from monitor.scoring.regions import Regions
from monitor.settings import Batching, Limits
from streams.codec import pixels_of


@contextmanager
def tasks(setup: Setup) -> Iterator[list[Task]]:
    limits, batching = Limits(), Batching()
    stream = frames(setup.footage, setup.cameras)

    def alone() -> int:
        pixels_of(next(stream), limits.max_pixels)
        return 1

    with ExitStack() as stack:
        found = [Task("decode", "the picture in full, one thread", 1, lambda seconds: timed(alone, seconds))]
        optics = _optics(setup)
        for reduced in (False, True):
            decoder = Decoder(lambda: optics, limits.max_pixels, batching.decode_threads, healthy=True, reduced=reduced)
            stack.callback(decoder.close)
            found.append(_task(setup, decoder, batching.max_size, reduced, reduced == batching.reduced_decoding))
        yield found


def _optics(setup: Setup) -> Optics:
    """As monitor.compose makes them, where no camera has a region."""
    prep = load_checkpoint(setup.checkpoint).preprocess
    lens = RegionLens(Regions([]), MemoryFills())
    return Optics(
        "bench",
        prep.size,
        lambda camera: lens.region(camera).id,
        lambda frame, pixels: lens(frame.camera, prep.picture(pixels), frame.captured_at_ns),
    )


def _task(setup: Setup, decoder: Decoder, size: int, reduced: bool, in_path: bool) -> Task:
    arriving = arrivals(setup.footage, setup.cameras)

    def batch() -> int:
        _, rejected = decoder.decode(list(itertools.islice(arriving, size)))
        if rejected:
            raise StageFailed(f"decode: {len(rejected)} frames of the footage are refused: {rejected[0].detail}")
        return size

    variant = f"{'reduced' if reduced else 'in full'}, with preprocess and health, the service's threads"
    return Task("decode", variant, size, lambda seconds: timed(batch, seconds), in_path)
