"""A webhook's body by a Jinja template of the site's own."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment

from monitor.alerting.alert import EVENT_TYPES, Alert, Event, TriggerFrame
from monitor.delivery.channels.channel import DeliveryRefused
from monitor.delivery.channels.readable import completed
from monitor.delivery.delivery import Delivery, Kind
from monitor.delivery.materials import Links, Materials, PictureKind, Place
from monitor.judging.episodes import Change, Severity

MOST_CHARACTERS = 4_000_000
"""A template that makes more than this is taken for one that would never end."""


class BodyTemplate:
    """A template read once. Thread-safe.

    It sees `event` (the newest, a CloudEvent), `events` (all, oldest first), `links` and `place` of the newest (each
    event has its own under `data`), and `delivery`: id, kind, channel, subscriptions, omitted, queued_ms, replayed.
    It runs in Jinja's sandbox, and a name that is not there is an error, never an empty text.
    """

    def __init__(self, file: Path, content_type: str) -> None:
        """Reads it and tries it out on made-up alerts that begin and end. Raises ValueError with file and line."""
        self._file = file
        self._json = "json" in content_type.lower()
        environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        environment.policies["json.dumps_kwargs"] = {"default": _not_json}
        try:
            self._template = environment.from_string(file.read_text(encoding="utf-8"))
        except TemplateSyntaxError as error:
            raise ValueError(f"{file}, line {error.lineno}: {error.message}") from None
        except OSError as error:
            raise ValueError(f"template: cannot read {file}: {error.strerror}") from None
        except ValueError:
            raise ValueError(f"template: {file} is not UTF-8 text") from None
        for sample in samples():
            try:
                self.render(sample, _NoMaterials())
            except DeliveryRefused as error:
                raise ValueError(f"{error} (tried out on a made-up alert)") from None

    def render(self, delivery: Delivery, materials: Materials) -> bytes:
        """Raises DeliveryRefused where it cannot be filled in, or makes no JSON though it should."""
        events = [completed(event, delivery, materials) for event in delivery.events]
        known = {
            "event": events[-1],
            "events": events,
            "links": events[-1]["data"]["links"],
            "place": events[-1]["data"]["place"],
            "delivery": {
                "id": delivery.delivery_id,
                "kind": delivery.kind.value,
                "channel": delivery.channel,
                "subscriptions": list(delivery.subscriptions),
                "omitted": delivery.omitted,
                "queued_ms": delivery.queued_ms,
                "replayed": delivery.replayed,
            },
        }
        text, size = [], 0
        try:
            for piece in self._template.generate(known):
                text.append(piece)
                size += len(piece)
                if size > MOST_CHARACTERS:
                    raise ValueError(f"makes more than {MOST_CHARACTERS} characters")
        # Anything may come out of a template, down to the errors of the filters that it uses.
        except Exception as error:
            raise DeliveryRefused(f"{self._file}{_line(error)}: {type(error).__name__}: {error}") from None
        body = "".join(text)
        if self._json:
            try:
                json.loads(body)
            except ValueError as error:
                raise DeliveryRefused(
                    f"{self._file}: makes no JSON: {error}; fill values in by {{{{ value | tojson }}}}, or say another "
                    "content_type"
                ) from None
        return body.encode("utf-8", errors="replace")


def samples() -> list[Delivery]:
    """Made-up messages: an alert that begins, one that ends, and both in one."""
    frame = TriggerFrame(camera="camera-1", seq=42, captured_at=1_700_000_000_000_000_000, origin="frames/0/42")
    begun = Alert(
        alert_id="0123456789abcdef",
        camera="camera-1",
        severity=Severity.WARNING,
        started_at=frame.captured_at,
        peak_score=2.0,
        threshold=1.0,
        frame=frame,
        model="model",
    )
    ended = begun.model_copy(update={"ended_at": frame.captured_at + 10_000_000_000})
    told = [
        Event(EVENT_TYPES[Change.FIRING], begun.started_at, begun).document(),
        Event(EVENT_TYPES[Change.RESOLVED], begun.started_at, ended).document(),
    ]
    return [
        Delivery("0" * 32, "sample", kind, tuple(events), ("sample",))
        for kind, events in ((Kind.EVENT, told[:1]), (Kind.EVENT, told[1:]), (Kind.GROUP, told))
    ]


def _not_json(value: object) -> object:
    if isinstance(value, StrictUndefined):
        str(value)  # raises the error that names what is not there
    raise TypeError(f"tojson knows no {type(value).__name__}")


def _line(error: Exception) -> str:
    """Where in the template; Jinja puts the template's own lines into the traceback."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == "<template>"]
    return f", line {lines[-1]}" if lines else ""


class _NoMaterials:
    """For made-up alerts: every link there is, and a place."""

    def file(self, alert_id: str, kind: PictureKind, wait_s: float = 0.0) -> bytes | None:
        return None

    def strip(self, alert_ids: tuple[str, ...]) -> bytes | None:
        return None

    def links(self, alert_id: str, recipient: str) -> Links:
        page = "https://linewatch.example"
        return Links(page, f"{page}/picture", f"{page}/heatmap", f"{page}/clip", f"{page}/act")

    def place(self, camera: str) -> Place:
        return Place("line 1", ("tag",))
