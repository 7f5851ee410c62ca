"""The HTTP server, in a thread of the service's process."""

from __future__ import annotations

import socket
import threading
import time

import uvicorn
from fastapi import FastAPI

SILENT_MS = 120_000
"""A connection is given up where what was sent is not taken for so long: a tablet that left the hall says no word, and
would hold its place among the listeners for a quarter of an hour."""


def is_ending(app: FastAPI) -> bool:
    """Whether answers that have no end should end: the server waits for them, though not for long."""
    return bool(getattr(app.state, "ending", False))


class HttpServer:
    """Binds its port when made, so that a taken one is known before anything else starts."""

    def __init__(self, host: str, port: int) -> None:
        """Raises OSError where the address cannot be bound; port 0 takes a free one."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # The protocol is named, else asyncio does not see that small answers should not wait for others.
        self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; connections have it from the socket that accepts them
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_MS)
        try:
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self._host = f"[{host}]" if ":" in host else host
        self._app: FastAPI | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where the page is, for people on this machine."""
        host = "localhost" if self._host in {"0.0.0.0", "[::]"} else self._host
        return f"http://{host}:{self._socket.getsockname()[1]}"

    def serve(self, app: FastAPI) -> None:
        """Take the application that `start` will serve."""
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=2, lifespan="off", proxy_headers=False
        )
        self._server = uvicorn.Server(config)
        self._app = app

    def start(self) -> None:
        """Serve, from a thread; returns when requests are answered."""
        assert self._server is not None, "serve() comes first"
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="http", daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)

    def stop(self) -> None:
        """End, giving open requests two seconds."""
        if self._app is not None:
            self._app.state.ending = True
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(10)
        self._socket.close()
