"""What a message may show of a configuration, any value of which may turn out to be an address with its password."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from streams.redact import HIDDEN, redact

NOT_SHOWN = "a text that is not shown, since it may hold a password"


def may_hold_password(text: str) -> bool:
    """Whether it looks like an address or a login. Such a text is never part of a message."""
    return "://" in text or "@" in text


def shown(value: object) -> str:
    """A value of a configuration, for messages."""
    if may_hold_password(value if isinstance(value, str) else repr(value)):
        return NOT_SHOWN
    return repr(redact(value) if isinstance(value, str) else value)


def without(message: str, texts: Iterable[str]) -> str:
    """The message with `***` for each of these texts, however it is quoted."""
    forms = {form for text in texts for form in (text, text.strip(), repr(text)[1:-1], repr(text.strip())[1:-1])}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) > 3:  # less is part of any sentence
            message = message.replace(form, HIDDEN)
    return message


def sort_of(value: Any) -> str:
    """What sort of value it is; never the value, which may be an address with its password."""
    if isinstance(value, bool):
        return "true or false"
    sorts: dict[type, str] = {str: "text", int: "a number", float: "a number", list: "a list", dict: "a section"}
    return sorts.get(type(value), "nothing" if value is None else "something else")


def texts_in(value: Any) -> Iterator[str]:
    """Every text in it, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts_in(key)
            yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)
