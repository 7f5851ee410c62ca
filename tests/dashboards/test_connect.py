import importlib.util
from typing import Any

import pytest
from stub_grafana import TOKEN, StubGrafana

from dashboards.address import parse_address
from dashboards.archived import ArchivedGrafana
from dashboards.clients import connect
from dashboards.grafana import GrafanaRejected
from dashboards.maintained import MaintainedGrafana

URL = "http://localhost:3000"


def test_auto_prefers_the_maintained_library() -> None:
    assert isinstance(connect(URL, TOKEN), MaintainedGrafana)


def test_auto_falls_back_to_the_archived_library(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec

    def without_maintained(name: str, *rest: Any) -> Any:
        return None if name == "grafana_client" else real(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without_maintained)
    assert isinstance(connect(URL, TOKEN), ArchivedGrafana)


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules makes the import fail as if the package were not there.
    monkeypatch.setitem(__import__("sys").modules, "grafana_client", None)
    with pytest.raises(GrafanaRejected, match="pip install grafana-client"):
        connect(URL, TOKEN, library="grafana-client")


def test_an_unknown_library_is_rejected() -> None:
    with pytest.raises(GrafanaRejected, match="grafanalib"):
        connect(URL, TOKEN, library="grafanalib")  # type: ignore[arg-type]


def test_white_space_around_the_token_is_dropped(grafana: StubGrafana) -> None:
    assert connect(grafana.url, f"{TOKEN}\n").open_region(1, ["t"], "t") == 1


@pytest.mark.parametrize("token", ["", " \n", "two words", "line\nbreak", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_an_impossible_token_is_rejected_and_not_repeated(token: str) -> None:
    with pytest.raises(GrafanaRejected, match=r"grafana\.token") as caught:
        connect(URL, token)
    assert not token.strip() or token not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:3000",
        "ftp://host",
        "http://",
        "http://host:port",
        "http://host:99999",
        "http://[::1",
        "http://host/?verify=0",
    ],
)
def test_an_impossible_url_is_rejected(url: str) -> None:
    with pytest.raises(GrafanaRejected, match=r"grafana\.url"):
        connect(url, TOKEN)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(GrafanaRejected, match=r"grafana\.url") as caught:
        connect("http://admin:hunter2@host:3000", TOKEN)
    assert "hunter2" not in str(caught.value)


def test_a_time_out_must_be_positive() -> None:
    with pytest.raises(GrafanaRejected, match="0 s"):
        connect(URL, TOKEN, timeout_s=0)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://g.example/grafana/", "https://g.example/grafana"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("http://host", "http://host"),
    ],
)
def test_an_address_shows_as_given(url: str, shown: str) -> None:
    assert str(parse_address(url)) == shown
