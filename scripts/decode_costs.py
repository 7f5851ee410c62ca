"""What decoding costs and what a reduced scale changes: `python -m scripts.decode_costs`, about a minute.

Prints tables of CPU microseconds a frame, of the difference to full decoding in the network's picture and in the
measures of a camera's health, and, with a checkpoint, in its scores. simplejpeg and PyTurboJPEG are measured where they
are installed. The best of several rounds is told: on a busy machine that still says too much.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.checkpoint import CheckpointError, load
from models.method_scorer import MethodScorer
from models.preprocess import Preprocess
from monitor.bench.footage import MAX_PIXELS, Footage, footage
from monitor.bench.stages.frames import arrivals
from monitor.scoring.decoding import Decoder, Optics, Picture
from monitor.scoring.sight import Sight, measure
from streams.codec import claimed_size, decode
from streams.jpeg import plain_jpeg_size

SIZES = ((640, 480), (1280, 720), (1920, 1080))
REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
ROUNDS = 6
BATCH = 16

Decode = Callable[[bytes], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, help="a film or a folder of pictures; the simulated line without it")
    parser.add_argument("--checkpoint", type=Path, help="a network whose scores are compared; its side is used, too")
    parser.add_argument("--side", type=int, default=64, help="of the network's picture, without a checkpoint")
    parser.add_argument("--pictures", type=int, default=48, help="different ones, of each size")
    asked = parser.parse_args()
    try:
        scorer = load(asked.checkpoint, "cpu") if asked.checkpoint else None
        prep = scorer.info.preprocess if scorer else Preprocess(asked.side, 3)
        films = [footage(asked.frames, width, height, asked.pictures) for width, height in SIZES]
    except (CheckpointError, ValueError) as error:
        parser.error(str(error))
    for film in films:
        print(f"\n{film.name}, {film.width}x{film.height}, {film.mean_bytes / 1000:.1f} kB a frame, to {prep.size} px")
        cv2.setNumThreads(1)
        parts(film, prep)
        whole(film, prep)
        beside(film)
        changes(film, prep, scorer)


def parts(film: Footage, prep: Preprocess) -> None:
    tell("header, Pillow", cpu_us(claimed_size, film.jpegs))
    tell("header, own", cpu_us(plain_jpeg_size, film.jpegs))
    for name, function in decoders(film.width, film.height):
        tell(name, cpu_us(function, film.jpegs))
    size = film.width, film.height
    for by in (1, *REDUCED):
        pictures = [reduced(jpeg, by) for jpeg in film.jpegs[:4]]
        tell(f"to the network's picture, from 1/{by}", cpu_us(prep.picture, pictures))
        tell(f"measured for health, from 1/{by}", cpu_us(lambda pixels: measure(pixels, size), pictures))


def whole(film: Footage, prep: Preprocess) -> None:
    """All that the service's decoding does to a frame."""
    for threads, healthy, less in itertools.product((1, cv2.getNumberOfCPUs()), (True, False), (False, True)):
        cv2.setNumThreads(threads)
        decoder = Decoder(lambda: optics(prep), MAX_PIXELS, 2, healthy=healthy, reduced=less)
        coming = arrivals(film, 4)
        batches = [list(itertools.islice(coming, BATCH)) for _ in range(max(1, len(film.jpegs) // BATCH))]
        took = cpu_us(decoder.decode, batches) / BATCH
        decoder.close()
        named = f"{'with' if healthy else 'without'} health, {'reduced' if less else 'full'}"
        tell(f"Decoder, {named}, OpenCV's threads {threads}", took)
    cv2.setNumThreads(1)


def beside(film: Footage) -> None:
    """How much of a second core two threads get: 2 where the GIL is let go and both cores are free."""
    with ThreadPoolExecutor(2) as pool:
        for name, function in decoders(film.width, film.height):
            alone = wall_us(lambda work, items: list(map(work, items)), function, film.jpegs)
            both = wall_us(lambda work, items: list(pool.map(work, items)), function, film.jpegs)
            print(f"  {'two threads, ' + name:58}{alone / both:10.2f} times one")


def changes(film: Footage, prep: Preprocess, scorer: MethodScorer | None) -> None:
    """What is different from full decoding."""
    full = [decode(jpeg, MAX_PIXELS) for jpeg in film.jpegs]
    known, size = np.stack([prep.picture(pixels) for pixels in full]), (film.width, film.height)
    sights = [measure(pixels) for pixels in full]
    usual = scorer.score(known) if scorer else None
    for name, healthy in (("with health", True), ("without", False)):
        decoder = Decoder(lambda: optics(prep), MAX_PIXELS, 1, healthy=healthy)
        batch, _ = decoder.decode(list(itertools.islice(arrivals(film, 1), len(film.jpegs))))
        decoder.close()
        if batch is not None:
            print(f"  the service's choice, {name}: {compared(known, batch.pictures, usual, scorer)}")
            if batch.sights:
                print(f"    health: {looks(sights, batch.sights)}")
    for by in REDUCED:
        less = [reduced(jpeg, by) for jpeg in film.jpegs]
        print(f"  from 1/{by}: {compared(known, np.stack([prep.picture(p) for p in less]), usual, scorer)}")
        print(f"    health: {looks(sights, [measure(pixels, size) for pixels in less])}")


def compared(known: Picture, other: Picture, usual: Any, scorer: MethodScorer | None) -> str:
    apart = np.abs(known.astype(int) - other)
    told = f"pixels differ by {apart.mean():.2f} grey levels, at most {apart.max()}"
    if scorer is None or usual is None:
        return told
    shift = np.abs(scorer.score(other) / usual - 1)
    spread = np.abs(scorer.score(other) - usual) / max(float(np.std(usual)), 1e-12)
    return (
        f"{told}; scores move by {np.median(shift):.2%}, at most {shift.max():.2%}"
        f" ({np.median(spread):.2f} and {spread.max():.2f} of their standard deviation)"
    )


def looks(known: Sequence[Sight], other: Sequence[Sight]) -> str:
    grey = [np.abs(a.grey.astype(int) - b.grey).mean() for a, b in zip(known, other, strict=True)]
    fine = [b.fine / max(a.fine, 1e-6) for a, b in zip(known, other, strict=True)]
    shares = [abs(a.black - b.black) + abs(a.burnt - b.burnt) for a, b in zip(known, other, strict=True)]
    fewer = len({sight.checksum for sight in known}) - len({sight.checksum for sight in other})
    return (
        f"grey {np.mean(grey):.2f} (most {np.max(grey):.2f}), sharpness times {np.median(fine):.2f}"
        f" ({np.min(fine):.2f} to {np.max(fine):.2f}), black and burnt by {max(shares):.3f}, {fewer} checksums fewer"
    )


def decoders(width: int, height: int) -> Iterator[tuple[str, Decode]]:
    """By name, each from bytes to pixels."""
    for by in (1, *REDUCED):
        yield f"OpenCV 1/{by}", partial(reduced, by=by)
    if (simple := module("simplejpeg")) is not None:
        for by in (1, *REDUCED):
            least = {"min_width": -(-width // by), "min_height": -(-height // by), "min_factor": 1} if by > 1 else {}
            yield f"simplejpeg 1/{by}", partial(simple.decode_jpeg, colorspace="BGR", **least)
            quick = {"fastdct": True, "fastupsample": True}
            yield f"simplejpeg 1/{by}, fast", partial(simple.decode_jpeg, colorspace="BGR", **quick, **least)
    if (turbo := module("turbojpeg")) is not None:
        try:
            library = turbo.TurboJPEG()
        except (OSError, RuntimeError):  # the module is there, libturbojpeg is not
            return
        for by in (1, *REDUCED):
            yield f"PyTurboJPEG 1/{by}", partial(library.decode, scaling_factor=(1, by))


def module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


def reduced(jpeg: bytes, by: int) -> Picture:
    how = REDUCED.get(by, cv2.IMREAD_COLOR)
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), how), np.uint8)


def optics(prep: Preprocess) -> Optics:
    return Optics("m", prep.size, lambda camera: "", lambda frame, pixels: prep.picture(pixels))


def cpu_us(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    """Of the process, for each item, in the best of several rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began_s = time.process_time()
        for item in items:
            work(item)
        rounds.append((time.process_time() - began_s) / len(items) * 1e6)
    return min(rounds)


def wall_us(run: Callable[[Decode, Sequence[bytes]], object], work: Decode, items: Sequence[bytes]) -> float:
    rounds = []
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        run(work, items)
        rounds.append((time.perf_counter() - began_s) * 1e6)
    return min(rounds)


def tell(name: str, took_us: float) -> None:
    print(f"  {name:58}{took_us:10.1f} µs")


if __name__ == "__main__":
    main()
