"""What the network is shown of a camera: its region, and a fill that does not change for all the rest.

The networks look at whole pictures. So what does not count is not cut away but replaced, by the same pixels in every
frame: those of a picture of this very camera, which is what the network has learnt to find normal. Two frames that
differ only outside the region are the same to the network, to the last bit.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from monitor.scoring.fill import FillKey, Fills, FillsAway, Picture
from monitor.scoring.fill_learning import FillLearner
from monitor.scoring.region import Region, RegionOf

log = structlog.get_logger(__name__)

RENEW_AFTER_S: Final = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A camera as it is shown. kept: 255 where its own pixels stay, else 0; rest: the fill there, else 0; both as the
    picture. learner: None once the fill is final. stored: whether it is the one that is kept for all; due_s: when to
    look again (monotonic)."""

    region: Region
    key: FillKey
    fill: Picture
    kept: Picture
    rest: Picture
    learner: FillLearner | None
    stored: bool
    due_s: float


class RegionLens:
    """Replaces in each camera's pictures what lies outside its region. Thread-safe.

    A camera's fill is asked for at its first frame. Where none is kept it is learnt from its frames, of which the
    first serves meanwhile, and stored. Apart from these two moments no frame waits for the store.
    """

    def __init__(self, regions: RegionOf, fills: Fills) -> None:
        self._regions = regions
        self._fills = fills
        self._views: dict[str, _View] = {}
        self._lock = threading.Lock()
        self.trouble: str | None = None
        """Why fills are not kept for all at present."""

    def __call__(self, camera: str, picture: Picture, time_ns: int) -> Picture:
        """uint8 [S, S, C] as the network would see it, captured at `time_ns` -> the same with the fill outside the
        camera's region. Where it has no region the picture itself is returned; never is it changed."""
        view = self._views.get(camera)
        if view is None or view.learner is not None or view.fill.shape != picture.shape:
            if self._regions(camera).is_everything:
                return picture
            with self._lock:
                region = self._regions(camera)  # they may have changed just now
                view = self._views[camera] = self._looked(camera, region, picture, time_ns)
        shown = np.bitwise_and(picture, view.kept)
        return np.bitwise_or(shown, view.rest, out=shown)

    def learning(self, camera: str) -> bool:
        """Whether the fill is not final: scores may shift once more, and had better not enter a baseline."""
        view = self._views.get(camera)
        return view is not None and view.learner is not None

    def region(self, camera: str) -> Region:
        """The region that counts for a camera now."""
        return self._regions(camera)

    def mask_heat(self, camera: str, heat: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [S, S] -> the same, 0 outside the camera's region."""
        region = self._regions(camera)
        return heat if region.is_everything else np.where(region.mask(len(heat)), heat, np.float32(0))

    def change(self, regions: RegionOf) -> None:
        """Other regions from now on. A camera whose region stays keeps its fill."""
        with self._lock:
            self._regions = regions
            for camera, view in list(self._views.items()):
                if regions(camera) != view.region:
                    del self._views[camera]

    def leave(self, camera: str) -> None:
        """A camera went elsewhere: what is kept of it is asked for again when it comes back."""
        with self._lock:
            self._views.pop(camera, None)

    def forget(self, camera: str) -> None:
        """Learn a camera's fill anew, from its next frame on; other workers notice within RENEW_AFTER_S. Raises
        FillsAway where the one that is kept cannot be taken away; nothing has changed then."""
        view = self._views.get(camera)
        if view is not None:
            self._fills.forget(view.key)
            self.leave(camera)

    def keep(self) -> None:
        """Store fills that could not be stored, put off the end of those that are kept, and learn anew what somebody
        has taken away. To be called now and then, not by the threads that frames go through: it waits for the store."""
        trouble = None
        for camera, view in list(self._views.items()):
            if view.learner is not None or time.monotonic() < view.due_s:
                continue
            try:
                after = self._kept_up(camera, view)
            except FillsAway as error:
                trouble = f"the fills of the regions cannot be kept: {error}"
                continue
            with self._lock:
                if self._views.get(camera) is not view:
                    continue
                if after is None:
                    del self._views[camera]
                else:
                    self._views[camera] = after
        self.trouble = trouble

    def _kept_up(self, camera: str, view: _View) -> _View | None:
        """The view after a look at the store; None where its fill is to be learnt anew."""
        if not view.stored:
            return self._stored(camera, view.region, view.key, view.fill)
        if self._fills.renew(view.key):
            return replace(view, due_s=time.monotonic() + RENEW_AFTER_S)
        log.warning("region_fill_gone", camera=camera, remedy="it is learnt anew; scores may shift a little")
        return None

    def _looked(self, camera: str, region: Region, picture: Picture, time_ns: int) -> _View:
        """The view to show this picture in; called with the lock."""
        key = FillKey(camera, region.id, picture.shape[0], picture.shape[2])
        view = self._views.get(camera)
        if view is None or view.key != key:
            kept = self._loaded(key)
            if kept is not None:
                return _view(region, key, kept, stored=True)
            learner = FillLearner(picture, time_ns)
        elif view.learner is None or not view.learner.offer(picture, time_ns):  # None: another thread was faster
            return view
        else:
            learner = view.learner
        if not learner.complete:
            return _view(region, key, learner.fill, learner=learner)
        log.info("region_fill_learnt", camera=camera, region=region.id)
        try:
            return self._stored(camera, region, key, learner.fill)
        except FillsAway as error:
            log.warning("region_fill_not_kept", camera=camera, error=str(error), remedy="stored when Redis answers")
            return _view(region, key, learner.fill)

    def _loaded(self, key: FillKey) -> Picture | None:
        try:
            return self._fills.load(key)
        except FillsAway as error:
            log.warning("region_fill_away", camera=key.camera, error=str(error), remedy="learnt anew meanwhile")
            return None

    def _stored(self, camera: str, region: Region, key: FillKey, fill: Picture) -> _View:
        """The view with what is kept once this fill was offered. Raises FillsAway."""
        kept = self._fills.store(key, fill)
        if not np.array_equal(kept, fill):
            log.warning("region_fill_replaced", camera=camera, remedy="one was kept already; scores may shift a little")
        return _view(region, key, kept, stored=True)


def _view(
    region: Region, key: FillKey, fill: Picture, *, learner: FillLearner | None = None, stored: bool = False
) -> _View:
    inside = region.mask(key.side)[..., None]
    return _View(
        region=region,
        key=key,
        fill=fill,
        kept=np.where(np.broadcast_to(inside, fill.shape), np.uint8(255), np.uint8(0)),
        rest=np.where(inside, np.uint8(0), fill),
        learner=learner,
        stored=stored,
        due_s=time.monotonic() + RENEW_AFTER_S if stored else 0.0,
    )
