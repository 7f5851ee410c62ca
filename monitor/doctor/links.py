"""Whether the links in messages will work for whoever gets them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

from monitor.doctor.finding import Finding, ok, warning
from monitor.http_settings import LOOPBACK, Http

EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})
"""To listen on, not to be reached at."""
LONG_ENOUGH: Final = 16
"""Characters of a secret that signs: whoever has a link can try secrets on it at leisure."""


def examine_links(settings: Http, over: threading.Event) -> Iterator[Finding]:
    """They are signed, with what nobody guesses, and lead to where others reach the page. Asks nobody."""
    days = settings.link_hours / 24
    lasting = f"for {days:g} days" if days >= 2 else f"for {settings.link_hours:g} hours"
    if settings.link_key is not None:
        yield ok(f"they are signed with http.link_key, and work {lasting} without a token")
    elif settings.token is None:
        yield warning(
            "links in messages are not signed: pictures ask for a token, and nobody can acknowledge by a link",
            "give http.link_key_file: a file with what `openssl rand -hex 24` prints",
        )
    else:
        yield ok(
            f"they are signed with a key made from http.token, and work {lasting} without a token",
            "hint: with an http.link_key of its own a new token does not end all links",
        )
        if len(settings.token.get_secret_value()) < LONG_ENOUGH:
            yield warning(
                f"http.token has fewer than {LONG_ENOUGH} characters and signs links: guesses can be tried on any",
                "give http.link_key_file, and a longer token: `openssl rand -hex 24` makes good ones",
            )
    if settings.public_url is None and settings.host in LOOPBACK | EVERY_ADDRESS:
        yield warning(
            "http.public_url is not set: links point to this machine's loopback, which nobody else reaches",
            "set http.public_url to the address at which people open the page",
        )
    else:
        yield ok(f"they lead to {settings.base_url}")
