"""scripts.gpu_bench without a GPU: what it measures by, on the CPU, and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.ganomaly import Architecture, Generator
from scripts import gpu_bench
from scripts.gpu_measure import WAYS, Case, Way, flops_of, measure, peak_flops

CPU = torch.device("cpu")


@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_measured(way: Way) -> None:
    measured = measure(Case(32, 8, False, 2, way), CPU, repeats=2, seconds=0.01)
    assert len(measured.frames_per_s) == 2 and min(measured.frames_per_s) > 0
    assert measured.call_ms > 0 and measured.chunk == 2 and measured.recorded == (way == "recorded")


def test_the_arithmetic_is_that_of_the_convolutions() -> None:
    """Two for each weight and each place where it is used."""
    expected = 0

    def count(module: torch.nn.Module, given: tuple[torch.Tensor], made: torch.Tensor) -> None:
        nonlocal expected
        used = given[0] if isinstance(module, torch.nn.ConvTranspose2d) else made
        expected += 2 * sum(held.numel() for held in module.parameters()) * used.shape[2] * used.shape[3]

    generator = Generator(Architecture(size=32, channels=3, ngf=8)).eval()
    for part in generator.modules():
        if isinstance(part, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            part.register_forward_hook(count)
    with torch.no_grad():
        generator(torch.zeros(1, 3, 32, 32))
    assert flops_of(32, 8) == expected


def test_the_peak_is_measured() -> None:
    assert all(rate > 1e6 for rate in peak_flops(CPU, 64, 2))


def test_rows_are_of_all_that_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = f"--out {tmp_path} --sizes 32 --chunks 1,2 --ngf 8 --repeats 2 --seconds 0.01"
    document = gpu_bench.bench(gpu_bench._asked(order.split()), CPU, 64)
    assert len(document.rows) == 2 * 2 * len(WAYS)
    assert {row["precision"] for row in document.rows} == {"fp32", "bf16"}
    assert all(row["share_of_peak"] > 0 and row["frames_per_s"]["median"] > 0 for row in document.rows)
    assert Path(document.write(tmp_path)).name == "gpu.json"
    assert "kernel by kernel" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_bench.main(["--out", str(tmp_path)]) == 1
    assert "sees no CUDA device, so nothing was measured" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [["--sizes", "48"], ["--chunks", "0"], ["--precisions", "fp16"], ["--repeats", "0"]])
def test_refuses_nonsense(wrong: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        gpu_bench.main(["--out", str(tmp_path), *wrong])
    assert ended.value.code == 2
