"""Records of scores as a run writes them, without the weight of a whole service."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

NOON_S = datetime(2026, 5, 31, 12, tzinfo=UTC).timestamp()
NOON_NS = round(NOON_S) * 10**9


def record(seq: int, score: float = 0.5, camera: str = "line-1", **others: Any) -> dict[str, Any]:
    """The seq-th frame after noon of a camera with ten frames a second, out of a Kafka topic."""
    time_ns = NOON_NS + seq * 10**8
    origin = f"frames/0/{seq}"
    return {
        "camera": camera,
        "seq": seq,
        "captured_at": time_ns,
        "score": score,
        "normalised": 0.5,
        "low": 0.0,
        "high": 1.0,
        "count": seq,
        "state": "ready",
        "model": "m1",
        "product": "",
        "region": "",
        "identity": f"{origin}@{time_ns}",
        "origin": origin,
        "hold": "no",
        "shelved": False,
        "limit": 0.9,
        "alert": None,
        **others,
    }


def write(file: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    """As lines of JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(one) + "\n" for one in records))
    return file


def until(condition: Callable[[], bool], timeout_s: float = 40) -> bool:
    """Whether the condition comes true in time."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.01)
    return False
