"""One client of the misbehaving camera: its requests answered, and pictures sent between them."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
import time
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av

from tests.streams.rtp import Packetiser, annex_b_units

if TYPE_CHECKING:
    from tests.streams.rtsp_peer import RtspPeer

HOST = "127.0.0.1"
SDP_CODEC = {
    "h264": "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n",
    "mpeg4": "a=rtpmap:96 MP4V-ES/90000\r\n",
}


class Session:
    """One client: answers its requests, and sends pictures between them once it plays."""

    def __init__(self, peer: RtspPeer, client: socket.socket, stopped: threading.Event) -> None:
        self._peer, self._client, self._stopped = peer, client, stopped
        self._udp: tuple[socket.socket, int] | None = None
        self._made = 0
        self._encoder: av.VideoCodecContext | None = None
        self._made_for: object = None
        self._playing = False
        self._told = b""
        self._rtp = Packetiser(peer.codec)

    def run(self) -> None:
        next_s = time.monotonic()
        with self._client, contextlib.suppress(OSError):
            while not self._stopped.is_set():
                self._client.settimeout(max(0.001, min(0.1, next_s - time.monotonic())) if self._playing else 0.1)
                with contextlib.suppress(TimeoutError):
                    said = self._client.recv(65536)
                    if not said:
                        break
                    self._told += said
                    self._answer_all()
                if self._playing and time.monotonic() >= next_s:
                    next_s = max(next_s + 1 / self._peer.fps, time.monotonic() - 0.2)
                    self._client.settimeout(5)
                    self._send_picture()
        if self._udp is not None:
            self._udp[0].close()

    def _answer_all(self) -> None:
        """Every request that has come whole. RTCP of the client is passed over."""
        while self._told:
            if self._told[:1] == b"$":
                if len(self._told) < 4 or len(self._told) < 4 + int.from_bytes(self._told[2:4], "big"):
                    return
                self._told = self._told[4 + int.from_bytes(self._told[2:4], "big") :]
                continue
            head, end, rest = self._told.partition(b"\r\n\r\n")
            if not end:
                return
            self._told = rest
            if self._peer.mode != "mute":
                self._client.settimeout(5)
                self._client.sendall(self._answer(head.decode(errors="replace")))

    def _answer(self, request: str) -> bytes:
        first, *lines = request.split("\r\n")
        method = first.split(" ")[0]
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        status, more, body = "200 OK", "Session: 1\r\n", ""
        if method != "OPTIONS" and not self._welcome(headers.get("authorization", "")):
            status, more = "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"\r\n'
        elif method == "OPTIONS":
            more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = (
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=line\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
                f"m=video 0 RTP/AVP 96\r\n{SDP_CODEC[self._peer.codec]}a=control:trackID=0\r\n"
            )
            more = f"Content-Base: {self._peer.address}/\r\nContent-Type: application/sdp\r\n"
        elif method == "SETUP":
            more += f"Transport: {self._transport(headers.get('transport', ''))}\r\n"
        elif method == "PLAY":
            self._playing = True
            self._peer.plays += 1
        return (
            f"RTSP/1.0 {status}\r\nCSeq: {headers.get('cseq', '0')}\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def _welcome(self, authorization: str) -> bool:
        if self._peer.user is None:
            return True
        wanted = base64.b64encode(f"{self._peer.user}:{self._peer.password}".encode()).decode()
        return authorization == f"Basic {wanted}"

    def _transport(self, asked: str) -> str:
        if "interleaved" in asked:
            return "RTP/AVP/TCP;unicast;interleaved=0-1"
        ports = asked.partition("client_port=")[2].split(";")[0]
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((HOST, 0))
        self._udp = (server, int(ports.split("-")[0]))
        port = server.getsockname()[1]
        return f"RTP/AVP;unicast;client_port={ports};server_port={port}-{port + 1}"

    def _send_picture(self) -> None:
        mode = self._peer.mode
        if mode in {"stall", "mute"}:
            return
        if mode == "spam":
            self._client.sendall(self._peer.random.randbytes(500))
            return
        units = annex_b_units(self._encode()) if self._peer.codec == "h264" else [self._encode()]
        self._made += 1
        if self._made <= self._peer.joins_at:
            return
        if mode == "garble":
            units = [u[: 1 + len(u) // 4] + self._peer.random.randbytes(len(u) - 1 - len(u) // 4) for u in units]
        for packet in self._rtp.packets(units, int(time.monotonic() * 90_000)):
            if self._udp is not None:
                self._udp[0].sendto(packet, (HOST, self._udp[1]))
            else:
                self._client.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)
        self._peer.sent += 1

    def _encode(self) -> bytes:
        """The picture that is due. Frozen pictures are key pictures all, so that they decode to the very same."""
        frozen = self._peer.mode == "freeze"
        wanted = (self._peer.size, frozen)
        if self._encoder is None or self._made_for != wanted:
            self._made_for = wanted
            name = "libx264" if self._peer.codec == "h264" else "mpeg4"
            self._encoder = cast(av.VideoCodecContext, av.CodecContext.create(name, "w"))
            self._encoder.width, self._encoder.height = self._peer.size
            self._encoder.pix_fmt = "yuv420p"
            self._encoder.framerate = Fraction(self._peer.fps).limit_denominator(1000)
            self._encoder.gop_size = 1 if frozen else self._peer.key_every
            self._encoder.thread_count = 1
            if name == "libx264":
                self._encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "qp": "24"}
        packets = self._encoder.encode(av.VideoFrame.from_ndarray(self._peer.picture(), format="bgr24"))
        return b"".join(bytes(packet) for packet in packets)
