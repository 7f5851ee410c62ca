"""When a camera's baseline drifts: its frames are refused on and on, and are learnt anew where that does not end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from monitor.judging.baseline.port import Fate, Phase
from monitor.judging.judge import State, Verdict


@dataclass(frozen=True, slots=True)
class Drift:
    """A drift of a camera. Times in ns since the epoch; refused: the greatest count of refused frames so far.

    relearnt: whether it ended because what was refused is the new normal.
    """

    camera: str
    began_at_ns: int
    refused: int
    ended_at_ns: int | None = None
    relearnt: bool = False


class DriftWatch:
    """Notices drifts that begin and end. Belongs to one thread.

    A drift ends where its frames are learnt, or the count of refused ones has fallen to half of where it began.
    """

    def __init__(self) -> None:
        self._drifting: dict[str, Drift] = {}

    def adopt(self, drift: Drift) -> None:
        """Go on with a drift that an earlier process has told of."""
        self._drifting.setdefault(drift.camera, drift)

    def forget(self, camera: str) -> None:
        """Another worker judges it now."""
        self._drifting.pop(camera, None)

    def see(self, verdicts: Iterable[Verdict], drifting_from: int) -> list[Drift]:
        """What began or ended with these verdicts. `drifting_from`: refused frames from which a baseline drifts."""
        changes = []
        for verdict in verdicts:
            window, camera = verdict.window, verdict.frame.camera
            if window is None or verdict.state is State.DEGRADED:
                continue
            known = self._drifting.get(camera)
            now_ns = verdict.frame.captured_at_ns
            if known is None:
                if window.phase is Phase.DRIFTING and window.fate is not Fate.RELEARNT:
                    self._drifting[camera] = Drift(camera, now_ns, window.refused)
                    changes.append(self._drifting[camera])
                continue
            refused = max(known.refused, window.refused)
            relearnt = window.fate is Fate.RELEARNT
            if relearnt or (window.phase is not Phase.DRIFTING and 2 * window.refused <= drifting_from):
                del self._drifting[camera]
                ended_ns = max(now_ns, known.began_at_ns)
                changes.append(Drift(camera, known.began_at_ns, refused, ended_ns, relearnt))
            else:
                self._drifting[camera] = Drift(camera, known.began_at_ns, refused)
        return changes
