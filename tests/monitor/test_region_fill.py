"""What lies outside a region cannot touch a score: the fill, how it is learnt, and that it is kept."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
import pytest
import redis
import torch
from numpy.typing import NDArray
from redis.backoff import NoBackoff
from redis.retry import Retry

from models.checkpoint import load
from models.ganomaly import Architecture
from models.method_scorer import MethodScorer
from models.train import train
from models.training_config import TrainConfig
from monitor.scoring.fill import FillKey, Fills, FillsAway, MemoryFills, Picture, RedisFills
from monitor.scoring.fill_learning import APART_FRAMES, PATIENCE, SAMPLES, FillLearner, is_fit
from monitor.scoring.lens import RegionLens
from monitor.scoring.region import WHOLE, Region

SIDE = 32
REGION = Region((((0.25, 0.2), (0.8, 0.25), (0.75, 0.8), (0.2, 0.75)),), (((0.4, 0.4), (0.5, 0.4), (0.45, 0.5)),))
MASK = REGION.mask(SIDE)[..., None]
SECOND = 1_000_000_000
KEY = FillKey("line-3", REGION.id, SIDE, 3)


def picture(seed: int = 0, channels: int = 3) -> Picture:
    """A bright disc on a belt with an edge, and a little noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    grey = np.where((rows - 16) ** 2 + (columns - 16) ** 2 < 60, 200.0, np.where(rows < 6, 110.0, 60.0))
    noise = rng.normal(0, 3, (SIDE, SIDE, channels))
    return np.clip(grey[..., None] + noise, 0, 255).astype(np.uint8)


def part(seed: int, broken: bool = False) -> Picture:
    """The same scene, the disc not always in the same place and light; when broken, a quarter of it is missing."""
    rng = np.random.default_rng(seed)
    y, x = 16 + rng.uniform(-1, 1, 2)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    disc = (rows - y) ** 2 + (columns - x) ** 2 < 60
    if broken:
        disc &= ~((rows < y) & (columns > x))
    grey = np.where(disc, 200.0, np.where(rows < 6, 110.0, 60.0)) * rng.uniform(0.97, 1.03)
    return np.clip(grey[..., None] + rng.normal(0, 3, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


def with_hand(shown: Picture, seed: int) -> Picture:
    """Something large and bright, anywhere outside the region."""
    rng = np.random.default_rng(seed)
    hand = np.full_like(shown, rng.integers(150, 255))
    hand[: rng.integers(0, 8)] = 10
    return np.where(MASK, shown, hand)


def regions(camera: str) -> Region:
    return WHOLE if camera == "whole" else REGION


def learnt(fills: Fills | None = None, camera: str = "line-3", seed: int = 100) -> RegionLens:
    """A lens that has learnt its fill from quiet frames."""
    lens = RegionLens(regions, fills if fills is not None else MemoryFills())
    for i in range(SAMPLES):
        lens(camera, picture(seed + i), i * SECOND)
    assert not lens.learning(camera)
    return lens


def outside(shown: Picture) -> NDArray[np.uint8]:
    return shown[~MASK[..., 0]]


def test_only_what_counts_is_the_frames_own() -> None:
    lens = learnt()
    frame = picture(1)
    before = frame.copy()
    shown = lens("line-3", frame, 0)
    assert (shown[MASK[..., 0]] == frame[MASK[..., 0]]).all()
    assert (frame == before).all() and shown is not frame and shown.dtype == np.uint8
    assert (shown == lens("line-3", with_hand(frame, 2), 0)).all()
    assert (shown != lens("line-3", picture(3), 0)).any()


def test_a_camera_without_a_region_is_left_alone() -> None:
    frame = picture(1)
    lens = learnt()
    assert lens("whole", frame, 0) is frame and not lens.learning("whole")
    heat = np.ones((SIDE, SIDE), np.float32)
    assert lens.mask_heat("whole", heat) is heat


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_pictures_and_colour(channels: int) -> None:
    lens = RegionLens(regions, MemoryFills())
    frame = picture(1, channels)
    assert (lens("line-3", frame, 0) == frame).all()  # the first frame is its own fill
    assert lens("line-3", with_hand(frame, 3), 0).shape == frame.shape


def test_heat_is_zero_outside() -> None:
    heat = np.full((SIDE, SIDE), 0.5, np.float32)
    masked = learnt().mask_heat("line-3", heat)
    assert masked.dtype == np.float32
    assert (masked == np.where(MASK[..., 0], 0.5, 0)).all() and (heat == 0.5).all()


STEPS = {"ganomaly": 300, "pca": 1, "calibrated": 20}


@pytest.fixture(scope="module", params=STEPS)
def scorer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MethodScorer]:
    """Trained on whole pictures of the line, as a checkpoint is."""
    out = tmp_path_factory.mktemp(request.param) / "model.safetensors"
    config = TrainConfig(
        method=request.param,
        architecture=Architecture(size=SIDE, channels=3, nz=16, ngf=8 if request.param == "ganomaly" else 4),
        batch=16,
        average=0.0 if request.param == "pca" else 0.9,
        max_steps=STEPS[request.param],
        minutes=None,
        device="cpu",
        precision="fp32",
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train(np.stack([part(i) for i in range(120)]), config, out)
    yield load(out, device="cpu")
    torch.set_num_threads(threads)


@pytest.mark.slow
class TestScores:
    """Bit-equal for every method, whatever happens outside; and a defect inside is seen."""

    def test_frames_that_differ_outside_only_have_the_same_score(self, scorer: MethodScorer) -> None:
        lens = learnt()
        frames = [picture(200), *(with_hand(picture(200), i) for i in range(5))]
        assert len(set(scorer.score(np.stack(frames)).tolist())) == len(frames)
        shown = np.stack([lens("line-3", frame, 0) for frame in frames])
        scores = scorer.score(shown)
        assert len(set(scores.tolist())) == 1
        assert [scorer.score(one[None])[0] for one in shown] == scores.tolist()

    def test_a_defect_inside_is_seen_whatever_is_outside(self, scorer: MethodScorer) -> None:
        lens = learnt()
        good = scorer.score(np.stack([lens("line-3", with_hand(part(300 + i), i), 0) for i in range(20)]))
        bad = scorer.score(np.stack([lens("line-3", with_hand(part(400 + i, broken=True), i), 0) for i in range(20)]))
        assert (bad[:, None] > good).mean() > 0.9


class TestLearning:
    def test_what_only_passes_by_leaves_no_trace(self) -> None:
        quiet, disturbed = RegionLens(regions, MemoryFills()), RegionLens(regions, MemoryFills())
        for i in range(SAMPLES):
            quiet("line-3", picture(i), i * SECOND)
            disturbed("line-3", with_hand(picture(i), i) if i % 3 == 0 else picture(i), i * SECOND)
        ours, theirs = (outside(lens("line-3", picture(99), 0)).astype(int) for lens in (quiet, disturbed))
        assert np.abs(ours - theirs).max() < 15

    def test_samples_are_a_second_apart_by_the_frames_clock(self) -> None:
        lens = RegionLens(regions, MemoryFills())
        frames = 0
        for frames in range(1, 1000):  # ten a second
            lens("line-3", picture(frames), frames * SECOND // 10)
            if not lens.learning("line-3"):
                break
        assert frames == (SAMPLES - 1) * 10 + 1

    def test_a_clock_that_stands_still_or_goes_back_does_not_hold_it_up(self) -> None:
        still = FillLearner(picture(0), 0)
        changed = sum(still.offer(picture(1), 0) for _ in range((SAMPLES - 1) * APART_FRAMES))
        assert still.complete and changed == SAMPLES - 1
        back = FillLearner(picture(0), 0)
        for i in range(1, SAMPLES):
            assert back.offer(picture(i), -i * SECOND)
        assert back.complete and not back.offer(picture(1), 9 * SECOND)

    def test_what_lies_outside_does_not_matter_while_it_learns(self) -> None:
        lens = RegionLens(regions, MemoryFills())
        first = lens("line-3", picture(0), 0)
        assert lens.learning("line-3")
        again = lens("line-3", with_hand(picture(0), 1), SECOND // 2)
        assert (first == again).all()

    def test_a_dark_picture_is_not_learnt_while_there_are_others(self) -> None:
        dark = np.full((SIDE, SIDE, 3), 3, np.uint8)
        learner = FillLearner(dark, 0)
        for i in range(1, 5):
            assert not learner.offer(dark, i * SECOND)
        for i in range(5, 5 + SAMPLES):
            assert not learner.complete
            learner.offer(picture(i), i * SECOND)
            learner.offer(dark, i * SECOND + SECOND // 2)
        assert learner.complete and learner.fill.mean() > 50

    def test_a_camera_that_only_shows_dark_is_taken_as_it_is(self) -> None:
        dark = np.full((SIDE, SIDE, 3), 3, np.uint8)
        learner = FillLearner(dark, 0)
        for i in range(1, PATIENCE + SAMPLES):
            learner.offer(dark, i * SECOND)
        assert learner.complete and (learner.fill == 3).all()

    @pytest.mark.parametrize(("level", "fit"), [(0, False), (120, False), (255, False)])
    def test_blank_pictures_are_not_fit(self, level: int, fit: bool) -> None:
        assert is_fit(np.full((SIDE, SIDE, 1), level, np.uint8)) is fit
        assert is_fit(picture(1)) and is_fit(picture(1, 1))

    def test_many_threads_with_the_first_frames_of_a_camera_see_one_fill(self) -> None:
        lens = RegionLens(regions, MemoryFills())
        start = threading.Barrier(8)

        def look(i: int) -> Picture:
            start.wait()
            return lens("line-3", picture(i), 0)

        with ThreadPoolExecutor(8) as pool:
            shown = list(pool.map(look, range(8)))
        assert len({outside(one).tobytes() for one in shown}) == 1


class Switched:
    """A client that can be given another server."""

    def __init__(self, now: redis.Redis) -> None:
        self.now = now

    def __getattr__(self, command: str) -> Any:
        return getattr(self.now, command)


def until_kept(lens: RegionLens) -> None:
    """It waits a moment after a server did not answer."""
    deadline_s = time.monotonic() + 30
    while True:
        lens.keep()
        if lens.trouble is None:
            return
        assert time.monotonic() < deadline_s, lens.trouble
        time.sleep(0.05)


class TestKept:
    """In a real server, as two workers and their successors find it."""

    def test_the_first_fill_serves_all_workers(self, redis_client: redis.Redis, prefix: str) -> None:
        one = learnt(RedisFills(redis_client, prefix))
        key = f"{prefix}:fill:line-3:{REGION.id}:{SIDE}x3"
        assert redis_client.keys(f"{prefix}:*") == [key]
        assert 29 * 86_400 < redis_client.ttl(key) <= 30 * 86_400
        other = RegionLens(regions, RedisFills(redis_client, prefix))
        frame = with_hand(picture(500), 1)
        assert (other("line-3", frame, 0) == one("line-3", frame, 0)).all()
        assert not other.learning("line-3")

    def test_of_two_that_learn_at_once_the_first_to_end_wins(self, redis_client: redis.Redis, prefix: str) -> None:
        late = RegionLens(regions, RedisFills(redis_client, prefix))
        late("line-3", with_hand(picture(7), 7), 0)
        first = learnt(RedisFills(redis_client, prefix))
        for i in range(1, SAMPLES):
            late("line-3", with_hand(picture(7), 7), i * SECOND)
        frame = picture(500)
        assert (late("line-3", frame, 0) == first("line-3", frame, 0)).all()

    def test_the_fill_is_kept_to_the_last_bit_and_can_be_looked_at(
        self, redis_client: redis.Redis, prefix: str
    ) -> None:
        fills = RedisFills(redis_client, prefix, keep_s=50)
        colour, grey = picture(1) // np.array([1, 2, 4], np.uint8), picture(2, 1)
        camera = "Halle 1/ä:*"
        for key, fill in ((FillKey(camera, "0a1b2c3d", SIDE, 3), colour), (FillKey(camera, "0a1b2c3d", SIDE, 1), grey)):
            assert fills.load(key) is None and not fills.renew(key)
            assert (fills.store(key, fill) == fill).all()
            assert (fills.store(key, 255 - fill) == fill).all()  # the first one stays
            kept = fills.load(key)
            assert kept is not None and (kept == fill).all() and kept.shape == fill.shape
        name = f"{prefix}:fill:{quote(camera, safe='')}:0a1b2c3d:{SIDE}x3"
        seen = cv2.imdecode(np.frombuffer(base64.b64decode(str(redis_client.get(name))), np.uint8), cv2.IMREAD_COLOR)
        assert seen is not None and (seen[:, :, ::-1] == colour).all()
        redis_client.pexpire(name, 1000)
        assert fills.renew(FillKey(camera, "0a1b2c3d", SIDE, 3)) and redis_client.pttl(name) > 40_000

    @pytest.mark.parametrize(
        "junk",
        [b"", b"hello", b"\xff\xfe\x00", base64.b64encode(b"no png"), "other"],
        ids=["empty", "text", "bytes", "no picture", "another size"],
    )
    def test_what_is_no_fill_is_replaced(self, redis_client: redis.Redis, prefix: str, junk: bytes | str) -> None:
        fills = RedisFills(redis_client, prefix)
        name = f"{prefix}:fill:line-3:{REGION.id}:{SIDE}x3"
        if junk == "other":
            smaller = FillKey("line-3", REGION.id, 8, 3)
            fills.store(smaller, np.zeros((8, 8, 3), np.uint8))
            junk = str(redis_client.get(f"{prefix}:fill:line-3:{REGION.id}:8x3"))
        redis_client.set(name, junk)
        assert fills.load(KEY) is None
        lens = learnt(fills)
        kept = fills.load(KEY)
        assert kept is not None
        assert (outside(lens("line-3", picture(5), 0)) == outside(kept)).all()

    def test_forgotten_here_or_taken_away_there_it_is_learnt_anew(
        self, redis_client: redis.Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("monitor.scoring.lens.RENEW_AFTER_S", 0.0)
        one, other = learnt(RedisFills(redis_client, prefix)), learnt(RedisFills(redis_client, prefix))
        one.keep()
        other.keep()
        assert not one.learning("line-3") and not other.learning("line-3")
        one.forget("line-3")
        one.forget("never seen")
        assert redis_client.keys(f"{prefix}:*") == []
        other.keep()
        for lens in (one, other):
            lens("line-3", with_hand(picture(9), 9), 0)
            assert lens.learning("line-3")

    def test_a_camera_that_left_finds_its_fill_when_it_comes_back(self, redis_client: redis.Redis, prefix: str) -> None:
        lens = learnt(RedisFills(redis_client, prefix))
        before = lens("line-3", picture(1), 0)
        lens.leave("line-3")
        lens.leave("line-3")
        assert (lens("line-3", picture(1), 0) == before).all() and not lens.learning("line-3")

    def test_another_region_has_a_fill_of_its_own(self, redis_client: redis.Redis, prefix: str) -> None:
        lens = learnt(RedisFills(redis_client, prefix))
        lens.change(lambda _: Region(REGION.inside))
        lens("line-3", picture(1), 0)
        assert lens.learning("line-3") and lens.region("line-3") == Region(REGION.inside)
        lens.change(regions)
        lens("line-3", picture(1), 0)
        assert not lens.learning("line-3")
        view = lens._views["line-3"]
        lens.change(lambda camera: Region(REGION.inside, REGION.outside))
        assert lens._views["line-3"] is view  # said anew, and the same
        lens.change(lambda _: WHOLE)
        frame = picture(1)
        assert lens("line-3", frame, 0) is frame

    def test_redis_away_is_bridged_and_what_is_there_first_stays(self, redis_client: redis.Redis, prefix: str) -> None:
        nowhere = redis.Redis(host="127.0.0.1", port=1, decode_responses=True, retry=Retry(NoBackoff(), 0))
        client = Switched(nowhere)
        lens = learnt(RedisFills(client, prefix))  # type: ignore[arg-type]
        mine = lens("line-3", picture(1), 0)  # frames go through as ever
        lens.keep()
        assert lens.trouble is not None and "cannot be kept" in lens.trouble
        with pytest.raises(FillsAway):
            lens.forget("line-3")
        assert (lens("line-3", picture(1), 0) == mine).all()

        late = learnt(RedisFills(client, prefix), seed=900)  # type: ignore[arg-type]
        assert (late("line-3", picture(1), 0) != mine).any()

        client.now = redis_client  # it answers again, and is empty
        until_kept(lens)
        stored = RedisFills(redis_client, prefix).load(KEY)
        assert stored is not None and (outside(stored) == outside(mine)).all()
        until_kept(late)
        assert (late("line-3", picture(1), 0) == mine).all()

    def test_a_server_that_hangs_costs_one_wait_and_not_one_a_camera(self, prefix: str) -> None:
        class Hanging:
            asked = 0

            def get(self, name: str) -> str:
                self.asked += 1
                raise redis.TimeoutError("Timeout reading from socket")

        client = Hanging()
        lens = RegionLens(lambda _: REGION, RedisFills(client, prefix))  # type: ignore[arg-type]
        for i in range(50):
            lens(f"line-{i}", picture(i), 0)
        assert client.asked == 1
