"""A TCP door in front of a server, that can be shut: connections are cut and refused while the server lives on."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import Self

from monitor.embedded.server import HOST


class Door:
    """Passes bytes between `port` and `target_port` of the loopback interface while it is open."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port = port
        self._target_port = target_port
        self._shut = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Listen and pass on. Does nothing where it is open already."""
        if self._thread is not None:
            return
        self._shut.clear()
        listener = socket.create_server((HOST, self.port), backlog=64)
        self._thread = threading.Thread(target=self._pass_on, args=(listener,), name="door", daemon=True)
        self._thread.start()

    def shut(self) -> None:
        """Cut every connection and listen no more."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._shut.set()
            thread.join(10)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()

    def _pass_on(self, listener: socket.socket) -> None:
        other: dict[socket.socket, socket.socket] = {}
        with selectors.DefaultSelector() as ready, listener:
            ready.register(listener, selectors.EVENT_READ)
            while not self._shut.is_set():
                for key, _ in ready.select(0.1):
                    side = key.fileobj
                    assert isinstance(side, socket.socket)
                    if side is listener:
                        self._let_in(listener, other, ready)
                    elif side in other and not self._pass(side, other[side]):
                        for end in (side, other.pop(side)):
                            other.pop(end, None)
                            ready.unregister(end)
                            end.close()
            for end in other:
                end.close()

    def _let_in(
        self, listener: socket.socket, other: dict[socket.socket, socket.socket], ready: selectors.DefaultSelector
    ) -> None:
        client, _ = listener.accept()
        try:
            server = socket.create_connection((HOST, self._target_port), timeout=5)
        except OSError:
            client.close()
            return
        for one, two in ((client, server), (server, client)):
            one.settimeout(5)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            other[one] = two
            ready.register(one, selectors.EVENT_READ)

    def _pass(self, side: socket.socket, other: socket.socket) -> bool:
        with contextlib.suppress(OSError):
            if said := side.recv(1 << 16):
                other.sendall(said)
                return True
        return False
