"""Where the model sees pictures: its features, laid out in three dimensions (the paper's figure 3)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

POINTS = 1000
FEWEST = 8
"""Fewer points have no neighbourhoods to show."""
RARE = 0.25
"""Share of the points that the rarer kind is given, if there are so many of it."""
PERPLEXITY = 30.0
"""Of many points. Of few it is their root: neighbourhoods that hold a third of all points make a ball of everything."""
SETTLED = 400
"""Few points need more steps until they lie still, and can afford them."""
POINTS_PER_RATE = 48
"""Learning rate: scikit-learn's rule without its floor of 50, which throws few points about in three dimensions: of
60 in two clouds well apart, a twelfth to a fifth then had a neighbour from the wrong cloud, and without it none."""
COMPONENTS = 50
"""Principal components that t-SNE measures distances in, as its authors advise."""


def embed(features: npt.NDArray[np.float32], *, seed: int = 0) -> npt.NDArray[np.float64] | None:
    """features [n, F] -> places [n, 3]. None where there are too few pictures, or they all look the same to the model.
    t-SNE keeps neighbours, not distances: how far apart two clouds lie means nothing. Its time grows faster than n:
    see `some`. ValueError where features is no [n, F] of numbers."""
    if features.ndim != 2:
        raise ValueError(f"features are {list(features.shape)}: expected [n, F]")
    taken = features.astype(np.float64)
    if not np.isfinite(taken).all():
        raise ValueError("some features are no numbers: the model is broken")
    taken -= taken.mean(axis=0)
    spread = np.abs(taken).max(initial=0.0)
    if len(taken) < FEWEST or np.unique(taken, axis=0).shape[0] < FEWEST or spread == 0:
        return None
    taken /= spread  # squares of any scale stay numbers
    components = min(COMPONENTS, *taken.shape)
    placed = PCA(components, random_state=seed).fit_transform(taken)
    tsne = TSNE(
        3,
        perplexity=min(PERPLEXITY, len(taken) ** 0.5),
        learning_rate=max(len(taken) / POINTS_PER_RATE, 2.0),
        init=_start(placed),
        max_iter=1000 if len(taken) <= SETTLED else 500,
        random_state=seed,
    )
    return np.asarray(tsne.fit_transform(placed), np.float64)


def _start(placed: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """The first three components, small, as t-SNE's own start from PCA, but also where there are fewer of them."""
    start = np.zeros((len(placed), 3), np.float32)
    columns = min(3, placed.shape[1])
    start[:, :columns] = placed[:, :columns] / placed[:, 0].std() * 1e-4
    return start


def some(anomalous: npt.NDArray[np.bool_], *, points: int = POINTS, seed: int = 0) -> npt.NDArray[np.intp]:
    """Which pictures to lay out, rising: `points` at most, drawn by chance; of each kind its share, and of the rarer
    kind enough to be seen."""
    if len(anomalous) <= points:
        return np.arange(len(anomalous))
    rng = np.random.default_rng(seed)
    kinds = sorted((np.flatnonzero(anomalous), np.flatnonzero(~anomalous)), key=len)
    rare = min(len(kinds[0]), max(round(points * RARE), round(points * len(kinds[0]) / len(anomalous))))
    drawn = [rng.choice(kind, count, replace=False) for kind, count in zip(kinds, (rare, points - rare), strict=True)]
    return np.sort(np.concatenate(drawn))
