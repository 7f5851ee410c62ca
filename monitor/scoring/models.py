"""The model that scores, and the one before it while batches of its are still under way."""

from __future__ import annotations

import threading

from models.scorer import Scorer


class Models:
    """One model is current; a changed configuration may replace it between two batches. Thread-safe.

    A batch that was decoded for a model is scored by that model: pictures of another size would fit no other.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._lock = threading.Lock()
        self._current = scorer
        self._before = scorer

    @property
    def current(self) -> Scorer:
        return self._current

    def use(self, scorer: Scorer) -> None:
        """From the next batch on."""
        with self._lock:
            self._before, self._current = self._current, scorer

    def of(self, model_id: str) -> Scorer:
        """The model with this id. LookupError for one that was replaced twice since."""
        with self._lock:
            for scorer in (self._current, self._before):
                if scorer.info.model_id == model_id:
                    return scorer
        raise LookupError(f"model {model_id} is no longer loaded")
