"""Where webhooks may go: what an address says however it is written, and that what was checked is what is used."""

from __future__ import annotations

import socket
import threading
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.channel_settings import Webhook
from monitor.delivery.channels.channel import DeliveryFailed, DeliveryRefused
from monitor.delivery.channels.targets import TargetRefused, Targets
from monitor.delivery.channels.webhook import WebhookChannel
from tests.monitor.peer import FakeMaterials, HttpPeer, delivery

ORDINARY = IPv4Network("203.0.113.0/24")


def leads_to(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Names lead to these addresses, each look-up to the next; the list notes who was asked for. Addresses go on as
    they are."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: Any, port: Any, *arguments: Any, **options: Any) -> list[Any]:
        try:
            return real(host, port, *arguments, **{**options, "flags": socket.AI_NUMERICHOST})
        except socket.gaierror:
            if options.get("flags"):
                raise
        asked.append(str(host))
        found = answers[min(len(asked), len(answers)) - 1]
        return [row for address in found for row in real(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0177.0.0.1", "0x7f000001", "0", "0.0.0.0", "localhost", "LOCALHOST",
        "::1", "::", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
        "169.254.169.254", "0xA9FEA9FE", "::ffff:169.254.169.254", "fe80::1", "fd00:ec2::254", "100.100.100.200",
        "224.0.0.1", "ff02::1", "255.255.255.255",
    ],
)  # fmt: skip
def test_nothing_leads_to_this_machine_or_its_neighbours_unless_named(host: str) -> None:
    for allowed in ((), ("*",), ("0.0.0.0/0", "::/0"), ("x.example", "10.0.0.0/8")):
        with pytest.raises(TargetRefused, match=r"not connected.*add [0-9a-f:.]+ to delivery.allow_targets"):
            Targets(allowed).find(host, 80, 5)


def test_what_is_named_is_allowed_and_then_nothing_else() -> None:
    for allowed, host in (
        ("127.0.0.1", "127.0.0.1"), ("127.0.0.0/8", "2130706433"), ("localhost", "localhost"), ("[::1]", "::1"),
        ("169.254.7.0/24", "169.254.7.9"), ("10.0.0.0/8", "10.1.2.3"), ("10.1.2.3", "::ffff:10.1.2.3"),
        ("fd12::/16", "fd12::1"),
    ):  # fmt: skip
        assert Targets([allowed]).find(host, 80, 5)
        with pytest.raises(TargetRefused, match="not among"):
            Targets([allowed]).find("203.0.113.9", 80, 5)
    assert Targets().find("10.1.2.3", 80, 5) == [IPv4Address("10.1.2.3")]  # plants use private networks


def test_names_and_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    leads_to(monkeypatch, ["203.0.113.9"])
    targets = Targets(["hook.plant.example", "*.Office.example.", "*.bücher.example"])
    for host in ("HOOK.plant.example", "hook.plant.example.", "a.b.office.example", "www.xn--bcher-kva.example"):
        assert targets.find(host, 443, 5) == [IPv4Address("203.0.113.9")]
    for host in ("office.example", "evil-office.example", "hook.plant.example.evil.org", "plant.example"):
        with pytest.raises(TargetRefused, match=f"{host}.*add {host} to delivery.allow_targets"):
            targets.find(host, 443, 5)
    for wrong in ("https://a.example/", "a.example:80", "10.0.0.1/8", "a*.example", "10.0.0.256", "", "a b"):
        with pytest.raises(ValueError, match=r"delivery\.allow_targets"):
            Targets([wrong])


def test_a_name_does_not_allow_what_it_leads_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who answers for a name may let it lead anywhere, at any time."""
    leads_to(monkeypatch, ["169.254.169.254"], ["203.0.113.9", "127.0.0.1"])
    with pytest.raises(TargetRefused, match=r"metadata.*add 169\.254\.169\.254"):
        Targets(["hook.example"]).find("hook.example", 80, 5)
    assert Targets(["hook.example"]).find("hook.example", 80, 5) == [IPv4Address("203.0.113.9")]


def test_the_address_that_was_checked_is_the_one_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere at the second look gains nothing, and every connection is checked."""
    with HttpPeer() as peer:
        settings = Webhook.model_validate({"url": f"http://hook.example:{peer.port}/in", "timeout_s": 5})
        channel = WebhookChannel("hook", settings, FakeMaterials(), Targets(["hook.example", "127.0.0.1"]))
        asked = leads_to(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
        channel.deliver(delivery())
        assert asked == ["hook.example"] and len(peer.requests) == 1
        assert peer.requests[0].headers["host"] == f"hook.example:{peer.port}"
        channel.close()
        with pytest.raises(DeliveryRefused, match=r"hook\.example \(127\.0\.0\.2\) is this machine itself"):
            channel.deliver(delivery())
        assert len(peer.requests) == 1


def test_own_addresses_are_this_machine_too() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("203.0.113.9", 9))
        except OSError:
            pytest.skip("this machine has no network but itself")
        own = probe.getsockname()[0]
    with pytest.raises(TargetRefused, match="this machine itself"):
        Targets(["*"]).find(own, 80, 5)
    assert Targets([own]).find(own, 80, 5)


def test_a_resolver_that_does_not_answer_costs_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def stuck(*_: Any, **options: Any) -> list[Any]:
        if options.get("flags"):
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        over.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    settings = Webhook.model_validate({"url": "http://hook.example/", "timeout_s": 0.2})
    with pytest.raises(DeliveryFailed, match=r"no answer within 0\.2 s"):
        WebhookChannel("hook", settings, FakeMaterials(), Targets()).deliver(delivery())
    over.set()


@given(st.ip_addresses(), st.booleans())
def test_an_ordinary_address_is_as_good_mapped_as_plain(address: IPv4Address | IPv6Address, everything: bool) -> None:
    """And what is refused plain is refused mapped."""

    def allowed(host: str) -> bool:
        try:
            return bool(Targets(["*"] if everything else []).find(host, 80, 5))
        except TargetRefused:
            return False

    if isinstance(address, IPv4Address):
        assert allowed(str(address)) == allowed(f"::ffff:{address}") == allowed(str(int(address)))
        if address in ORDINARY:
            assert allowed(str(address))
    if ip_address(address).is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        assert not allowed(str(address))
