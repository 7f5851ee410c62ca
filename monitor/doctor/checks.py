"""Everything that a configuration names, as checks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from monitor.adapters import key_prefix, redis_client
from monitor.doctor.brokers import examine_input, examine_topics
from monitor.doctor.bucket import examine_bucket
from monitor.doctor.cameras import examine_rtsp, examine_usb
from monitor.doctor.channels import examine_channel
from monitor.doctor.evidence import examine_evidence
from monitor.doctor.finding import Check
from monitor.doctor.grafana import examine_grafana
from monitor.doctor.http_port import examine_port
from monitor.doctor.links import examine_links
from monitor.doctor.model import examine_model
from monitor.doctor.redis_server import examine_redis
from monitor.doctor.stored import examine_files
from monitor.doctor.subscriptions import examine_subscriptions
from monitor.inputs import Input
from monitor.settings import Settings

SLOW_S = 15.0


def checks_of(settings: Settings) -> list[Check]:
    """In the order in which they are told: what scores, what is watched, what is needed, what is told to whom."""
    checks = [
        Check(
            "model",
            partial(examine_model, settings.model),
            "the network is slow here: use a GPU, a smaller model, or end what else is running",
            SLOW_S,
        )
    ]
    for index, entry in enumerate(settings.sources):
        checks.extend(_source(entry, f"sources[{index}]", settings.limits.max_pixels))
    checks.append(
        Check(
            "redis",
            partial(examine_redis, settings.redis, redis_client(settings)),
            "look at the server's load and the network",
        )
    )
    if settings.publish is not None:
        publish = settings.publish
        topics = [publish.scores_topic, publish.alerts_topic]
        examine = partial(examine_topics, publish.bootstrap_servers, publish.security, "publish", topics)
        checks.append(Check("publish", examine, "look at the broker and the network"))
    if settings.grafana is not None:
        examine_it = partial(examine_grafana, settings.grafana, "grafana")
        checks.append(Check("grafana", examine_it, "look at Grafana and the network"))
    checks.extend(_telling(settings))
    checks.append(Check("evidence", partial(examine_evidence, settings.evidence), "the disk hangs: look at its mount"))
    if settings.evidence.s3 is not None:
        checks.append(
            Check("s3", partial(examine_bucket, settings.evidence.s3), "look at the storage and the network", SLOW_S)
        )
    checks.append(Check("http", partial(examine_port, settings.http), "another program holds the port and hangs"))
    return checks


def _telling(settings: Settings) -> Iterator[Check]:
    """Who is told what by which way, and whether the links in it work."""
    for index, entry in enumerate(settings.channels):
        yield Check(
            f"channel:{entry.name}",
            partial(examine_channel, entry, f"channels[{index}]", settings),
            "look at what answers there, its name server and the network",
            SLOW_S,
        )
    if settings.channels or settings.subscriptions:
        yield Check(
            "subscriptions",
            partial(examine_subscriptions, settings, redis_client(settings), key_prefix(settings)),
            "look at the load of Redis and the network",
        )
    if settings.channels or settings.grafana is not None:
        yield Check("links", partial(examine_links, settings.http), "")


def _source(entry: Input, key: str, max_pixels: int) -> Iterator[Check]:
    if entry.kafka is not None:
        yield Check(
            f"kafka:{entry.kafka.topic}",
            partial(examine_input, entry.kafka, f"{key}.kafka", max_pixels),
            "look at the broker's load and the network",
            SLOW_S,
        )
    if entry.rtsp is not None:
        yield Check(
            f"rtsp:{entry.rtsp.camera}",
            partial(examine_rtsp, entry, entry.rtsp, f"{key}.rtsp"),
            "restart the camera, and see whether its network is overloaded",
            SLOW_S,
        )
    if entry.usb is not None:
        yield Check(
            f"usb:{entry.usb.camera}",
            partial(examine_usb, entry, entry.usb, f"{key}.usb"),
            "unplug the camera and plug it in again",
            SLOW_S,
        )
    if entry.files is not None:
        yield Check(
            f"files:{entry.files.camera}",
            partial(examine_files, entry.files, f"{key}.files", max_pixels),
            "the disk or network share hangs: look at its mount",
        )
