"""Encoded images to pixels and back, with nothing trusted that comes from outside."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from streams.frame import Frame, Pixels
from streams.jpeg import plain_jpeg_size

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


Size = tuple[int, int]
"""Width and height, in pixels."""

Enough = Callable[[Size], Size]
"""Of a picture's full size, the least that it is needed in."""

_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))


def decode(payload: bytes, max_pixels: int) -> Pixels:
    """Pixels, uint8 [H, W, 3] BGR, of an encoded image.

    Raises CodecError: `empty`, `undecodable` (no image, or cut off), `too_large` (the header claims more than
    `max_pixels`; nothing is decoded then, so a decompression bomb costs a header).
    """
    return _decoded(payload, max_pixels, None)[0]


def decode_enough(payload: bytes, max_pixels: int, enough: Enough) -> tuple[Pixels, Size]:
    """As `decode`, but a JPEG to a half, a quarter or an eighth of its sides where the result still has the size that
    is enough; it is stored so that this costs a third. The result stands for the whole picture, averaged. And the size
    of the picture in full."""
    return _decoded(payload, max_pixels, enough)


def _decoded(payload: bytes, max_pixels: int, enough: Enough | None) -> tuple[Pixels, Size]:
    if not payload:
        raise CodecError("empty", "the message has no bytes")
    plain = plain_jpeg_size(payload)  # a tenth of what Pillow takes, and Pillow holds the GIL all the while
    width, height = plain or claimed_size(payload)
    if width * height > max_pixels:
        raise CodecError("too_large", f"the header claims {width}x{height} pixels; the limit is {max_pixels} in all")
    scale, how = 1, cv2.IMREAD_COLOR
    if enough is not None and is_jpeg(payload):
        ways = [(width, height)] if plain else [(width, height), (height, width)]  # Exif may say that it was turned
        scale, how = _scale([(way, enough(way)) for way in ways])
    try:
        pixels = cv2.imdecode(np.frombuffer(payload, dtype=np.uint8), how)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise CodecError("undecodable", f"{width}x{height} by its header, but its {len(payload)} bytes do not decode")
    made = np.asarray(pixels, dtype=np.uint8)
    if scale == 1:
        return made, (made.shape[1], made.shape[0])
    as_stored = made.shape[:2] == (height // scale, width // scale)
    return made, (width, height) if as_stored else (height, width)


def is_jpeg(payload: bytes) -> bool:
    return payload[:2] == b"\xff\xd8"


def _scale(ways: list[tuple[Size, Size]]) -> tuple[int, int]:
    """The largest reduction that leaves enough, and OpenCV's word for it. ways: each size that the picture may have in
    full, and the least that is enough of it.

    Only what divides both sides: otherwise the last column and row reach over the edge, the picture is shifted by parts
    of a pixel, and scores move ten times as far.
    """
    for by, how in _REDUCED:
        pairs = [pair for full, enough in ways for pair in zip(full, enough, strict=True)]
        if all(side % by == 0 and side // by >= least for side, least in pairs):
            return by, how
    return 1, cv2.IMREAD_COLOR


def encode_jpeg(pixels: Pixels, quality: int = 90) -> bytes:
    """JPEG bytes of uint8 [H, W, 3] BGR. Raises ValueError where OpenCV cannot encode."""
    ok, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"cannot encode a picture of shape {pixels.shape} as JPEG")
    return encoded.tobytes()


def pixels_of(frame: Frame, max_pixels: int) -> Pixels:
    """The frame's pixels, decoded now where it carries encoded bytes. Raises CodecError as `decode` does."""
    if frame.pixels is None:
        return decode(frame.payload or b"", max_pixels)
    _check_size(frame.pixels, max_pixels)
    return frame.pixels


def enough_of(frame: Frame, max_pixels: int, enough: Enough) -> tuple[Pixels, Size]:
    """As `pixels_of`, by `decode_enough`. Pixels that the source had decoded are handed on in full."""
    if frame.pixels is None:
        return decode_enough(frame.payload or b"", max_pixels, enough)
    return frame.pixels, _check_size(frame.pixels, max_pixels)


def _check_size(pixels: Pixels, max_pixels: int) -> Size:
    height, width = pixels.shape[:2]
    if height * width > max_pixels:
        raise CodecError("too_large", f"{width}x{height} pixels; the limit is {max_pixels} in all")
    return width, height


def jpeg_of(frame: Frame) -> bytes:
    """The frame as JPEG: the very bytes that arrived where they are JPEG, encoded now otherwise.

    Raises CodecError or ValueError where the frame holds no picture.
    """
    if frame.payload is not None and is_jpeg(frame.payload):
        return frame.payload
    return encode_jpeg(pixels_of(frame, max_pixels=1 << 30))
