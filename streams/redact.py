"""Addresses and texts without their secrets, for logs, metrics, errors and the page."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit, urlunsplit

HIDDEN = "***"

# A login ends at the last @: a password may hold an unescaped /, ? or #, although an address then cannot be read.
_LOGIN = re.compile(r"(?s)^[^:/?#]*://(.*)@")
# Some cameras want the login in the path, as in /user=admin_password=x_channel=1.sdp; nobody knows where it ends.
_LOGIN_IN_PATH = re.compile(r"(?i)((?:user|login|pass|pwd|token|secret|auth|key)[a-z]*=)[^/]*")
_LOGIN_IN_ADDRESS = re.compile(r"(?i)([a-z][a-z0-9+.-]*://)\S*@")


def redact(url: str) -> str:
    """The same address without user, password, query and fragment: any of them can carry a secret.

    A text that cannot be read as an address comes back as `***`, since nobody knows what it holds; so does one with
    an @ behind its host, since what stands before it may be the rest of a password.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if ":" in host:
            host = f"[{host}]"
        netloc = host if parts.port is None else f"{host}:{parts.port}"
    except ValueError:
        return HIDDEN
    if login_of(url) != parts.netloc.rpartition("@")[0]:
        return HIDDEN
    return urlunsplit((parts.scheme, netloc, _path(parts.path), "", ""))


def redact_text(text: str, url: str) -> str:
    """What a library said of this address, without the secrets of it and without those of any other address."""
    if url:
        text = text.replace(url, redact(url))
    for secret, instead in _secrets(url):
        text = text.replace(secret, instead)
    return _LOGIN_IN_ADDRESS.sub(rf"\g<1>{HIDDEN}@", text)


def login_of(url: str) -> str:
    """`user:password` of an address, even with /, ? and # in the password; empty where there is none."""
    found = _LOGIN.match(url)
    return found[1] if found else ""


def torn(login: str) -> list[str]:
    """What a library that ends the host at the first /, ? or # takes for the host, and for the path's beginning."""
    head = re.split(r"[/?#]", login, maxsplit=1)[0]
    return [] if head == login else [head, f"{login[len(head) :]}@"]


def _path(path: str) -> str:
    return _LOGIN_IN_PATH.sub(rf"\g<1>{HIDDEN}", path)


def _secrets(url: str) -> list[tuple[str, str]]:
    """Each secret with what to write instead, the longest first."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return [(url, HIDDEN)]
    login = login_of(url)
    user, _, password = login.partition(":")
    pieces = [piece for text in (login, password) for piece in torn(text)]
    found = {
        secret: HIDDEN
        for text in (login, user, password, parts.query, parts.fragment, *pieces)
        for secret in (text, unquote(text))
        if secret
    }
    if _path(parts.path) != parts.path:
        found[parts.path] = _path(parts.path)
    return sorted(found.items(), key=lambda pair: -len(pair[0]))
