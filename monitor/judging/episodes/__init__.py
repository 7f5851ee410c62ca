"""From verdicts to episodes: quiet, pending, firing, recovering, resolved.

The words are in `episode`, what is remembered of a camera in `camera` and `marks`, how that is kept in `document`, and
what a frame does in `machine`.
"""

from monitor.judging.episodes.document import StateUnreadable
from monitor.judging.episodes.episode import (
    Change,
    Episode,
    EpisodeRule,
    EpisodeState,
    Gate,
    Hold,
    Reason,
    Severity,
    Transition,
    alert_id,
)
from monitor.judging.episodes.machine import Episodes

__all__ = [
    "Change",
    "Episode",
    "EpisodeRule",
    "EpisodeState",
    "Episodes",
    "Gate",
    "Hold",
    "Reason",
    "Severity",
    "StateUnreadable",
    "Transition",
    "alert_id",
]
