"""Where webhooks may go: each connection's name and addresses are checked, and a checked address is the one used."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
SPECIAL: tuple[tuple[str, tuple[Network, ...]], ...] = (
    ("this machine itself", LOOPBACK),
    # Clouds serve credentials of the machine there, to whoever asks from it.
    (
        "a cloud's metadata service",
        tuple(ip_network(a) for a in ("169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254")),
    ),
    ("link-local", (ip_network("169.254.0.0/16"), ip_network("fe80::/10"))),
    ("unspecified, which is this machine itself", (ip_network("0.0.0.0/8"), ip_network("::/128"))),
    ("multicast", (ip_network("224.0.0.0/4"), ip_network("ff00::/8"))),
    ("reserved", (ip_network("240.0.0.0/4"),)),
)
"""Must be named to be allowed; the first that fits says what it is."""

_NAT64 = ip_network("64:ff9b::/96")
_COMPATIBLE = ip_network("::/96")


class TargetRefused(Exception):
    """A connection that is not allowed; says where to, why, and what would allow it."""


class Targets:
    """`delivery.allow_targets`: host names, `*.patterns` of them, `*` for all, addresses, and networks.

    Empty allows everything but SPECIAL addresses and this machine's own; else only what is named. Special ones are
    allowed only where an address, or a network wholly among such addresses, names them: a name says nothing of where it
    leads, and who answers for it may change that at any time. `localhost` alone names an address as well.
    Thread-safe.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        """Raises ValueError for what is none of these."""
        self._names: set[str] = set()
        self._suffixes: list[str] = []
        self._networks: list[Network] = []
        self._all_named = False
        self._any = True
        for entry in allowed:
            self._any = False
            self._take(entry.strip())

    def find(self, host: str, port: int, timeout_s: float) -> list[Address]:
        """The addresses of a host that may be connected to, at least one, in the resolver's order.

        Raises TargetRefused; OSError where the name is not known; TimeoutError (one too) where nobody says so in time.
        """
        refused: tuple[Address, str] | None = None
        found: list[Address] = []
        for address in _resolve(host, port, timeout_s):
            why = self._refusal(host, address)
            if why is None:
                found.append(address)
            else:
                refused = refused or (address, why)
        if not found and refused is not None:
            raise TargetRefused(self._told(host, *refused))
        return found

    def _take(self, entry: str) -> None:
        if entry == "*":
            self._all_named = True
            return
        with contextlib.suppress(ValueError):
            self._networks.append(ip_network(entry.strip("[]")))
            return
        name = _name(entry.removeprefix("*."))
        # A name that ends in digits would be an address that was mistyped; one with a port or scheme never fits.
        if not name or not all(c.isalnum() or c in "-_." for c in name) or name.rpartition(".")[2].isdigit():
            raise ValueError(
                f"delivery.allow_targets: {entry!r} is neither a host name (hook.plant.example), a pattern "
                "(*.plant.example, or * for all), an address (10.1.2.3) nor a network (10.0.0.0/8, without host bits)"
            )
        if entry.startswith("*."):
            self._suffixes.append(f".{name}")
        else:
            self._names.add(name)
            if name == "localhost":
                self._networks.extend(LOOPBACK)

    def _refusal(self, host: str, address: Address) -> str | None:
        """Why not; None where it is allowed."""
        meant = _meant(address)
        what = next((name for name, networks in SPECIAL if _within(meant, networks)), None)
        if what is not None:
            among = [n for name, networks in SPECIAL for n in networks]
            named = [n for n in self._networks if any(_subnet(n, special) for special in among)]
        elif _is_own(meant):
            what = "this machine itself"
            named = [n for n in self._networks if n.num_addresses == 1]
        else:
            named = self._networks
            name = _name(host)
            if self._any or self._all_named or name in self._names or any(name.endswith(s) for s in self._suffixes):
                return None
        if _within(meant, named):
            return None
        return what or "not among delivery.allow_targets"

    def _told(self, host: str, address: Address, why: str) -> str:
        where = f"{host} ({address})" if host != str(address) else host
        remedy = f"{_meant(address)}" if why != "not among delivery.allow_targets" else host
        rest = ", and * to go on allowing everything else" if self._any else ""
        return f"{where} is {why}: not connected. If it is meant, add {remedy} to delivery.allow_targets{rest}"


def _resolve(host: str, port: int, timeout_s: float) -> list[Address]:
    """Each address once. Any form goes that a connection would take: decimal, octal, shortened."""
    try:
        found = _looked_up(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = _asked(host, port, timeout_s)
    return list(dict.fromkeys(ip_address(text) for text in found))


def _looked_up(host: str, port: int, flags: int) -> list[str]:
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [str(row[4][0]) for row in rows]


def _asked(host: str, port: int, timeout_s: float) -> list[str]:
    """The system's resolver cannot be told how long to try, so it is left behind in a thread when it takes too long."""
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_looked_up(host, port, 0))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=max(timeout_s, 0.001))
    except queue.Empty:
        raise TimeoutError(f"no answer on where {host} is") from None
    if isinstance(answer, UnicodeError):
        raise OSError(f"{host} cannot be a host name") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _meant(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that leads to it; the address itself otherwise."""
    if isinstance(address, IPv4Address):
        return address
    plain = IPv6Address(int(address))  # without its zone, as in fe80::1%eth0
    inside = plain.ipv4_mapped or plain.sixtofour
    if inside is None and (plain in _NAT64 or (plain in _COMPATIBLE and int(plain) > 0xFFFF)):
        inside = IPv4Address(int(plain) & 0xFFFFFFFF)
    return inside or plain


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)  # False for the other version of IP


def _subnet(network: Network, of: Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(of, IPv4Network) and network.subnet_of(of)
    return isinstance(of, IPv6Network) and network.subnet_of(of)


def _is_own(address: Address) -> bool:
    """Whether one of this machine's interfaces has it: then the way there begins at it. Sends nothing."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ip_address(probe.getsockname()[0]) == address
    except OSError:
        return False  # no way there at all


def _name(host: str) -> str:
    """As names are compared: small letters, no dot at the end, other scripts as in the network's own form."""
    try:
        return host.strip().rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        return host.strip().rstrip(".").lower()
