"""The signature of a webhook: that a request comes from here, unchanged, and was not recorded long ago."""

from __future__ import annotations

import hashlib
import hmac
import re

HEADER = "X-Linewatch-Signature"

_FORM = re.compile(r"t=(\d{1,12})((?:,v1=[0-9a-f]{64})+)", re.ASCII)


class SignatureWrong(ValueError):
    """Not signed by who knows the secret, or too long ago; says which."""


def sign(secret: str, body: bytes, now_s: float) -> str:
    """The header's value: `t=<seconds since the epoch>,v1=<hex HMAC-SHA256 of "<t>.<body>">`."""
    stamp = str(int(now_s))
    return f"t={stamp},v1={_digest(secret, stamp, body)}"


def verify(secret: str, header: str, body: bytes, now_s: float, tolerance_s: float = 300) -> None:
    """For receivers. body: the bytes as they came, before anything reads them. Raises SignatureWrong.

    Several `v1` are for a change of the secret; one that fits is enough.
    """
    found = _FORM.fullmatch(header.strip())
    if found is None:
        raise SignatureWrong(f"expected {HEADER}: t=<seconds>,v1=<64 hexadecimal digits>")
    stamp, signatures = found[1], [part.removeprefix("v1=") for part in found[2].split(",")[1:]]
    expected = _digest(secret, stamp, body)
    # Every one is compared, in constant time: how long it takes tells nothing.
    if not any([hmac.compare_digest(expected, each) for each in signatures]):
        raise SignatureWrong("the signature does not fit: another secret, or the body or its time stamp was changed")
    if abs(now_s - int(stamp)) > tolerance_s:
        raise SignatureWrong(f"signed {now_s - int(stamp):.0f} s ago; allowed are {tolerance_s:.0f} s either way")


def _digest(secret: str, stamp: str, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
