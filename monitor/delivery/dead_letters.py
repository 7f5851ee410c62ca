"""What could not be delivered: kept to be looked at, sent again, or thrown away."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

import redis
import structlog

from monitor.delivery.delivery import Delivery
from monitor.delivery.lease import Lease
from monitor.delivery.queue import GROUP, PAGE, Entry, delivery_of, queue_key

log = structlog.get_logger(__name__)

AT_MOST: Final = 10_000
"""Over all channels. The oldest make room, which is logged."""

ERROR_AT_MOST: Final = 2000
"""So many characters of an error are kept."""

DeadOutcome = Literal["refused", "expired", "unreadable"]

_BURY = """
-- KEYS: queue, letters, times, lease. ARGV: group, entry, owner, id, letter, ms, how many are kept.
-- Returns -1 where the lease is not the owner's, 0 where the entry is gone, else 1 and the letters that made room.
if redis.call('GET', KEYS[4]) ~= ARGV[3] then return {-1} end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
if redis.call('XDEL', KEYS[1], ARGV[2]) == 0 then return {0} end
redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
-- Those of one millisecond stay in order, and so does what is replayed.
local last = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')[2] or 0
redis.call('ZADD', KEYS[3], string.format('%.3f', math.max(tonumber(ARGV[6]), tonumber(last) + 0.001)), ARGV[4])
local answer = {1}
local over = redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[7])
if over > 0 then
    for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, over - 1)) do
        answer[#answer + 1] = id
        redis.call('HDEL', KEYS[2], id)
        redis.call('ZREM', KEYS[3], id)
    end
end
return answer
"""

_REPLAY = """
-- KEYS: letters, times, queue. ARGV: id, the letter as it was read, what goes into the queue.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('XADD', KEYS[3], '*', 'delivery', ARGV[3])
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that was given up.

    id: `<channel>:<delivery_id>`. Where the delivery cannot be read, its place in the queue stands for the latter.
    delivery: None where it cannot be read.
    error: why; holds no secrets.
    tries: by the dispatcher that gave it up; what others tried before is not known to it.
    at_ms: when it was given up, since the epoch.
    text: the delivery as it stood in the queue.
    """

    id: str
    delivery: Delivery | None
    error: str
    outcome: DeadOutcome
    tries: int
    at_ms: int
    channel: str
    text: str = ""


class DeadLetters:
    """The dead letters of all channels: a hash of them, and their ids by time. Thread-safe; every method may raise
    redis.RedisError."""

    def __init__(self, client: redis.Redis, prefix: str, at_most: int = AT_MOST) -> None:
        self._client: Any = client
        self._prefix = prefix
        self._letters = f"{prefix}:dead"
        self._times = f"{prefix}:dead:at"
        self._at_most = at_most

    def bury(self, entry: Entry, letter: DeadLetter, lease: Lease) -> bool:
        """Move an entry from its queue here, in one step; False, and nothing moved, where it is finished already or
        somebody else has the lease by now."""
        keys = (queue_key(self._prefix, letter.channel), self._letters, self._times, lease.key)
        document = json.dumps({k: v for k, v in asdict(letter).items() if k not in {"id", "delivery"}})
        values = (GROUP, entry.id, lease.owner, letter.id, document, letter.at_ms, self._at_most)
        moved, *dropped = self._client.execute_command("EVAL", _BURY, len(keys), *keys, *values)
        for each in dropped:
            channel, _, what = each.partition(":")
            log.error("dead_letter_dropped", channel=channel, delivery_id=what, reason=f"more than {self._at_most}")
        return bool(moved == 1)

    def list(self, channel: str | None = None, offset: int = 0, limit: int = 50) -> Sequence[DeadLetter]:
        """The newest first."""
        if channel is None:
            ids = self._client.zrange(self._times, offset, offset + limit - 1, desc=True) if limit > 0 else []
        else:
            ids = self._ids(channel)[::-1][offset : offset + limit]
        return [letter for letter, _ in self._read(ids)]

    def count(self) -> dict[str, int]:
        """How many by channel; those that have none are left out."""
        return dict(Counter(each.partition(":")[0] for each in self._ids(None)))

    def get(self, letter_id: str) -> DeadLetter | None:
        """One; None where it is not there."""
        return next((letter for letter, _ in self._read([letter_id])), None)

    def replay(self, ids: Sequence[str] | None, channel: str | None, by: str) -> int:
        """Send again: these, or all; with `channel` only that channel's. How many.

        Each goes to the end of its channel's queue in one step, oldest first, with the same id for the receiver, and is
        given as much time as a new one. Two that ask at once do not send it twice.
        """
        return self._each(ids, channel, self._back, "dead_letters_replayed", by)

    def discard(self, ids: Sequence[str] | None, channel: str | None, by: str) -> int:
        """Throw away: these, or all; with `channel` only that channel's. How many."""
        return self._each(ids, channel, self._away, "dead_letters_discarded", by)

    def _each(
        self,
        ids: Sequence[str] | None,
        channel: str | None,
        deal: Callable[[Sequence[str]], int],
        event: str,
        by: str,
    ) -> int:
        wanted = None if ids is None else set(ids)
        chosen = [each for each in self._ids(channel) if wanted is None or each in wanted]
        done = 0
        try:
            for page in _pages(chosen):
                done += deal(page)
        finally:  # where Redis goes away half-way, what was done is told all the same
            if done:
                log.info(event, by=by, channel=channel, letters=done)
        return done

    def _back(self, ids: Sequence[str]) -> int:
        with self._client.pipeline(transaction=False) as pipe:
            for letter, document in self._read(ids):
                if not letter.text:  # nothing to send: it can only be discarded
                    continue
                keys = (self._letters, self._times, queue_key(self._prefix, letter.channel))
                pipe.execute_command("EVAL", _REPLAY, len(keys), *keys, letter.id, document, _again(letter))
            return sum(pipe.execute()) if len(pipe) else 0

    def _away(self, ids: Sequence[str]) -> int:
        with self._client.pipeline(transaction=True) as transaction:
            transaction.hdel(self._letters, *ids)
            transaction.zrem(self._times, *ids)
            return int(transaction.execute()[0])

    def _ids(self, channel: str | None) -> Sequence[str]:
        """Oldest first."""
        known: Sequence[str] = self._client.zrange(self._times, 0, -1)
        return known if channel is None else [each for each in known if each.partition(":")[0] == channel]

    def _read(self, ids: Sequence[str]) -> Iterator[tuple[DeadLetter, str]]:
        """Those that are there, with how they stand in Redis."""
        documents = self._client.hmget(self._letters, ids) if ids else []
        for letter_id, document in zip(ids, documents, strict=True):
            if document is not None:
                yield _letter(letter_id, document), document


def letter_of(entry: Entry, channel: str, outcome: DeadOutcome, error: str, tries: int) -> DeadLetter:
    """The dead letter of an entry, read or not."""
    delivery = _delivery(entry.text)
    return DeadLetter(
        id=f"{channel}:{entry.id if delivery is None else delivery.delivery_id}",
        delivery=delivery,
        error=error[:ERROR_AT_MOST],
        outcome=outcome,
        tries=tries,
        at_ms=time.time_ns() // 1_000_000,
        channel=channel,
        text=entry.text,
    )


def _letter(letter_id: str, document: str) -> DeadLetter:
    try:
        return DeadLetter(id=letter_id, delivery=_delivery(json.loads(document)["text"]), **json.loads(document))
    except (ValueError, TypeError, KeyError, RecursionError) as error:  # of another version: it must not hide the rest
        why = f"this dead letter cannot be read: {type(error).__name__}"
        return DeadLetter(letter_id, None, why, "unreadable", 0, 0, letter_id.partition(":")[0], "")


def _delivery(text: str) -> Delivery | None:
    try:
        return delivery_of(text)
    except ValueError:
        return None


def _again(letter: DeadLetter) -> str:
    """What cannot be read goes back as it stood: another version may be able to."""
    if letter.delivery is None:
        return letter.text
    now_ms = time.time_ns() // 1_000_000
    return replace(letter.delivery, replayed=letter.delivery.replayed + 1, queued_ms=now_ms).to_json()


def _pages(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), PAGE):
        yield ids[start : start + PAGE]
