"""A library of functions in Redis: loaded when it is first wanted, and again where the server has lost it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import redis
from redis.cluster import RedisCluster

Client = redis.Redis | RedisCluster
Call = tuple[Sequence[str], Sequence[Any]]
"""The keys of a call, all of one hash slot, and its arguments."""

NOT_FOUND = "function not found"


class Library:
    """The functions of one Lua file beside this one.

    The file's version is part of the names of its functions, so that services of different versions can share a server.
    May be used by several threads. What Redis raises, it raises.
    """

    def __init__(self, client: Client, file: str) -> None:
        """Nothing is asked of Redis before the first call."""
        self._client: Any = client
        self._is_cluster = isinstance(client, RedisCluster) or getattr(type(client), "IS_CLUSTER", False)
        self._file = file
        self._loaded = False

    def load(self) -> None:
        """Put the library into the server, or into all primaries of the cluster."""
        code = files("monitor.judging.baseline").joinpath(self._file).read_text(encoding="utf-8")
        self._client.function_load(code, replace=True)
        self._loaded = True

    def call(self, function: str, calls: Sequence[Call]) -> list[Any]:
        """The answer to each call, all in one round trip (a node). Repeated once where the function is not known."""
        if not self._loaded:
            self.load()
        answers = self._ask(function, calls)
        lost = [i for i, answer in enumerate(answers) if _is_unknown(answer)]
        if lost:
            # A server that was restarted or flushed, or a node that has joined the cluster.
            self.load()
            for i, answer in zip(lost, self._ask(function, [calls[i] for i in lost]), strict=True):
                answers[i] = answer
        for answer in answers:
            if isinstance(answer, Exception):
                self._loaded = False
                raise answer
        return answers

    def call_one(self, function: str, keys: Sequence[str], *arguments: Any) -> Any:
        return self.call(function, [(keys, arguments)])[0]

    def _ask(self, function: str, calls: Sequence[Call]) -> list[Any]:
        if len(calls) == 1:
            keys, arguments = calls[0]
            try:
                return [
                    self._client.execute_command("FCALL", function, len(keys), *keys, *arguments, **self._node(keys))
                ]
            except redis.ResponseError as error:
                return [error]
        with self._client.pipeline(transaction=False) as pipeline:
            for keys, arguments in calls:
                pipeline.execute_command("FCALL", function, len(keys), *keys, *arguments, **self._node(keys))
            answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers

    def _node(self, keys: Sequence[str]) -> dict[str, Any]:
        """Told the node, the client of a cluster need not ask the server for the keys among the arguments."""
        if not self._is_cluster:
            return {}
        return {"target_nodes": self._client.get_node_from_key(keys[0])}


def _is_unknown(answer: Any) -> bool:
    return isinstance(answer, redis.ResponseError) and NOT_FOUND in str(answer).lower()
