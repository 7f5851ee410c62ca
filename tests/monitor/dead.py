"""Dead letters as a dispatcher leaves them."""

from __future__ import annotations

from typing import Any

from monitor.delivery.dead_letters import DeadLetters, letter_of
from monitor.delivery.delivery import Delivery
from monitor.delivery.lease import Lease, unique_owner
from monitor.delivery.queue import DeliveryQueue


def bury(client: Any, prefix: str, delivery: Delivery, error: str) -> str:
    """Queue this delivery, take it, give it up; the letter's id. The channel's queue must be empty before."""
    queue, channel = DeliveryQueue(client, prefix), delivery.channel
    lease = Lease(client, f"{prefix}:lease:{channel}", unique_owner("test"))
    assert lease.hold()
    queue.ready(channel)
    queue.put(delivery)
    (entry,) = queue.take(channel, 1000)
    letter = letter_of(entry, channel, "refused", error, 1)
    assert DeadLetters(client, prefix).bury(entry, letter, lease)
    lease.release()
    return letter.id
