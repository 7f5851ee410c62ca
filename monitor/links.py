"""Links in messages that work without a token: signed, for one alert and one purpose, and for a time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

from monitor.http_settings import Http

LinkKind = Literal["evidence", "picture", "heatmap", "clip"]
"""`picture` and `evidence` are the same."""
FILES: Final[dict[str, str]] = {"evidence": "evidence.jpg", "heatmap": "heatmap.jpg", "clip": "clip.mp4"}
PURPOSE = b"linewatch links v1"
STRETCH_N = 1 << 14
"""Work of scrypt: 16 MiB and some 40 ms a guess."""
MAX_TOKEN = 2048


class LinkRefused(ValueError):
    """It is not signed by us, not for this, or its time is over; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Permit:
    """What somebody may act on, and in whose name. until_s: since the epoch."""

    alert_id: str
    recipient: str
    until_s: int


def signing_key(http: Http) -> bytes | None:
    """`http.link_key`, else one made from `http.token`; None where there is neither, and links are not signed.

    A token may be short, and whoever is sent a link could try tokens on its signature, where nobody counts: so each try
    is made dear.
    """
    if http.link_key is not None:
        return http.link_key.get_secret_value().encode()
    if http.token is None:
        return None
    token = http.token.get_secret_value().encode()
    return hashlib.scrypt(token, salt=PURPOSE, n=STRETCH_N, r=8, p=1, maxmem=64 << 20, dklen=32)


class LinkSigner:
    """Makes links and checks them. Thread-safe.

    Whoever has a link can see one picture, or act on one alert, until it expires; it cannot be taken back but by
    changing the key, which ends all of them. Each signature (HMAC-SHA256, with a key of its own made from `key`) is
    over the purpose and everything in the link, as it is written there. What is wrong about a link that is not ours is
    not told.
    """

    def __init__(
        self, key: bytes | None, base_url: str, valid_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        """key: None for plain addresses of the API, which ask for the token. base_url: how others reach the page.
        clock: seconds since the epoch."""
        self._key = None if key is None else hmac.digest(key, PURPOSE, "sha256")
        self._base_url = base_url.rstrip("/")
        self._valid_s = valid_s
        self._clock = clock

    def picture(self, alert_id: str, kind: LinkKind) -> str:
        """The address of an alert's picture or clip."""
        return f"{self._base_url}/{self.picture_path(alert_id, kind)}"

    def picture_path(self, alert_id: str, kind: LinkKind, until_s: int | None = None) -> str:
        """The same without the part before, and without a slash at its beginning. until_s: since the epoch, where it
        shall expire with something else."""
        name = "evidence" if kind == "picture" else kind
        if self._key is None:
            return f"api/alerts/{quote(alert_id, safe='')}/{FILES[name]}"
        until = str(self._until_s() if until_s is None else until_s)
        return f"l/{quote(alert_id, safe='')}/{name}?until={until}&sig={self._sign('picture', alert_id, name, until)}"

    def check_picture(self, alert_id: str, kind: str, until: str, signature: str) -> int:
        """For how many seconds it is valid still. Raises LinkRefused."""
        expected = self._sign("picture", alert_id, kind, until)
        if kind not in FILES or not re.fullmatch(r"[0-9]{1,12}", until) or not _same(expected, signature):
            raise LinkRefused(_WRONG)
        return self._left_s(int(until))

    def act(self, alert_id: str, recipient: str) -> str | None:
        """The address of the page on which `recipient` acts on an alert; None where nothing is signed. recipient: of
        which only the first 100 characters count."""
        if self._key is None:
            return None
        fields = [alert_id, recipient[:100], self._until_s()]
        payload = _text(json.dumps(fields, separators=(",", ":")).encode())
        return f"{self._base_url}/act/{payload}.{self._sign('act', payload)}"

    def check_act(self, token: str) -> Permit:
        """What the token of an `act` address permits. Raises LinkRefused."""
        payload, _, signature = token.partition(".")
        if len(token) > MAX_TOKEN or not _same(self._sign("act", payload), signature):
            raise LinkRefused(_WRONG)
        # It is signed, so that it is what `act` made.
        alert_id, recipient, until_s = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        self._left_s(until_s)
        return Permit(alert_id, recipient, until_s)

    def _until_s(self) -> int:
        return int(self._clock() + self._valid_s)

    def _left_s(self, until_s: int) -> int:
        left_s = until_s - self._clock()
        if left_s <= 0:
            ended = time.strftime("%Y-%m-%d %H:%M", time.gmtime(until_s))
            raise LinkRefused(
                f"this link has expired (on {ended} UTC): look at the alert on linewatch's page, or have a new message "
                "sent; http.link_hours says how long links work"
            )
        return int(left_s)

    def _sign(self, *parts: str) -> str:
        """43 characters, over parts that cannot be shifted against each other. Without a key nothing is the same as
        what this returns."""
        if self._key is None:
            return ""
        message = b""
        for part in parts:
            data = part.encode("utf-8", "surrogatepass")
            message += len(data).to_bytes(4, "big") + data
        return _text(hmac.digest(self._key, message, "sha256"))


_WRONG = (
    "this link is not valid: it was cut off or changed on its way, or the key that signs links was changed since. Open "
    "it from the message itself, or look at the alert on linewatch's page"
)


def _same(expected: str, given: str) -> bool:
    return expected != "" and hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
