"""What paths name."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import HTTPException, Path

from monitor.judging.baseline.port import BaselineKey
from monitor.serving.served import Served

Camera = Annotated[str, Path(max_length=128)]
AlertId = Annotated[str, Path(pattern="^[0-9a-f]{1,64}$")]
NO_STORE = {"Cache-Control": "no-store"}
PROBLEM: dict[str, Any] = {
    "content": {"application/json": {"schema": {"type": "object", "properties": {"detail": {"type": "string"}}}}}
}
UNKNOWN_CAMERA: dict[int | str, dict[str, Any]] = {404: {"description": "No such camera here.", **PROBLEM}}
REFUSED: dict[int | str, dict[str, Any]] = {
    **UNKNOWN_CAMERA,
    409: {"description": "The order makes no sense at present; the reason is told.", **PROBLEM},
    503: {"description": "Redis does not answer; nothing was changed.", **PROBLEM},
}


def known(served: Served, camera: str) -> str:
    """The camera, if it is one. 404 otherwise: an order for a misspelt camera would look as if it held."""
    if served.board.read(camera, lambda s: s.camera) is None:
        raise HTTPException(404, f"no camera {camera} here; if another worker reads it, ask that one, or the commands")
    return camera


def baseline_of(served: Served, camera: str) -> BaselineKey:
    """The baseline that a camera is judged by. 404 before its first frame."""
    key = served.current(known(served, camera))
    if key is None:
        raise HTTPException(
            404, f"no frame of camera {camera} was judged here yet; `linewatch baselines list` shows what is kept"
        )
    return key
