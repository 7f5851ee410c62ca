"""The ingest on real brokers that come and go: every frame arrives or is counted, each camera's in order."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.embedded import EmbeddedBroker, EmbeddedRtsp
from monitor.embedded.server import free_port
from monitor.ingest.compose import compose_ingest
from monitor.ingest.settings import IngestSettings
from streams.codec import decode, encode_jpeg
from streams.kafka import KafkaSource, KafkaSourceOptions
from streams.source import Keep
from tests.monitor.edge import PICTURE, Camera, Edge
from tests.monitor.service import read_topic, until
from tests.streams.outlet import NotingOutlet, Running

pytestmark = pytest.mark.slow


def seqs(records: list[Any], camera: str = "line-1") -> list[int]:
    return [int(dict(r.headers)["seq"]) for r in records if r.key == camera.encode()]


def test_messages_are_as_the_contract_says(broker: EmbeddedBroker, topic: str, tmp_path: Path) -> None:
    cameras = [Camera("line-1"), Camera("Linie 2 – oben", Keep.ALL)]
    began_ns = time.time_ns()
    with Edge(broker.address, topic, tmp_path, cameras) as edge:
        for camera in cameras:
            camera.show(50)
            camera.end()
        edge.join()
    assert [edge.account(c.cameras[0]).sent for c in cameras] == [50, 50]
    records = read_topic(broker.address, topic, 100)
    assert len(records) == 100
    for record in records:
        headers = dict(record.headers)
        assert set(headers) == {"camera", "captured_at", "seq"}
        assert headers["camera"] == record.key and record.value == PICTURE
        assert began_ns <= int(headers["captured_at"]) <= time.time_ns()
    for camera in cameras:
        assert seqs(records, camera.cameras[0]) == list(range(50))
        assert camera.finished == 50 and camera.rejected == []
    outlet = NotingOutlet()
    options = KafkaSourceOptions(broker.address, topic, f"g-{topic}", session_timeout_ms=6_000)
    with Running(KafkaSource(options), outlet):
        assert outlet.wait(lambda: len(outlet.frames) == 100)
    for camera in cameras:
        name = camera.cameras[0]
        assert [f.seq for f in outlet.frames if f.camera == name] == list(range(50))
    sent_at = {(r.key.decode(), int(dict(r.headers)["seq"])): int(dict(r.headers)["captured_at"]) for r in records}
    assert {(f.camera, f.seq): f.captured_at_ns for f in outlet.frames} == sent_at


def test_a_broker_that_stops_and_starts_again_costs_no_frame(tmp_path: Path) -> None:
    first = EmbeddedBroker().start()
    port = first.port
    first.create_topic("frames", partitions=2)
    cameras = [Camera("line-1"), Camera("line-2")]
    with Edge(f"127.0.0.1:{port}", "frames", tmp_path, cameras) as edge:
        for camera in cameras:
            camera.show(50)
        assert until(lambda: edge.account("line-1").sent == edge.account("line-2").sent == 50)
        before = read_topic(first.address, "frames", 100)
        first.stop()
        stopped_s = time.monotonic()
        for camera in cameras:
            camera.show(300)
        assert until(lambda: edge.waiting > 0)
        noticed_s = time.monotonic() - stopped_s
        assert until(lambda: edge.waiting == 600)
        again = EmbeddedBroker(port=port).start()
        again.create_topic("frames", partitions=2)
        started_s = time.monotonic()
        for camera in cameras:
            camera.show(100)  # while the buffer is being emptied
        assert until(lambda: edge.account("line-1").sent == edge.account("line-2").sent == 450, 90)
        recovered_s = time.monotonic() - started_s
        after = read_topic(again.address, "frames", 800, timeout_s=20)
    again.stop()
    print(f"\nbroker away: noticed after {noticed_s:.1f} s, all sent {recovered_s:.1f} s after it was back")
    assert noticed_s < 15
    assert len(before) == 100
    for name in ("line-1", "line-2"):
        assert list(dict.fromkeys(seqs(after, name))) == list(range(50, 450)), "all, and in order"
        assert edge.account(name).captured == 450 and not edge.account(name).dropped
    assert edge.waiting == 0


def test_a_broker_that_only_stalls_gets_every_frame_once(tmp_path: Path) -> None:
    with EmbeddedBroker() as broker:
        broker.create_topic("frames", partitions=2)
        camera = Camera("line-1", every_s=0.01)
        with Edge(broker.address, "frames", tmp_path, [camera]) as edge:
            camera.show(1200)
            assert until(lambda: edge.account().sent > 50)
            assert broker.pid is not None
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                stopped_s = time.monotonic()
                assert until(lambda: edge.waiting > 0)
                print(f"\nbroker stalled: noticed after {time.monotonic() - stopped_s:.1f} s")
                assert until(lambda: edge.waiting > 100)
            finally:
                os.kill(broker.pid, signal.SIGCONT)
            camera.end()
            edge.join(90)
            records = read_topic(broker.address, "frames", 1200)
    assert edge.account().sent == 1200
    assert seqs(records) == list(range(1200)), "once each, and in order"


def test_a_restart_sends_first_what_the_buffer_kept(tmp_path: Path) -> None:
    port = free_port()
    camera = Camera("line-1")
    with Edge(f"127.0.0.1:{port}", "frames", tmp_path, [camera]) as edge:
        camera.show(200)
        assert until(lambda: edge.waiting == 200)
    assert edge.ingest.buffered == {"line-1": 200} and edge.account().sent == 0
    with EmbeddedBroker(port=port) as broker:
        broker.create_topic("frames", partitions=2)
        later = Camera("line-1")
        with Edge(f"127.0.0.1:{port}", "frames", tmp_path, [later]) as edge:
            later.show(50)
            later.end()
            edge.join()
        account = edge.account()
        assert (account.restored, account.captured, account.sent) == (200, 50, 250)
        records = read_topic(broker.address, "frames", 250)
    times = [int(dict(r.headers)["captured_at"]) for r in records]
    assert len(times) == 250 and times == sorted(times)
    assert seqs(records) == [*range(200), *range(50)]


def test_a_buffer_smaller_than_the_outage_keeps_the_newest_and_counts_the_rest(tmp_path: Path) -> None:
    port = free_port()
    camera = Camera("line-1", every_s=0.003)
    with Edge(f"127.0.0.1:{port}", "frames", tmp_path, [camera], buffer={"max_bytes": 1 << 19}) as edge:
        camera.show(200)
        assert until(lambda: camera.shown == 200 and edge.waiting > 0)
        assert until(lambda: edge.account().under_way == edge.waiting)
        kept, account = edge.waiting, edge.account()
        assert account.captured == 200 and account.dropped["buffer_full"] > 100
        assert kept == 200 - account.dropped.total()
        with EmbeddedBroker(port=port) as broker:
            broker.create_topic("frames", partitions=1)
            assert until(lambda: edge.account().sent == kept, 60)
            records = read_topic(broker.address, "frames", kept)
    newest = seqs(records)
    assert newest == sorted(newest) and len(newest) == kept and newest[-1] == 199
    if not account.dropped["superseded"]:
        assert newest == list(range(200 - kept, 200))


def test_a_full_disk_is_counted_and_the_cameras_go_on(tmp_path: Path) -> None:
    port = free_port()
    camera = Camera("line-1", every_s=0.003)
    with Edge(f"127.0.0.1:{port}", "frames", tmp_path, [camera]) as edge:
        camera.show(50)
        assert until(lambda: edge.waiting == 50)
        spool = edge.ingest._s.spool
        assert spool._db is not None
        (pages,) = spool._db.execute("PRAGMA page_count").fetchone()
        spool._db.execute(f"PRAGMA max_page_count = {pages}")
        camera.show(100)
        assert until(lambda: edge.account().captured == 150 and edge.account().under_way == edge.waiting)
        assert spool.trouble is not None and "is full" in spool.trouble
        kept, account = edge.waiting, edge.account()
        assert account.dropped["disk_full"] >= 90
        with EmbeddedBroker(port=port) as broker:
            broker.create_topic("frames", partitions=1)
            camera.show(10)
            assert until(lambda: edge.account().captured == 160 and edge.account().under_way == 0, 60)
    assert edge.account().sent >= kept


def test_files_wait_for_the_broker_instead_of_pushing_others_out(tmp_path: Path) -> None:
    port = free_port()
    files, live = Camera("files", Keep.ALL, every_s=0.0), Camera("line-1", every_s=0.01)
    with Edge(f"127.0.0.1:{port}", "frames", tmp_path, [files, live], buffer={"max_bytes": 1 << 20}) as edge:
        files.show(1000)
        live.show(20)
        files.end()
        assert until(lambda: edge.ingest.buffered.get("files", 0) > 20, 30), "after a while they go to the buffer, too"
        live.show(200)
        assert until(lambda: edge.account("line-1").dropped["buffer_full"] > 0)
        live.end()
        with EmbeddedBroker(port=port) as broker:
            broker.create_topic("frames", partitions=2)
            edge.join(100)
            records = read_topic(broker.address, "frames", 1000 + edge.account("line-1").sent)
    assert edge.account("files").sent == edge.account("files").captured == 1000
    assert list(dict.fromkeys(seqs(records, "files"))) == list(range(1000))


def test_an_rtsp_camera_arrives_as_jpeg(broker: EmbeddedBroker, topic: str, tmp_path: Path) -> None:
    from streams.simulator.film import write_film  # noqa: PLC0415
    from streams.simulator.scene import Line  # noqa: PLC0415

    write_film(Line(3, 0), tmp_path / "line.mp4", 3)
    with EmbeddedRtsp(tmp_path) as server:
        settings = IngestSettings.model_validate(
            {
                "sources": [{"rtsp": {"camera": "line-1", "url": server.url("line")}}],
                "kafka": {"bootstrap_servers": broker.address, "topic": topic},
                "encode": {"max_width": 160},
                "buffer": {"dir": str(tmp_path / "buffer")},
            }
        )
        ingest, stop = compose_ingest(settings), threading.Event()
        thread = threading.Thread(target=ingest.run, args=(stop,), daemon=True)
        thread.start()
        records = read_topic(broker.address, topic, 20, timeout_s=60)
        stop.set()
        thread.join(60)
    assert not thread.is_alive() and len(records) >= 20
    assert ingest.ledger.accounts()["line-1"].under_way == 0
    assert {decode(r.value, 1 << 20).shape[1] for r in records} == {160}
    assert seqs(records) == sorted(seqs(records))


def test_throughput(broker: EmbeddedBroker, topic: str, tmp_path: Path) -> None:
    """Prints what docs/ingest.md tells; fails only where it is absurdly slow."""
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    smooth = np.repeat(np.repeat(rng.integers(0, 255, (60, 80, 3)), 8, 0), 8, 1).astype(np.uint8)
    for index in range(500):
        (tmp_path / "pictures" / f"{index:04}.jpg").write_bytes(encode_jpeg(np.roll(smooth, index, 1)))
    size = (tmp_path / "pictures" / "0000.jpg").stat().st_size
    for name, encode in (("pass-through", {}), ("decoded and encoded again", {"pass_through": False})):
        settings = IngestSettings.model_validate(
            {
                "sources": [{"files": {"camera": name.replace(" ", "-"), "path": str(tmp_path / "pictures")}}],
                "kafka": {"bootstrap_servers": broker.address, "topic": topic},
                "encode": encode,
                "buffer": {"dir": str(tmp_path / name)},
            }
        )
        ingest = compose_ingest(settings)
        began_s = time.monotonic()
        ingest.run(threading.Event())
        rate = 500 / (time.monotonic() - began_s)
        print(f"\n640x480 JPEG of {size} bytes, {name}: {rate:.0f} frames/s")
        assert sum(a.sent for a in ingest.ledger.accounts().values()) == 500 and rate > 5
