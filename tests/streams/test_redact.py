"""No secret survives redaction."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.redact import redact, redact_text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://u:secret@cam:554/a/b?token=secret#secret", "rtsp://cam:554/a/b"),
        ("rtsp://cam/a", "rtsp://cam/a"),
        ("redis://:secret@localhost:6379/0", "redis://localhost:6379/0"),
        ("rtsp://u:secret@[::1]:554/a", "rtsp://[::1]:554/a"),
        ("rtsp://u:secret@cam:port/a", "***"),
        ("rtsp://admin:1234/5@cam/live", "***"),
        ("rtsp://admin:12?34@cam/live", "***"),
        ("rtsp://admin:12#34@cam/live", "***"),
        ("rtsp://admin:12@34/5@cam/live", "***"),
        ("rtsp://cam/user=admin_password=secret_channel=1.sdp/x", "rtsp://cam/user=***/x"),
    ],
)
def test_addresses_are_shown_without_secrets(url: str, shown: str) -> None:
    assert redact(url) == shown


@given(st.text(alphabet="abcXYZ0123456789!$&*+=%/?#@:", min_size=12, max_size=30))
def test_a_password_never_shows(password: str) -> None:
    assert password not in redact(f"rtsp://user:{password}@camera:554/stream")


@given(
    st.text(alphabet="abcXYZ0123456789!$&*+=", min_size=6, max_size=20),
    st.text(alphabet="abcXYZ0123456789@:/?# %", min_size=6, max_size=20),
    st.sampled_from(["{url}", "tcp {user} {password}", "{quoted} refused", "at {url}: 401 for {user}:{password}@"]),
)
def test_what_a_library_says_shows_neither_user_nor_password(user: str, password: str, said: str) -> None:
    quoted = quote(password, safe="")
    url = f"rtsp://{quote(user, safe='')}:{quoted}@camera.local:554/stream"
    told = redact_text(said.format(url=url, user=user, password=password, quoted=quoted), url)
    assert user not in told and password not in told and quoted not in told


def test_an_unescaped_password_is_hidden_whole_and_in_the_pieces_a_library_makes_of_it() -> None:
    url = "rtsp://admin:secretpw/99@cam/live"
    for said in (url, "no port 'secretpw'", "tcp://admin:secretpw refused", "401 for secretpw/99", "no /99@cam/live"):
        told = redact_text(said, url)
        assert "secretpw" not in told and "99" not in told, told
    assert redact_text("no rtsp://u:12/34@other/a", "rtsp://cam/a") == "no rtsp://***@other/a"


def test_a_text_without_secrets_stays_and_other_addresses_lose_theirs() -> None:
    assert redact_text("401 Unauthorized", "rtsp://cam/a") == "401 Unauthorized"
    assert redact_text("401 Unauthorized", "") == "401 Unauthorized"
    assert redact_text("no rtsp://u:p@other/a", "rtsp://cam/a") == "no rtsp://***@other/a"
