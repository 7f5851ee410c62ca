"""An embedded RTSP server that plays the films of a folder, as cameras would."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from monitor.embedded.server import HOST, EmbeddedServerError, load

_STOP_S: Final = 5.0


class EmbeddedRtsp:
    """Serves H.264 films (.mp4) over RTSP/TCP, from a thread of this process.

    Each client gets the film from its start. Address: `rtsp://host:port`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._plays: list[tuple[str, int]] = []

    @property
    def address(self) -> str:
        if self._server is None:
            raise EmbeddedServerError("the embedded RTSP server is not running: start it first")
        return f"rtsp://{HOST}:{self._server.bound_port}"

    @property
    def plays(self) -> list[tuple[str, int]]:
        """The film's name and the time, in ns since the epoch, of the first packet of every round
        sent to a client, in order. They stay known after `stop`.

        With several clients on one film their rounds are mixed.
        """
        return list(self._plays)

    def url(self, name: str, loop: bool = True) -> str:
        """Where the film `name`.mp4 plays; without `loop` the stream ends with the film."""
        return f"{self.address}/{quote(name)}.mp4/play_count_{0 if loop else 1}"

    def start(self) -> Self:
        if self._server is not None:
            return self
        if not self._folder.is_dir():
            raise EmbeddedServerError(f"no folder of films at {self._folder}: create it first")
        load("aio_rtsp_toolkit", "RTSP server")
        server_module = load("monitor.embedded.rtsp_server", "RTSP server")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="embedded-rtsp", daemon=True)
        self._thread.start()
        try:
            server = server_module.NotingRtspServer(self._folder, HOST, self._plays)
            asyncio.run_coroutine_threadsafe(server.start(), self._loop).result(_STOP_S)
        except Exception as error:
            self.stop()
            raise EmbeddedServerError(f"the embedded RTSP server did not start: {error}") from error
        self._server = server
        return self

    def stop(self) -> None:
        server, self._server = self._server, None
        loop, self._loop = self._loop, None
        thread, self._thread = self._thread, None
        if loop is None or thread is None:
            return
        try:
            if server is not None:
                asyncio.run_coroutine_threadsafe(server.close_all(), loop).result(_STOP_S)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_STOP_S)
            if not thread.is_alive():
                loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
