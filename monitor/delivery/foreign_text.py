"""Names that come from outside (cameras, products, people), made harmless for messages that others render.

A camera's id may be any printable text. In a message it must stay a name: no second header line, no link, no mention
of everybody, no markup.
"""

from __future__ import annotations

import re
import unicodedata

# What begins markup in Markdown, Slack's and Discord's dialects or HTML, and its full-width twin, which looks the same
# and begins nothing. Backslashes before them would be seen wherever text is shown as it is.
_TWINS = str.maketrans({mark: chr(ord(mark) + 0xFEE0) for mark in "<>[]`*@#~|\\"})
# Inside a word an underscore means nothing anywhere; at its edge it begins emphasis.
_EDGE = re.compile(r"(?<![^\W_])_+|_+(?![^\W_])")
_SCHEME = re.compile(r":(?=//)")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_NOT_TEXT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})


def one_line(value: object, most: int = 80) -> str:
    """As one line of at most so many characters, without control, direction and other invisible characters."""
    text = "".join(" " if unicodedata.category(c) in _NOT_TEXT else c for c in str(value)[: 4 * most])
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def harmless(value: object, most: int = 80) -> str:
    """As `one_line`, and nothing in it is markup, a link or a mention, in plain text and Markdown alike."""
    text = one_line(value, most).translate(_TWINS)
    text = _EDGE.sub(lambda found: "＿" * len(found[0]), text)
    return _ENTITY.sub("＆", _SCHEME.sub("：", text))
