"""What every source promises, held against each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kafka import KafkaProducer

from monitor.embedded import EmbeddedBroker, EmbeddedRtsp
from streams.files import FilesSource, FilesSourceOptions
from streams.kafka import KafkaSource, KafkaSourceOptions
from streams.rtsp import RtspSource, RtspSourceOptions
from streams.simulator import Line, write_film
from streams.source import Source
from tests.streams.outlet import NotingOutlet, Running

pytestmark = pytest.mark.slow
Make = Callable[[], Source]


@pytest.fixture(params=["kafka", "rtsp", "files", "watched"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes a source of one kind that has at least 20 frames to give, anew at each call."""
    with ExitStack() as stack:
        if request.param == "kafka":
            broker: EmbeddedBroker = request.getfixturevalue("broker")
            topic: str = request.getfixturevalue("topic")
            producer = KafkaProducer(bootstrap_servers=broker.address)
            for i in range(40):
                producer.send(topic, key=b"c", value=b"%d" % i)
            producer.flush(10)
            producer.close()
            options = KafkaSourceOptions(broker.address, topic, f"contract-{topic}", session_timeout_ms=6_000)
            yield lambda: KafkaSource(options)
            return
        if request.param == "watched":
            for i in range(40):
                (tmp_path / f"{i:02}.jpg").write_bytes(b"\xff\xd8\xff\xd9")
            yield lambda: FilesSource(FilesSourceOptions("c", str(tmp_path), watch=True))
            return
        write_film(Line(1, 0, width=64, height=48), tmp_path / "film.mp4", 4)
        if request.param == "rtsp":
            url = stack.enter_context(EmbeddedRtsp(tmp_path)).url("film").replace("rtsp://", "rtsp://user:s3cret@")
            yield lambda: RtspSource(RtspSourceOptions("c", url))
        else:
            yield lambda: FilesSource(FilesSourceOptions("c", str(tmp_path / "film.mp4"), loop=True))


def test_frames_of_a_camera_rise_and_each_has_one_picture(make: Make) -> None:
    outlet = NotingOutlet()
    with Running(make(), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 20), outlet.troubles
    seqs = [frame.seq for frame in outlet.frames]
    assert seqs == sorted(set(seqs))
    assert len({frame.identity for frame in outlet.frames}) == len(outlet.frames)
    for frame in outlet.frames:
        assert frame.camera == "c"
        assert (frame.payload is None) != (frame.pixels is None)
        assert frame.captured_at_ns > 0 and frame.size_bytes > 0


def test_after_stop_nothing_more_is_offered(make: Make) -> None:
    outlet = NotingOutlet()
    with Running(make(), outlet) as running:
        assert outlet.wait(lambda: len(outlet.frames) >= 5), outlet.troubles
        running.stop.set()
        running.thread.join(15)
        assert not running.thread.is_alive()
        count = len(outlet.frames)
        assert not outlet.wait(lambda: len(outlet.frames) > count, timeout_s=0.5)


def test_finish_and_reject_may_come_twice_and_late(make: Make) -> None:
    outlet = NotingOutlet()
    with Running(make(), outlet) as running:
        assert outlet.wait(lambda: len(outlet.frames) >= 5), outlet.troubles
        for frame in outlet.frames[:5]:
            running.source.finish(frame)
            running.source.finish(frame)
        running.source.reject(outlet.frames[0], "undecodable: again")
    running.source.finish(outlet.frames[-1])


def test_its_name_holds_no_secret(make: Make) -> None:
    source = make()
    assert "s3cret" not in source.name and source.name.split(":")[0] in {"kafka", "rtsp", "files"}
    assert source.cameras in {(), ("c",)}
