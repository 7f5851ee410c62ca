"""Every camera, its newest picture and its scores."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Response

from monitor.serving.board import Status
from monitor.serving.ledger import Account
from monitor.serving.routes.parameters import NO_STORE, REFUSED, UNKNOWN_CAMERA, Camera, known
from monitor.serving.seen import Sighting
from monitor.serving.served import Served
from monitor.serving.showing import Around, camera_view, scores_view
from monitor.serving.views import CameraView, ScoresView
from streams.codec import jpeg_of


def add(app: FastAPI, served: Served) -> None:
    @app.get("/api/cameras")
    def cameras() -> list[CameraView]:
        """Every camera that delivered a frame or is configured."""
        accounts, rules, now_ns = served.ledger.accounts(), served.rules(), time.time_ns()

        def view(status: Status) -> CameraView:
            account = accounts.get(status.camera, Account())
            return camera_view(status, account, rules, around(served, status, now_ns))

        seen = {found.camera: found for found in served.board.read_all(view)}
        never_judged = {
            camera: view(Status(camera))
            for camera in accounts
            if camera not in seen and not served.board.has_left(camera)
        }
        return [found for _, found in sorted((seen | never_judged).items())]

    @app.get("/api/cameras/{camera:path}/scores", responses=UNKNOWN_CAMERA)
    def scores(camera: Camera, since_ms: Annotated[int, Query(ge=0)] = 0) -> ScoresView:
        """The last five minutes of a camera's scores, newer than `since_ms`."""
        found = served.board.read(camera, lambda s: scores_view(s, since_ms))
        if found is None:
            raise HTTPException(404, f"no camera {camera}")
        return found

    @app.get("/api/cameras/{camera:path}/latest.jpg", response_class=Response, responses=UNKNOWN_CAMERA)
    def latest(camera: Camera) -> Response:
        """The newest picture that was judged, its capture time in X-Captured-At (ns)."""
        sighting = served.board.read(camera, newest)
        if sighting is None:
            raise HTTPException(404, f"no picture of camera {camera} yet")
        jpeg = jpeg_of(sighting.frame)
        served.seen.note(sighting, jpeg)
        return Response(
            jpeg, media_type="image/jpeg", headers=NO_STORE | {"X-Captured-At": str(sighting.frame.captured_at_ns)}
        )

    @app.post("/api/cameras/{camera:path}/accept-view", status_code=202, responses=REFUSED)
    def accept_view(camera: Camera) -> dict[str, str]:
        """What this camera shows now is how it shall be (it was moved or lit anew on purpose): it is learnt anew."""
        if not served.accept_view(known(served, camera)):
            raise HTTPException(409, "health.enabled is false: no view is learnt")
        return {"camera": camera}


def newest(status: Status) -> Sighting | None:
    """The newest judged frame with its picture."""
    if status.frame is None or status.verdict is None:
        return None
    return Sighting(status.frame, status.verdict.score, status.verdict.limit, status.verdict.model)


def around(served: Served, status: Status, now_ns: int) -> Around:
    """What is shown of a camera besides its frames."""
    camera, verdict = status.camera, status.verdict
    return Around(
        held_back=served.held_back(camera),
        product=verdict.key.product if verdict else served.orders.product(camera, now_ns),
        threshold_from=served.threshold_from(camera),
        episode=served.episode_state(camera),
        shelved=served.orders.shelved(camera, now_ns),
        region=served.region(camera),
    )
