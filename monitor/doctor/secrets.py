"""The last net: no finding leaves with a secret in it, whatever a library wrote into its error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

from monitor.channel_settings import Apprise, Webhook
from monitor.doctor.finding import Examined, Finding
from monitor.settings import Settings
from streams.redact import login_of, torn

TOKEN = 8
LEAST = 4
"""A shorter secret would also be found where it is none; an address that holds one is redacted where it is told."""


def secrets_of(settings: Settings) -> frozenset[str]:
    """Every secret of the settings; of addresses the password and the query, as written and as meant."""
    return frozenset(text for secret in _opened(settings) for text in (secret, unquote(secret)) if len(text) >= LEAST)


def without_secrets(examined: Examined, secrets: frozenset[str]) -> Examined:
    """The same with `***` for every secret."""

    def clean(text: str) -> str:
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def cleaned(found: Finding) -> Finding:
        return replace(found, said=clean(found.said), remedy=None if found.remedy is None else clean(found.remedy))

    return Examined(examined.name, tuple(cleaned(finding) for finding in examined.findings))


def _tokens(url: str, *, host_too: bool) -> Iterator[str]:
    """What in a channel's address looks like a token: chat services have theirs in the path, or as the host."""
    yield url
    address = url.partition("://")[2]
    if not host_too:
        address = address.partition("/")[2]
    for piece in re.split(r"[/:@,;?&=\s]", address):
        if "." not in piece and len(piece) >= TOKEN and any(letter.isdigit() for letter in piece):
            yield piece


def _opened(value: Any) -> Iterator[str]:
    if isinstance(value, Apprise | Webhook):
        yield from _tokens(value.url.get_secret_value(), host_too=isinstance(value, Apprise))
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _opened(getattr(value, name))
    elif isinstance(value, tuple):
        for one in value:
            yield from _opened(one)
    elif isinstance(value, SecretStr):
        secret = value.get_secret_value()
        if "://" not in secret:
            yield secret
            return
        login = login_of(secret)
        try:
            parts = urlsplit(secret)
            _ = parts.port
            readable = login == parts.netloc.rpartition("@")[0]
            yield from filter(None, (parts.password, parts.query))
        except ValueError:
            readable = False
        if not readable:  # what a library takes for port and path may be the password's
            password = login.partition(":")[2]
            yield from (secret, login, password, *torn(login), *torn(password))
