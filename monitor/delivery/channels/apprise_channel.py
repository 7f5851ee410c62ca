"""Messages through Apprise: mail, Slack, Teams, Telegram, ntfy and the rest, with the picture attached."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from monitor.channel_settings import Apprise
from monitor.delivery.channels.apprise_reasons import Reason, without_secrets
from monitor.delivery.channels.apprise_service import Service
from monitor.delivery.channels.attachments import Attachment, attachments_of
from monitor.delivery.channels.channel import DeliveryFailed, DeliveryRefused
from monitor.delivery.channels.rendering import Rendered, rendered
from monitor.delivery.delivery import Delivery, Kind
from monitor.delivery.materials import Materials

REMEMBERED: Final = 1000
"""Of so many messages it is remembered which recipients have them already."""
CLIP_WAIT: Final = 0.3
"""So much of the time-out may go by in waiting for a clip that is being made."""


class AppriseChannel:
    """One service of Apprise. Sends from a thread, which is left to itself where it does not come back in time; the
    next message waits until it has, and what it still got delivered is not sent again."""

    parallel = 1

    def __init__(self, name: str, settings: Apprise, materials: Materials) -> None:
        """Raises ValueError where Apprise cannot use the address; it names the remedy and nothing of the address."""
        self.name = name
        self._url = settings.url.get_secret_value()
        self._attach = settings.attach
        self._timeout_s = settings.timeout_s
        self._materials = materials
        self._service = Service(name, self._url, settings.timeout_s)
        self._free = threading.Lock()
        self._accepted: OrderedDict[str, set[Any]] = OrderedDict()

    def deliver(self, delivery: Delivery) -> None:
        deadline = time.monotonic() + self._timeout_s
        if not self._free.acquire(timeout=self._timeout_s):
            raise DeliveryFailed(f"{self.name}: the message before is still on its way after {self._timeout_s:g} s")
        outcome: list[Exception | None] = []
        thread = threading.Thread(target=self._try, args=(delivery, outcome), name=f"apprise {self.name}", daemon=True)
        thread.start()
        thread.join(max(0.0, deadline - time.monotonic()))
        if not outcome:
            raise DeliveryFailed(f"{self.name}: not sent within {self._timeout_s:g} s")
        if outcome[0] is not None:
            raise outcome[0]

    def close(self) -> None:
        """Nothing is kept open between two messages."""

    def _try(self, delivery: Delivery, outcome: list[Exception | None]) -> None:
        try:
            self._send(delivery)
            outcome.append(None)
        except (DeliveryFailed, DeliveryRefused) as error:
            outcome.append(error)
        except Exception as error:
            said = without_secrets(str(error), self._url)
            outcome.append(DeliveryFailed(f"{self.name}: {type(error).__name__}: {said}"))
        finally:
            self._free.release()

    def _send(self, delivery: Delivery) -> None:
        message = rendered(
            delivery, self._materials, self._service.format, self._service.body_length, mail=self._service.mail
        )
        attached: list[Attachment] = []
        if self._service.takes_attachments:
            attached = attachments_of(delivery, self._materials, self._attach, CLIP_WAIT * self._timeout_s)
        # Kept where all went well too: this may be a try that was given up as too slow, and is repeated afterwards.
        accepted = self._accepted.setdefault(delivery.delivery_id, set())
        while len(self._accepted) > REMEMBERED:
            self._accepted.popitem(last=False)
        reason = self._once(delivery, message, attached, accepted)
        if reason is not None and reason.too_big and attached:
            reason = self._once(delivery, message, (), accepted)
        if reason is not None:
            raise (DeliveryRefused if reason.final else DeliveryFailed)(f"{self.name}: {reason.text}")

    def _once(
        self, delivery: Delivery, message: Rendered, attached: Sequence[Attachment], accepted: set[Any]
    ) -> Reason | None:
        """None where it was delivered to everybody, else why not. Whoever took it is noted in `accepted`."""
        alert = delivery.events[-1]["data"]["alert_id"] if delivery.kind is Kind.EVENT else None
        self._service.name_it(delivery.delivery_id, None if alert is None else str(alert))
        return self._service.send(message, attached, accepted)
