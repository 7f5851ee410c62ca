"""Makes channels from their settings."""

from __future__ import annotations

from dashboards.clients import connect
from dashboards.grafana import GrafanaRejected
from monitor.channel_settings import ChannelSettings, Grafana
from monitor.delivery.channels.channel import Channel
from monitor.delivery.channels.grafana import GrafanaChannel
from monitor.delivery.channels.kafka_topic import KafkaTopicChannel
from monitor.delivery.channels.targets import Targets
from monitor.delivery.channels.webhook import WebhookChannel
from monitor.delivery.materials import Materials
from monitor.kafka_security import security_of


def make_channel(entry: ChannelSettings, materials: Materials, allow_targets: tuple[str, ...]) -> Channel:
    """The channel of an entry; connects to nobody yet. allow_targets: `delivery.allow_targets`, for webhooks.

    Raises ValueError, naming the channel, for settings that cannot be used: a template, a certificate, an address.
    """
    try:
        return _made(entry, materials, allow_targets)
    except ValueError as error:
        named = f"channel {entry.name}: "
        raise ValueError(f"{named}{str(error).removeprefix(named)}") from None


def grafana_channel(name: str, section: Grafana, materials: Materials) -> GrafanaChannel:
    """Also for the built-in one, of the section `grafana`. Raises ValueError."""
    try:
        client = connect(section.url, section.token.get_secret_value(), section.timeout_s, section.library)
    except GrafanaRejected as error:
        raise ValueError(str(error)) from None
    return GrafanaChannel(name, client, materials)


def _made(entry: ChannelSettings, materials: Materials, allow_targets: tuple[str, ...]) -> Channel:
    if entry.webhook is not None:
        return WebhookChannel(entry.name, entry.webhook, materials, Targets(allow_targets))
    if entry.kafka is not None:
        kafka = entry.kafka
        security = security_of(kafka.security)
        return KafkaTopicChannel(entry.name, kafka.bootstrap_servers, kafka.topic, security=security)
    if entry.grafana is not None:
        return grafana_channel(entry.name, entry.grafana, materials)
    # Their libraries take a while to load, Apprise with its hundred services above all.
    if entry.mqtt is not None:
        from monitor.delivery.channels.mqtt import MqttChannel  # noqa: PLC0415

        return MqttChannel(entry.name, entry.mqtt, materials)
    assert entry.apprise is not None  # the settings allow exactly one kind
    from monitor.delivery.channels.apprise_channel import AppriseChannel  # noqa: PLC0415

    return AppriseChannel(entry.name, entry.apprise, materials)
