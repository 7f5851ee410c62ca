"""`linewatch ingest` with two network cameras, a broker behind a door, and a small disk for its buffer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer

from monitor.embedded import EmbeddedBroker
from monitor.embedded.server import free_port
from tests.faults.disk import TinyDisk
from tests.faults.outcome import Account
from tests.faults.process import Process, until
from tests.faults.proxy import Door
from tests.streams.rtsp_peer import RtspPeer

TOPIC = "edge"
CAMERAS = ("edge-1", "edge-2")
FPS = 8.0
DISK_BYTES = 24 << 20
BUFFER_BYTES = 16 << 20


class IngestProcess(Process):
    """Watched through its metrics."""

    command, answers_at = "ingest", "/metrics"

    def served_at(self, port: int) -> dict[str, Any]:
        return {"metrics": {"port": port}}

    def count(self, kind: str, **labels: str) -> int:
        """Frames captured, restored, sent, dropped or failed."""
        return round(self.metric(f"linewatch_ingest_frames_{kind}_total", **labels))

    @property
    def buffered(self) -> int:
        """Frames in the buffer on disk."""
        return round(self.metric("linewatch_ingest_buffer_frames"))

    @property
    def broker_up(self) -> bool:
        return self.metric("linewatch_ingest_broker_up") == 1


@dataclass
class EdgeLab:
    """Everything runs, and frames arrive."""

    ingest: IngestProcess
    broker: EmbeddedBroker
    door: Door
    disk: TinyDisk
    peers: dict[str, RtspPeer]

    def arrived(self) -> dict[str, Counter[int]]:
        """How often each frame is in the topic, by camera and number; every frame that was sent is there."""
        consumer = KafkaConsumer(
            TOPIC, bootstrap_servers=f"127.0.0.1:{self.door.port}", auto_offset_reset="earliest", group_id=None
        )
        found: dict[str, Counter[int]] = {camera: Counter() for camera in self.peers}
        try:
            empty = 0
            while empty < 5:
                records = [r for batch in consumer.poll(timeout_ms=400).values() for r in batch]
                empty = 0 if records else empty + 1
                for record in records:
                    found[record.key.decode()][int(dict(record.headers)["seq"])] += 1
        finally:
            consumer.close()
        return found

    def accounts(self, run: str) -> list[Account]:
        """Stop the cameras and the ingest; its summary has to add up, and what it says was sent has to be there."""
        for peer in self.peers.values():
            peer.stop()
        assert until(lambda: self.ingest.buffered == 0, 30) is not None, self.ingest.tail()
        metrics = {
            camera: {kind: _by_reason(self.ingest, kind, camera) for kind in ("dropped", "failed")}
            for camera in self.peers
        }
        end = self.ingest.stop()
        assert end.code == 0 and end.balances, (end, self.ingest.tail())
        arrived = self.arrived()
        found = []
        for camera, (captured, restored, sent, dropped, failed, buffered, *_) in end.rows.items():
            assert captured + restored == sent + dropped + failed + buffered and buffered == 0, end.summary
            assert len(arrived[camera]) >= sent, f"{camera}: {sent} sent, {len(arrived[camera])} in the topic"
            found.append(
                Account(run, camera, sent, captured, None, metrics[camera]["dropped"], metrics[camera]["failed"])
            )
        return found


@contextmanager
def edge_lab(folder: Path) -> Iterator[EdgeLab]:
    """The buffer lies on a file system of its own, which can be filled."""
    with ExitStack() as stack:
        ports = free_port(), free_port()
        door = stack.enter_context(Door(ports[1], ports[0]))
        broker = stack.enter_context(EmbeddedBroker(ports[0], advertised_port=ports[1]))
        broker.create_topic(TOPIC)
        peers = {camera: stack.enter_context(RtspPeer(fps=FPS, key_every=8)) for camera in CAMERAS}
        disk = TinyDisk(folder / "buffer", DISK_BYTES)
        config = {
            "sources": [
                {"rtsp": {"camera": name, "url": peer.url, "open_timeout_s": 2, "read_timeout_s": 2}}
                for name, peer in peers.items()
            ],
            "kafka": {"bootstrap_servers": f"127.0.0.1:{door.port}", "topic": TOPIC},
            "buffer": {"dir": str(folder / "buffer"), "max_bytes": BUFFER_BYTES},
            "encode": {"threads": 1},
        }
        ingest = stack.enter_context(IngestProcess(config, folder, "ingest", disk.before))
        started = until(lambda: all(ingest.count("sent", camera=camera) > FPS for camera in CAMERAS), 60)
        assert started is not None, ingest.tail()
        yield EdgeLab(ingest, broker, door, disk, peers)


def _by_reason(ingest: IngestProcess, kind: str, camera: str) -> dict[str, int]:
    reasons = ("superseded", "fps_limit", "buffer_full", "disk_full", "disk_error", "undecodable", "oversized")
    counts = {reason: ingest.count(kind, camera=camera, reason=reason) for reason in reasons}
    return {reason: count for reason, count in counts.items() if count}
