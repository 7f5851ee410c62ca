"""Grafana's address and token as given by a person, checked before any library sees them."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from dashboards.grafana import GrafanaRejected


@dataclass(frozen=True)
class Address:
    """`path_prefix` is empty or ends in a slash, as both libraries want it; `port` may be absent.

    `host` carries brackets if it is an IPv6 address.
    """

    protocol: str
    host: str
    port: int | None
    path_prefix: str

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{self.protocol}://{self.host}{port}/{self.path_prefix}".rstrip("/")


def parse_address(url: str) -> Address:
    """Raises GrafanaRejected, without repeating a URL that may hold a password."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise GrafanaRejected(
            "grafana.url: cannot be read as a URL; expected something like http://localhost:3000"
        ) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise GrafanaRejected(
            "grafana.url: expected http://host[:port][/path] or https://..., "
            f"found the scheme {parts.scheme!r} and " + ("no host" if not parts.hostname else "a host")
        )
    if parts.username is not None or parts.password is not None:
        raise GrafanaRejected(
            "grafana.url: holds a user name or password; take them out and give a service "
            "account token as grafana.token"
        )
    if parts.query or parts.fragment:
        raise GrafanaRejected("grafana.url: must not hold a query (?) or fragment (#)")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.strip("/")
    return Address(parts.scheme, host, port, f"{path}/" if path else "")


def parse_token(token: str) -> str:
    """The token without surrounding white space, which a secret's file usually ends with."""
    stripped = token.strip()
    if not stripped:
        raise GrafanaRejected(
            "grafana.token: is empty; create a service account token with the role Editor in "
            "Grafana under Administration, Service accounts"
        )
    # An HTTP library that refuses a header repeats the header in its message: refuse it first.
    if not re.fullmatch(r"[\x21-\x7e]+", stripped):
        raise GrafanaRejected(
            "grafana.token: holds white space or characters outside ASCII inside the token; "
            "it must be one line as Grafana showed it"
        )
    return stripped
