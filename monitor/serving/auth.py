"""Who may see the service and change what: everybody on loopback, or whoever shows a token, as far as its role goes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.http_settings import Access, Role
from monitor.serving.headers import SECURITY_HEADERS
from monitor.serving.rates import Rate
from monitor.serving.roles import SAFE_METHODS, is_open, may, needed
from monitor.serving.throttle import caller_network

__all__ = ["SECURITY_HEADERS", "Caller", "Gate"]

log = structlog.get_logger(__name__)

WRONG_TOKENS_PER_MINUTE = 20


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. name: under which all they do is noted, whatever they say; "" where they say it themselves, since
    nobody in particular holds that token, or there is none."""

    name: str
    role: Role

    @property
    def called(self) -> str:
        """As a refusal names them."""
        return self.name or "this token"


EVERYBODY = Caller("", "admin")


class Gate:
    """Middleware. With tokens, all but what is signed and /healthz need `Authorization: Bearer`: 401. What the token's
    role does not include is refused with 403, which says who may do it. Who asks is left in `scope["state"]["access"]`
    (a Caller) for what comes behind.

    A browser cannot send that header for a page, a picture or an event stream; it may show the same token as the
    password of Basic authentication, with any user name, which it asks for by itself. Requests that change something
    and that another site's page has sent are refused, since browsers add that password, or their place on this
    machine, to those as well. Plain ASGI, so that an event stream ends quietly when its listener leaves.

    token: makes an admin in whose name nobody is noted. access: tokens with names and roles. wrong: how often one
    address may show a wrong token; beyond, it gets 429 for these, and a right one still passes: many may share it.
    """

    def __init__(
        self, app: ASGIApp, token: str | None = None, access: Sequence[Access] = (), wrong: Rate | None = None
    ) -> None:
        self._app = app
        holders = [(one.token.get_secret_value(), Caller(one.name, one.role)) for one in access]
        if token is not None:
            holders.append((token, EVERYBODY))
        # Digests are of one length, so that comparing them tells nothing of the tokens' lengths.
        self._holders = tuple((_digest(shown.encode()), caller) for shown, caller in holders)
        self._wrong = wrong or Rate(WRONG_TOKENS_PER_MINUTE)
        self._told = Rate(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        if scope["method"] not in SAFE_METHODS and _foreign(headers):
            return JSONResponse({"detail": "requests from other sites' pages change nothing here"}, 403)
        if is_open(scope["path"]):
            return None
        caller = EVERYBODY
        if self._holders:
            shown = _shown(headers)
            found = None if shown is None else self._holder(shown)
            if found is None:
                return self._unknown(scope, wrong=shown is not None)
            caller = found
        least = needed(scope["method"], scope["path"])
        if not may(caller.role, least):
            return JSONResponse(
                {
                    "detail": f"this needs the role {least}; {caller.called} has the role {caller.role}: ask somebody "
                    "who may, or have the role changed in http.access"
                },
                403,
            )
        scope.setdefault("state", {})["access"] = caller
        return None

    def _holder(self, shown: bytes) -> Caller | None:
        """Compares with all, so that the time it takes does not tell which one was nearly right."""
        digest = _digest(shown)
        found = None
        for known, caller in self._holders:
            if hmac.compare_digest(digest, known):
                found = caller
        return found

    def _unknown(self, scope: Scope, *, wrong: bool) -> JSONResponse:
        """No token: a browser that is yet to ask for it. A wrong one: somebody guesses, or uses an old one."""
        network = caller_network(scope)
        wait_s = self._wrong.exceeded_s(network) if wrong else None
        if wait_s is None:
            return JSONResponse(
                {"detail": f"{'this token is not known' if wrong else 'show a token'}: Authorization: Bearer <token>"},
                401,
                headers={"WWW-Authenticate": 'Basic realm="linewatch, password is the token", charset="UTF-8"'},
            )
        if self._told.exceeded_s(network) is None:
            log.warning("wrong_tokens", address=network, remedy="a program with an old token, or somebody who guesses")
        detail = f"too many wrong tokens from this address; again in {wait_s} s. The right one is taken at any time"
        return JSONResponse({"detail": detail}, 429, headers={"Retry-After": str(wait_s)})


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _shown(headers: Headers) -> bytes | None:
    """The token that a request shows; None where it shows none."""
    scheme, _, told = headers.get("authorization", "").partition(" ")
    given = told.strip().encode("latin-1")  # as it came
    if scheme.lower() == "bearer":
        return given
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(given, validate=True).partition(b":")[2].strip()
    except (binascii.Error, ValueError):
        return b""


def _foreign(headers: Headers) -> bool:
    """Whether another site's page has sent this. Browsers say so in Sec-Fetch-Site where the address is https or this
    machine's own, and in Origin everywhere; what is no browser says neither."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"none", "same-origin"}
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc != headers.get("host")
    except ValueError:  # no browser's
        return True
