"""The simulated line: any frame of it, drawn in a few milliseconds, always the same for a seed."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, cast

import cv2
import numpy as np

from streams.simulator.belt import Image, belt_tile, fall_of_light, lay_rails
from streams.simulator.canvas import Floats
from streams.simulator.defects import defective_part
from streams.simulator.parts import PartLook, good_part
from streams.simulator.schedule import KINDS, PERIOD_S, REST_SHARE, Schedule
from streams.simulator.span import Span

_RADIUS_SHARE: Final = 0.315  # part radius by picture height
_PLACE_JITTER: Final = 0.004  # standard deviation by picture height
_TURN_JITTER_DEG: Final = 1.0
_VIBRATION_PX: Final = 0.25
_NOISE_LEVELS: Final = 3.0  # standard deviation of the sensor noise, of 255

_LOOKS: Final = (  # part size, metal tint, belt hue; BGR
    (1.00, (1.00, 0.99, 0.97), (1.06, 1.00, 0.94)),
    (0.97, (0.97, 0.99, 1.01), (0.98, 1.03, 0.97)),
    (1.03, (1.02, 1.00, 0.96), (1.10, 1.01, 0.91)),
)


class Line:
    """One camera above an indexing conveyor: every two seconds the next part is moved under the
    camera, and rests there for inspection.

    Everything is a pure function of seed, camera index and frame index, so frames may be drawn
    in any order. Not safe for use by several threads at once.
    """

    def __init__(
        self,
        seed: int,
        camera_index: int,
        width: int = 320,
        height: int = 240,
        fps: int = 10,
        kinds: tuple[str, ...] = KINDS,
    ) -> None:
        if min(width, height) < 32 or fps < 1 or seed < 0 or camera_index < 0:
            raise ValueError(
                f"a line needs a picture of at least 32x32 pixels, fps of at least 1 and no "
                f"negative seed or camera index; got {width}x{height}, {fps} fps, seed {seed}, "
                f"camera index {camera_index}"
            )
        self.seed, self.camera_index = seed, camera_index
        self.width, self.height, self.fps = width, height, fps
        self.schedule = Schedule(seed, camera_index, kinds)
        size, tint, hue = _LOOKS[camera_index % len(_LOOKS)]
        self._look = PartLook(radius_px=height * _RADIUS_SHARE * size, tint=tint)
        self._good = good_part(self._look).cut_out()
        self._defective = lru_cache(maxsize=4)(self._draw_defective)
        self._belt = np.tile(belt_tile(width, height, hue), (1, 2, 1))
        rails = np.zeros((height, width, 3), np.uint8)
        lay_rails(rails)
        self._rails, self._rail_rows = rails, rails.any(axis=(1, 2))
        self._light = fall_of_light(width, height)
        noise = np.random.default_rng([seed, camera_index, 2])
        room = (height + 64, width + 64, 3)
        self._noise = (noise.standard_normal(room, np.float32) * _NOISE_LEVELS).astype(np.float32)

    def render(self, frame_index: int, defects: bool = True) -> Image:
        """The frame, uint8 BGR [height, width, 3]; `defects=False` puts good parts throughout."""
        travel = self._travel(frame_index)
        # Half a pitch between part and seam: parts lie at the middle of their slat.
        offset = round((0.5 - travel % 1.0) * self.width) % self.width
        frame = self._belt[:, offset : offset + self.width].astype(np.float32)
        for part in range(int(travel) - 1, int(travel) + 2):
            self._place(frame, part, (travel - part) * self.width, defects)
        frame[self._rail_rows] = self._rails[self._rail_rows]
        return self._expose(frame, frame_index)

    def spans(self, frames: int) -> list[Span]:
        """When each planted defect is in view, of those that begin in the first `frames` frames."""
        parts = self.schedule.between(0, int(frames / self.fps / PERIOD_S) + 2)
        spans = [self._span(defect.part, defect.kind) for defect in parts]
        return [span for span in spans if span.first_frame < frames]

    def span_at(self, frame_index: int) -> Span | None:
        """The planted defect in view in this frame; they are far enough apart to be alone."""
        part = int(self._travel(frame_index))
        for defect in self.schedule.between(max(0, part - 2), part + 2):
            span = self._span(defect.part, defect.kind)
            if span.first_frame <= frame_index <= span.last_frame:
                return span
        return None

    def _span(self, part: int, kind: str) -> Span:
        # In view while any of the part's disc is; its centre enters the picture at a travel of `part`.
        reach = self._look.radius_px / self.width
        per_part = round(self.fps * PERIOD_S)
        around = range(max(0, (part - 1) * per_part), (part + 2) * per_part + 1)
        seen = [i for i in around if part - reach <= self._travel(i) <= part + 1 + reach]
        return Span(kind, seen[0], seen[-1])

    def _travel(self, frame_index: int) -> float:
        """How far the belt has moved, in parts: it rests at half parts, and moves smoothly between."""
        period, phase = divmod(frame_index / self.fps / PERIOD_S, 1.0)
        moved = max(0.0, (phase - REST_SHARE) / (1.0 - REST_SHARE))
        return period + 0.5 + moved * moved * (3.0 - 2.0 * moved)

    def _draw_defective(self, part: int, kind: str) -> Floats:
        rng = np.random.default_rng([self.seed, self.camera_index, 3, part])
        return defective_part(kind, self._look, rng)

    def _place(self, frame: Floats, part: int, x: float, defects: bool) -> None:
        """Blend the part in, its centre at column x before jitter."""
        defect = self.schedule.defect_of(part) if defects and part >= 0 else None
        sprite = self._good if defect is None else self._defective(part, defect.kind)
        side = sprite.shape[0]
        rng = np.random.default_rng([self.seed, self.camera_index, 4, part + 1])
        jitter = np.clip(rng.standard_normal(4), -2.0, 2.0)
        centre_x = x + jitter[0] * _PLACE_JITTER * self.height
        centre_y = self.height / 2 + jitter[1] * _PLACE_JITTER * self.height
        left = max(0, int(centre_x - side / 2) - 8)
        right = min(self.width, int(centre_x + side / 2) + 8)
        if left >= right:
            return
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), jitter[2] * _TURN_JITTER_DEG, 1.0)
        turn[:, 2] += (centre_x - side / 2 - left, centre_y - side / 2)
        laid = cast(Floats, cv2.warpAffine(sprite, turn, (right - left, self.height)))
        ground = frame[:, left:right]
        ground *= 1.0 - laid[..., 3:] / 255.0
        ground += laid[..., :3] * (1.0 + 0.008 * jitter[3])

    def _expose(self, frame: Floats, frame_index: int) -> Image:
        """Lamp, camera mount and sensor: flicker and slow drift, vibration, noise."""
        rng = np.random.default_rng([self.seed, self.camera_index, 5, frame_index])
        seconds = frame_index / self.fps
        drift = 0.020 * np.sin(2 * np.pi * seconds / 47.0 + self.camera_index)
        gain = 1.0 + drift + 0.005 * rng.standard_normal()
        dx, dy = np.clip(rng.standard_normal(2), -2.5, 2.5) * _VIBRATION_PX
        shift = np.asarray([[1.0, 0.0, dx], [0.0, 1.0, dy]])
        shaken = cv2.warpAffine(frame, shift, (self.width, self.height), borderMode=cv2.BORDER_REPLICATE)
        y, x = rng.integers(0, 64, 2)
        noise = self._noise[y : y + self.height, x : x + self.width]
        lit = cv2.multiply(shaken, self._light, scale=float(gain))
        return cast(Image, cv2.add(lit, noise, dtype=cv2.CV_8U))
