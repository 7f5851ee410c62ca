"""A camera's baseline: what is known of it, and what people order about it. All is about the baseline that the camera
is judged by now; `linewatch baselines` reaches those of its other products and models."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Body, FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse

from monitor.judging.baseline.port import BaselineKey
from monitor.orders.baselines import freeze, thaw
from monitor.orders.shelf import OrderRefused
from monitor.serving.acting import acting
from monitor.serving.bodies import BaselineOrder
from monitor.serving.routes.parameters import NO_STORE, PROBLEM, REFUSED, UNKNOWN_CAMERA, Camera, baseline_of
from monitor.serving.served import Served
from monitor.serving.showing import baseline_view
from monitor.serving.views import BaselineView, DistributionView

BINS = 40


def add(app: FastAPI, served: Served) -> None:
    def shown(camera: str) -> BaselineView:
        key = baseline_of(served, camera)
        verdict = served.board.read(camera, lambda s: s.verdict)
        spread = served.store.distribution(key, BINS)
        return baseline_view(
            served.store.life(key),
            # What it was judged by another moment says nothing of this one, say after a changeover.
            verdict if verdict is not None and verdict.key == key else None,
            served.threshold_from(camera),
            DistributionView(edges=list(spread.edges), counts=list(spread.counts)) if spread.counts else None,
        )

    @app.get("/api/cameras/{camera:path}/baseline", responses=UNKNOWN_CAMERA)
    def baseline(camera: Camera) -> BaselineView:
        """Its life cycle, and the distribution of the scores in it."""
        return shown(camera)

    @app.post("/api/cameras/{camera:path}/baseline/reset", responses=REFUSED)
    def reset_baseline(request: Request, camera: Camera, order: BaselineOrder | None = None) -> BaselineView:
        """Throw away what was learnt and begin again."""
        order = order or BaselineOrder()
        served.store.reset(_meant(served, camera, order), acting(request, order.by))
        return shown(camera)

    @app.post("/api/cameras/{camera:path}/baseline/freeze", responses=REFUSED)
    def freeze_baseline(request: Request, camera: Camera, order: BaselineOrder | None = None) -> BaselineView:
        """It neither learns nor forgets from now on. Again changes nothing."""
        order = order or BaselineOrder()
        freeze(served.store, _meant(served, camera, order), acting(request, order.by))
        return shown(camera)

    @app.post("/api/cameras/{camera:path}/baseline/thaw", responses=REFUSED)
    def thaw_baseline(request: Request, camera: Camera, order: BaselineOrder | None = None) -> BaselineView:
        """It learns again. Again changes nothing."""
        order = order or BaselineOrder()
        thaw(served.store, _meant(served, camera, order), acting(request, order.by))
        return shown(camera)

    @app.get("/api/cameras/{camera:path}/baseline/export", responses=UNKNOWN_CAMERA)
    def export_baseline(camera: Camera) -> dict[str, Any]:
        """The whole baseline as a document, to be kept or taken to another line."""
        key = baseline_of(served, camera)
        try:
            document = served.store.export(key)
        except KeyError as error:
            raise HTTPException(404, f"{error.args[0]} yet") from None
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{key.camera}-{key.product}".strip("-"))[:100]
        headers = NO_STORE | {"Content-Disposition": f'attachment; filename="baseline-{name}.json"'}
        return JSONResponse(document, headers=headers)  # type: ignore[return-value] # as OpenAPI says

    @app.post(
        "/api/cameras/{camera:path}/baseline/import",
        responses={**REFUSED, 413: {"description": "More than 8 MB.", **PROBLEM}},
    )
    def import_baseline(
        request: Request,
        camera: Camera,
        document: Annotated[dict[str, Any], Body()],
        by: Annotated[str, Query(min_length=1, max_length=100)] = "operator",
    ) -> BaselineView:
        """Replace the baseline by an exported document. 422 with what is wrong with it."""
        key = baseline_of(served, camera)
        try:
            served.store.load(key, document, acting(request, by))
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        return shown(camera)


def _meant(served: Served, camera: str, order: BaselineOrder) -> BaselineKey:
    """The baseline that an order is about: the line may have changed over since it was given. OrderRefused then."""
    key = baseline_of(served, camera)
    for what, meant, now in (("product", order.product, key.product), ("model", order.model, key.model)):
        if meant is not None and meant != now:
            raise OrderRefused(
                f"camera {camera} is judged by the baseline of {what} {now or '(none)'} by now, and the order is about "
                f"that of {what} {meant or '(none)'}: look again, or reach that one by `linewatch baselines`"
            )
    return key
