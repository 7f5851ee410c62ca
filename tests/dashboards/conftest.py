from collections.abc import Iterator

import pytest
from stub_grafana import TOKEN, StubGrafana, serve

from dashboards.clients import Library, connect
from dashboards.grafana import GrafanaClient


@pytest.fixture
def grafana(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubGrafana]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as stub:
        yield stub


@pytest.fixture(params=["grafana-client", "grafana-api"])
def library(request: pytest.FixtureRequest) -> Library:
    chosen: Library = request.param
    return chosen


@pytest.fixture
def client(grafana: StubGrafana, library: Library) -> Iterator[GrafanaClient]:
    made = connect(grafana.url, TOKEN, timeout_s=5.0, library=library)
    yield made
    made.close()
