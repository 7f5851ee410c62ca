"""The contract of the port `GrafanaClient`, run on both libraries against a real HTTP server."""

import socket
import traceback
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stub_grafana import TOKEN, Fault, StubGrafana

from dashboards.clients import Library, connect
from dashboards.grafana import (
    GrafanaClient,
    GrafanaError,
    GrafanaRejected,
    GrafanaUnavailable,
)

TAGS = ["linewatch", "alert:a1b2", "camera:line 1&2"]
MODEL = {"uid": "line", "title": "Line", "panels": [], "editable": False}

CALLS: dict[str, Callable[[GrafanaClient], object]] = {
    "health": lambda client: client.health(),
    "ensure_folder": lambda client: client.ensure_folder("f", "F"),
    "push_dashboard": lambda client: client.push_dashboard(MODEL, "f"),
    "find_annotation": lambda client: client.find_annotation("alert:1"),
    "open_region": lambda client: client.open_region(1, ["linewatch"], "t"),
    "close_region": lambda client: client.close_region(1, 2),
}
ALL_CALLS = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
HTML_502 = Fault(502, b"<html>the word message is in here</html>")


def test_health_tells_the_version_without_a_valid_token(grafana: StubGrafana, library: Library) -> None:
    assert connect(grafana.url, "wrong-token", library=library).health() == "11.6.0"


def test_a_region_is_opened_and_closed_and_keeps_its_tags_and_text(client: GrafanaClient, grafana: StubGrafana) -> None:
    region = client.open_region(1_000, TAGS, "scratch on line-1")
    client.close_region(region, 5_000)
    assert grafana.annotations == {
        region: {
            "id": region,
            "time": 1_000,
            "timeEnd": 5_000,
            "tags": TAGS,
            "text": "scratch on line-1",
        }
    }


def test_opening_again_finds_the_alert_and_posts_nothing(client: GrafanaClient, grafana: StubGrafana) -> None:
    other = client.open_region(500, ["linewatch", "alert:other"], "other")
    first = client.open_region(1_000, TAGS, "first")
    assert client.open_region(2_000, TAGS, "repeated after a crash") == first
    assert set(grafana.annotations) == {other, first}
    assert grafana.annotations[first]["text"] == "first"


def test_a_region_without_an_alert_tag_is_posted_each_time(client: GrafanaClient) -> None:
    assert client.open_region(1, ["note"], "a") != client.open_region(1, ["note"], "a")


def test_the_oldest_of_doubled_annotations_is_found(client: GrafanaClient) -> None:
    first = client.open_region(1, ["twice"], "a")
    second = client.open_region(2, ["twice"], "b")
    client.close_region(second, 9)
    assert client.find_annotation("twice") == first


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tag=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1))
def test_any_tag_is_found_again_and_no_other(client: GrafanaClient, tag: str) -> None:
    assert client.find_annotation(tag + "\N{SNOWMAN}") is None
    region = client.open_region(1, [f"alert:{tag}"], "t")
    assert client.find_annotation(f"alert:{tag}") == region


def test_a_proxy_that_drops_the_query_does_not_lead_to_a_wrong_annotation(
    client: GrafanaClient, grafana: StubGrafana
) -> None:
    body = b'[{"id": 5, "tags": ["alert:other"]}, {"id": 6, "tags": null}, {"id": 7}]'
    grafana.faults.append(Fault(200, body, "application/json"))
    assert client.find_annotation("alert:mine") is None


def test_a_folder_is_made_once(client: GrafanaClient, grafana: StubGrafana) -> None:
    assert client.ensure_folder("linewatch", "linewatch") is True
    assert client.ensure_folder("linewatch", "linewatch") is False
    assert grafana.folders == {"linewatch": "linewatch"}


def test_a_folder_that_someone_else_makes_in_between_counts_as_there(
    client: GrafanaClient, grafana: StubGrafana
) -> None:
    grafana.folders["linewatch"] = "linewatch"
    grafana.hide_folders = 1
    assert client.ensure_folder("linewatch", "linewatch") is False


def test_a_dashboard_is_created_left_alone_and_updated(client: GrafanaClient, grafana: StubGrafana) -> None:
    client.ensure_folder("f", "F")
    assert client.push_dashboard(MODEL, "f") == "created"
    assert client.push_dashboard(MODEL, "f") == "unchanged"
    assert grafana.dashboards["line"]["dashboard"]["version"] == 1
    assert client.push_dashboard({**MODEL, "title": "New"}, "f") == "updated"
    assert grafana.dashboards["line"]["dashboard"]["title"] == "New"


def test_a_dashboard_in_another_folder_is_moved(client: GrafanaClient, grafana: StubGrafana) -> None:
    client.ensure_folder("f", "F")
    client.ensure_folder("g", "G")
    client.push_dashboard(MODEL, "f")
    assert client.push_dashboard(MODEL, "g") == "updated"
    assert grafana.dashboards["line"]["meta"]["folderUid"] == "g"


def test_a_dashboard_without_uid_is_rejected(client: GrafanaClient) -> None:
    with pytest.raises(GrafanaRejected, match="uid"):
        client.push_dashboard({"title": "no uid"}, "f")


def test_ending_an_unknown_region_is_final(client: GrafanaClient) -> None:
    with pytest.raises(GrafanaRejected, match=r"404.*Could not find annotation") as caught:
        client.close_region(99, 1)
    assert caught.value.status == 404


def test_204_is_success_where_no_content_is_needed(client: GrafanaClient, grafana: StubGrafana) -> None:
    region = client.open_region(1, ["t"], "t")
    grafana.faults.append(Fault(204))
    client.close_region(region, 2)
    grafana.faults.append(Fault(204))
    with pytest.raises(GrafanaRejected, match="not what Grafana answers"):
        client.open_region(1, ["t"], "t")


@ALL_CALLS
@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_server_in_trouble_is_unavailable(
    client: GrafanaClient,
    grafana: StubGrafana,
    call: Callable[[GrafanaClient], object],
    status: int,
) -> None:
    grafana.faults.append(Fault(status, b'{"message": "busy"}', "application/json"))
    with pytest.raises(GrafanaUnavailable, match=f"HTTP {status}: busy"):
        call(client)
    assert len(grafana.requests) == 1, "the port does not retry"


@ALL_CALLS
def test_an_html_502_that_holds_the_word_message_is_unavailable(
    client: GrafanaClient, grafana: StubGrafana, call: Callable[[GrafanaClient], object]
) -> None:
    grafana.faults.append(HTML_502)
    with pytest.raises(GrafanaUnavailable, match="HTTP 502"):
        call(client)


@ALL_CALLS
@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_a_refusal_is_final_and_carries_its_status(
    client: GrafanaClient,
    grafana: StubGrafana,
    call: Callable[[GrafanaClient], object],
    status: int,
) -> None:
    grafana.faults.append(Fault(status, b'{"message": "no"}', "application/json"))
    with pytest.raises(GrafanaRejected, match=f"HTTP {status}") as caught:
        call(client)
    assert caught.value.status == status


@pytest.mark.parametrize("name", ["health", "find_annotation", "open_region", "ensure_folder"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(200, b"<html>please log in</html>"),
        Fault(200, b"<html>please log in</html>", "application/json"),
        Fault(200, b'"text"', "application/json"),
        Fault(200, b'[{"id":', "application/json"),
    ],
    ids=["html", "html as json", "json text", "cut off"],
)
def test_an_answer_that_is_not_grafanas_is_final(
    client: GrafanaClient, grafana: StubGrafana, name: str, fault: Fault
) -> None:
    grafana.faults.append(fault)
    with pytest.raises(GrafanaRejected, match=r"grafana\.url"):
        CALLS[name](client)


@ALL_CALLS
def test_a_server_that_does_not_answer_in_time_is_unavailable(
    grafana: StubGrafana, library: Library, call: Callable[[GrafanaClient], object]
) -> None:
    grafana.faults.append(Fault(200, b"{}", "application/json", delay_s=1.0))
    with pytest.raises(GrafanaUnavailable, match="no answer"):
        call(connect(grafana.url, TOKEN, timeout_s=0.2, library=library))


@ALL_CALLS
def test_a_refused_connection_is_unavailable_and_names_the_address(
    library: Library, call: Callable[[GrafanaClient], object]
) -> None:
    with socket.socket() as taken:
        # Bound and not listening: nobody else can take the port, and it refuses.
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(GrafanaUnavailable, match=url):
            call(connect(url, TOKEN, library=library))


def test_the_token_is_in_no_message_and_no_trace(client: GrafanaClient, grafana: StubGrafana) -> None:
    echo = f'{{"message": "unknown token {TOKEN}"}}'.encode()
    for fault in (Fault(401, echo, "application/json"), Fault(500, echo, "application/json")):
        grafana.faults.append(fault)
        with pytest.raises(GrafanaError) as caught:
            client.open_region(1, ["t"], "t")
        assert TOKEN not in "".join(traceback.format_exception(caught.value))
        assert "[token]" in str(caught.value)
    assert TOKEN not in repr(client)


def test_a_wrong_token_names_the_key_to_change(grafana: StubGrafana, library: Library) -> None:
    with pytest.raises(GrafanaRejected, match=r"401.*grafana\.token"):
        connect(grafana.url, "glsa_wrong", library=library).open_region(1, ["t"], "t")


def test_a_path_in_the_url_is_kept(grafana: StubGrafana, library: Library) -> None:
    with pytest.raises(GrafanaRejected):
        connect(f"{grafana.url}/grafana/", TOKEN, library=library).health()
    assert grafana.requests == ["GET /grafana/api/health"]


def test_closing_may_be_repeated(client: GrafanaClient) -> None:
    client.close()
    client.close()
