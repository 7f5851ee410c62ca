"""The shipper against links that do what they want: whatever they do, each frame is accounted for and in order."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from monitor.ingest.link import KafkaLink, Link, LinkError, LinkOptions, RefusedError
from streams.frame import Frame
from streams.source import Keep
from tests.monitor.edge import Camera, Edge, ScriptedLink, Stall
from tests.monitor.service import until


class Broker:
    """Makes scripted links; `up` says whether one can be had."""

    def __init__(self, answer: Any) -> None:
        self.taken: list[Frame] = []
        self.answer = answer
        self.links = 0
        self.up = True

    def connect(self) -> Link:
        if not self.up:
            raise LinkError("nobody is there")
        self.links += 1
        return ScriptedLink(self.taken, self.answer)

    def seqs(self, camera: str) -> list[int]:
        return [frame.seq for frame in self.taken if frame.camera == camera]


def edge(broker: Broker, folder: Path, *cameras: Camera, **sections: Any) -> Edge:
    return Edge("unused:1", "frames", folder, cameras, broker.connect, **sections)


def test_a_message_that_is_refused_is_counted_once_and_not_tried_again(tmp_path: Path) -> None:
    tried: list[int] = []

    def answer(frame: Frame) -> Exception | None:
        tried.append(frame.seq)
        return RefusedError("oversized", "too large") if frame.seq % 5 == 0 else None

    broker, camera = Broker(answer), Camera("line-1")
    with edge(broker, tmp_path, camera) as running:
        camera.show(100)
        camera.end()
        running.join()
    assert running.account().failed == {"oversized": 20} and running.account().sent == 80
    assert tried == list(range(100)) and broker.links == 1


def test_a_link_that_breaks_in_the_middle_repeats_only_what_was_not_acknowledged(tmp_path: Path) -> None:
    answers: list[Any] = [None] * 20 + [Stall(0.3, LinkError("gone"))]
    broker, camera = Broker(lambda frame: answers.pop(0) if answers else None), Camera("line-1")
    with edge(broker, tmp_path, camera) as running:
        camera.show(200)
        camera.end()
        running.join()
    assert broker.seqs("line-1") == list(range(200)) and broker.links == 2
    assert running.account().sent == 200 and running.waiting == 0


def test_a_link_that_stalls_and_goes_on_repeats_nothing(tmp_path: Path) -> None:
    answers: list[Any] = [None] * 20 + [Stall(2.5, None)]
    broker, camera = Broker(lambda frame: answers.pop(0) if answers else None), Camera("line-1", every_s=0.01)
    with edge(broker, tmp_path, camera) as running:
        camera.show(300)
        camera.end()
        assert until(lambda: running.waiting > 50), "meanwhile frames go to the buffer"
        running.join()
    assert broker.seqs("line-1") == list(range(300)) and broker.links == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_whatever_links_do_the_account_holds_and_the_order_too(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    wild = True

    def answer(frame: Frame) -> Any:
        if not wild or chance.random() < 0.97:
            return None
        stall_s = chance.choice([0.05, 0.3, 1.5])
        return chance.choice(
            [
                RefusedError("refused", "no"),
                LinkError("gone"),
                Stall(stall_s, None),
                Stall(stall_s, LinkError("gone")),
            ]
        )

    broker = Broker(answer)
    cameras = [Camera("line-1"), Camera("line-2"), Camera("files", Keep.ALL)]
    with edge(broker, tmp_path, *cameras, buffer={"max_bytes": 1 << 20}) as running:
        for up in (True, False, True, True):
            broker.up = up
            for camera in cameras:
                camera.show(80)
            assert until(lambda: cameras[0].shown % 80 == cameras[1].shown % 80 == 0 < cameras[0].shown)
        wild = False
        for camera in cameras:
            camera.end()
        running.join(80)
    for camera in cameras:
        name = camera.cameras[0]
        account, got = running.account(name), broker.seqs(name)
        assert account.sent == len(got) and got == sorted(set(got)), "once each, and in order"
        assert account.captured == account.sent + account.dropped.total() + account.failed.total() == 320
        assert camera.finished == 320  # also those that newer ones have pushed out
    assert running.account("files").dropped == {}, "files are never pushed out"


def test_a_picture_that_cannot_be_encoded_is_counted_and_the_others_go_on(tmp_path: Path) -> None:
    broker = Broker(lambda frame: None)
    bad, good = Camera("bad", Keep.ALL, payload=b"no picture"), Camera("good", Keep.ALL)
    with edge(broker, tmp_path, bad, good) as running:
        for camera in (bad, good):
            camera.show(300)
            camera.end()
        running.join()
    assert running.account("bad").failed == {"undecodable": 300} and len(bad.rejected) == 300
    assert broker.seqs("good") == list(range(300))


def test_a_broker_that_is_not_there_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match=r"Kafka at 127.0.0.1:1 does not answer \(.*\); retrying"):
        KafkaLink(LinkOptions("127.0.0.1:1", "frames", 1 << 20))
