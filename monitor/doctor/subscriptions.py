"""Whether the subscriptions, of the configuration and by API, can tell somebody something."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import redis

from monitor.delivery.hours import NeverOpen, opens_ms
from monitor.delivery.listing import Listed, Listing
from monitor.doctor.finding import Finding, failed, ok, warning
from monitor.inputs import Input
from monitor.line_rules import matches
from monitor.settings import Settings
from monitor.subscription_settings import Subscription


def examine_subscriptions(
    settings: Settings, client: redis.Redis, prefix: str, over: threading.Event
) -> Iterator[Finding]:
    """Channels and escalation targets are there, hours open some time, what they name is there, channels are used.
    prefix: of the keys."""
    kept, switched, delivers = _of_redis(client, prefix)
    listed = Listing(lambda: settings.subscriptions).of(kept or {}, switched)
    yield _counted(listed, known=kept is not None)
    for name in sorted((kept or {}).keys() - {one.subscription.name for one in listed}):
        yield warning(
            f"{name}: what Redis holds of it cannot be read, say of another version; it tells nothing",
            f"write it anew: linewatch subscriptions add FILE, or linewatch subscriptions delete {name}",
        )
    for one in listed:
        yield from _one(one, listed, settings)
    used = {channel for one in listed for channel in one.subscription.to}
    for channel in (entry.name for entry in settings.channels):
        if channel not in used and kept is not None:
            yield warning(
                f"no subscription names the channel {channel}: nothing is sent there",
                "name it in a subscription's `to`, or take the channel out",
            )
    if delivers is False and not settings.delivery.here:
        yield warning(
            "delivery.here is false, and nobody delivers at present", "start `linewatch dispatch`, or take it out"
        )


def _of_redis(client: Any, prefix: str) -> tuple[dict[str, str] | None, dict[str, str], bool | None]:
    """Those by API, who is switched, whether somebody routes; None where Redis is away, which its own check tells."""
    try:
        with client.pipeline(transaction=False) as pipe:
            pipe.hgetall(f"{prefix}:subscriptions")
            pipe.hgetall(f"{prefix}:subscriptions:off")
            pipe.exists(f"{prefix}:lease:router")
            kept, switched, routed = pipe.execute()
    except redis.RedisError:
        return None, {}, None
    finally:
        client.close()
    return kept, switched, bool(routed)


def _counted(listed: Sequence[Listed], *, known: bool) -> Finding:
    configured = sum(one.origin == "configuration" for one in listed)
    told = f"{configured} of the configuration"
    told += f", {len(listed) - configured} by API" if known else "; those by API are not known, since Redis is away"
    off = [one.subscription.name for one in listed if not one.on]
    return ok(told + (f"; off: {', '.join(off[:5])}{' and others' * (len(off) > 5)}" if off else ""))


def _one(listed: Listed, others: Sequence[Listed], settings: Settings) -> Iterator[Finding]:
    one, name = listed.subscription, listed.subscription.name
    where = "in the configuration" if listed.origin == "configuration" else f"by `linewatch subscriptions show {name}`"
    there = {entry.name for entry in settings.channels}
    gone = [channel for channel in one.to if channel not in there]
    if gone:
        told = f"{name}: there is no channel {', '.join(gone)}"
        remedy = f"add it to the section `channels`, or change the subscription {where}"
        yield warning(f"{told}; the others are told", remedy) if len(gone) < len(one.to) else failed(told, remedy)
    yield from _hours(one, where)
    if one.escalate is not None:
        target = next((other for other in others if other.subscription.name == one.escalate.to), None)
        if target is None or not target.on:
            why = "there is no such subscription" if target is None else "it is off"
            yield warning(
                f"{name}: it escalates to {one.escalate.to}, but {why}: nobody is called in",
                f"change escalate.to {where}, or see to {one.escalate.to}",
            )
    # Who is called in by others hears of their alerts whatever it says of cameras; docs/subscriptions.md uses that.
    called_in = any(other.subscription.escalate and other.subscription.escalate.to == name for other in others)
    if not called_in:
        yield from _concerned(one, where, settings)


def _hours(one: Subscription, where: str) -> Iterator[Finding]:
    try:
        opens_ms(one.when, time.time_ns() // 1_000_000)
    except NeverOpen as error:
        told, remedy = f"{one.name}: {error}", f"change `when` {where}"
        if one.when.critical_passes:
            yield warning(f"{told}, but critical events", remedy)
        else:
            yield failed(told, remedy)


def _concerned(one: Subscription, where: str, settings: Settings) -> Iterator[Finding]:
    """Cameras, lines and tags that the configuration does not know. A topic's cameras stand in no configuration."""
    known = {camera for entry in settings.sources if (camera := _camera_of(entry)) is not None}
    lost = [pattern for pattern in one.cameras if not any(matches(camera, pattern) for camera in known)]
    if lost:
        told = f"{one.name}: no camera of the configuration is {' or '.join(lost[:5])}"
        if any(entry.kafka is not None for entry in settings.sources):
            yield ok(told, "hint: cameras of a topic are not known here; nothing to do where these are some")
        else:
            yield warning(told, f"correct `cameras` {where}; upper and lower case differ")
    for key, wanted, given in (
        ("lines", one.lines, {rules.line for rules in settings.cameras}),
        ("tags", one.tags, {tag for rules in settings.cameras for tag in rules.tags}),
    ):
        if missing := [each for each in wanted if each not in given]:
            yield warning(
                f"{one.name}: no entry of `cameras` gives the {key.removesuffix('s')} {' or '.join(missing[:5])}",
                f"correct `{key}` {where}, or say in the section `cameras` which cameras belong there",
            )


def _camera_of(entry: Input) -> str | None:
    source = entry.rtsp or entry.usb or entry.files
    return None if source is None else source.camera
