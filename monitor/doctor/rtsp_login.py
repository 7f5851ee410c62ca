"""What a network camera says to a client's first question. FFmpeg does not tell a wrong password from a dead camera."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322}
MOST_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Answer:
    """status: RTSP's, as HTTP's. None: it said something else."""

    status: int | None
    headers: Mapping[str, str]


def endpoint(url: str) -> tuple[str, int]:
    """Host and port of a camera's address."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 554)


def describe(url: str, timeout_s: float) -> tuple[Answer, bool]:
    """Ask for the stream's description, with the address's login where it is wanted.

    Returns the last answer, and whether a login was shown. Raises OSError (TimeoutError for a camera that says
    nothing).
    """
    parts = urlsplit(url)
    first = _ask(parts, timeout_s, None)
    if first.status != 401 or not parts.username:
        return first, False
    shown = _authorization(parts, first.headers.get("www-authenticate", ""))
    if shown is None:
        return Answer(200, {}), False  # a way to log in that is not known here: FFmpeg may know it
    return _ask(parts, timeout_s, shown), True


def _target(parts: SplitResult) -> str:
    """The address without its login, as it goes over the wire."""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


def _ask(parts: SplitResult, timeout_s: float, authorization: str | None) -> Answer:
    lines = [f"DESCRIBE {_target(parts)} RTSP/1.0", "CSeq: 1", "Accept: application/sdp", "User-Agent: linewatch"]
    if authorization is not None:
        lines.append(f"Authorization: {authorization}")
    host, port = endpoint(parts.geturl())
    with socket.create_connection((host, port), timeout=timeout_s) as plain:
        connection = plain
        if parts.scheme == "rtsps":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # as FFmpeg does, which reads the stream
            connection = context.wrap_socket(plain, server_hostname=host)
        connection.settimeout(timeout_s)
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape"))
        received = b""
        while b"\r\n\r\n" not in received and len(received) < MOST_BYTES:
            piece = connection.recv(4096)
            if not piece:
                break
            received += piece
    head = received.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    status = re.match(r"RTSP/\d\.\d (\d{3})", head[0])
    headers: dict[str, str] = {}
    for line in head[1:]:
        name, _, value = line.partition(":")
        # Of several ways to log in, the safer one.
        if name.lower() not in headers or value.strip().lower().startswith("digest"):
            headers[name.lower()] = value.strip()
    return Answer(int(status[1]) if status else None, headers)


def _authorization(parts: SplitResult, challenge: str) -> str | None:
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic":
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    if scheme.lower() != "digest":
        return None
    asked = {name.lower(): quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', rest)}
    algorithm = asked.get("algorithm", "MD5")
    names = {"MD5": "md5", "SHA-256": "sha256"}
    if algorithm.upper() not in names:
        return None

    def digest(text: str) -> str:
        return hashlib.new(names[algorithm.upper()], text.encode()).hexdigest()

    realm, nonce, target = asked.get("realm", ""), asked.get("nonce", ""), _target(parts)
    who, what = digest(f"{user}:{realm}:{password}"), digest(f"DESCRIBE:{target}")
    shown = f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{target}"'
    if "auth" in asked.get("qop", "").split(","):
        once, count = hashlib.sha256(nonce.encode()).hexdigest()[:16], "00000001"
        response = digest(f"{who}:{nonce}:{count}:{once}:auth:{what}")
        shown += f', qop=auth, nc={count}, cnonce="{once}"'
    else:
        response = digest(f"{who}:{nonce}:{what}")
    shown += f', response="{response}"'
    if "algorithm" in asked:
        shown += f", algorithm={algorithm}"
    if "opaque" in asked:
        shown += f', opaque="{asked["opaque"]}"'
    return shown
