"""Pictures cut into RTP packets: H.264 after RFC 6184 (single units and FU-A), MPEG-4 after RFC 6416."""

from __future__ import annotations

from collections.abc import Sequence

MAX_PAYLOAD = 1400


def annex_b_units(stream: bytes) -> list[bytes]:
    """The NAL units between the start codes, without them."""
    parts = stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [part for part in parts if part]


class Packetiser:
    """Numbers the packets of one stream. `codec`: `h264`, whose units are NAL units, or `mpeg4`, one unit a picture."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._number = 0

    def packets(self, units: Sequence[bytes], timestamp: int) -> list[bytes]:
        """The packets of one picture; the last carries the marker. `timestamp` counts 1/90000 s."""
        payloads = [payload for unit in units for payload in self._payloads(unit)]
        return [self._packet(p, timestamp, marker=i == len(payloads) - 1) for i, p in enumerate(payloads)]

    def _payloads(self, unit: bytes) -> list[bytes]:
        if len(unit) <= MAX_PAYLOAD:
            return [unit]
        if self._codec == "mpeg4":
            return [unit[i : i + MAX_PAYLOAD] for i in range(0, len(unit), MAX_PAYLOAD)]
        indicator, kind, body = (unit[0] & 0xE0) | 28, unit[0] & 0x1F, unit[1:]
        found = []
        for i in range(0, len(body), MAX_PAYLOAD):
            first, last = i == 0, i + MAX_PAYLOAD >= len(body)
            found.append(bytes([indicator, first << 7 | last << 6 | kind]) + body[i : i + MAX_PAYLOAD])
        return found

    def _packet(self, payload: bytes, timestamp: int, marker: bool) -> bytes:
        self._number = (self._number + 1) & 0xFFFF
        head = bytes([0x80, marker << 7 | 96])
        return (
            head
            + self._number.to_bytes(2, "big")
            + (timestamp & 0xFFFFFFFF).to_bytes(4, "big")
            + b"LINE"  # the source's id, any four bytes
            + payload
        )
