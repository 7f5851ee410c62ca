"""The delivery: one message for one channel, as it waits in that channel's queue."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

EVENTS_AT_MOST = 200
"""A message about more events tells of the newest so many, and how many more there were."""


class Kind(StrEnum):
    """EVENT: one event, at once. GROUP: what came within a window. DIGEST: what came since the last one, or within
    quiet hours. TEST: somebody tries whether it arrives."""

    EVENT = "event"
    GROUP = "group"
    DIGEST = "digest"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message. The same in every try, and made again the same after a crash.

    delivery_id: 32 hexadecimal digits; goes along as `Idempotency-Key`.
    events: CloudEvents as `Event.document` makes them, oldest first, at least one, at most EVENTS_AT_MOST.
    subscriptions: who wanted it, by name; empty for the channels that get everything.
    omitted: so many older events are not in it.
    queued_ms: since the epoch, when it entered the queue.
    replayed: how often somebody took it out of the dead letters.
    """

    delivery_id: str
    channel: str
    kind: Kind
    events: tuple[dict[str, Any], ...]
    subscriptions: tuple[str, ...] = ()
    omitted: int = 0
    queued_ms: int = 0
    replayed: int = 0

    @property
    def lane(self) -> str:
        """What must arrive in order: the events of one camera, or the messages of one subscription."""
        if self.kind is Kind.EVENT:
            return f"camera:{self.events[0]['subject']}"
        return f"subscription:{','.join(self.subscriptions)}"

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Delivery:
        """Raises ValueError for what is no delivery."""
        try:
            known = json.loads(text)
            return cls(
                **{
                    **known,
                    "kind": Kind(known["kind"]),
                    "events": tuple(known["events"]),
                    "subscriptions": tuple(known["subscriptions"]),
                }
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no delivery: {type(error).__name__}: {error}") from None


def id_of(*parts: str) -> str:
    """32 hexadecimal digits, the same for the same parts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
