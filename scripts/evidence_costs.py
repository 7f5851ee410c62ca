"""What evidence costs: `python scripts/evidence_costs.py`. Prints a table for docs/evidence.md."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from monitor.alerting.clips import ClipMaker
from monitor.alerting.evidence import EvidenceStore
from monitor.evidence_settings import Clip
from streams.codec import encode_jpeg
from streams.frame import Frame

BEGUN_NS = 1_700_000_000_000_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="in the folder that is swept")
    parser.add_argument("--alerts", type=int, default=500, help="of the storm, on 50 cameras")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    picture = scenery(640, 480)
    with tempfile.TemporaryDirectory() as folder:
        seeing(Path(folder, "a"), picture)
        one_clip(Path(folder, "b"), picture)
        one_clip(Path(folder, "c"), scenery(1920, 1080))
        storm(Path(folder, "d"), picture, asked.alerts)
        sweeping(Path(folder, "e"), asked.files)


def scenery(width: int, height: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 3)


def seeing(folder: Path, picture: np.ndarray) -> None:
    maker = ClipMaker(EvidenceStore(folder, 1), Clip())
    maker.start()
    payload = encode_jpeg(picture)
    for name, raw, step_ms in (("dropped", False, 1), ("kept", False, 200), ("kept, pixels", True, 200)):
        took = []
        for number in range(3000 if not raw else 300):
            at_ns = BEGUN_NS + number * step_ms * 1_000_000 + (0 if not raw else 10**12)
            frame = Frame("line-1", number, at_ns, "o", **({"pixels": picture} if raw else {"payload": payload}))
            begun_ns = time.perf_counter_ns()
            maker.see(frame)
            took.append((time.perf_counter_ns() - begun_ns) / 1000)
        tell(f"see, {name}", f"{median(took):.2f} µs, 99 % {sorted(took)[len(took) * 99 // 100]:.2f} µs")
    maker.stop(5)


def one_clip(folder: Path, picture: np.ndarray) -> None:
    store = EvidenceStore(folder, 1)
    maker = ClipMaker(store, Clip(after_s=3))
    maker.start()
    shots = [
        Frame("line-1", n, BEGUN_NS + n * 200_000_000, "o", payload=encode_jpeg(np.roll(picture, 5 * n, 1)))
        for n in range(32)
    ]
    for shot in shots[:16]:
        maker.see(shot)
    begun_s, cpu_s, begun_ns = time.monotonic(), time.process_time(), time.perf_counter_ns()
    maker.begin("abc1", shots[15])
    took_us = (time.perf_counter_ns() - begun_ns) / 1000
    for shot in shots[16:]:
        maker.see(shot)
    maker.wait("abc1", 60)
    size = len(store.read("abc1", "clip") or b"")
    height, width = picture.shape[:2]
    cpu_s = time.process_time() - cpu_s
    tell(f"begin, {width}x{height}", f"{took_us:.0f} µs")
    tell(
        f"clip of 31 frames, {width}x{height}", f"{time.monotonic() - begun_s:.2f} s, CPU {cpu_s:.2f} s, {size:,} bytes"
    )
    maker.stop(5)


def storm(folder: Path, picture: np.ndarray, alerts: int) -> None:
    """Fifty cameras at five frames a second, and alerts at all of them, as fast as they can be begun for 10 s."""
    store = EvidenceStore(folder, 1)
    maker = ClipMaker(store, Clip())
    maker.start()
    payload = encode_jpeg(picture)
    cpu_s, begun_s, begun = time.process_time(), time.monotonic(), 0
    for number in range(alerts):
        at_ns = BEGUN_NS + round((time.monotonic() - begun_s) * 1e9)
        for camera in range(50):
            maker.see(Frame(f"line-{camera}", number, at_ns, "o", payload=payload))
        begun += maker.begin(f"{number:04x}", Frame(f"line-{number % 50}", number, at_ns, "o", payload=payload))
        time.sleep(max(0.0, begun_s + (number + 1) * 10 / alerts - time.monotonic()))
    took_s, cpu_s = time.monotonic() - begun_s, time.process_time() - cpu_s
    tell(f"{alerts} alerts in {took_s:.0f} s", f"{begun} clips, {maker.skipped} skipped, CPU {cpu_s:.1f} s meanwhile")
    tell("memory of their frames", f"{maker.held_bytes / 1e6:.0f} MB")
    cpu_s, begun_s = time.process_time(), time.monotonic()
    maker.stop(60)
    tell("the rest of them", f"{time.monotonic() - begun_s:.1f} s, CPU {time.process_time() - cpu_s:.1f} s")


def sweeping(folder: Path, files: int) -> None:
    now_s = time.time()
    for day in range(30):
        place = folder / f"2026-05-{day + 1:02}"
        place.mkdir(parents=True)
        for number in range(files // 30):
            path = place / f"{day:02x}{number:06x}-evidence.jpg"
            path.touch()
            os.truncate(path, 100_000)  # holes: they take no room
            os.utime(path, (now_s - 86_400 * (30 - day), now_s - 86_400 * (30 - day)))
    for name, store in (
        ("nothing to do", EvidenceStore(folder, 60, max_bytes=1 << 50)),
        ("a tenth too much", EvidenceStore(folder, 60, max_bytes=files // 30 * 30 * 100_000 - 1)),
    ):
        begun_s = time.monotonic()
        gone = store.sweep(now_s)
        tell(f"sweep of {files:,} files, {name}", f"{time.monotonic() - begun_s:.2f} s, {gone:,} gone")
    begun_s = time.monotonic()
    store.find("1d000001", "evidence")
    tell("find", f"{(time.monotonic() - begun_s) * 1000:.2f} ms")


def tell(what: str, found: str) -> None:
    sys.stdout.write(f"| {what} | {found} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
