"""The windows on a real cluster of three nodes: a call touches one slot, and every primary knows the functions."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.cluster import ClusterNode, RedisCluster

from monitor.embedded import EmbeddedValkey
from monitor.judging.baseline.keys import places_of
from monitor.judging.baseline.memory_window import MemoryWindow
from monitor.judging.baseline.port import BaselineKey, WindowRules, WindowUnavailable
from monitor.judging.baseline.redis_window import RedisWindow
from monitor.judging.baseline.store import BaselineStore
from tests.monitor.baselines import T0_MS, RedisServer, entry, redis_program
from tests.monitor.service import Running, checkpoint, pictures
from tests.monitor.service import until as in_time

SLOTS = 16_384
NODES = 3
RULES = WindowRules(max_frames=20, max_age_s=1000.0, warm_up_frames=4, relearn_after=1000)
KEYS = [BaselineKey(f"camera-{n}", "m", "p" * (n % 2)) for n in range(16)]


def until(condition: str, holds: object, timeout_s: float = 60) -> None:
    """Wait for `holds()`; fails after the time-out, naming the condition."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(redis.RedisError):
            if holds():  # type: ignore[operator]
                return
        assert time.monotonic() < deadline_s, f"not within {timeout_s:.0f} s: {condition}"
        time.sleep(0.05)


@pytest.fixture(scope="module", params=["valkey", "redis"])
def nodes(request: pytest.FixtureRequest) -> Iterator[list[RedisServer]]:
    """Three primaries that share the slots."""
    program = redis_program() if request.param == "redis" else EmbeddedValkey()._binary()
    if program is None:
        pytest.skip("no redis-server on the PATH (Debian: redis-server); the cluster is tested on Valkey alone")
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(RedisServer(program, cluster=True)) for _ in range(NODES)]
        clients = [stack.enter_context(redis.Redis(port=s.port, decode_responses=True)) for s in servers]
        for number, client in enumerate(clients):
            client.execute_command("CLUSTER ADDSLOTSRANGE", number * SLOTS // NODES, (number + 1) * SLOTS // NODES - 1)
        for server in servers[1:]:
            bus = server.bus_port
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", server.port, bus)
        until(
            "every node says that the cluster is well and knows all",
            lambda: all(
                c.execute_command("CLUSTER INFO")["cluster_state"] == "ok"
                and c.execute_command("CLUSTER INFO")["cluster_known_nodes"] == str(NODES)
                for c in clients
            ),
        )
        yield servers


@pytest.fixture
def cluster(nodes: list[RedisServer]) -> Iterator[RedisCluster]:
    found = RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", nodes[0].port)], decode_responses=True)
    yield found
    found.close()


def calls(nodes: list[RedisServer]) -> list[int]:
    """Of a function, node by node."""
    made = []
    for server in nodes:
        with redis.Redis(port=server.port, decode_responses=True) as client:
            made.append(int(client.info("commandstats").get("cmdstat_fcall", {"calls": 0})["calls"]))
    return made


@pytest.mark.parametrize("shards", [1, 12])
def test_a_batch_is_judged_as_anywhere(
    cluster: RedisCluster, nodes: list[RedisServer], prefix: str, shards: int
) -> None:
    window, memory = RedisWindow(cluster, prefix, RULES, shards=shards, address="r"), MemoryWindow(RULES)
    for turn in range(4):
        batch = [entry((n * 7 + turn) % 11 / 8, n + 64 * turn, key=KEYS[n % 16]) for n in range(64)]
        before = calls(nodes)
        assert window.judge(batch) == memory.judge(batch)
        made = [now - then for now, then in zip(calls(nodes), before, strict=True)]
        used = {places_of(prefix, shards, key).baselines for key in KEYS}
        assert sum(made) == len(used)
        if shards > 1:
            assert min(made) >= 1, "the shards lie on all nodes"
    assert BaselineStore(cluster, prefix, shards).list() == sorted(
        KEYS, key=lambda key: (key.camera, key.model, key.product)
    )


def test_the_store_works_there_too(cluster: RedisCluster, prefix: str) -> None:
    window = RedisWindow(cluster, prefix, RULES, shards=5, address="r")
    window.judge([entry(1 + n / 100, n, key=KEYS[n % 4]) for n in range(64)])
    store = BaselineStore(cluster, prefix, 5)
    document = store.export(KEYS[0])
    assert store.forget_between("camera-0", T0_MS, T0_MS + 3000) == 8
    store.load(KEYS[0], document)
    assert (store.life(KEYS[0]).count, store.life(KEYS[0]).epoch) == (16, 1)
    assert store.save_tail(KEYS[0], {"a": 1}, 1)
    assert store.tail(KEYS[0]) == {"a": 1}
    store.freeze(KEYS[1], "me")
    store.reset(KEYS[2], "me")
    assert store.life(KEYS[1]).frozen
    assert store.life(KEYS[2]).count == 0
    assert len(store.series(KEYS[3])) == 16


def test_a_node_that_lost_the_functions_is_taught_in_the_same_call(
    cluster: RedisCluster, nodes: list[RedisServer], prefix: str
) -> None:
    window = RedisWindow(cluster, prefix, RULES, shards=12, address="r")
    batch = [entry(1, n, key=key) for n, key in enumerate(KEYS)]
    window.judge(batch)
    with redis.Redis(port=nodes[1].port) as client:
        client.function_flush()
    answer = window.judge(batch)
    assert [r.count for r in answer] == [1] * 16
    assert {r.fate.value for r in answer} == {"repeated"}


def test_a_slot_that_moves_to_another_node_is_followed(
    cluster: RedisCluster, nodes: list[RedisServer], prefix: str
) -> None:
    """As when a cluster is given another node: the function is there as well, and nothing is lost."""
    window = RedisWindow(cluster, prefix, RULES, address="r")
    window.judge([entry(1, n) for n in range(3)])
    key = places_of(prefix, 1, BaselineKey("c", "model")).state
    slot = cluster.keyslot(key)
    clients = [redis.Redis(port=server.port, decode_responses=True) for server in nodes]
    ids = [client.execute_command("CLUSTER MYID") for client in clients]
    old = next(n for n, server in enumerate(nodes) if server.port == cluster.get_node_from_key(key).port)
    new = (old + 1) % NODES
    clients[new].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[old])
    clients[old].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[new])
    names = clients[old].execute_command("CLUSTER GETKEYSINSLOT", slot, 1000)
    clients[old].execute_command("MIGRATE", "127.0.0.1", nodes[new].port, "", 0, 5000, "KEYS", *names)
    for node in (new, old, (old + 2) % NODES):
        clients[node].execute_command("CLUSTER SETSLOT", slot, "NODE", ids[new])
    assert window.judge([entry(1, 3)])[0].count == 3
    for client in clients:
        client.close()


def test_a_cluster_that_is_away_is_told(prefix: str, nodes: list[RedisServer]) -> None:
    quick = RedisCluster(
        startup_nodes=[ClusterNode("127.0.0.1", nodes[0].port)], decode_responses=True, socket_timeout=5
    )
    window = RedisWindow(quick, prefix, RULES, shards=12, address="the address")
    window.judge([entry(1, n, key=key) for n, key in enumerate(KEYS)])
    with redis.Redis(port=nodes[2].port) as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(WindowUnavailable, match="the address"):
                window.judge([entry(1, n + 20, key=key) for n, key in enumerate(KEYS)])
        finally:
            client.config_set("maxmemory", 0)
    window._next_try_s = 0  # what a second would do
    assert {r.count for r in window.judge([entry(1, n + 20, key=key) for n, key in enumerate(KEYS)])} <= {1, 2}
    quick.close()


@pytest.mark.slow
def test_a_whole_service_on_a_cluster(nodes: list[RedisServer], prefix: str, tmp_path: Path) -> None:
    """Frames in, an alert out, orders and marks: every key is where the cluster wants it."""
    model = tmp_path / "model.safetensors"
    normal, odd = pictures(checkpoint(model))
    (tmp_path / "pictures").mkdir()
    for seq in range(60):
        (tmp_path / "pictures" / f"{seq:02}.jpg").write_bytes(odd if 30 <= seq < 40 else normal)
    files = {"camera": "bench", "path": str(tmp_path / "pictures"), "fps": 20, "loop": True}
    config = {
        "model": {"checkpoint": str(model), "device": "cpu"},
        "sources": [{"files": files}],
        "redis": {"url": f"redis://127.0.0.1:{nodes[0].port}/0", "prefix": prefix, "cluster": True, "shards": 3},
        "http": {"port": 0},
        "health": {"enabled": False},
        "window": {"warm_up_frames": 10},
        "evidence": {"dir": str(tmp_path / "evidence")},
    }
    with Running(config, tmp_path) as running:
        assert in_time(lambda: bool(running.json("/api/alerts")["alerts"]))
        assert in_time(lambda: running.json("/api/alerts")["alerts"][0]["ended_at"] is not None)
        assert running.json("/readyz")["ready"]
        alert = running.json("/api/alerts")["alerts"][0]["alert_id"]
        assert running.post(f"/api/alerts/{alert}/false-alarm", {"by": "Ada"})[0] == 200
        assert running.post("/api/cameras/bench/shelve", {"minutes": 5, "by": "Ada", "why": "cleaning"})[0] == 200
        assert running.post("/api/cameras/bench/baseline/reset", {"by": "Ada"})[0] == 200
        assert running.json("/api/cameras/bench/baseline")["phase"] in {"cold", "warming"}
