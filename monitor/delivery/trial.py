"""The test of a subscription: one made-up message to each of its channels, at once and past the queues, and what
became of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import structlog

from monitor.delivery.channels.channel import Channel, DeliveryFailed, DeliveryRefused
from monitor.delivery.delivery import Delivery, Kind, id_of
from monitor.subscription_settings import Subscription
from streams.redact import redact_text

log = structlog.get_logger(__name__)

MOST_S = 20.0
"""So long a channel may take; somebody waits for the answer."""

Outcome = Literal["delivered", "failed", "refused"]


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of the message of one channel. failed: another try may help. refused: it will not.

    detail: why, for people; empty where it was delivered. Holds no secrets.
    """

    channel: str
    outcome: Outcome
    detail: str
    took_s: float


def try_out(
    subscription: Subscription,
    channels: Callable[[str], Channel],
    event: dict[str, Any],
    *,
    most_s: float = MOST_S,
) -> list[Tried]:
    """Deliver `event` (see `monitor.delivery.trial_event`) to each channel of the subscription, all side by side, and
    wait for the answers, `most_s` at most. Whether the subscription is on does not matter.

    channels: makes a channel for the trial by its name, which is closed after; KeyError where there is none of that
    name. Whatever it raises, and whatever the channel raises, is an outcome.
    """
    until_s = time.monotonic() + most_s
    begun = [(name, _begin(name, subscription, channels, event)) for name in subscription.to]
    results = []
    for name, awaited in begun:
        try:
            results.append(awaited.result(max(0.0, until_s - time.monotonic())))
        except TimeoutError:
            results.append(Tried(name, "failed", f"no answer within {most_s:g} s", most_s))
    return results


def _begin(
    name: str, subscription: Subscription, channels: Callable[[str], Channel], event: dict[str, Any]
) -> Future[Tried]:
    """In a thread that keeps no process from ending: a channel that hangs is left to itself."""
    awaited: Future[Tried] = Future()
    delivery = Delivery(
        delivery_id=id_of(event["id"], name),
        channel=name,
        kind=Kind.TEST,
        events=(event,),
        subscriptions=(subscription.name,),
        queued_ms=time.time_ns() // 1_000_000,
    )

    def work() -> None:
        started_s = time.monotonic()
        outcome, detail = _attempt(name, channels, delivery)
        awaited.set_result(Tried(name, outcome, detail, round(time.monotonic() - started_s, 3)))

    threading.Thread(target=work, name=f"trial-{name}", daemon=True).start()
    return awaited


def _attempt(name: str, channels: Callable[[str], Channel], delivery: Delivery) -> tuple[Outcome, str]:
    try:
        channel = channels(name)
    except KeyError:
        return "refused", "no channel of this name is configured (section `channels`)"
    except Exception as error:
        return "refused", _told("it cannot be made from its settings", error)
    try:
        channel.deliver(delivery)
    except DeliveryFailed as error:
        wait = "" if error.retry_after_s is None else f" (asks to be left alone for {error.retry_after_s:g} s)"
        return "failed", f"{error}{wait}"
    except DeliveryRefused as error:
        return "refused", str(error)
    except Exception as error:
        log.exception("trial_broken", channel=name)
        return "refused", _told("it broke", error)
    finally:
        with suppress(Exception):
            channel.close()
    return "delivered", ""


def _told(what: str, error: Exception) -> str:
    """An error that nobody foresaw: its text may hold the login of an address."""
    said = redact_text(str(error), "").strip()
    return f"{what}: {said}" if said else f"{what}: {type(error).__name__}"
