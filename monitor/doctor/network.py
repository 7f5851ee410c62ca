"""Whether a host can be found and a port connected to."""

from __future__ import annotations

import os
import socket

CONNECT_S = 3.0


def unreachable(host: str, port: int, timeout_s: float = CONNECT_S) -> str | None:
    """Why host:port cannot be reached, in words; None where a connection comes about."""
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        return f"the host {host} cannot be found ({getattr(error, 'strerror', None) or 'no valid name'})"
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except TimeoutError:
        return f"{host}:{port} does not answer within {timeout_s:.0f} s: a firewall, or a machine that is off"
    except OSError as error:
        if error.errno is None:
            return f"{host}:{port} cannot be reached ({error})"
        return f"{host}:{port} cannot be reached ({os.strerror(error.errno).lower()})"
    return None
