"""Alert events as server-sent events, read from the outbox's stream in Redis."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import redis
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

KEEP_ALIVE_S = 15.0
"""A word now and then, so that proxies keep the connection and a listener that is gone is noticed."""


async def event_stream(client: Any, stream: str, last_event_id: str) -> AsyncIterator[bytes]:
    """Events after `last_event_id`, or, where that names none, from the next one on. Ends when Redis goes away: the
    browser connects again and goes on where it was. `client` is closed at the end, also when the listener leaves."""
    try:
        position = last_event_id
        if not re.fullmatch(r"\d{1,20}-\d{1,20}", position):
            newest = await client.xrevrange(stream, count=1)
            position = newest[0][0] if newest else "0-0"
        yield KEEPALIVE_COMMENT
        told_s = time.monotonic()
        while True:
            answer = await client.xread({stream: position}, block=1000, count=100)
            for _, entries in answer or []:
                for entry_id, fields in entries:
                    kind = json.loads(fields["event"])["type"]
                    yield format_sse_event(data_str=fields["event"], event=kind, id=entry_id)
                    position, told_s = entry_id, time.monotonic()
            if time.monotonic() - told_s > KEEP_ALIVE_S:
                yield KEEPALIVE_COMMENT
                told_s = time.monotonic()
    except redis.RedisError:
        return
    finally:
        await client.aclose()
