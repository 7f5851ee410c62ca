"""Freezing and thawing, where that makes sense."""

from __future__ import annotations

from monitor.judging.baseline.port import BaselineKey, Phase
from monitor.judging.baseline.store import BaselineStore
from monitor.orders.shelf import OrderRefused


def freeze(store: BaselineStore, key: BaselineKey, by: str) -> None:
    """It neither learns nor forgets from now on. Again changes nothing. Raises OrderRefused where it is not ready: it
    would never become so."""
    life = store.life(key)
    if life.frozen:
        return
    if life.phase in (Phase.COLD, Phase.WARMING):
        raise OrderRefused(
            f"the baseline of {named(key)} is {life.phase.value} ({life.count} of {life.needed} frames): frozen, it "
            "would never become ready; freeze it when it is"
        )
    store.freeze(key, by)


def thaw(store: BaselineStore, key: BaselineKey, by: str) -> None:
    """It learns again. Of one that is not frozen, nothing changes."""
    if store.life(key).frozen:
        store.thaw(key, by)


def named(key: BaselineKey) -> str:
    """A baseline, for people."""
    return f"camera {key.camera}" + (f", product {key.product}" if key.product else "")
