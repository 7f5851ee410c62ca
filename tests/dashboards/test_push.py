from pathlib import Path

import pytest
from stub_grafana import Fault, StubGrafana

from dashboards.grafana import GrafanaClient, GrafanaUnavailable
from dashboards.push import DashboardFileError, Pushed, push


def test_the_shipped_dashboards_arrive_and_a_second_push_changes_nothing(
    client: GrafanaClient, grafana: StubGrafana
) -> None:
    assert push(client) == [
        Pushed("linewatch-delivery", "linewatch: delivery", "created"),
        Pushed("linewatch-line", "linewatch: line", "created"),
    ]
    assert grafana.folders == {"linewatch": "linewatch"}
    stored = grafana.dashboards["linewatch-line"]
    assert stored["meta"] == {"folderUid": "linewatch"}
    assert stored["dashboard"]["editable"] is False
    assert [done.outcome for done in push(client)] == ["unchanged"] * 2
    assert stored["dashboard"]["version"] == 1


def test_a_push_that_failed_can_be_repeated(client: GrafanaClient, grafana: StubGrafana) -> None:
    grafana.faults.append(Fault(503))
    with pytest.raises(GrafanaUnavailable):
        push(client)
    assert [done.outcome for done in push(client)] == ["created"] * 2


@pytest.mark.parametrize("content", ["{", "[]", '{"uid": "a"}', '{"title": "a"}', '{"uid": 5, "title": "a"}', "\xff"])
def test_a_bad_file_is_named_and_nothing_is_sent(
    client: GrafanaClient, grafana: StubGrafana, tmp_path: Path, content: str
) -> None:
    (tmp_path / "a.json").write_text('{"uid": "good", "title": "Good"}')
    (tmp_path / "b.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(DashboardFileError, match=r"b\.json"):
        push(client, tmp_path)
    assert grafana.requests == []


def test_a_directory_without_dashboards_is_an_error(client: GrafanaClient, tmp_path: Path) -> None:
    with pytest.raises(DashboardFileError, match="holds no dashboard"):
        push(client, tmp_path)
