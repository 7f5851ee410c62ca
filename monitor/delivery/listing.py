"""Subscriptions as they are listed: those of the configuration, and what Redis says of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from monitor.subscription_settings import Subscription

log = structlog.get_logger(__name__)

Origin = Literal["configuration", "api"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A subscription with where it comes from. on: whether it tells anything. Times in ms since the epoch; switched_by:
    who switched it on or off last, changed_by: who wrote it last, None where nobody did."""

    subscription: Subscription
    origin: Origin
    on: bool
    switched_by: str | None = None
    switched_at_ms: int | None = None
    changed_by: str | None = None
    changed_at_ms: int | None = None


class Kept(BaseModel):
    """One that came by the API, as it stands in Redis."""

    model_config = ConfigDict(frozen=True)

    subscription: Subscription
    by: str
    at_ms: int


class Switched(BaseModel):
    """That somebody switched one on or off, likewise."""

    model_config = ConfigDict(frozen=True)

    on: bool = Field(False)
    by: str
    at_ms: int


class Listing:
    """Makes the list out of texts. What cannot be read is told once and left out: it must not hide the rest."""

    def __init__(self, configured: Callable[[], tuple[Subscription, ...]]) -> None:
        self._configured = configured
        self._parsed: Mapping[str, tuple[str, Kept | None]] = {}  # by name: the text, and what it says
        self._told: set[tuple[str, str, str]] = set()

    def of(self, kept: Mapping[str, str], switched: Mapping[str, str]) -> list[Listed]:
        """Those of the configuration in its order, then the others by name. A name that stands in both is that of the
        configuration. Texts that were read before are not read again."""
        configured = {one.name: one for one in self._configured()}
        found = [_listed(one, "configuration", self._switch_of(switched, one.name)) for one in configured.values()]
        known = self._parsed
        parsed = {
            name: known[name] if name in known and known[name][0] == text else (text, self._read(name, text))
            for name, text in sorted(kept.items())
        }
        self._parsed = parsed
        for name, (_, one) in parsed.items():
            if name in configured:
                self.warn("subscription_hidden", name, "one of the configuration has the same name; that one holds")
            elif one is not None:
                found.append(_listed(one.subscription, "api", self._switch_of(switched, name), one))
        return found

    def warn(self, what: str, name: str, detail: str) -> None:
        """Once, for the list is made at each batch of events."""
        if (what, name, detail) not in self._told:
            self._told.add((what, name, detail))
            log.warning(what, subscription=name, detail=detail)

    def _read(self, name: str, text: str) -> Kept | None:
        try:
            kept = Kept.model_validate_json(text)
            if kept.subscription.name != name:
                raise ValueError(f"it says that its name is {kept.subscription.name}")
            return kept
        except ValueError as error:  # of another version, or touched by others
            self.warn("subscription_unreadable", name, f"{_first_fault(error)}; delete it, or write it anew")
            return None

    def _switch_of(self, switched: Mapping[str, str], name: str) -> Switched | None:
        if (text := switched.get(name)) is None:
            return None
        try:
            return Switched.model_validate_json(text)
        except ValueError as error:
            self.warn("subscription_switch_unreadable", name, f"{_first_fault(error)}; switch it again")
            return None


def _listed(one: Subscription, origin: Origin, switched: Switched | None, kept: Kept | None = None) -> Listed:
    return Listed(
        subscription=one,
        origin=origin,
        on=one.enabled and (switched is None or switched.on),
        switched_by=None if switched is None else switched.by,
        switched_at_ms=None if switched is None else switched.at_ms,
        changed_by=None if kept is None else kept.by,
        changed_at_ms=None if kept is None else kept.at_ms,
    )


def _first_fault(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
    return str(error)
