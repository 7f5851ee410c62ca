"""The port to what messages are made of, beside the events: pictures, links, and where a camera stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

PictureKind = Literal["picture", "heatmap", "clip"]


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses that work without a login for as long as `http.link_hours` says, where links are signed; else such as
    ask for the token. None where there is no such thing. `act`: a page to acknowledge, shelve or escalate; None where
    links are not signed. `alert`: the live page."""

    alert: str
    picture: str | None = None
    heatmap: str | None = None
    clip: str | None = None
    act: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a camera stands, by the configuration."""

    line: str | None = None
    tags: tuple[str, ...] = ()


class Materials(Protocol):
    """Thread-safe. What cannot be had is None or empty: a message without its picture is better than none."""

    def file(self, alert_id: str, kind: PictureKind, wait_s: float = 0.0) -> bytes | None:
        """JPEG, or MP4 for the clip. `wait_s`: how long to wait for one that is being made."""
        ...

    def strip(self, alert_ids: tuple[str, ...]) -> bytes | None:
        """The pictures of several alerts side by side as one JPEG, for digests; None where none is kept."""
        ...

    def links(self, alert_id: str, recipient: str) -> Links:
        """recipient: under whose name a click on `act` is noted, such as a subscription's."""
        ...

    def place(self, camera: str) -> Place: ...
