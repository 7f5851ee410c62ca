"""Score series of which the truth is known: what scripts.false_alarms measures on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rng = np.random.Generator
Process = Callable[[Rng, int], Floats]

FPS = 2.0
"""Of all of them. A day is 172,800 frames; the threshold knows rates by time alone."""


def correlated(rng: Rng, frames: int, from_frame_to_frame: float) -> Floats:
    """Autoregressive of order one, of mean 0 and variance 1."""
    reach = int(8 / (1 - from_frame_to_frame))
    kernel = from_frame_to_frame ** np.arange(reach) * np.sqrt(1 - from_frame_to_frame**2)
    size = 1 << (frames + reach - 1).bit_length()
    noise = np.fft.rfft(rng.standard_normal(frames + reach), size)
    whole = np.fft.irfft(noise * np.fft.rfft(kernel, size), size)
    return np.ascontiguousarray(whole[reach : reach + frames])


def parts(rng: Rng, frames: int) -> Floats:
    """A conveyor: each part gives 5 to 10 frames of a level of its own, with 2 to 5 frames of belt between."""
    count = frames // 8 + 10
    lengths = np.stack([rng.integers(5, 11, count), rng.integers(2, 6, count)], axis=1).ravel()
    levels = np.stack([4 + rng.gamma(4.0, 1.0, count), np.ones(count)], axis=1).ravel()
    result: Floats = np.repeat(levels, lengths)[:frames] + 0.5 * rng.standard_normal(frames)
    return result


def bimodal(rng: Rng, frames: int) -> Floats:
    """Two kinds of scene, 25 s each at least."""
    second = np.repeat(rng.random(frames // 50 + 1) < 0.3, 50)[:frames]
    noise = rng.standard_normal(frames)
    result: Floats = np.where(second, 3 + 0.7 * noise, noise)
    return result


def daily(rng: Rng, frames: int) -> Floats:
    """A level that swings by one standard deviation up and down within a day, as daylight does."""
    swing: Floats = np.sin(np.arange(frames) * (2 * np.pi / (86_400 * FPS)))
    return rng.standard_normal(frames) + swing


def creeping(rng: Rng, frames: int) -> Floats:
    """A level that rises by a quarter of a standard deviation a day, as a lamp ages or a lens gathers dust."""
    return rng.standard_normal(frames) + 0.25 * np.arange(frames) / (86_400 * FPS)


STATIONARY: dict[str, Process] = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "lognormal": lambda rng, n: np.exp(0.5 * rng.standard_normal(n)),
    "gamma": lambda rng, n: rng.gamma(2.0, 1.0, n),
    "bimodal": bimodal,
    "parts": parts,
    "correlated over 50 s": lambda rng, n: correlated(rng, n, 0.99),
}
HARDER: dict[str, Process] = {
    "correlated over 500 s": lambda rng, n: correlated(rng, n, 0.999),
    "daily swing": daily,
    "creeping up": creeping,
}
