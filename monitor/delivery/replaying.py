"""Dead letters sent again by people: only to channels that there are."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from monitor.delivery.dead_letters import DeadLetters


class ReplayRefused(ValueError):
    """Dead letters of a channel that is not there: nobody would take them from its queue. Tells the remedy."""


def replay(
    dead_letters: DeadLetters, channels: Collection[str], ids: Sequence[str] | None, channel: str | None, by: str
) -> int:
    """`DeadLetters.replay`, where all that is meant goes to one of these channels. Raises ReplayRefused."""
    if channel is not None:
        meant = {channel}
    else:
        meant = {each.partition(":")[0] for each in (dead_letters.count() if ids is None else ids)}
    if gone := sorted(meant - set(channels)):
        there = ", ".join(sorted(channels)) or "none"
        raise ReplayRefused(
            f"no channel {gone[0]} is configured, so nobody would send its messages; configured: {there}. Configure it "
            "again, discard its dead letters, or replay those of one of the others"
        )
    return dead_letters.replay(ids, channel, by)
