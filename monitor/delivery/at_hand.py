"""What messages are made of beside the events, from what is at hand: evidence, clips, signed links, places."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from monitor.alerting.clips import ClipMaker
from monitor.alerting.evidence import EvidenceStore, Kind
from monitor.alerting.film import MORE_TO_COME
from monitor.alerting.strip import AT_MOST, strip
from monitor.delivery.materials import Links, PictureKind, Place
from monitor.links import LinkSigner

log = structlog.get_logger(__name__)

KINDS: dict[PictureKind, Kind] = {"picture": "evidence", "heatmap": "heatmap", "clip": "clip"}
LOOK_EVERY_S = 0.2
FILMING_S = 10.0
"""A clip that another process makes is there so long after its last frame, or it is not made."""


class AtHand:
    """Implements Materials. Raises nothing: what fails is logged and left out."""

    def __init__(
        self,
        store: EvidenceStore,
        clips: ClipMaker | None,
        links: LinkSigner,
        place: Callable[[str], Place],
        *,
        page_url: str,
        captions: Callable[[str], str] = lambda alert_id: "",
        after_s: float = 3.0,
    ) -> None:
        """clips: None where another process makes them. page_url: how others reach the live page. captions: of an
        alert's id, what stands below its picture in a strip (monitor.alerting.strip.caption); may raise. after_s:
        evidence.clip.after_s."""
        self._store = store
        self._clips = clips
        self._links = links
        self._place = place
        self._page_url = page_url
        self._captions = captions
        self._after_s = after_s

    def file(self, alert_id: str, kind: PictureKind, wait_s: float = 0.0) -> bytes | None:
        try:
            if kind == "clip" and wait_s > 0:
                self._wait_for_clip(alert_id, wait_s)
            return self._store.read(alert_id, KINDS[kind])
        except Exception as error:
            log.warning("picture_left_out", alert_id=alert_id, kind=kind, error=f"{type(error).__name__}: {error}")
            return None

    def strip(self, alert_ids: tuple[str, ...]) -> bytes | None:
        pictures: list[tuple[bytes, str]] = []
        for alert_id in reversed(alert_ids):  # the newest first, of those that have one
            picture = self.file(alert_id, "picture")
            if picture is not None:
                pictures.insert(0, (picture, self._caption(alert_id)))
            if len(pictures) == AT_MOST:
                break
        try:
            return strip([picture for picture, _ in pictures], [name for _, name in pictures])
        except Exception as error:
            log.warning("strip_left_out", alerts=len(alert_ids), error=f"{type(error).__name__}: {error}")
            return None

    def links(self, alert_id: str, recipient: str) -> Links:
        return Links(
            alert=self._page_url,
            picture=self._link(alert_id, "picture"),
            heatmap=self._link(alert_id, "heatmap"),
            clip=self._link(alert_id, "clip"),
            act=self._links.act(alert_id, recipient),
        )

    def place(self, camera: str) -> Place:
        return self._place(camera)

    def _link(self, alert_id: str, kind: PictureKind) -> str | None:
        try:
            there = (kind == "clip" and self._being_made(alert_id)) or self._store.has(alert_id, KINDS[kind])
        except OSError:
            there = False
        return self._links.picture(alert_id, kind) if there else None

    def _caption(self, alert_id: str) -> str:
        try:
            return self._captions(alert_id)
        except Exception as error:  # it is forgotten, or Redis is away
            log.info("caption_left_out", alert_id=alert_id, error=type(error).__name__)
            return ""

    def _wait_for_clip(self, alert_id: str, wait_s: float) -> None:
        if self._clips is not None and self._clips.making(alert_id):
            self._clips.wait(alert_id, wait_s)
            return
        end_s = time.monotonic() + wait_s
        while self._made_elsewhere(alert_id) and time.monotonic() < end_s:
            time.sleep(LOOK_EVERY_S)

    def _being_made(self, alert_id: str) -> bool:
        """A link may come before its clip: a message that goes out at once is there before the film is."""
        if self._clips is not None and self._clips.making(alert_id):
            return True
        return self._clips is None and self._made_elsewhere(alert_id)

    def _made_elsewhere(self, alert_id: str) -> bool:
        """Whether another process may be at it: its evidence is young, and there is no clip, or the one of what came
        before, which says so itself."""
        evidence = self._store.find(alert_id, "evidence")
        if evidence is None:
            return False
        try:
            written_s = evidence.stat().st_mtime
            if time.time() - written_s > self._after_s + FILMING_S:
                return False
            clip = self._store.find(alert_id, "clip")
            return clip is None or MORE_TO_COME.encode() in clip.read_bytes()
        except FileNotFoundError:  # brought away, or swept, this moment
            return False
