"""When a baseline drifts: its frames are refused on and on, and are learnt anew where that does not end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from monitor.judging.baseline.port import BaselineKey, Fate, Phase
from monitor.judging.judge import State, Verdict


@dataclass(frozen=True, slots=True)
class Drift:
    """A drift of a baseline. Times in ns since the epoch; refused: the greatest count of refused frames so far.

    epoch: of the baseline, None where it was taken over and no frame has told yet. relearnt: whether it ended because
    what was refused is the new normal.
    """

    drift_id: str
    key: BaselineKey
    began_at_ns: int
    refused: int
    epoch: int | None = None
    ended_at_ns: int | None = None
    relearnt: bool = False


class DriftWatch:
    """Notices drifts that begin and end. Belongs to one thread.

    A drift ends where its frames are learnt, where the baseline is reset, or where the count of refused frames has
    fallen to half of where it began.
    """

    def __init__(self) -> None:
        self._drifting: dict[BaselineKey, Drift] = {}

    def adopt(self, drift: Drift) -> Drift | None:
        """Go on with a drift that an earlier process has told of. The one that nobody goes on with, ended, where
        another of this baseline is known already."""
        known = self._drifting.setdefault(drift.key, drift)
        return None if known.drift_id == drift.drift_id else replace(drift, ended_at_ns=drift.began_at_ns)

    def forget(self, camera: str) -> None:
        """Another worker judges it now."""
        self._drifting = {key: drift for key, drift in self._drifting.items() if key.camera != camera}

    def see(self, verdicts: Iterable[Verdict], drifting_from: int) -> list[Drift]:
        """What began or ended with these verdicts. `drifting_from`: refused frames from which a baseline drifts."""
        changes = []
        for verdict in verdicts:
            window, key, now_ns = verdict.window, verdict.key, verdict.frame.captured_at_ns
            if window is None or verdict.state is State.DEGRADED:
                continue
            known = self._drifting.get(key)
            if known is None:
                if window.phase is Phase.DRIFTING and window.fate is not Fate.RELEARNT:
                    begun = Drift(_id(key, now_ns), key, now_ns, window.refused, window.epoch)
                    self._drifting[key] = begun
                    changes.append(begun)
                continue
            relearnt = window.fate is Fate.RELEARNT
            another = known.epoch not in (None, window.epoch)
            known = replace(known, refused=max(known.refused, window.refused), epoch=window.epoch)
            settled = window.phase is not Phase.DRIFTING and 2 * window.refused <= drifting_from
            if relearnt or another or settled:
                del self._drifting[key]
                changes.append(replace(known, ended_at_ns=max(now_ns, known.began_at_ns), relearnt=relearnt))
            else:
                self._drifting[key] = known
        return changes


def _id(key: BaselineKey, began_at_ns: int) -> str:
    """16 hexadecimal digits, the same whenever a drift of this baseline begins with this frame."""
    return hashlib.sha256(f"{key.camera}|drift|{key.model}|{key.product}|{began_at_ns}".encode()).hexdigest()[:16]
