"""Which rendering of a message a service gets, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Literal

from monitor.delivery.delivery import Delivery
from monitor.delivery.materials import Materials
from monitor.delivery.message import ALERTS_SHOWN, Message, message_of

Format = Literal["text", "markdown", "html"]


@dataclass(frozen=True, slots=True)
class Rendered:
    message: Message
    body: str
    format: Format


def rendered(delivery: Delivery, materials: Materials, wanted: Format, most: int, *, mail: bool) -> Rendered:
    """The message as the service wants it, in at most so many characters: with fewer alerts told one by one where it
    would be longer, and in the end as plain text that ends early, at a line."""
    for shown in (ALERTS_SHOWN, 8, 3, 1):
        message = message_of(delivery, materials, alerts_shown=shown)
        body = {"text": message.text, "markdown": message.markdown, "html": message.html}[wanted]
        if mail and wanted == "html" and message.addresses:
            # Apprise makes a mail's plain text from the HTML, and the addresses behind words are lost on that way.
            lines = escape(message.addresses).replace("\n", "<br>\n")
            body += f'<p style="font-size:small;color:#666;word-break:break-all">{lines}</p>'
        if len(body) <= most:
            return Rendered(message, body, wanted)
    return Rendered(message, cut(message.text, most) or message.title[:most], "text")


def cut(text: str, most: int) -> str:
    """As many whole lines as fit; of a first line that does not, its beginning."""
    if len(text) <= most:
        return text
    if most < 1:
        return ""
    end = text.rfind("\n", 0, most + 1)
    return text[:end] if end > 0 else text[: most - 1] + "…"
