"""What people order: shelving, products, missed defects, a changed configuration."""

from __future__ import annotations

import time

from fastapi import FastAPI, HTTPException, Request

from monitor.alerting.alert import Alert
from monitor.orders.shelf import OrderRefused, Shelf
from monitor.serving.acting import acting
from monitor.serving.bodies import MissedMark, ProductChange, ShelveOrder, Who
from monitor.serving.routes.cameras import newest
from monitor.serving.routes.parameters import PROBLEM, REFUSED, Camera, known
from monitor.serving.served import Served
from monitor.serving.views import ProductView, Reloaded
from monitor.settings_file import ConfigError


def add(app: FastAPI, served: Served) -> None:
    @app.post("/api/cameras/{camera:path}/shelve", responses=REFUSED)
    def shelve(request: Request, camera: Camera, order: ShelveOrder) -> Shelf:
        """Nobody is called for this camera for so long. Again extends or shortens."""
        until_ms = time.time_ns() // 1_000_000 + round(order.minutes * 60_000)
        return served.orders.shelve(known(served, camera), until_ms, acting(request, order.by), order.why)

    @app.post("/api/cameras/{camera:path}/unshelve", responses=REFUSED)
    def unshelve(request: Request, camera: Camera, who: Who | None = None) -> dict[str, str]:
        """The shelf ends now."""
        served.orders.unshelve(known(served, camera), acting(request, (who or Who()).by))
        return {"camera": camera}

    @app.post("/api/cameras/{camera:path}/product", responses=REFUSED)
    def product(request: Request, camera: Camera, change: ProductChange) -> ProductView:
        """What this camera sees, for frames captured from now on."""
        frame = served.board.read(known(served, camera), lambda s: s.frame)
        if change.product is not None and frame is not None and frame.product:
            raise OrderRefused(
                f"the frames of camera {camera} name their product themselves ({frame.product}), which goes before "
                "what is set by hand: change it where the frames come from"
            )
        served.orders.set_product(camera, change.product, acting(request, change.by))
        return ProductView(camera=camera, product=served.orders.product(camera, time.time_ns()))

    @app.post(
        "/api/cameras/{camera:path}/missed",
        responses={**REFUSED, 507: {"description": "Its picture cannot be written; nothing is marked.", **PROBLEM}},
    )
    def missed(request: Request, camera: Camera, mark: MissedMark | None = None) -> Alert:
        """There was a defect that raised no alert: its picture is kept, its frames leave the baseline. Again changes
        nothing."""
        mark = mark or MissedMark()
        sighting = served.board.read(known(served, camera), newest)
        if mark.at_ms is not None and (sighting is None or sighting.frame.captured_at_ns // 1_000_000 != mark.at_ms):
            sighting = served.seen.find(camera, mark.at_ms)
        if sighting is None:
            raise HTTPException(
                404,
                f"no picture of camera {camera} from that time is kept: the newest is, and for up to two minutes "
                "those that were shown; mark it while it is shown, or with the picture from elsewhere: "
                "linewatch alerts missed CAMERA --at TIME --picture FILE",
            )
        try:
            return served.marks.missed(
                camera,
                sighting.frame.captured_at_ns,
                acting(request, mark.by),
                mark.seconds,
                frame=sighting.frame,
                score=sighting.score,
                limit=sighting.limit,
                model=sighting.model,
            )
        except OSError as error:
            raise HTTPException(
                507,
                f"nothing was marked: the picture cannot be kept below evidence.dir ({error.strerror or error})",
            ) from None

    @app.post("/api/reload", responses={422: {"description": "The changed file is wrong: where and why.", **PROBLEM}})
    def reload() -> Reloaded:
        """Take the changed configuration over. Where it is wrong, the last good one stays."""
        try:
            changed = served.reload()
        except ConfigError as error:
            raise HTTPException(422, str(error)) from None
        return Reloaded(changed=changed, at_ms=time.time_ns() // 1_000_000)
