"""Who may do what. The one table; whatever changes something and is not in it needs an admin."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from monitor.http_settings import Role

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
RANK: Final[Mapping[Role, int]] = {"viewer": 0, "operator": 1, "admin": 2}

CHANGES: Final[Mapping[tuple[str, str], Role]] = {
    ("POST", "/api/alerts/{alert_id}/acknowledge"): "operator",
    ("POST", "/api/alerts/{alert_id}/false-alarm"): "operator",
    ("POST", "/api/alerts/{alert_id}/withdraw-mark"): "operator",
    ("POST", "/api/alerts/{alert_id}/escalate"): "operator",
    ("POST", "/api/cameras/{camera:path}/missed"): "operator",
    ("POST", "/api/cameras/{camera:path}/shelve"): "operator",
    ("POST", "/api/cameras/{camera:path}/unshelve"): "operator",
    ("POST", "/api/cameras/{camera:path}/product"): "operator",
    ("POST", "/api/subscriptions/{name}/test"): "operator",
    ("POST", "/api/subscriptions/{name}/switch"): "operator",
    ("POST", "/api/subscriptions"): "admin",
    ("PUT", "/api/subscriptions/{name}"): "admin",
    ("DELETE", "/api/subscriptions/{name}"): "admin",
    ("POST", "/api/dead-letters/replay"): "admin",
    ("POST", "/api/dead-letters/discard"): "admin",
    ("POST", "/api/cameras/{camera:path}/accept-view"): "admin",
    ("POST", "/api/cameras/{camera:path}/baseline/reset"): "admin",
    ("POST", "/api/cameras/{camera:path}/baseline/freeze"): "admin",
    ("POST", "/api/cameras/{camera:path}/baseline/thaw"): "admin",
    ("POST", "/api/cameras/{camera:path}/baseline/import"): "admin",
    ("POST", "/api/reload"): "admin",
}
"""By method and by the path as the application's routes write it."""

OPEN: Final = ("/healthz", "/static/act.css", "/l/{alert_id}/{kind}", "/act/{token}")
"""What needs no token: whether the process lives, and links that are signed, with what their page is drawn with."""


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{\w+(:path)?\}", path)
    # The odd ones are what the group caught: ":path", which may hold slashes, or None.
    return re.compile(
        "".join(re.escape(part or "") if not i % 2 else (".+" if part else "[^/]+") for i, part in enumerate(parts)),
        re.DOTALL,
    )


_CHANGES = tuple((method, _pattern(path), role) for (method, path), role in CHANGES.items())
_OPEN = re.compile("|".join(_pattern(path).pattern for path in OPEN), re.DOTALL)


def is_open(path: str) -> bool:
    """Whether anybody may ask for it."""
    return _OPEN.fullmatch(path) is not None


def needed(method: str, path: str) -> Role:
    """The least role that may do this. path: as it was asked for, decoded."""
    if method in SAFE_METHODS:
        return "viewer"
    return next((role for name, pattern, role in _CHANGES if name == method and pattern.fullmatch(path)), "admin")


def may(role: Role, least: Role) -> bool:
    """Whether `role` includes `least`."""
    return RANK[role] >= RANK[least]
