"""Why Apprise did not deliver: its result says no more than that, the rest stands in its log records."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from monitor.delivery.foreign_text import one_line
from streams.redact import HIDDEN

REASON_LENGTH = 400
_HTTP: Final = re.compile(r"\berror=(\d{3})\b")
_SMTP: Final = re.compile(r"\((\d{3}), b|was refused: (\d{3})\b")
_TELLING: Final = ("Socket Exception:", "Response Details:", "SMTP ")
"""How debug records begin that say what the other side said."""
_SEPARATOR: Final = re.compile(r"[/:@,;\s]")
_HARMLESS: Final = frozenset({"html", "text", "markdown", "true", "false", "insecure", "starttls", "post", "split"})
_AWAIT: Final = frozenset({408, 425, 429})
_TOO_BIG: Final = frozenset({413, 552})


class Reason:
    """What the records of one call say. records: (level, message) each."""

    def __init__(self, records: Iterable[tuple[str, str]], url: str, keep: Iterable[str] = ()) -> None:
        """keep: parts of the address that may be shown, such as the mail server and its recipients."""
        telling = [
            message
            for level, message in records
            if level in ("WARNING", "ERROR", "CRITICAL") or message.startswith(_TELLING)
        ]
        text = "; ".join(dict.fromkeys(telling))
        self.http = [int(code) for code in _HTTP.findall(text)]
        self.smtp = [int(one or other) for one, other in _SMTP.findall(text)]
        self.text = one_line(without_secrets(text, url, keep), REASON_LENGTH) or "Apprise gave no reason"

    @property
    def final(self) -> bool:
        """Whether the other side has understood and said no: HTTP 4xx but 408, 425 and 429, and SMTP 5xx. Mixed
        answers, of several recipients, are not final."""
        http = [400 <= code < 500 and code not in _AWAIT for code in self.http]
        smtp = [500 <= code < 600 for code in self.smtp]
        return bool(http or smtp) and all(http) and all(smtp)

    @property
    def too_big(self) -> bool:
        return not _TOO_BIG.isdisjoint([*self.http, *self.smtp])


def without_secrets(text: str, url: str, keep: Iterable[str] = ()) -> str:
    """The text with `***` for the address and each of its parts but those in `keep`: of most services any part may be
    the token."""
    shown = {part for one in keep for part in (one, *one.split("@"))}
    for secret in sorted(_parts(url) - shown, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _parts(url: str) -> set[str]:
    address, _, query = url.partition("://")[2].partition("?")
    parts = {url, address, query, *_SEPARATOR.split(address)}
    for value in (pair.partition("=")[2] for pair in query.split("&")):
        parts |= {value, *_SEPARATOR.split(value)}
    for at in (found.start() for found in re.finditer("@", address)):  # a password may hold one that is not escaped
        parts |= {address[:at], address[:at].partition(":")[2]}
    parts |= {unquote(part) for part in parts}
    parts |= {base64.b64encode(part.encode()).decode() for part in parts if ":" in part and part not in (url, address)}
    return {part for part in parts if len(part) > 2 and not _says_nothing(part)}


def _says_nothing(part: str) -> bool:
    """A port, or a word of an option."""
    return (part.isdigit() and len(part) <= 5) or part.lower() in _HARMLESS
