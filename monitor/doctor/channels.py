"""Whether messages can go where the section `channels` says. Each channel is made as for a run, and nothing is sent."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from monitor.channel_settings import ChannelSettings, Mqtt, Webhook
from monitor.delivery.channels.make import make_channel
from monitor.delivery.channels.targets import TargetRefused, Targets
from monitor.delivery.materials import Place
from monitor.delivery.trial_materials import TrialMaterials
from monitor.doctor.brokers import examine_topics
from monitor.doctor.clock import Clock
from monitor.doctor.finding import Finding, failed, ok
from monitor.doctor.grafana import examine_grafana
from monitor.doctor.network import CONNECT_S, unreachable
from monitor.settings import Settings

PORTS: Final = {"http": 80, "https": 443}
ADDRESSES_TRIED: Final = 2
"""Of a name with several; more would take too long where none answers."""
WAITING: Final = "messages wait meanwhile, and are dead letters after delivery.give_up_after_s"


def examine_channel(entry: ChannelSettings, key: str, settings: Settings, over: Clock) -> Iterator[Finding]:
    """key: where it is set. A template, certificates and what else can be wrong by itself; then its name and port."""
    materials = TrialMaterials(settings.http.base_url, lambda camera: Place())
    try:
        make_channel(entry, materials, settings.delivery.allow_targets).close()
    except ValueError as error:
        yield failed(str(error), f"correct {key}; until then linewatch does not start, and refuses a reload")
        return
    try_it = _try_it(entry.name, settings)
    if entry.webhook is not None:
        yield _webhook(entry.webhook, f"{key}.webhook", settings.delivery.allow_targets, try_it)
    elif entry.mqtt is not None:
        yield _mqtt(entry.mqtt, f"{key}.mqtt", try_it)
    elif entry.kafka is not None:
        kafka = entry.kafka
        yield from examine_topics(kafka.bootstrap_servers, kafka.security, f"{key}.kafka", [kafka.topic], over)
    elif entry.grafana is not None:
        yield from examine_grafana(entry.grafana, f"{key}.grafana", over)
    else:
        yield ok("Apprise knows the address; whether it leads somewhere shows when something is sent", try_it)


def _try_it(channel: str, settings: Settings) -> str:
    """A hint; the subscription is one of the configuration, where one names this channel."""
    name = next((one.name for one in settings.subscriptions if channel in one.to), "NAME")
    return f"try it: linewatch subscriptions test {name}"


def _webhook(settings: Webhook, key: str, allow_targets: tuple[str, ...], try_it: str) -> Finding:
    """Its host may be connected to, by `delivery.allow_targets`, and is there. Of the address only that is told."""
    parts = urlsplit(settings.url.get_secret_value())
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    try:
        addresses = Targets(allow_targets).find(host, port, CONNECT_S)
    except TargetRefused as error:
        return failed(str(error), f"correct {key}.url, or delivery.allow_targets; messages there become dead letters")
    except OSError:
        return failed(f"the host {host} cannot be found", f"correct {key}.url, or mend the network; {WAITING}")
    tls = _trusting(settings.ca_file) if parts.scheme == "https" else None
    faults = []
    for address in islice(addresses, ADDRESSES_TRIED):
        fault = _fault(str(address), port, host, tls)
        if fault is None:
            signed = "signed" if settings.secret is not None else "not signed"
            return ok(f"{host}:{port} is there ({settings.format}, {signed})", try_it)
        faults.append(fault)
    return failed("; ".join(faults), f"see what runs there, or correct {key}.url; {WAITING}")


def _mqtt(settings: Mqtt, key: str, try_it: str) -> Finding:
    host, port = settings.host, settings.port
    fault = _fault(host, port, host, _trusting(settings.ca_file) if settings.tls else None)
    if fault is not None:
        return failed(fault, f"start the broker, or correct {key}.host and {key}.port; {WAITING}")
    return ok(f"{host}:{port} is there; whether it takes the login shows when something is sent", try_it)


def _trusting(ca_file: Path | None) -> Callable[[], ssl.SSLContext]:
    return lambda: ssl.create_default_context(cafile=ca_file)


def _fault(address: str, port: int, host: str, tls: Callable[[], ssl.SSLContext] | None) -> str | None:
    """Why nothing can be sent there; None where it can. tls: what is trusted; None for a connection in the clear."""
    fault = unreachable(address, port)
    if fault is not None or tls is None:
        return fault
    try:
        with socket.create_connection((address, port), CONNECT_S) as raw:
            tls().wrap_socket(raw, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        return f"{host}:{port}: its certificate is not trusted ({error.verify_message})"
    except ssl.SSLError as error:
        return (
            f"{host}:{port} does not speak TLS as expected ({(error.reason or 'no reason').replace('_', ' ').lower()})"
        )
    except OSError as error:
        return f"{host}:{port}: the TLS connection broke ({type(error).__name__})"
    return None
