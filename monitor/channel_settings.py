"""The settings of where messages go: webhooks, MQTT, Kafka topics, Grafana, and all that apprise reaches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from monitor.inputs import KafkaSecurity
from monitor.section import Section, Servers, Topic
from monitor.subscription_settings import Name

Picture = Literal["picture", "heatmap", "clip"]
BUILT_IN = frozenset({"kafka", "grafana"})
"""The channels of the sections `publish` and `grafana`: they get every event, whatever the subscriptions say."""


class Grafana(Section):
    """Where alerts become annotations and `linewatch dashboards push` goes."""

    url: str = Field(pattern=r"^https?://", description="http(s)://host:port")
    token: SecretStr = Field(description="A service account's token; better given as token_file.")
    timeout_s: float = Field(5.0, gt=0, le=60, description="How long one request may take.")
    library: Literal["auto", "grafana-client", "grafana-api"] = Field("auto", description="Which client library.")


class Webhook(Section):
    """An HTTP POST to somebody's address."""

    url: SecretStr = Field(description="http(s)://host/path; as url_file where it holds a secret.")
    format: Literal["cloudevents", "alertmanager", "template"] = Field(
        "cloudevents",
        description="The body: CloudEvents 1.0 JSON, Alertmanager's webhook format version 4, or a template of yours.",
    )
    template: Path | None = Field(None, description="With format: template, a Jinja file (docs/channels.md).")
    content_type: str = Field(
        "application/json", min_length=3, max_length=100, description="With format: template, what that makes."
    )
    secret: SecretStr | None = Field(
        None, description="Signs each request (docs/channels.md); better given as secret_file."
    )
    token: SecretStr | None = Field(None, description="Sent as Authorization: Bearer; better given as token_file.")
    timeout_s: float = Field(10.0, gt=0, le=120, description="How long one request may take.")
    ca_file: Path | None = Field(None, description="Certificates to trust instead of the system's, PEM.")

    @field_validator("url")
    @classmethod
    def _http(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().lower().startswith(("http://", "https://")):
            raise ValueError("expected http://host/path or https://host/path")
        return value

    @model_validator(mode="after")
    def _template_where_needed(self) -> Webhook:
        if (self.format == "template") != (self.template is not None):
            raise ValueError("template goes with format: template, and only with it")
        return self


class Mqtt(Section):
    """Messages on an MQTT broker, CloudEvents 1.0 JSON."""

    host: str = Field(min_length=1, max_length=255, description="Of the broker.")
    port: int = Field(1883, ge=1, le=65535, description="8883 is usual with TLS.")
    topic: Annotated[str, StringConstraints(pattern=r"^[^#+\x00]{1,500}$")] = Field(
        "linewatch/{line}/{camera}/alert",
        description="{line}, {camera}, {severity}, {kind} and {event} are filled in; / + # in them become _.",
    )
    qos: Literal[0, 1, 2] = Field(1, description="1: the broker confirms each message. With 0 nobody does.")
    retain: bool = Field(False, description="Whether the broker keeps the last message of each topic.")
    client_id: str | None = Field(None, min_length=1, max_length=100, description="Made up where not given.")
    username: str | None = Field(None, description="Where the broker wants one.")
    password: SecretStr | None = Field(None, description="Better given as password_file.")
    tls: bool = Field(False, description="Whether the connection is encrypted.")
    ca_file: Path | None = Field(None, description="Certificates to trust instead of the system's, PEM.")
    timeout_s: float = Field(10.0, gt=0, le=120, description="How long connecting and one confirmation may take.")


class KafkaTopic(Section):
    """A Kafka topic, CloudEvents 1.0 JSON, keyed by camera."""

    bootstrap_servers: Servers = Field(description="host:port, several parted by commas.")
    topic: Topic = Field(description="The topic.")
    security: KafkaSecurity = KafkaSecurity()


class Apprise(Section):
    """Mail, Slack, Teams, Telegram, ntfy, and the other hundred services that Apprise reaches."""

    url: SecretStr = Field(
        description="As Apprise writes it, like mailtos://user:password@host?to=shift@plant.example; better given as "
        "url_file."
    )
    attach: tuple[Picture, ...] = Field(
        ("picture",), description="What goes along: the picture, the heat map, the clip (which takes some seconds)."
    )
    timeout_s: float = Field(30.0, gt=0, le=300, description="How long one message may take.")


class ChannelSettings(Section):
    """A place where messages go: exactly one kind."""

    name: Name = Field(description="By which subscriptions name it.")
    webhook: Webhook | None = None
    mqtt: Mqtt | None = None
    kafka: KafkaTopic | None = None
    grafana: Grafana | None = None
    apprise: Apprise | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> ChannelSettings:
        kinds = [k for k in ("webhook", "mqtt", "kafka", "grafana", "apprise") if getattr(self, k) is not None]
        if len(kinds) != 1:
            found = " and ".join(kinds) or "none"
            raise ValueError(f"expected exactly one of webhook, mqtt, kafka, grafana, apprise; found {found}")
        if self.name in BUILT_IN:
            raise ValueError(f"{self.name} is the channel of a section of its own; call this one something else")
        return self


class Delivery(Section):
    """How alerts get to the channels."""

    here: bool = Field(
        True, description="Whether `linewatch run` delivers; where not, `linewatch dispatch` must run somewhere."
    )
    give_up_after_s: float = Field(
        86_400, ge=60, le=2_592_000, description="What could not be delivered for so long is a dead letter."
    )
    max_wait_s: float = Field(
        60, ge=1, le=3600, description="The longest wait between two tries, but where the other side asks for more."
    )
    max_tries_per_s: float = Field(
        30,
        gt=0,
        le=10_000,
        description="Of each channel, but for short bursts: in a storm, receivers and the scoring are spared.",
    )
    allow_targets: tuple[Annotated[str, StringConstraints(min_length=1, max_length=255)], ...] = Field(
        (),
        description="Where webhooks may go: host names, *.patterns of them, addresses, networks like 10.0.0.0/8. Empty "
        "means anywhere but this machine itself and link-local addresses, which must be named to be allowed.",
    )
