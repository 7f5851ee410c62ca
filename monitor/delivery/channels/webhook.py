"""An HTTP POST to somebody's address: signed, to checked targets only, with answers taken for what they mean."""

from __future__ import annotations

import base64
import email.utils
import json
import re
import time
from collections.abc import Callable
from datetime import UTC
from importlib.metadata import version
from urllib.parse import parse_qsl, unquote, urlsplit

from monitor.channel_settings import Webhook
from monitor.delivery.channels.alertmanager import api_alerts, is_api, webhook_body
from monitor.delivery.channels.channel import DeliveryFailed, DeliveryRefused
from monitor.delivery.channels.guarded_http import Answer, GuardedHttp, RequestFailed, printable
from monitor.delivery.channels.readable import completed
from monitor.delivery.channels.signature import HEADER, sign
from monitor.delivery.channels.targets import TargetRefused, Targets
from monitor.delivery.channels.template import BodyTemplate
from monitor.delivery.delivery import Delivery
from monitor.delivery.materials import Materials
from streams.redact import HIDDEN

PARALLEL = 4
RETRY_AFTER_AT_MOST_S = 3600.0
MAY_HEAL = frozenset({408, 429})
TELLING_CHARS = 8
"""Parts of an address from so many characters on are taken for secrets when an answer quotes them."""


class WebhookChannel:
    """One address. Every try of a message carries the same `Idempotency-Key`, and a signature of its own time."""

    parallel = PARALLEL

    def __init__(
        self,
        name: str,
        settings: Webhook,
        materials: Materials,
        targets: Targets,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises ValueError for what cannot be used: the address, a file, a token that cannot be a header."""
        self.name = name
        self._materials = materials
        self._clock = clock
        self._timeout_s = settings.timeout_s
        self._format = settings.format
        url = settings.url.get_secret_value()
        self._http = GuardedHttp(url, targets, settings.ca_file)
        self._to_api = settings.format == "alertmanager" and is_api(urlsplit(url).path)
        self._content_type = _header("content_type", settings.content_type)
        self._template = BodyTemplate(settings.template, self._content_type) if settings.template else None
        self._secret = settings.secret.get_secret_value() if settings.secret else None
        self._headers = {"User-Agent": f"linewatch/{version('linewatch')}", "Accept-Encoding": "identity"}
        token = settings.token.get_secret_value() if settings.token else None
        if token is not None:
            self._headers["Authorization"] = f"Bearer {_header('token', token)}"
        self._hidden = _secrets(url, *(s for s in (self._secret, token) if s))

    def deliver(self, delivery: Delivery) -> None:
        content_type, body = self._body(delivery)
        headers = {
            **self._headers,
            "Content-Type": content_type,
            "Content-Length": str(len(body)),
            "Idempotency-Key": delivery.delivery_id,
        }
        if delivery.omitted:
            headers["X-Linewatch-Omitted"] = str(delivery.omitted)
        if self._secret is not None:
            headers[HEADER] = sign(self._secret, body, self._clock())
        try:
            answer = self._http.post(headers, body, self._timeout_s)
        except RequestFailed as error:
            raise DeliveryFailed(f"{self._http.origin}: {self._shown(str(error))}") from None
        except TargetRefused as error:
            raise DeliveryRefused(str(error)) from None
        self._judge(answer)

    def close(self) -> None:
        self._http.close()

    def _body(self, delivery: Delivery) -> tuple[str, bytes]:
        if self._template is not None:
            return self._content_type, self._template.render(delivery, self._materials)
        if self._to_api:
            return "application/json", _json(api_alerts(delivery, self._materials, self._clock()))
        if self._format == "alertmanager":
            return "application/json", _json(webhook_body(delivery, self._materials))
        events = [completed(event, delivery, self._materials) for event in delivery.events]
        if len(events) == 1:
            return "application/cloudevents+json", _json(events[0])
        return "application/cloudevents-batch+json", _json(events)

    def _judge(self, answer: Answer) -> None:
        status = answer.status
        if 200 <= status < 300:
            return
        told = f"{self._http.origin}: HTTP {status}"
        if 300 <= status < 400:
            raise DeliveryRefused(f"{told}: leads elsewhere, and is not followed; give the final address as url")
        said = self._shown(answer.body.decode("utf-8", errors="replace"))
        told += f": {said}" if said else ""
        if status in MAY_HEAL or status >= 500:
            raise DeliveryFailed(told, retry_after_s(answer.headers.get("retry-after"), self._clock()))
        raise DeliveryRefused(told)

    def _shown(self, text: str) -> str:
        """What others said, without our secrets: many a server repeats what it was asked."""
        for secret in self._hidden:
            text = text.replace(secret, HIDDEN)
        return printable(text)


def retry_after_s(value: str | None, now_s: float) -> float | None:
    """Seconds from now, 0 to RETRY_AFTER_AT_MOST_S; None where the header is missing or says nothing that we know."""
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"\d+", value, re.ASCII):
        return min(float(value[:10]), RETRY_AFTER_AT_MOST_S) if len(value) <= 10 else RETRY_AFTER_AT_MOST_S
    try:
        at = email.utils.parsedate_to_datetime(value)
        at_s = (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(at_s - now_s, 0.0), RETRY_AFTER_AT_MOST_S)


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", errors="replace")


def _header(key: str, value: str) -> str:
    """HTTP refuses anything else, in a message that repeats it."""
    if not re.fullmatch(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", value):
        raise ValueError(f"{key}: expected one line of printable ASCII characters (not shown, it may be a secret)")
    return value


def _secrets(url: str, *others: str) -> list[str]:
    """What no message may hold, the longest first."""
    parts = urlsplit(url)
    login, _, _ = parts.netloc.rpartition("@")
    pieces = {parts.path.strip("/"), *parts.path.split("/"), parts.query, parts.fragment}
    pieces |= {value for _, value in parse_qsl(parts.query)}
    found = {piece for piece in pieces if len(piece) >= TELLING_CHARS} | {login, *login.split(":", 1), *others}
    found |= {unquote(piece) for piece in found}
    found.add(base64.b64encode(unquote(login).encode()).decode())  # how it is sent
    return sorted((piece for piece in found if len(piece) > 3), key=len, reverse=True)  # less is part of any text
