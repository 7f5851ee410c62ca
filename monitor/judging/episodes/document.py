"""The state of a camera's episodes as text: what a restart, or another worker, goes on with."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from monitor.judging.episodes.camera import CameraEpisodes, Look, Onset, Seen
from monitor.judging.episodes.episode import Episode, Reason
from monitor.judging.episodes.marks import Marks

VERSION: Final = 1


class StateUnreadable(ValueError):
    """A document of another version, or a damaged one; the message says which."""


class _Document(BaseModel):
    """JSON; what stands at its default is left out. `marks`: see `Marks`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    v: Literal[1]
    marks: dict[str, tuple[int, int]]
    product: str | None = None
    recent: tuple[Seen | None, ...] = ()
    since_ns: int | None = None
    onset: tuple[Seen, Seen] | None = None
    deferred: tuple[Seen, Seen] | None = None
    firing: Episode | None = None
    old_before_ns: int | None = None
    normal_in_a_row: int = 0
    normal_since_ns: int | None = None
    cool_until_ns: int = 0
    held_for: tuple[Reason, ...] = ()
    in_trouble: bool = False
    held_in_trouble: bool = False


def write(body: dict[str, Any], marks: Marks) -> str:
    """The document of a camera. `body`: `CameraEpisodes.body()`."""
    document = _Document.model_construct(v=VERSION, marks=marks.to_dict(), **body)
    return document.model_dump_json(exclude_defaults=True)


def read(text: str) -> CameraEpisodes:
    """The camera again, without pictures. Raises StateUnreadable."""
    try:
        document = _Document.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise StateUnreadable(f"{where}: {first['msg']} (expected version {VERSION})") from None
    return CameraEpisodes(
        product=document.product,
        recent=[Look(seen) for seen in document.recent],
        since_ns=document.since_ns,
        onset=document.onset and Onset(*document.onset),
        deferred=document.deferred and Onset(*document.deferred),
        firing=document.firing,
        old_before_ns=document.old_before_ns,
        normal_in_a_row=document.normal_in_a_row,
        normal_since_ns=document.normal_since_ns,
        cool_until_ns=document.cool_until_ns,
        held_for=set(document.held_for),
        in_trouble=document.in_trouble,
        held_in_trouble=document.held_in_trouble,
        marks=Marks(document.marks),
    )
