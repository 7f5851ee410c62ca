"""HTTP requests to other people's addresses: to checked targets only, within one time limit, reading little of answers.

By httpcore itself, since httpx's client writes the whole address, secrets and all, into the log at every request.
"""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from monitor.delivery.channels.targets import Targets
from streams.redact import login_of

ANSWER_BYTES = 64 * 1024
"""So much of an answer is read; nobody looks at more."""

IDLE_S = 2.0
"""Connections are kept for so long. Many servers close theirs after five, just when the next request is on its way."""


NOT_SHOWN = "(not shown, it may hold a secret)"


class RequestFailed(Exception):
    """No answer: says why in words that hold nothing of the request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """headers: names in small letters; of several with one name, the last. body: its first ANSWER_BYTES."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class GuardedHttp:
    """Posts to one address. Thread-safe. No proxy, no redirect, nothing from the environment."""

    def __init__(self, url: str, targets: Targets, ca_file: Path | None = None) -> None:
        """Connects to nobody yet. ca_file: PEM, instead of the system's authorities.

        Raises ValueError for an address or a file that cannot be used; the message names the file, never the address.
        """
        parsed = _parsed(url)
        self.origin = f"{parsed.scheme}://{parsed.netloc.decode()}"
        """Scheme, host and port, which are no secret."""
        self._url = httpcore.URL(
            scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path
        )
        self._headers = {"Host": parsed.netloc.decode()}
        if parsed.userinfo:
            login = f"{parsed.username}:{parsed.password}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
        self._limit = _Limit()
        self._pool = httpcore.ConnectionPool(
            ssl_context=_trust(ca_file),
            max_connections=None,  # those who send are few, and bounded by their channel
            keepalive_expiry=IDLE_S,
            network_backend=_GuardedNetwork(targets, self._limit),
        )

    def post(self, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        """timeout_s: for all of it, from looking the name up to the last byte that is read.

        Raises RequestFailed, and TargetRefused (`targets.py`).
        """
        self._limit.begin(timeout_s)
        each = dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)
        every = [*self._headers.items(), *headers.items()]
        try:
            with self._pool.stream(
                "POST",
                self._url,
                headers=[(name.encode(), value.encode()) for name, value in every],
                content=body,
                extensions={"timeout": each},
            ) as answer:
                found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
                return Answer(answer.status, found, _beginning(answer))
        except httpcore.TimeoutException:
            raise RequestFailed(f"no answer within {timeout_s:g} s") from None
        except httpcore.ConnectError as error:
            raise RequestFailed(f"cannot connect: {printable(str(error)) or type(error).__name__}") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ConnectionNotAvailable) as error:
            # Their texts may quote what was sent.
            raise RequestFailed(f"the connection broke ({type(error).__name__})") from None

    def close(self) -> None:
        """May be repeated; a later request connects anew."""
        self._pool.close()


def _parsed(url: str) -> httpx.URL:
    try:
        parsed, login = httpx.URL(url), urlsplit(url).netloc.rpartition("@")[0]
    except (httpx.InvalidURL, ValueError):
        parsed, login = httpx.URL(), ""
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.port == 0:
        raise ValueError(f"url: cannot be read as an address {NOT_SHOWN}; expected http(s)://host/path")
    if login_of(url) != login:
        raise ValueError(
            f"url: holds an @ behind its host {NOT_SHOWN}; write @, /, ? and # of a login or path as %40 ..."
        )
    return parsed


def printable(text: str, most: int = 200) -> str:
    """The first printable characters of what others said, in one line."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:most].strip()


def _beginning(answer: httpcore.Response) -> bytes:
    """What breaks or comes too late while the body is read leaves it short: the status has said what counts."""
    body = b""
    try:
        for piece in answer.iter_stream():
            body += piece
            if len(body) >= ANSWER_BYTES:
                break
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        pass
    return body[:ANSWER_BYTES]


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise ValueError(f"ca_file: {ca_file} holds no certificate in PEM ({error.reason or 'not PEM'})") from None
    except OSError as error:
        raise ValueError(f"ca_file: cannot read {ca_file}: {error.strerror}") from None


class _Limit(threading.local):
    """Until when the request of this thread may take, on the monotonic clock. A request runs in one thread."""

    until_s = float("inf")

    def begin(self, timeout_s: float) -> None:
        self.until_s = time.monotonic() + timeout_s

    def left(self, timeout_s: float | None) -> float:
        """What is left, at most this; 0 or less where it is over."""
        left = self.until_s - time.monotonic()
        return left if timeout_s is None else min(left, timeout_s)


class _GuardedNetwork(httpcore.NetworkBackend):
    """Looks names up and checks them at each connection, and connects to the very address that was checked. The
    certificate is still held against the name: httpcore takes that from the request."""

    def __init__(self, targets: Targets, limit: _Limit) -> None:
        self._targets = targets
        self._limit = limit
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = self._targets.find(host, port, self._limit.left(timeout))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from None
        except OSError as error:
            raise httpcore.ConnectError(f"{host}: {error.strerror or error}") from None
        for number, address in enumerate(addresses, start=1):
            left = self._limit.left(timeout)
            if left <= 0:
                raise httpcore.ConnectTimeout
            try:
                # One of several that swallows everything must leave time for the next.
                share = left if number == len(addresses) else left / 2
                stream = self._plain.connect_tcp(str(address), port, share, local_address, socket_options)
                return _LimitedStream(stream, self._limit)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise httpcore.ConnectError(f"{host}: no address")


class _LimitedStream(httpcore.NetworkStream):
    """Single waits end with the request's limit: a server that sends a byte a second would never run into them."""

    def __init__(self, stream: httpcore.NetworkStream, limit: _Limit) -> None:
        self._stream = stream
        self._limit = limit

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._limit.left(timeout)
        if left <= 0:
            raise httpcore.ReadTimeout
        return self._stream.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = self._limit.left(timeout)
        if left <= 0:
            raise httpcore.WriteTimeout
        self._stream.write(buffer, left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._limit.left(timeout)
        if left <= 0:
            raise httpcore.ConnectTimeout
        return _LimitedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._limit)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
