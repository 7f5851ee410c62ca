"""Addresses and texts without their secrets, for logs, metrics, errors and the page."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit, urlunsplit

HIDDEN = "***"

# Some cameras want the login in the path, as in /user=admin_password=x_channel=1.sdp; nobody knows where it ends.
_LOGIN_IN_PATH = re.compile(r"(?i)((?:user|login|pass|pwd|token|secret|auth|key)[a-z]*=)[^/]*")
_LOGIN_IN_ADDRESS = re.compile(r"(?i)([a-z][a-z0-9+.-]*://)[^/\s]*@")


def redact(url: str) -> str:
    """The same address without user, password, query and fragment: any of them can carry a secret.

    A text that cannot be read as an address comes back as `***`, since nobody knows what it holds.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if ":" in host:
            host = f"[{host}]"
        netloc = host if parts.port is None else f"{host}:{parts.port}"
    except ValueError:
        return HIDDEN
    return urlunsplit((parts.scheme, netloc, _path(parts.path), "", ""))


def redact_text(text: str, url: str) -> str:
    """What a library said of this address, without the secrets of it and without those of any other address."""
    if url:
        text = text.replace(url, redact(url))
    for secret, instead in _secrets(url):
        text = text.replace(secret, instead)
    return _LOGIN_IN_ADDRESS.sub(rf"\g<1>{HIDDEN}@", text)


def _path(path: str) -> str:
    return _LOGIN_IN_PATH.sub(rf"\g<1>{HIDDEN}", path)


def _secrets(url: str) -> list[tuple[str, str]]:
    """Each secret with what to write instead, the longest first."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return [(url, HIDDEN)]
    login = parts.netloc.rpartition("@")[0]
    user, _, password = login.partition(":")
    found = {
        secret: HIDDEN
        for text in (login, user, password, parts.query, parts.fragment)
        for secret in (text, unquote(text))
        if secret
    }
    if _path(parts.path) != parts.path:
        found[parts.path] = _path(parts.path)
    return sorted(found.items(), key=lambda pair: -len(pair[0]))
