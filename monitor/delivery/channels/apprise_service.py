"""One service that Apprise reaches, from its address, set up so that it keeps within our time and out of our logs.

Apprise's logger is cut off from ours: at debug it writes addresses with their tokens, and what it says of a failure is
read from each call's result instead (`apprise_reasons`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from monitor.delivery.channels.apprise_reasons import Reason, without_secrets
from monitor.delivery.channels.attachments import Attachment
from monitor.delivery.channels.rendering import Format, Rendered
from monitor.delivery.message import Mood
from monitor.shown import NOT_SHOWN

MAIL: Final = frozenset({"mailto", "mailtos"})
TYPES: Final[Mapping[Mood, str]] = {
    "critical": "failure",
    "warning": "warning",
    "resolved": "success",
    "test": "info",
}
"""What Apprise calls our moods: services choose a colour or an icon by it."""


class Service:
    """Sends one message at a time. Nothing is connected to before."""

    def __init__(self, name: str, url: str, timeout_s: float) -> None:
        """Raises ValueError, which names the channel and the remedy and holds nothing of the address but its kind."""
        import apprise  # noqa: PLC0415 - takes a third of a second, which who has no such channel need not wait

        _cut_off(logging.getLogger("apprise"))
        # No time-out of Apprise's own: it would wait in a pool that all its services share, and a dead one fills.
        asset = apprise.AppriseAsset(app_id="linewatch", app_desc="linewatch", service_timeout=0)
        try:
            service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=False)
        except Exception as error:
            raise ValueError(_bad(name, url, f": {without_secrets(str(error), url)}")) from None
        if service is None or not service.enabled:
            raise ValueError(_bad(name, url, ", or needs a package that is not installed"))
        self._url = url
        self._service: Any = service
        self._sender = apprise.Apprise(service, asset=asset)
        self.mail = _schema(url) in MAIL
        self._keep = self._shown()
        self._bound(timeout_s)

    def _bound(self, timeout_s: float) -> None:
        """Sockets give up before we do, so that the reason is known and no thread is left behind."""
        service, given = self._service, self._url.lower()
        connect_s, read_s = 0.4 * timeout_s, 0.8 * timeout_s
        service.socket_connect_timeout = min(
            connect_s, service.socket_connect_timeout if "cto=" in given else connect_s
        )
        service.socket_read_timeout = min(read_s, service.socket_read_timeout if "rto=" in given else read_s)
        service.retry = 0  # the queue tries again, with back-off
        # Apprise pauses between two messages, by default for 5.5 s. One's own mail server needs none of it.
        service.request_rate_per_sec = 0 if self.mail else min(service.request_rate_per_sec, 0.25 * timeout_s)

    def _shown(self) -> list[str]:
        """What of the address may be part of an error: where it goes to, unless that is secret itself."""
        private = self._service.url(privacy=True)
        host = re.match(r"[a-z0-9]+://(?:[^@/?]*@)?([^:/?]+)", private, re.IGNORECASE)
        keep = [host[1]] if host else []
        if self.mail:
            keep += [str(self._service.smtp_host), str(self._service.from_addr[1])]
            keep += [str(address) for _, address in self._service.targets]
        return keep

    @property
    def format(self) -> Format:
        """What the service, or its address, wants."""
        wanted: Format = self._service.resolve_format(None).value
        return wanted

    @property
    def body_length(self) -> int:
        """So many characters at most; where there is no title, it goes before the body."""
        most = int(self._service.body_maxlen)
        return most if int(self._service.title_maxlen) > 0 else max(1, most - 160)

    @property
    def takes_attachments(self) -> bool:
        return bool(self._service.attachment_support)

    def name_it(self, delivery_id: str, alert_id: str | None) -> None:
        """The next message's id, as a header where the service sends headers, and for mails the thread it is of."""
        if "headers" not in type(self._service).template_kwargs:
            return
        headers = self._service.headers
        headers["X-Linewatch-Delivery" if self.mail else "Idempotency-Key"] = delivery_id
        if self.mail:
            headers.pop("References", None)
            if alert_id is not None:
                headers["References"] = f"<{re.sub('[^0-9A-Za-z.-]', '', alert_id)}@linewatch>"

    def send(self, message: Rendered, attached: Iterable[Attachment], accepted: set[Any]) -> Reason | None:
        """None where it was delivered to everybody, else why not. accepted: the recipients that have it already, as
        Apprise names them; filled with those that take it now."""
        from apprise import AppriseAttachment  # noqa: PLC0415 - as above
        from apprise.attachment.memory import AttachMemory  # noqa: PLC0415
        from apprise.plugins.base import _delivery_tracker  # noqa: PLC0415 - there is no public way to several tries

        in_memory: Any = AttachMemory  # its constructor has no types
        files = AppriseAttachment()
        for one in attached:
            files.add(in_memory(content=one.data, name=one.name, mimetype=one.mime))
        # Where there are no titles, Apprise puts it before the body, and that of the HTML begins with it.
        untitled = message.format == "html" and int(self._service.title_maxlen) <= 0
        before = _delivery_tracker.set(accepted)
        try:
            result = self._sender.notify(
                body=message.body,
                title="" if untitled else message.message.title,
                notify_type=TYPES[message.message.severity],
                body_format=message.format,
                attach=files if len(files) else None,
                log_level=logging.DEBUG,
            )
        finally:
            _delivery_tracker.reset(before)
        if result:
            return None
        return Reason(((entry.level, entry.message) for entry in result.logs()), self._url, self._keep)


def _cut_off(logger: logging.Logger) -> None:
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        logger.addHandler(logging.NullHandler())  # without any, warnings would go to standard error


def _schema(url: str) -> str:
    return url.partition("://")[0].lower()


def _bad(name: str, url: str, why: str) -> str:
    schema = _schema(url)
    kind = f"{schema}://…" if "://" in url and re.fullmatch(r"[a-z0-9]{1,20}", schema) else NOT_SHOWN
    return (
        f"channel {name}: apprise.url: Apprise cannot use this address ({kind}){why}. Expected one as its "
        "documentation of that service writes it, like mailtos://user:password@host?to=shift@plant.example"
    )
