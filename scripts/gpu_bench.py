"""Frames per second of one worker's network on a CUDA device: `python -m scripts.gpu_bench --out FOLDER`, some minutes.

Prints a table and writes FOLDER/gpu.json. Three ways of running the same network: "recorded" and "kernel by kernel" are
the staged engine with and without CUDA graphs; "plain" sends one chunk after the other from ordinary memory and waits
for each. The pictures are noise that is there from the start: decoding and all else of the service is left out.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from itertools import product
from pathlib import Path
from typing import Any

import torch

from models.ganomaly import SIZES
from monitor.bench.document import Document
from monitor.bench.spread import Spread
from scripts.gpu_measure import WAYS, Case, Measured, flops_of, measure, peak_flops

FAILED = 1
PEAK_SIDE = 8192
PRECISIONS = ("fp32", "bf16")
LINE = "{size:>5} {precision:>5} {chunk:>6}  {way:<17}{rate:>10} {call_ms:>9} {share:>8}"
HEAD = {"size": "size", "precision": "", "chunk": "chunk", "way": "way", "rate": "frames/s", "call_ms": "call, ms"}
HEAD["share"] = "of peak"


def main(arguments: list[str] | None = None) -> int:
    """The process's exit code: 1 where there is no CUDA device, or the figures cannot be written."""
    asked = _asked(arguments)
    if not torch.cuda.is_available():
        print(
            f"gpu_bench: this PyTorch ({torch.__version__}) sees no CUDA device, so nothing was measured. It needs an "
            "NVIDIA GPU, its driver, and PyTorch's build for CUDA (docs/deploy.md).",
            file=sys.stderr,
        )
        return FAILED
    where = torch.device("cuda", torch.cuda.current_device())
    try:
        asked.out.mkdir(parents=True, exist_ok=True)
        document = bench(asked, where, PEAK_SIDE)
        print(f"written: {document.write(asked.out)}")
    except OSError as error:
        print(f"gpu_bench: --out {asked.out}: cannot be written: {error.strerror}", file=sys.stderr)
        return FAILED
    return 0


def bench(asked: argparse.Namespace, where: torch.device, peak_side: int) -> Document:
    """Measure all that is asked, telling each row as it comes."""
    peak = Spread.of(peak_flops(where, peak_side, asked.repeats))
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else "CPU"
    print(f"{name}: {peak.median / 1e12:.0f} TFLOP/s in bf16, as products of {peak_side} x {peak_side} matrices reach")
    print(LINE.format(**HEAD))
    rows, notes = [], [f"device: {name}"]
    for size, precision, chunk, way in product(asked.sizes, asked.precisions, asked.chunks, WAYS):
        case = Case(size, asked.ngf, precision == "bf16", chunk, way)
        try:
            measured = measure(case, where, asked.repeats, asked.seconds)
        except torch.OutOfMemoryError:
            notes.append(f"{size} px, {precision}, chunk {chunk}, {way}: not measured, the device's memory ran out")
            continue
        row = _row(case, precision, measured, peak.median)
        rows.append(row)
        notes += [f"{size} px, {precision}, chunk {chunk}, {way}: {note}" for note in measured.notes]
        print(LINE.format(**_told(row)), flush=True)
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(asked).items()}
    settings.pop("out")
    settings |= {"device": name, "peak_side": peak_side, "peak_flop_per_s": peak.to_dict()}
    return Document.of("gpu", settings, rows, notes)


def _row(case: Case, precision: str, measured: Measured, peak: float) -> dict[str, Any]:
    """share_of_peak: what the network's own arithmetic is of what the device does in bfloat16, whatever `precision`."""
    flops = flops_of(case.size, case.ngf)
    return {
        "size": case.size,
        "precision": precision,
        "chunk_asked": case.chunk,
        "chunk": measured.chunk,
        "way": case.way,
        "recorded": measured.recorded,
        "frames_per_s": Spread.of(measured.frames_per_s).to_dict(),
        "call_ms": measured.call_ms,
        "flop_per_frame": flops,
        "share_of_peak": statistics.median(measured.frames_per_s) * flops / peak,
    }


def _told(row: dict[str, Any]) -> dict[str, str]:
    return {
        "size": str(row["size"]),
        "precision": row["precision"],
        "chunk": str(row["chunk"]),
        "way": row["way"],
        "rate": f"{row['frames_per_s']['median']:,.0f}",
        "call_ms": f"{row['call_ms']:.2f}",
        "share": f"{row['share_of_peak']:.1%}",
    }


def _asked(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where gpu.json is written")
    parser.add_argument("--sizes", type=_numbers, default=(64, 256), help="of the picture in px: 64,256")
    parser.add_argument("--chunks", type=_numbers, default=(1, 16, 64, 256), help="pictures in a pass: 1,16,64,256")
    parser.add_argument("--precisions", type=_precisions, default=PRECISIONS, help="fp32,bf16")
    parser.add_argument("--ngf", type=int, default=64, help="width of the network")
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each repeat")
    asked = parser.parse_args(arguments)
    if wrong := [size for size in asked.sizes if size not in SIZES]:
        parser.error(f"--sizes: {wrong[0]} is none of {', '.join(map(str, SIZES))}")
    if asked.repeats < 1 or not 0 < asked.seconds <= 60 or asked.ngf < 2 or asked.ngf % 2:
        parser.error("--repeats is at least 1, --seconds above 0 and at most 60, --ngf even")
    return asked


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in text.split(","))
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: whole numbers from 1 on, parted by commas")
    return numbers


def _precisions(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if set(chosen) - set(PRECISIONS):
        raise argparse.ArgumentTypeError(f"{text!r}: some of {', '.join(PRECISIONS)}, parted by commas")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
