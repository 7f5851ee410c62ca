"""The baselines in Redis as people and the calibrator see them. All may be done while workers run."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import structlog

from monitor.judging.baseline.document import Document, Frames, KeptRange, StateFields, read_document
from monitor.judging.baseline.keys import index_key, key_of, places_of
from monitor.judging.baseline.library import Client, Library
from monitor.judging.baseline.life import Life, life_of
from monitor.judging.baseline.port import BaselineKey, WindowRules
from monitor.judging.baseline.series import Distribution, Series, distribution_of, series_of

log = structlog.get_logger(__name__)

FUNCTION = "linewatch_baseline_3"
STAGED_FOR_MS = 60_000
STAGED_AT_ONCE = 5_000


class BaselineStore:
    """Every method may raise redis.RedisError. Each is one step in Redis and may be called from several threads.

    A baseline that nobody has fed is as one that is cold. `by`: who did it, for the log.
    """

    def __init__(self, client: Client, prefix: str, shards: int = 1, rules: WindowRules | None = None) -> None:
        """client: with decode_responses. rules: for `life`; without them, those of the workers go."""
        self._client: Any = client
        self._library = Library(client, "admin.lua")
        self._prefix = prefix
        self._shards = shards
        self.rules = rules

    def list(self) -> list[BaselineKey]:
        """All baselines that are there, by camera, model and product."""
        found = []
        for shard in range(self._shards):
            index = index_key(self._prefix, shard)
            keys = {name: key_of(name) for name in self._client.hkeys(index)}
            known = {name: key for name, key in keys.items() if key is not None}
            gone = [name for name in keys if name not in known]
            with self._client.pipeline(transaction=False) as pipeline:
                for key in known.values():
                    pipeline.exists(places_of(self._prefix, self._shards, key).state)
                there = pipeline.execute() if known else []
            gone += [name for name, exists in zip(known, there, strict=True) if not exists]
            if gone:  # expired; one that a worker has begun meanwhile comes back within a minute
                self._client.hdel(index, *gone)
            found += [known[name] for name in known if name not in gone]
        return sorted(found, key=lambda key: (key.camera, key.model, key.product))

    def life(self, key: BaselineKey) -> Life:
        """How far it has come."""
        state, count = self._do(key, "read")
        return life_of(key, _fields(state), count, self.rules)

    def reset(self, key: BaselineKey, by: str) -> None:
        """Emptied, thawed, and learnt anew from the next frame on."""
        self._do(key, "reset")
        log.info("baseline_reset", **_names(key), by=by)

    def freeze(self, key: BaselineKey, by: str) -> None:
        """It neither learns nor forgets from now on."""
        self._do(key, "freeze")
        log.info("baseline_frozen", **_names(key), by=by)

    def thaw(self, key: BaselineKey, by: str) -> None:
        """It learns again; what has grown too old meanwhile leaves with the next frame."""
        self._do(key, "thaw")
        log.info("baseline_thawed", **_names(key), by=by)

    def export(self, key: BaselineKey) -> dict[str, Any]:
        """The whole of it, as JSON can hold it: document.Document. KeyError where there is none."""
        answer = self._do(key, "export")
        if not answer:
            raise KeyError(f"there is no baseline of camera {key.camera}, model {key.model}, product {key.product!r}")
        flat, tail, *frames = answer
        state = _fields(flat)
        life = life_of(key, state, len(frames[0]), self.rules)
        document = Document(
            camera=key.camera,
            model=key.model,
            product=key.product,
            exported_ms=time.time_ns() // 1_000_000,
            rules=state.get("rules"),
            state=StateFields(
                refused=life.refused,
                frozen=life.frozen,
                entered=int(state.get("entered", 0)),
                began_ms=life.began_ms,
                ready_ms=life.ready_ms,
                newest_ms=life.newest_ms,
                relearnt=life.relearnt,
                relearnt_ms=life.relearnt_ms,
                kept=None if life.kept is None else KeptRange(**life.kept),
            ),
            window=_frames(*frames[:3]),
            refused=_frames(*frames[3:]),
            tail=json.loads(tail) if tail else None,
        )
        return document.model_dump(mode="json")

    def load(self, key: BaselineKey, document: dict[str, Any], by: str = "") -> None:
        """Put what `export` gave in the place of what is there; of another camera or product as well. ValueError, which
        names the field, where it is of another model or version, or holds what no window can; nothing is changed then.
        """
        read = read_document(document, key.model, time.time_ns() // 1_000_000)
        places = places_of(self._prefix, self._shards, key)
        staging = places.state.removesuffix("state") + f"loading-{uuid4().hex}"
        staged = [f"{staging}:{part}" for part in ("score", "time", "outscore", "outtime")]
        pairs = (
            (read.window.identities, read.window.scores),
            (read.window.identities, read.window.times_ms),
            (read.refused.identities, read.refused.scores),
            (read.refused.identities, read.refused.times_ms),
        )
        for name, (identities, values) in zip(staged, pairs, strict=True):
            self._stage(name, identities, values)
        there = ["1" if identities else "" for identities, _ in pairs]
        tail = "" if read.tail is None else json.dumps(read.tail, allow_nan=False)
        self._library.call_one(FUNCTION, [*places, *staged], "load", *there, tail, *_state_fields(read))
        log.info("baseline_loaded", **_names(key), by=by, frames=len(read.window.identities), source=read.camera)

    def distribution(self, key: BaselineKey, bins: int = 40) -> Distribution:
        """How the scores of the window are spread. ValueError for bins below 1."""
        _, scores, _, _ = self._do(key, "series", "-inf")
        return distribution_of([float(score) for score in scores], bins)

    def forget_between(self, camera: str, from_ms: int, to_ms: int) -> int:
        """Frames captured between the two (both included) leave, the refused ones as well, whatever the model and the
        product. How many they were."""
        gone = sum(int(self._do(key, "forget", from_ms, to_ms)) for key in self.list() if key.camera == camera)
        if gone:
            log.info("baseline_frames_forgotten", camera=camera, from_ms=from_ms, to_ms=to_ms, frames=gone)
        return gone

    def series(self, key: BaselineKey, since_ms: int = 0) -> Series:
        """The frames captured since then, those of the window and the refused ones."""
        times, scores, out_times, out_scores = self._do(key, "series", since_ms)
        return series_of(
            [int(t) for t in times],
            [float(s) for s in scores],
            [int(t) for t in out_times],
            [float(s) for s in out_scores],
        )

    def tail(self, key: BaselineKey) -> dict[str, Any] | None:
        """What `save_tail` kept, unless the epoch is another one by now."""
        text = self._do(key, "tail")
        found: dict[str, Any] | None = json.loads(text) if text else None
        return found

    def save_tail(self, key: BaselineKey, document: dict[str, Any], epoch: int) -> bool:
        """Keep it while the epoch is still this one; whether it was. ValueError where JSON cannot hold it."""
        return bool(self._do(key, "save_tail", epoch, json.dumps(document, allow_nan=False)))

    def _do(self, key: BaselineKey, *arguments: Any) -> Any:
        return self._library.call_one(FUNCTION, places_of(self._prefix, self._shards, key), *arguments)

    def _stage(self, name: str, identities: Sequence[str], values: Sequence[float]) -> None:
        """Bring a sorted set up beside the real one, in pieces, so that no worker waits long."""
        for first in range(0, len(identities), STAGED_AT_ONCE):
            part = slice(first, first + STAGED_AT_ONCE)
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.zadd(name, dict(zip(identities[part], map(repr, values[part]), strict=True)))
                pipeline.pexpire(name, STAGED_FOR_MS)
                pipeline.execute()


def _fields(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _frames(identities: Sequence[str], times: Sequence[str], scores: Sequence[str]) -> Frames:
    return Frames(
        identities=tuple(identities), times_ms=tuple(map(int, times)), scores=tuple(float(score) for score in scores)
    )


def _state_fields(document: Document) -> list[str]:
    state = document.state
    fields: dict[str, object] = {"refused": state.refused, "entered": state.entered, "relearnt": state.relearnt}
    times = [*document.window.times_ms, *document.refused.times_ms]
    newest_ms = max([*times, *([] if state.newest_ms is None else [state.newest_ms])], default=None)
    fields |= {
        "began_ms": state.began_ms,
        "ready_ms": state.ready_ms,
        "newest_ms": newest_ms,
        "relearnt_ms": state.relearnt_ms,
        "frozen": "1" if state.frozen else None,
        "kept": None if state.kept is None else state.kept.model_dump_json(),
        "rules": document.rules,
    }
    return [str(part) for field, value in fields.items() if value is not None for part in (field, value)]


def _names(key: BaselineKey) -> dict[str, str]:
    return {"camera": key.camera, "model": key.model, "product": key.product}
