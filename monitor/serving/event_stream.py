"""Alert events as server-sent events, read from the outbox's stream in Redis."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import redis
import structlog
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

log = structlog.get_logger(__name__)

KEEP_ALIVE_S = 15.0
"""A word now and then, so that proxies keep the connection and a listener that is gone is noticed."""
GAP = "linewatch.gap"
"""Not everything that was missed is kept: the listener loads the list of alerts anew. Its data is the id of the oldest
event that is kept, "0-0" where none is."""
AT_ONCE = 100
NOWHERE = (0, 0)

Place = tuple[int, int]
Kept = tuple[Place, Place, bool]


async def event_stream(
    client: Any, stream: str, last_event_id: str, ended: Callable[[], bool] = lambda: False
) -> AsyncIterator[bytes]:
    """Events after `last_event_id`, or, where that is empty, from the next one after this call on: who is answered only
    then, and reads the list of alerts only after that, has each event in one of both.

    A GAP comes first where events after that id are no longer kept; then those that are. Likewise for an id that no
    event of this stream can have, malformed or in the future; then it goes on with the next event. Ends when Redis goes
    away: the browser connects again and goes on where it was; and within a second where it has `ended`. Raises
    redis.RedisError where it is away already.
    """
    return _told(client, stream, last_event_id, await _kept(client, stream), ended)


async def _told(
    client: Any, stream: str, last_event_id: str, kept: Kept, ended: Callable[[], bool]
) -> AsyncIterator[bytes]:
    try:
        oldest, newest, whole = kept
        position, from_here = place_of(last_event_id), False
        if position is None or position > newest:
            from_here, position = True, newest
        yield KEEPALIVE_COMMENT
        if from_here and last_event_id:
            yield _gap(oldest, at=position)
        elif not from_here and _misses(position, oldest, whole=whole):
            yield _gap(oldest)
        told_s, behind = time.monotonic(), False
        while not ended():
            if behind and position < (oldest := (await _kept(client, stream))[0]):
                yield _gap(oldest)  # a slow listener was overtaken by what is thrown away
            answer = await client.xread({stream: _text(position)}, block=1000, count=AT_ONCE)
            read = 0
            for _, entries in answer or []:
                for entry_id, fields in entries:
                    if event := _event(entry_id, fields):
                        yield event
                    position, told_s, read = place_of(entry_id) or position, time.monotonic(), read + 1
            behind = read == AT_ONCE
            if time.monotonic() - told_s > KEEP_ALIVE_S:
                yield KEEPALIVE_COMMENT
                told_s = time.monotonic()
    except redis.RedisError:
        return


def place_of(event_id: str) -> Place | None:
    """An event's id as what it is compared by; None for what is none."""
    found = re.fullmatch(r"([0-9]{1,20})-([0-9]{1,20})", event_id)
    if found is None:
        return None
    place = int(found[1]), int(found[2])
    return place if max(place) < 1 << 64 else None


async def _kept(client: Any, stream: str) -> Kept:
    """The oldest event that is kept, the newest that ever was, and whether none was ever thrown away."""
    try:
        told = await client.xinfo_stream(stream)
    except redis.ResponseError:  # no such key
        return NOWHERE, NOWHERE, True
    first = told["first-entry"]
    newest = place_of(told["last-generated-id"]) or NOWHERE
    oldest = newest if first is None else place_of(first[0]) or NOWHERE
    return oldest, newest, told.get("entries-added", 0) == told["length"]


def _misses(position: Place, oldest: Place, *, whole: bool) -> bool:
    """Whether events after `position` may be gone. 0-0 stands for the very beginning; any other is of an event that was
    seen, and that is no longer kept itself where it is before the oldest."""
    return position < oldest and not (position == NOWHERE and whole)


def _gap(oldest: Place, at: Place | None = None) -> bytes:
    return format_sse_event(data_str=_text(oldest), event=GAP, id=None if at is None else _text(at))


def _event(entry_id: str, fields: dict[str, str]) -> bytes | None:
    """None for what is no event of ours: it would end the stream of every listener, again and again."""
    try:
        kind = str(json.loads(fields["event"])["type"])
    except (KeyError, TypeError, ValueError) as error:
        log.warning("event_unreadable", entry=entry_id, error=type(error).__name__)
        return None
    return format_sse_event(data_str=fields["event"], event=kind, id=entry_id)


def _text(place: Place) -> str:
    return f"{place[0]}-{place[1]}"
