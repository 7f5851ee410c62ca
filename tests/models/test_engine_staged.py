"""The staged engine on the CPU, and on a device that runs by itself as a GPU does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.engines.cuda_device import CudaDevice
from models.engines.device import CaptureFailed, Device, is_shortage
from models.engines.engine import Engine
from models.engines.forward import Normalise
from models.engines.host_device import HostDevice
from models.engines.lean import lean
from models.engines.slot import Slot
from models.engines.staged import StagedEngine
from models.ganomaly import Architecture
from models.method import Method
from models.methods.anogan import AnoGan
from models.methods.calibrated import Calibrated
from models.preprocess import Picture, Preprocess
from tests.models.engine_contract import COLOUR, CPU, POOL, EngineContract, network, plain
from tests.models.lazy_device import LazyDevice, Pace

CHUNK = 4


def staged(device: Device, method: Method | None = None, *, chunk: int = CHUNK, bf16: bool = False) -> StagedEngine:
    return StagedEngine(method or network(), COLOUR, device, chunk=chunk, bf16=bf16)


class TestStagedOnTheCpu(EngineContract):
    def build(self, method: Method, preprocess: Preprocess, *, bf16: bool) -> Engine:
        return StagedEngine(method, preprocess, HostDevice(), chunk=CHUNK, bf16=bf16)


class TestStagedOnALateDevice(EngineContract):
    def build(self, method: Method, preprocess: Preprocess, *, bf16: bool) -> Engine:
        return StagedEngine(method, preprocess, LazyDevice("late"), chunk=CHUNK, bf16=bf16)


# Buffers and order.


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 40), st.integers(1, 5), st.integers(1, 3), st.integers(0, 2**16))
def test_however_the_lanes_run_no_buffer_is_written_before_it_was_read(
    count: int, chunk: int, slots: int, seed: int
) -> None:
    pictures = POOL[np.arange(count) % len(POOL)]
    made = StagedEngine(network(), COLOUR, LazyDevice("any", seed), chunk=chunk, slots=slots)
    np.testing.assert_allclose(made.score(pictures), plain(network(), POOL)[np.arange(count) % len(POOL)], rtol=1e-4)


@pytest.mark.parametrize(("forgotten", "pace"), [("travelled", "late"), ("read", "copies first")])
def test_a_wait_that_is_left_out_is_noticed(forgotten: str, pace: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the tests themselves: both of these waits are needed, and the device that they run on shows it."""
    expected = plain(network(), POOL)
    np.testing.assert_allclose(staged(LazyDevice(pace)).score(POOL), expected, rtol=1e-4)
    real = Slot.send

    def careless(slot: Slot, device: Device, pictures: Picture) -> None:
        setattr(slot, forgotten, None)
        real(slot, device, pictures)

    monkeypatch.setattr(Slot, "send", careless)
    assert not np.allclose(staged(LazyDevice(pace)).score(POOL), expected, rtol=1e-4)


def test_the_next_chunk_travels_while_one_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two chunks are under way before the host waits at all, and the second copy asks for nothing of the first pass."""
    device = LazyDevice()
    engine = staged(device)
    engine.warm_up()
    before, seen = device.waits, []

    def look(tensor: torch.Tensor, source: torch.Tensor) -> None:
        seen.append((device.waits - before, len(source)))

    real = device.copy

    def copy(lane: str, target: torch.Tensor, source: torch.Tensor) -> None:
        if lane == "copy":
            look(target, source)
        real(lane, target, source)  # type: ignore[arg-type]

    monkeypatch.setattr(device, "copy", copy)
    engine.score(POOL[: 2 * CHUNK + 1])
    # The third needs the first one's slot; and of it only the one picture travels.
    assert seen == [(0, CHUNK), (0, CHUNK), (1, 1)]

    queued = staged(device)
    queued.warm_up()
    passes = queued._ready()
    for slot, part in zip(passes.slots, (POOL[:CHUNK], POOL[CHUNK : 2 * CHUNK]), strict=True):
        slot.send(device, part)
        slot.judge(device, torch.empty(CHUNK))
    while device.step("copy"):
        pass
    assert not device.lanes["copy"] and device.lanes["compute"]
    np.testing.assert_array_equal(passes.slots[1].pixels.numpy(), POOL[CHUNK : 2 * CHUNK])


def test_scores_come_back_in_one_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    device = LazyDevice()
    engine = staged(device)
    engine.warm_up()
    waits = device.waits
    engine.score(POOL[: 2 * CHUNK])
    assert device.waits - waits == 1


# What cannot be recorded, or slimmed.


def test_what_cannot_be_recorded_runs_as_it_is() -> None:
    refused, lied = staged(LazyDevice(captures="no")), staged(LazyDevice(captures="lies"))
    recorded, told_not_to = staged(LazyDevice()), StagedEngine(network(), COLOUR, LazyDevice(), chunk=4, graphs=False)
    expected = staged(HostDevice()).score(POOL)
    for engine in (refused, lied, recorded, told_not_to):
        assert not engine.recorded and not engine.notes  # it has touched nothing yet
        engine.warm_up()
        np.testing.assert_array_equal(engine.score(POOL), expected)
    assert [engine.recorded for engine in (refused, lied, recorded, told_not_to)] == [False, False, True, False]
    assert refused.notes == ("passes are not recorded: RuntimeError: this device records nothing",)
    assert lied.notes == ("passes are not recorded: scores would be others",)
    assert recorded.notes == told_not_to.notes == ()


def test_weights_in_half_precision_are_made_once_and_change_no_score() -> None:
    method = network()
    slim = lean(method)
    np.testing.assert_array_equal(plain(slim, POOL, bf16=True), plain(method, POOL, bf16=True))
    kinds = {name: held.dtype for name, held in slim.generator.named_parameters()}
    assert {dtype for name, dtype in kinds.items() if "last.weight" in name} == {torch.bfloat16}
    assert kinds["encoder1.pyramid.0.1.weight"] == torch.float32, "batch norm stays as it is"
    assert {held.dtype for held in method.parameters()} == {torch.float32}
    ours, theirs = dict(slim.named_buffers()), dict(method.named_buffers())
    assert ours and all(held is theirs[name] for name, held in ours.items())


@pytest.mark.slow
def test_a_method_that_leaves_half_precision_keeps_its_weights() -> None:
    torch.manual_seed(0)
    method = Calibrated(Architecture(size=32, channels=3, nz=8, ngf=4)).eval()
    engine = staged(LazyDevice(), method, chunk=2, bf16=True)
    engine.warm_up()
    assert len(engine.notes) == 1 and "in every pass, not once: RuntimeError" in engine.notes[0]
    np.testing.assert_allclose(engine.score(POOL[:3]), plain(method, POOL[:3], bf16=True), rtol=1e-4)


def test_a_method_with_gradients_of_its_own_scores_without_a_proof() -> None:
    scored: list[int] = []

    class Hasty(AnoGan):
        search_steps = 3

        def score(self, x: torch.Tensor) -> torch.Tensor:
            scored.append(len(x))
            return super().score(x)

    torch.manual_seed(0)
    method = Hasty(Architecture(size=32, channels=3, nz=8, ngf=4)).eval()
    engine = staged(LazyDevice(), method, bf16=True)
    engine.warm_up()
    assert not scored and not engine.recorded and "too dear" in engine.notes[0]
    np.testing.assert_allclose(engine.score(POOL[:6]), plain(method, POOL[:6], bf16=True), rtol=0.02)
    assert scored == [CHUNK, CHUNK, 6]


@pytest.mark.parametrize("preprocess", [COLOUR, Preprocess(32, 1), Preprocess(32, 3, "imagenet")], ids=str)
def test_pixels_become_numbers_as_elsewhere(preprocess: Preprocess) -> None:
    pixels = np.ascontiguousarray(POOL[..., : preprocess.channels])
    made = Normalise(preprocess, CPU)(torch.from_numpy(pixels))
    expected = preprocess.to_tensor(pixels, CPU)
    assert torch.equal(made, expected) and made.stride() == expected.stride()


# Errors, and memory that runs out.


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sets(st.integers(0, 40), max_size=3), st.sampled_from(["late", "copies first"]))
def test_a_shortage_halves_the_chunk_and_loses_no_picture(fails: set[int], pace: Pace) -> None:
    device = LazyDevice(pace, fails=fails)
    engine = staged(device, chunk=8)
    scores = engine.score(POOL)
    assert engine.shortages == device.failed and engine.chunk == 8 >> engine.shortages
    assert device.releases == engine.shortages and device.idle
    np.testing.assert_array_equal(scores, staged(HostDevice(), chunk=engine.chunk).score(POOL))


def test_a_shortage_later_begins_the_call_anew() -> None:
    device = LazyDevice("copies first")
    engine = staged(device, chunk=8)
    engine.warm_up()
    device.fails = {device.calls + 3}  # the second pass, with a chunk scored and another sent
    scores = engine.score(POOL)
    assert (engine.chunk, engine.shortages) == (4, 1)
    np.testing.assert_array_equal(scores, staged(HostDevice(), chunk=4).score(POOL))
    assert engine.recorded, "the smaller passes are recorded too"


def test_the_chunk_is_what_there_is_room_for() -> None:
    engine = staged(LazyDevice(room=2), chunk=9)
    engine.warm_up()
    assert (engine.chunk, engine.shortages) == (2, 2)


def test_where_not_even_one_picture_fits_it_says_so_and_goes_on_when_it_does() -> None:
    device = LazyDevice(room=0)
    engine = staged(device)
    for _ in range(2):
        with pytest.raises(torch.OutOfMemoryError):
            engine.score(POOL)
    assert (engine.chunk, engine.shortages) == (1, 2)
    device.room = 1
    np.testing.assert_allclose(engine.score(POOL), plain(network(), POOL), rtol=1e-4)


def test_other_errors_go_through_and_the_next_call_begins_afresh() -> None:
    device = LazyDevice()
    engine = staged(device)
    expected = engine.score(POOL)
    device.other = "device-side assert"
    with pytest.raises(RuntimeError, match="device-side assert"):
        engine.score(POOL)
    assert device.idle and (engine.chunk, engine.shortages) == (CHUNK, 0)
    np.testing.assert_array_equal(engine.score(POOL), expected)


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
    ],
    ids=str,
)
def test_which_errors_are_shortages(error: Exception, short: bool) -> None:
    assert is_shortage(error) == short


@pytest.mark.parametrize(
    "build", [lambda: staged(HostDevice(), chunk=0), lambda: StagedEngine(network(), COLOUR, HostDevice(), slots=0)]
)
def test_refuses_nonsense(build: Callable[[], StagedEngine]) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        build()


class Spoilt:
    """torch.cuda.graph: a capture in which something failed cannot be ended either, and that is another error."""

    def __init__(self, graph: object, **options: object) -> None:
        assert options["capture_error_mode"] == "thread_local"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), torch.OutOfMemoryError, "^CUDA out of memory$"),
        (RuntimeError("cannot copy during capture"), CaptureFailed, "^RuntimeError: cannot copy during capture$"),
        (ValueError("no graph for me"), CaptureFailed, "^ValueError: no graph for me$"),
    ],
    ids=str,
)
def test_a_spoilt_capture_tells_what_spoilt_it(
    error: Exception, raised: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        raise error

    for name in ("Stream", "CUDAGraph", "graph_pool_handle"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: object())
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", Spoilt)
    before = torch.backends.cudnn.deterministic
    with pytest.raises(raised, match=message):
        CudaDevice(torch.device("cuda:0")).capture(work)
    assert torch.backends.cudnn.deterministic == before


# A real GPU, where there is one.


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
class TestStagedOnAGpu(EngineContract):
    tolerance: ClassVar[dict[bool, float]] = {False: 1e-2, True: 0.05}

    def build(self, method: Method, preprocess: Preprocess, *, bf16: bool) -> Engine:
        device = CudaDevice(torch.device("cuda"))
        return StagedEngine(method.to(device.place), preprocess, device, chunk=CHUNK, bf16=bf16)
