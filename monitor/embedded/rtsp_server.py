"""The RTSP server of aio-rtsp-toolkit, which also notes when each round of a film begins.

Imported only when an RTSP server is started, since the package is an extra.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any, Final

import structlog
from aio_rtsp_toolkit.server import (  # type: ignore[import-untyped,unused-ignore]
    RtspServer,
    RtspServerSession,
)

log = structlog.get_logger(__name__)

_LEAVE_S: Final = 1.0
_QUEUE_POLL_S: Final = 0.05


class _QuietLogger:
    """Its own logger prints to standard output, which is for data; only trouble is passed on."""

    def debug(self, message: str) -> None: ...
    def info(self, message: str) -> None: ...

    def warning(self, message: str) -> None:
        log.warning("embedded RTSP server", detail=message)

    def error(self, message: str) -> None:
        log.error("embedded RTSP server", detail=message)

    critical = error


class _NotingSession(RtspServerSession):  # type: ignore[misc]
    """Notes the wall clock at the first packet of every round, and sends no packet twice."""

    server: NotingRtspServer
    _round_begins = False

    async def _stream_media_once(self, suffix: str) -> None:
        self._round_begins = True
        await super()._stream_media_once(suffix)

    async def _sleep_until_media_time(self, state: Any, media_time: float) -> None:
        await super()._sleep_until_media_time(state, media_time)
        if self._round_begins:
            self._round_begins = False
            self.server.plays.append((self.media_source.file_path.stem, time.time_ns()))

    def _threadsafe_queue_put(
        self,
        loop: asyncio.AbstractEventLoop,
        queue: asyncio.Queue[Any],
        item: Any,
        stop_event: threading.Event,
    ) -> bool:
        # The package's own gives up on a full queue every 50 ms and tries again; where the put
        # was just succeeding, the packet went out twice: about one in 500 pictures when tried.
        future = asyncio.run_coroutine_threadsafe(queue.put(item), loop)
        while not stop_event.is_set():
            try:
                future.result(timeout=_QUEUE_POLL_S)
            except TimeoutError:
                continue
            except (CancelledError, RuntimeError):
                return False
            return True
        future.cancel()
        return False


class NotingRtspServer(RtspServer):  # type: ignore[misc]
    """Listens on a port that the system chooses, and can close every session."""

    def __init__(self, folder: Path, host: str, plays: list[tuple[str, int]]) -> None:
        super().__init__(str(folder), host=host, port=0, session_name="linewatch")
        self.logger = _QuietLogger()
        self.plays = plays
        self._sessions: dict[_NotingSession, asyncio.Task[Any]] = {}

    @property
    def bound_port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def close_all(self) -> None:
        """Stop listening and end every session.

        Sessions are closed and not cancelled: asyncio logs a cancelled connection as an error.
        """
        await self.close()
        for session, task in list(self._sessions.items()):
            await session.close()
            await asyncio.wait([task], timeout=_LEAVE_S)
        # The threads that read films still hand packets to this loop: wait for them, too.
        await asyncio.get_running_loop().shutdown_default_executor()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _handle_client(self, sock: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        session = _NotingSession(self, sock)
        self._sessions[session] = task
        try:
            await session.run()
        except (OSError, EOFError) as error:
            log.debug("RTSP client left", detail=repr(error))
        finally:
            del self._sessions[session]
