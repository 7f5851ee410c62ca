"""From a frame as its camera delivered it to the bytes that are sent."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from monitor.ingest.settings import Encode
from streams.codec import CodecError, claimed_size, decode, encode_jpeg
from streams.frame import Frame, Pixels


class Encoder:
    """Encodes frames. Thread-safe."""

    def __init__(self, settings: Encode, max_message_bytes: int) -> None:
        self._settings = settings
        self._max_message_bytes = max_message_bytes

    def encode(self, frame: Frame) -> Frame:
        """The same frame with a payload and without pixels.

        A payload that may pass is the very same bytes; only its header is looked at. Raises CodecError: `empty`,
        `undecodable`, `too_large` (more than `max_pixels`), `oversized` (more bytes than a message may have).
        """
        payload = self._payload(frame)
        if len(payload) > self._max_message_bytes:
            raise CodecError(
                "oversized",
                f"{len(payload)} bytes; kafka.max_message_bytes is {self._max_message_bytes}: raise it, here and at "
                "the broker, or lower encode.quality, encode.max_width or encode.max_height",
            )
        return replace(frame, payload=payload, pixels=None)

    def _payload(self, frame: Frame) -> bytes:
        pixels = frame.pixels
        if pixels is not None:
            self._check_pixels(pixels.shape[1], pixels.shape[0])
        else:
            payload = frame.payload or b""
            if not payload:
                raise CodecError("empty", "the file has no bytes")
            width, height = claimed_size(payload)
            self._check_pixels(width, height)
            if self._settings.pass_through and self._scale(width, height) == 1.0:
                return payload
            pixels = decode(payload, self._settings.max_pixels)
        return encode_jpeg(self._reduced(pixels), self._settings.quality)

    def _check_pixels(self, width: int, height: int) -> None:
        limit = self._settings.max_pixels
        if width * height > limit:
            raise CodecError("too_large", f"{width}x{height} pixels; encode.max_pixels is {limit}")

    def _reduced(self, pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        scale = self._scale(width, height)
        if scale == 1.0:
            return pixels
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)

    def _scale(self, width: int, height: int) -> float:
        """What both limits ask for; 1 where the picture is small enough."""
        limits = ((self._settings.max_width, width), (self._settings.max_height, height))
        return min([1.0, *(limit / size for limit, size in limits if limit is not None and size > limit)])
