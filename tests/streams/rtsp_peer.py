"""A network camera that misbehaves on command: stalls, freezes, changes its size or codec, sends garbage, goes away.

    with RtspPeer() as camera:
        camera.url            # to be read by a client; with user and password where it has them
        camera.stall()        # the connections stay, and nothing comes
        camera.play()         # all is well again (after stall, mute, garble, spam, freeze)
        camera.stop()         # every connection is closed and nobody listens
        camera.start()        # the same port again

It speaks RTSP with RTP inside the TCP connection, or over UDP where the client asks for that. Each client gets an
encoder of its own, and so begins with a key picture (or, with `joins_at`, with a later one); the pictures themselves
are those of one shared clock. No two pictures are equal, except while frozen.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from typing import Literal, Self
from urllib.parse import quote

import numpy as np

from tests.streams.rtsp_session import HOST, Session

Codec = Literal["h264", "mpeg4"]
Mode = Literal["play", "stall", "mute", "garble", "spam", "freeze"]


class RtspPeer:
    """Listens from `start` (or `with`) to `stop`; all commands take effect within a picture, on every connection."""

    def __init__(
        self,
        width: int = 160,
        height: int = 120,
        fps: float = 25.0,
        *,
        key_every: int = 12,
        joins_at: int = 0,
        user: str | None = None,
        password: str = "",
        seed: int = 1,
    ) -> None:
        self.size = (width, height)
        self.fps = fps
        self.key_every = key_every
        self.joins_at = joins_at
        self.user, self.password = user, password
        self.codec: Codec = "h264"
        self.mode: Mode = "play"
        self.plays = 0
        """How many times a client has begun to play."""
        self.sent = 0
        """How many pictures were sent, to all clients together."""
        self.random = random.Random(seed)
        self.stopped = threading.Event()
        self._port = 0
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._frozen_at = 0

    @property
    def address(self) -> str:
        """Without user and password."""
        return f"rtsp://{HOST}:{self._port}/line"

    @property
    def url(self) -> str:
        who = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.user is not None else ""
        return self.address.replace("rtsp://", f"rtsp://{who}")

    def start(self) -> Self:
        """Listen; on the same port as before where it ran before."""
        self.stopped = threading.Event()
        self._listener = socket.create_server((HOST, self._port), backlog=16)
        self._listener.settimeout(0.1)
        self._port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, args=(self._listener, self.stopped), daemon=True)]
        self._threads[0].start()
        return self

    def stop(self) -> None:
        """Close every connection and the port. May be called again."""
        self.stopped.set()
        for thread in self._threads:
            thread.join(10)
        self._threads = []

    def play(self) -> None:
        self.mode = "play"

    def stall(self) -> None:
        """Keep the connections and answer on them, but send no pictures."""
        self.mode = "stall"

    def mute(self) -> None:
        """Accept connections and never answer a word; those that play get no more pictures."""
        self.mode = "mute"

    def garble(self) -> None:
        """Send pictures whose bytes are random from the second quarter on."""
        self.mode = "garble"

    def spam(self) -> None:
        """Send bytes in the connection that are no RTSP and no RTP at all."""
        self.mode = "spam"

    def freeze(self) -> None:
        """Send the very same picture again and again."""
        self._frozen_at = self.index()
        self.mode = "freeze"

    def resize(self, width: int, height: int) -> None:
        """Other pictures from now on, announced by nothing but the stream itself."""
        self.size = (width, height)

    def recode(self, codec: Codec) -> None:
        """Another codec: connections are closed, as cameras do, and new ones are told of it."""
        self.stop()
        self.codec = codec
        self.start()

    def index(self) -> int:
        """The number of the picture that is due now."""
        return int(time.monotonic() * self.fps)

    def picture(self) -> np.ndarray:
        """What the camera sees, uint8 [H, W, 3]: a bright block that wanders over a slope of grey."""
        width, height = self.size
        index = self._frozen_at if self.mode == "freeze" else self.index()
        slope = np.linspace(40, 160, width, dtype=np.uint8)
        pixels = np.ascontiguousarray(np.broadcast_to(slope[None, :, None], (height, width, 3)))
        side = max(4, height // 6)
        x, y = (index * 5) % (width - side), (index * 3) % (height - side)
        pixels[y : y + side, x : x + side] = 180 + index % 75
        return pixels

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self, listener: socket.socket, stopped: threading.Event) -> None:
        with listener:
            while not stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    client, _ = listener.accept()
                    session = Session(self, client, stopped)
                    thread = threading.Thread(target=session.run, name="rtsp-peer", daemon=True)
                    self._threads.append(thread)
                    thread.start()
