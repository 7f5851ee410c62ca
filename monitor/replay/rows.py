"""Stored scores as rows of numbers: 63 bytes a frame instead of a dict of a kilobyte."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.judging.episodes import Hold
from streams.camera_id import checked_camera

ROW = np.dtype(
    [
        ("time_ns", "i8"),
        ("seq", "i8"),
        ("score", "f8"),
        ("limit", "f8"),  # the threshold that was in force, raw; NaN where the record does not say
        ("alert", "u8"),  # the alert that was firing after this frame; 0 for none
        ("number", "i8"),  # the end of the origin where it is a number, else -1
        ("place", "i4"),  # the rest of the origin
        ("product", "i4"),
        ("model", "i4"),
        ("hold", "u1"),
        ("shelved", "u1"),  # whether somebody had shelved the camera by hand
        ("told", "u1"),  # whether the record says which alert was firing
    ]
)
Rows = NDArray[np.void]
Row = tuple[int, int, float, float, int, int, int, int, int, int, int, int]

HOLDS = tuple(Hold)
_HOLD_CODES = {hold.value: code for code, hold in enumerate(HOLDS)}
_MAX_NS = 1 << 62


class BadRecord(ValueError):
    """Something that is no record of a score; the message says what was found and what was expected."""


class Names:
    """Texts that come again and again, by number."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._texts: list[str] = []

    def code(self, text: str) -> int:
        known = self._codes.get(text)
        if known is None:
            known = self._codes[text] = len(self._texts)
            self._texts.append(text)
        return known

    def __getitem__(self, code: int) -> str:
        return self._texts[code]


class RowMaker:
    """Turns records of docs/topics.md into rows. The names that the rows' codes stand for are kept here.

    models: `model`, or `model-region` where the record names a region: what a baseline's key calls the model.
    """

    def __init__(self) -> None:
        self.places, self.products, self.models = Names(), Names(), Names()
        self._cameras: dict[str, str] = {}

    def row(self, record: Any) -> tuple[str, Row]:
        """The camera and the row. Raises BadRecord."""
        if not isinstance(record, dict):
            raise BadRecord(f"expected a JSON object, found {_shown(record)}")
        camera = self._camera(record.get("camera"))
        time_ns, score = record.get("captured_at"), record.get("score")
        if type(time_ns) is not int or not 0 < time_ns < _MAX_NS:
            raise BadRecord(f"captured_at: expected nanoseconds since the epoch, found {_shown(time_ns)}")
        if (type(score) is not float and type(score) is not int) or not math.isfinite(score):
            raise BadRecord(f"score: expected a finite number, found {_shown(score)}")
        hold = record.get("hold", "no")
        code = _HOLD_CODES.get(hold) if isinstance(hold, str) else None
        if code is None:
            raise BadRecord(f"hold: expected one of {', '.join(_HOLD_CODES)}, found {_shown(hold)}")
        seq, limit = record.get("seq", 0), record.get("limit")
        place, number = _place(_origin(record, time_ns))
        return camera, (
            time_ns,
            seq if type(seq) is int and abs(seq) < _MAX_NS else 0,
            float(score),
            float(limit) if isinstance(limit, (float, int)) else math.nan,
            _alert(record.get("alert")),
            number,
            self.places.code(place),
            self.products.code(_text(record, "product")),
            self.models.code(_model(record)),
            code,
            record.get("shelved") is True,
            "alert" in record,
        )

    def _camera(self, value: Any) -> str:
        if not isinstance(value, str):
            raise BadRecord(f"camera: expected a camera's id, found {_shown(value)}")
        known = self._cameras.get(value)
        if known is None:
            try:
                known = self._cameras[value] = checked_camera(value)
            except ValueError as error:
                raise BadRecord(f"camera: {error}") from None
        return known

    def origin(self, place: int, number: int) -> str:
        """The origin again, as the record had it; empty where it had none."""
        return self.places[place] + (str(number) if number >= 0 else "")


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRecord(f"{name}: expected a text, found {_shown(value)}")
    return value or ""


def _model(record: Mapping[str, Any]) -> str:
    model, region = _text(record, "model"), _text(record, "region")
    if not model:
        raise BadRecord("model: missing; expected the id of the model that gave the score")
    return f"{model}-{region}" if region else model


def _origin(record: Mapping[str, Any], time_ns: int) -> str:
    origin = _text(record, "origin")
    return origin or _text(record, "identity").removesuffix(f"@{time_ns}")


def _place(origin: str) -> tuple[str, int]:
    """An origin ends in a number nearly always (`topic/partition/offset`, `path#index`): parted from it, the rest is
    the same for thousands of frames."""
    end = max(origin.rfind("/"), origin.rfind("#")) + 1
    tail = origin[end:]
    if tail.isascii() and tail.isdigit() and len(tail) < 19 and (tail[0] != "0" or tail == "0"):
        return origin[:end], int(tail)
    return origin, -1


def _alert(value: Any) -> int:
    """Our alerts' ids are 16 hexadecimal digits."""
    if value is None:
        return 0
    try:
        return int(value, 16) if len(value) == 16 else 0
    except (TypeError, ValueError):
        raise BadRecord(f"alert: expected an alert's id or null, found {_shown(value)}") from None


def alert_id(code: int) -> str:
    """The id again."""
    return f"{code:016x}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
