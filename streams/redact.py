"""Addresses without their secrets, for logs, metrics, errors and the page."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


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
        return "***"
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))
