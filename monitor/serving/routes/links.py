"""Signed links: pictures that a mail client can show, and the page on which an alert is answered."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Annotated, Any, cast
from urllib.parse import parse_qsl

import redis
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from monitor.alerting.alert import EVERYWHERE
from monitor.alerting.evidence import Kind
from monitor.alerting.outbox import AlertUnknown
from monitor.delivery.escalating import EscalationRefused
from monitor.links import LinkRefused, Permit
from monitor.orders.shelf import OrderRefused
from monitor.serving.act_page import WHY, ActPage, refusal_page
from monitor.serving.evidence_answer import evidence_answer
from monitor.serving.routes.parameters import PROBLEM
from monitor.serving.served import Served

PICTURE_KEPT_S = 3600
SHELVE = re.compile(r"shelve-(30|120)")
NO_INDEX = {"X-Robots-Tag": "noindex"}
ACT_HEADERS = NO_INDEX | {
    "Cache-Control": "no-store",
    # With no-referrer a browser says `Origin: null` for the form, which is what another site's page may say as well.
    "Referrer-Policy": "same-origin",
}
REFUSED: dict[int | str, dict[str, Any]] = {
    403: {"description": "The signature is not ours, or not for this, or its time is over.", **PROBLEM},
    404: {"description": "It is not kept.", **PROBLEM},
}
_CONTENT: dict[str, Any] = {"image/jpeg": {}, "video/mp4": {}}


async def form(request: Request) -> dict[str, str]:
    """The fields of a form, the first of each name. What is no form has none."""
    text = (await request.body()).decode("latin-1")
    try:
        pairs = parse_qsl(text, max_num_fields=10, errors="replace")
    except ValueError:
        return {}
    return dict(reversed(pairs))


def add(app: FastAPI, served: Served) -> None:
    page = ActPage(served.links)

    @app.get(
        "/l/{alert_id}/{kind}",
        response_class=Response,
        responses={200: {"content": _CONTENT}, 206: {"content": _CONTENT, "description": "A range."}, **REFUSED},
    )
    def signed_picture(
        request: Request,
        alert_id: str,
        kind: str,
        until: Annotated[str, Query(description="Seconds since the epoch.")] = "",
        sig: Annotated[str, Query(description="Over all of the others.")] = "",
    ) -> Response:
        """The picture (`evidence`), heat map or clip of an alert, by a link out of a message."""
        try:
            left_s = served.links.check_picture(alert_id, kind, until, sig)
        except LinkRefused as error:
            raise HTTPException(403, str(error)) from None
        asked = request.headers
        answer = evidence_answer(
            served.evidence, alert_id, cast("Kind", kind), asked.get("range"), asked.get("if-range")
        )
        if answer is None:
            raise HTTPException(404, f"no {kind} of this alert is kept (any more, or a clip: yet)")
        # Any site may show it: whoever has the link may see the picture.
        answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        # A clip is replaced by its complete one some seconds later.
        kept = "no-cache" if kind == "clip" else f"max-age={min(left_s, PICTURE_KEPT_S)}"
        answer.headers["Cache-Control"] = f"private, {kept}"
        answer.headers.update(NO_INDEX)
        return answer

    def drawn(permit: Permit, name: str, trouble: str = "", status: int = 200) -> HTMLResponse:
        alert, now_ns = served.outbox.get(permit.alert_id), time.time_ns()
        shelf = None if alert.camera == EVERYWHERE else served.orders.shelved(alert.camera, now_ns)
        return HTMLResponse(page.alert(alert, shelf, permit, name, now_ns, trouble), status, ACT_HEADERS)

    @app.get("/act/{token}", response_class=HTMLResponse, include_in_schema=False)
    def look(token: str) -> Response:
        """What happened, and buttons. It changes nothing: mail scanners open every link."""
        try:
            permit = served.links.check_act(token)
            return drawn(permit, permit.recipient)
        except (LinkRefused, AlertUnknown, redis.RedisError) as error:
            return _refused(error)

    @app.post("/act/{token}", response_class=HTMLResponse, include_in_schema=False)
    def act(token: str, given: Annotated[dict[str, str], Depends(form)]) -> Response:
        """Do what a button says; then back to the page, which shows the new state."""
        try:
            permit = served.links.check_act(token)
        except LinkRefused as error:
            return _refused(error)
        name = " ".join(given.get("by", "").split())
        try:
            try:
                carry_out(served, permit, given, acting_as(name, permit.recipient))
            except (AlertUnknown, redis.RedisError):
                raise
            except (ValueError, LookupError) as error:  # refused, and why, whatever part of the service refuses it
                return drawn(permit, name or permit.recipient, str(error.args[0] if error.args else error), 409)
        except (AlertUnknown, redis.RedisError) as error:
            return _refused(error)
        return RedirectResponse(f"../act/{token}", 303, ACT_HEADERS)


def acting_as(name: str, recipient: str) -> str:
    """Under which name it is noted, 100 characters at most: anybody may have got hold of a message, so whose message it
    was belongs to it."""
    name = "".join(c for c in name if c.isprintable())
    if name in ("", recipient):
        return recipient
    link = f" (link of {recipient})"
    return name[: max(1, 100 - len(link))] + link if len(link) < 100 else recipient


def carry_out(served: Served, permit: Permit, given: Mapping[str, str], by: str) -> None:
    """Do what the button says. Raises AlertUnknown, OrderRefused and what else refuses an order, redis.RedisError."""
    what = given.get("do", "")
    alert = served.outbox.get(permit.alert_id)
    if what == "acknowledge":
        served.outbox.acknowledge(alert.alert_id, by)
    elif what == "false-alarm":
        served.marks.false_alarm(alert.alert_id, by)
    elif what == "escalate":
        try:
            served.escalate(alert.alert_id, by, None)
        except EscalationRefused as error:
            raise OrderRefused(f"{error}. On linewatch's page you can choose whom to call") from None
    elif shelving := SHELVE.fullmatch(what):
        if alert.camera == EVERYWHERE:
            raise OrderRefused("this alert is about all cameras: shelve single ones on linewatch's page")
        why = "".join(c for c in given.get("why", "") if c.isprintable()).strip()[:200] or WHY
        until_ms = time.time_ns() // 1_000_000 + int(shelving[1]) * 60_000
        served.orders.shelve(alert.camera, until_ms, by, why)
    else:
        raise OrderRefused("nothing was done: press one of the buttons")


def _refused(error: Exception) -> HTMLResponse:
    if isinstance(error, LinkRefused):
        return HTMLResponse(refusal_page("This link does not work", str(error)), 403, ACT_HEADERS)
    if isinstance(error, AlertUnknown):
        said = "This alert is no longer kept: evidence.keep_days says how long alerts are."
        return HTMLResponse(refusal_page("No such alert", said), 404, ACT_HEADERS)
    said = "Redis does not answer, so nothing can be shown or done. Go back and try again in a moment."
    return HTMLResponse(refusal_page("Not now", said), 503, ACT_HEADERS)
