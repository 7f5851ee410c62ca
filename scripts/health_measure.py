"""Prints the figures of docs/camera-health.md: `python scripts/health_measure.py`, some two minutes.

On the simulated line always; on real pictures as well where LINEWATCH_DATA names the folder with the shared data.
Faults are made on that footage; the noise of a sensor is put over what a fault has smoothed.
"""

from __future__ import annotations

import copy
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.judging.health import CameraHealth, Condition, HealthRules
from monitor.scoring.sight import Sight, measure
from streams.simulator import FilmFootage, Line

Picture = NDArray[np.uint8]
NOISE = 2.0
T0_NS = 1_700_000_000_000_000_000
RNG = np.random.default_rng(7)
AFTER_S = HealthRules().after_s


@dataclass(frozen=True)
class Feed:
    """One camera: what it learns from, then what is normal, then pictures with faulty parts."""

    name: str
    fps: float
    learn: list[Picture]
    normal: list[Picture]
    faulty: list[Picture]


def feeds() -> Iterator[Feed]:
    """Three cameras of the simulated line; the film and the sets of photographs where they are."""
    for camera in range(3):
        line = Line(5, camera, 640, 480, 10)
        spans = [line.span_at(index) for index in range(600)]
        pictures = [line.render(index) for index in range(600)]
        sound = [p for p, span in zip(pictures, spans, strict=True) if span is None]
        faulty = [p for p, span in zip(pictures, spans, strict=True) if span is not None]
        yield Feed(f"line {camera}", 10, [line.render(index, defects=False) for index in range(201)], sound, faulty)
    root = os.environ.get("LINEWATCH_DATA")
    if not root:
        return
    film = FilmFootage(Path(root) / "video/bottle-detection.mp4")
    frames = list(film.pictures())  # every third of them, to keep this short
    normal = [p for i, p in enumerate(frames) if i % 3 == 0 and i >= 165 and film.span_at(i) is None]
    faulty = [p for i, p in enumerate(frames) if i % 3 == 0 and film.span_at(i) is not None]
    yield Feed("bottle film", film.fps / 3, frames[:165:3], normal, faulty)
    photographs = {
        "mvtec bottle": ("mvtec_ad/bottle/train/good/*", "mvtec_ad/bottle/test/[bc]*/*"),
        # Of the first day alone: on the later days the camera stands elsewhere (docs/camera-health.md).
        "dobot": ("dobot_cubes/normal/input_20230210*", "dobot_cubes/abnormal/input_20230210*"),
        "aliens": ("aws_lookout/aliens/normal/*", "aws_lookout/aliens/anomaly/*"),
        "screw": ("mvtec_ad/screw/train/good/*", "nothing/*"),
        "paper": ("paper_impurities/PA_BRG03_TL/normal/*", "paper_impurities/PA_BRG03_TL/defect/*[0-9].png"),
        "hazelnut": ("hazelnut_toy/*/good/*", "hazelnut_toy/test/colour/*"),
    }
    for name, (good_ones, bad_ones) in photographs.items():
        known = read(Path(root), good_ones)
        learn = known[: max(20, min(41, 2 * len(known) // 3))]
        yield Feed(name, 2, learn, known[len(learn) :], read(Path(root), bad_ones))


def read(root: Path, pattern: str) -> list[Picture]:
    return [np.asarray(cv2.imread(str(path)), np.uint8) for path in sorted(root.glob(pattern))]


def grained(pixels: NDArray[np.floating] | cv2.typing.MatLike) -> Picture:
    """With the noise of a sensor."""
    return np.clip(pixels + RNG.normal(0, NOISE, pixels.shape), 0, 255).astype(np.uint8)


def warped(pixels: Picture, x: float, y: float, degrees: float = 0, zoom: float = 1) -> Picture:
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, zoom)
    turn[:, 2] += x * width, y * width
    return np.asarray(cv2.warpAffine(pixels, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101), np.uint8)


def card(pixels: Picture, share: float, level: float, side: str = "left") -> Picture:
    covered = pixels.astype(np.float32)
    height, width = pixels.shape[:2]
    if side == "left":
        covered[:, : round(width * share)] = level
    else:
        covered[height - round(height * share) :] = level
    return grained(covered)


def hand(pixels: Picture) -> Picture:
    """Four fingers and a palm, out of focus, over about 70 % of the picture."""
    height, width = pixels.shape[:2]
    mask: cv2.typing.MatLike = np.zeros((height, width), np.float32)
    for finger in range(4):
        x = round(width * (0.2 + 0.2 * finger))
        cv2.line(mask, (x, round(height * 0.1)), (x, height), 1.0, round(width * 0.15))
    cv2.rectangle(mask, (round(width * 0.1), round(height * 0.55)), (round(width * 0.9), height), 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), width / 60)[..., None]
    shade = np.linspace(0.6, 1.0, width, dtype=np.float32)[None, :, None]
    return grained(pixels * (1 - mask) + mask * shade * np.array([110, 135, 190], np.float32))


def object_on(pixels: Picture, share: float, level: float, x: float, y: float) -> Picture:
    """A foreign object: an even rectangle over this share of the picture."""
    height, width = pixels.shape[:2]
    w, h = round(width * share**0.5), round(height * share**0.5)
    left, top = round(x * (width - w)), round(y * (height - h))
    laid = pixels.astype(np.float32)
    laid[top : top + h, left : left + w] = level
    return grained(laid)


def blurred(pixels: Picture, sigma: float) -> Picture:
    return grained(cv2.GaussianBlur(pixels, (0, 0), sigma * pixels.shape[1] / 640))


Fault = Callable[[Picture], Picture]
FAULTS: list[tuple[str, str, Fault]] = [
    ("covered", "black card over all", lambda p: card(p, 1, 4)),
    ("covered", "card as bright as the picture", lambda p: card(p, 1, float(p.mean()))),
    ("covered", "hand, 70 %", hand),
    ("covered", "dark card over 60 %", lambda p: card(p, 0.6, 30)),
    ("covered", "grey card over 60 %, from below", lambda p: card(p, 0.6, 110, "below")),
    *(("blurred", f"σ {s} px at 640", lambda p, s=s: blurred(p, s)) for s in (1, 1.5, 2, 3, 5, 10)),
    *(("dark", f"light × {g}", lambda p, g=g: grained(p.astype(np.float32) * g)) for g in (0.02, 0.1)),
    *(("bright", f"light × {g}", lambda p, g=g: grained(p.astype(np.float32) * g)) for g in (3, 6)),
    *(
        ("relit", f"light × {g}", lambda p, g=g: grained(p.astype(np.float32) * g))
        for g in (0.4, 0.6, 0.8, 1.2, 1.4, 1.6)
    ),
    *(("moved", f"{s:.0%} sideways", lambda p, s=s: warped(p, s, 0)) for s in (0.02, 0.03, 0.05)),
    *(("moved", f"{s:.0%} downwards", lambda p, s=s: warped(p, 0, s)) for s in (0.02, 0.03, 0.05)),
    ("moved", "10 % both ways", lambda p: warped(p, -0.1, -0.1)),
    *(("moved", f"turned {d}°", lambda p, d=d: warped(p, 0, 0, d)) for d in (2, 3, 5)),
    ("moved", "zoom 1.1", lambda p: warped(p, 0, 0, 0, 1.1)),
]
OBJECTS: list[Fault] = [
    lambda p, a=a: object_on(p, *a)  # type: ignore[misc]
    for a in ((0.1, 10, 0.5, 0.5), (0.2, 10, 0.1, 0.9), (0.2, 245, 0.9, 0.1), (0.2, 120, 0.5, 0.5), (0.2, 60, 0.0, 0.0))
]


class Watched:
    """One camera's health on a feed's clock."""

    def __init__(self, feed: Feed) -> None:
        # Learnt over what there is, once through.
        rules = replace(HealthRules(), learn_s=0.98 * len(feed.learn) / feed.fps)
        self.feed, self.at_ns = feed, T0_NS
        self.health = CameraHealth(lambda _: rules)
        for picture in feed.learn:
            self.see(measure(picture))
        while not self.health.learnt("c"):  # small sets are shown more than once
            for picture in feed.learn:
                self.see(measure(picture))

    def see(self, sight: Sight) -> tuple[frozenset[Condition], list[Condition]]:
        """What is suspected, and what began."""
        self.at_ns += round(1e9 / self.feed.fps)
        look = self.health.see("c", sight, self.at_ns, self.at_ns / 1e9)
        return look.suspect, [t.condition for t in look.changes if t.ended_at_ns is None]

    def fault(self, fault: Fault) -> tuple[int | None, float | None, str]:
        """Frames until the suspicion, seconds until it is confirmed, and as what."""
        known, start = self.feed.normal, 0
        suspected: int | None = None
        for count in range(1, round((AFTER_S + 1.5) * self.feed.fps) + 2):
            suspects, began = self.see(measure(fault(known[(start + count) % len(known)])))
            if suspects and suspected is None:
                suspected = count
            if began:
                return suspected, (count - 1) / self.feed.fps, began[0].value
        return suspected, None, "-"


def false_ones(watched: Watched, pictures: Iterable[Picture]) -> tuple[int, Counter[str], Counter[str]]:
    """Frames, those with a suspicion by condition, and conditions confirmed."""
    frames, suspected, confirmed = 0, Counter[str](), Counter[str]()
    for picture in pictures:
        suspects, began = watched.see(measure(picture))
        frames += 1
        suspected.update(condition.value for condition in suspects)
        confirmed.update(condition.value for condition in began)
    return frames, suspected, confirmed


def cost() -> None:
    """On one thread. Each picture is new in memory, as it is when it has just been decoded."""
    line = Line(5, 0, 640, 480, 10)
    pictures = [line.render(index) for index in range(300)]
    large = [np.asarray(cv2.resize(p, (1920, 1080)), np.uint8) for p in pictures[:160]]
    shifted = [warped(p, 0.03, 0.04) for p in pictures[:200]]
    print("\n| picture | measure | judge | both |\n| --- | --- | --- | --- |")
    for name, learn, shown in (
        ("640×480", pictures, pictures),
        ("640×480, view shifted", pictures, shifted),
        ("1920×1080", large, large),
    ):
        health, at_ns = CameraHealth(lambda _: HealthRules(learn_s=8)), T0_NS
        for picture in learn[:120]:
            at_ns += 100_000_000
            health.see("c", measure(picture), at_ns, at_ns / 1e9)
        taken = []
        for picture in shown:
            at_ns += 100_000_000
            decoded = picture.copy()
            start = time.perf_counter()
            sight = measure(decoded)
            between = time.perf_counter()
            health.see("c", sight, at_ns, at_ns / 1e9)
            taken.append((between - start, time.perf_counter() - between))
        measured, judged = (float(v) * 1e3 for v in np.median(taken, axis=0))
        print(f"| {name} | {measured:.2f} ms | {judged:.2f} ms | {measured + judged:.2f} ms |")


def main() -> None:
    cv2.setNumThreads(1)
    cost()
    every = [Watched(feed) for feed in feeds()]
    print("\n| footage | frames | suspected | confirmed |\n| --- | --- | --- | --- |")
    for watched in every:
        feed = watched.feed
        objects = [fault(p) for fault in OBJECTS for p in feed.normal[:60]]
        for kind, pictures in (
            ("normal", feed.normal),
            ("faulty parts", feed.faulty),
            ("foreign object, 10–20 %", objects),
        ):
            if pictures:
                frames, false, told = false_ones(copy.deepcopy(watched), pictures)
                print(f"| {feed.name}, {kind} | {frames} | {_told(false)} | {_told(told)} |", flush=True)
    print(
        "\n| fault | strength | " + " | ".join(w.feed.name for w in every) + " |\n| --- |" + " --- |" * (len(every) + 1)
    )
    for condition, strength, fault in FAULTS:
        cells = []
        for watched in every:
            suspected, after_s, name = copy.deepcopy(watched).fault(fault)
            said = "" if name == condition else f" {name}"
            cells.append(
                "–"
                if suspected is None
                else f"{suspected}, {after_s:.1f} s{said}"
                if after_s is not None
                else f"{suspected}, never"
            )
        print(f"| {condition} | {strength} | " + " | ".join(cells) + " |", flush=True)


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "0"


if __name__ == "__main__":
    main()
