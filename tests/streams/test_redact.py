"""No secret survives redaction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.redact import redact


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://u:secret@cam:554/a/b?token=secret#secret", "rtsp://cam:554/a/b"),
        ("rtsp://cam/a", "rtsp://cam/a"),
        ("redis://:secret@localhost:6379/0", "redis://localhost:6379/0"),
        ("rtsp://u:secret@[::1]:554/a", "rtsp://[::1]:554/a"),
        ("rtsp://u:secret@cam:port/a", "***"),
    ],
)
def test_addresses_are_shown_without_secrets(url: str, shown: str) -> None:
    assert redact(url) == shown


@given(st.text(alphabet="abcXYZ0123456789!$&*+=%", min_size=12, max_size=30))
def test_a_password_never_shows(password: str) -> None:
    assert password not in redact(f"rtsp://user:{password}@camera:554/stream")
