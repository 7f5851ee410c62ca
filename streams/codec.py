"""Encoded images to pixels and back, with nothing trusted that comes from outside."""

from __future__ import annotations

import io
import warnings

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from streams.frame import Frame, Pixels

# The header is read here and compared with our own limit, before a pixel is decoded; Pillow's limit would only
# turn the same finding into an exception of another kind.
Image.MAX_IMAGE_PIXELS = None


class CodecError(ValueError):
    """The bytes are no image that can be used. `reason` is short and stable, for counters and headers."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def claimed_size(payload: bytes) -> tuple[int, int]:
    """Width and height that the header claims, in pixels, without decoding.

    Raises CodecError (`undecodable`) where no known image format is found.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(payload)) as image:
                return image.size
    except UnidentifiedImageError:
        raise CodecError("undecodable", f"no image format found in {len(payload)} bytes") from None
    except Exception as error:  # Pillow's plug-ins raise many kinds on broken headers
        raise CodecError("undecodable", f"broken image header: {type(error).__name__}") from None


def decode(payload: bytes, max_pixels: int) -> Pixels:
    """Pixels, uint8 [H, W, 3] BGR, of an encoded image.

    Raises CodecError: `empty`, `undecodable` (no image, or cut off), `too_large` (the header claims more than
    `max_pixels`; nothing is decoded then, so a decompression bomb costs a header).
    """
    if not payload:
        raise CodecError("empty", "the message has no bytes")
    width, height = claimed_size(payload)
    if width * height > max_pixels:
        raise CodecError("too_large", f"the header claims {width}x{height} pixels; the limit is {max_pixels} in all")
    try:
        pixels = cv2.imdecode(np.frombuffer(payload, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise CodecError("undecodable", f"{width}x{height} by its header, but its {len(payload)} bytes do not decode")
    return np.asarray(pixels, dtype=np.uint8)


def encode_jpeg(pixels: Pixels, quality: int = 90) -> bytes:
    """JPEG bytes of uint8 [H, W, 3] BGR. Raises ValueError where OpenCV cannot encode."""
    ok, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"cannot encode a picture of shape {pixels.shape} as JPEG")
    return encoded.tobytes()


def pixels_of(frame: Frame, max_pixels: int) -> Pixels:
    """The frame's pixels, decoded now where it carries encoded bytes. Raises CodecError as `decode` does."""
    if frame.pixels is not None:
        height, width = frame.pixels.shape[:2]
        if height * width > max_pixels:
            raise CodecError("too_large", f"{width}x{height} pixels; the limit is {max_pixels} in all")
        return frame.pixels
    return decode(frame.payload or b"", max_pixels)


def jpeg_of(frame: Frame) -> bytes:
    """The frame as JPEG: the very bytes that arrived where they are JPEG, encoded now otherwise.

    Raises CodecError or ValueError where the frame holds no picture.
    """
    if frame.payload is not None and frame.payload[:2] == b"\xff\xd8":
        return frame.payload
    return encode_jpeg(pixels_of(frame, max_pixels=1 << 30))
