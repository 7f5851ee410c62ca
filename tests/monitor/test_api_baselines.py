"""Orders, marks and baselines by HTTP: the real application, a real Valkey, real requests."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import pytest
import redis
import redis.asyncio

from monitor.embedded import EmbeddedValkey
from monitor.judging.baseline.port import BaselineKey
from monitor.judging.judge import State, Verdict
from monitor.line_settings import Maintenance, ProductPlan
from monitor.orders.marks import Marks
from monitor.orders.orders import Orders
from monitor.serving.api import Served, build_app
from monitor.serving.board import Board
from monitor.serving.ledger import Ledger
from monitor.serving.metrics import Metrics
from monitor.serving.seen import Seen, Sighting
from monitor.serving.server import HttpServer
from monitor.serving.views import RegionView, ThresholdFrom
from monitor.settings_file import ConfigError
from streams.codec import encode_jpeg
from streams.frame import Frame
from tests.monitor.line_state import MODEL, RULES, LineState
from tests.monitor.scenes import window_range
from tests.monitor.served_delivery import served_delivery

FROM = ThresholdFrom(
    method="spot", wished_per_day=3, peaks=40, needed_peaks=30, watched_s=9000, needed_s=7200, value=2.5
)
REGION = RegionView(inside=[[(0, 0), (1, 0), (1, 1)]], outside=[])


@dataclass
class Api:
    """The application on a free port, with what it is told by the parts of the service."""

    line: LineState
    held_back: dict[str, int] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    fault: str | None = None
    episode: str = "quiet"
    orders: Orders = field(init=False)

    def __post_init__(self) -> None:
        self.board, metrics = Board(), Metrics()
        client, prefix = self.line.client, self.line.prefix
        self.orders = Orders(client, prefix)
        self.server = HttpServer("127.0.0.1", 0)

        def reload() -> list[str]:
            if self.fault is not None:
                raise ConfigError(self.fault)
            return ["alerts.threshold"]

        def current(camera: str) -> BaselineKey | None:
            return self.board.read(camera, lambda s: s.verdict.key if s.verdict else None)

        self.app = build_app(
            Served(
                version="0",
                board=self.board,
                ledger=Ledger(metrics),
                metrics=metrics,
                outbox=self.line.outbox,
                evidence=self.line.evidence,
                events=lambda: redis.asyncio.Redis.from_url(self.line.address, decode_responses=True),
                held_back=lambda camera: self.held_back,
                accept_view=lambda camera: False,
                rules=lambda: RULES,
                store=self.line.store,
                orders=self.orders,
                marks=Marks(
                    client,
                    prefix,
                    self.line.outbox,
                    self.line.store,
                    self.line.evidence,
                    base_url="http://page/",
                    keep_s=600,
                ),
                current=current,
                threshold_from=lambda camera: FROM,
                episode_state=lambda camera: self.episode,
                region=lambda camera: REGION,
                reload=reload,
                notes=lambda: self.notes,
                **served_delivery(client, prefix, self.server.url),
            )
        )
        self.server.serve(self.app)
        self.server.start()

    def see(self, camera: str = "line-1", *, ago_s: float = 0, product: str = "", header: str | None = None) -> Frame:
        """A judged frame, and its picture."""
        at_ns = round((time.time() - ago_s) * 1000) * 1_000_000
        payload = encode_jpeg(np.full((48, 64, 3), int(ago_s * 10) % 256, np.uint8))
        frame = Frame(camera, 7, at_ns, "t/0/7", payload=payload, product=header)
        self.board.judged(
            Verdict(
                frame=frame,
                picture=np.zeros((8, 8, 3), np.uint8),
                score=1.5,
                normalised=0.4,
                low=1.0,
                high=3.0,
                count=50,
                state=State.READY,
                limit=2.5,
                threshold=0.8,
                anomalous=False,
                model=MODEL,
                key=BaselineKey(camera, MODEL, product),
                window=window_range(count=50, refused=3, epoch=4),
            ),
            None,
        )
        return frame

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(urlsplit(self.server.url).netloc, timeout=30)
        try:
            data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data, {"Content-Type": "application/json"} | headers)
            answer = connection.getresponse()
            raw = answer.read()
            return answer.status, json.loads(raw) if "json" in answer.headers["Content-Type"] else raw
        finally:
            connection.close()

    def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        return self.ask("POST", path, body)

    def get(self, path: str) -> Any:
        status, body = self.ask("GET", path)
        assert status == 200, body
        return body

    def camera(self, name: str = "line-1") -> Any:
        return next(camera for camera in self.get("/api/cameras") if camera["camera"] == name)


@pytest.fixture
def line(valkey: EmbeddedValkey, prefix: str, tmp_path: Path) -> LineState:
    return LineState(tmp_path, valkey.address, prefix)


@pytest.fixture
def api(line: LineState) -> Iterator[Api]:
    made = Api(line)
    yield made
    made.server.stop()


def path(what: str, camera: str = "line-1") -> str:
    return f"/api/cameras/{quote(camera, safe='')}/{what}"


def test_a_camera_shows_what_is_known_of_it(api: Api) -> None:
    api.see(product="lids")
    api.episode = "pending"
    view = api.camera()
    assert view["product"] == "lids" and view["episode"] == "pending" and view["shelved"] is None
    assert view["baseline"] == {
        "phase": "ready",
        "count": 50,
        "needed": RULES.warm_up_frames,
        "refused": 3,
        "relearn_after": RULES.relearn_after,
        "frozen": False,
        "epoch": 4,
    }
    assert view["threshold_from"] == FROM.model_dump() and view["region"] == REGION.model_dump(mode="json")
    assert view["p_value"] == pytest.approx(2 / 51) and view["warm_up_frames"] == RULES.warm_up_frames


def test_a_camera_that_was_never_judged_has_a_view_too(api: Api) -> None:
    api.board.reported("line-2", up=False)
    api.orders.plan([], [ProductPlan(product="cups", start="00:00", end="00:00")])
    view = api.camera("line-2")
    assert (view["baseline"], view["p_value"], view["product"]) == (None, None, "cups")


def test_the_baseline_is_told_in_full(api: Api, line: LineState) -> None:
    line.learn("line-1", 50)
    api.see()
    told = api.get(path("baseline"))
    assert (told["camera"], told["model"], told["product"], told["phase"], told["count"]) == (
        "line-1",
        MODEL,
        "",
        "ready",
        50,
    )
    assert (told["low"], told["high"], told["limit"], told["threshold_from"]["value"]) == (1.0, 3.0, 2.5, 2.5)
    assert len(told["distribution"]["edges"]) == 41 and sum(told["distribution"]["counts"]) == 50
    assert told["began_ms"] < told["newest_ms"] and told["relearnt"] == 0 and told["relearnt_ms"] is None


def test_reset_freeze_and_thaw_answer_with_the_baseline(api: Api, line: LineState) -> None:
    line.learn("line-1", 50)
    api.see()
    for order, frozen in (("freeze", True), ("freeze", True), ("thaw", False), ("thaw", False)):
        status, told = api.post(path(f"baseline/{order}"), {"by": "Ada"})
        assert (status, told["frozen"]) == (200, frozen)
    status, told = api.post(path("baseline/reset"))
    assert (status, told["phase"], told["count"], told["distribution"]) == (200, "cold", 0, None)
    status, told = api.post(path("baseline/freeze"), {"by": "Ada"})
    assert status == 409 and "would never become ready" in told["detail"]


@pytest.mark.parametrize("order", ["reset", "freeze", "thaw"])
def test_an_order_about_a_baseline_that_the_line_has_left_is_refused(api: Api, line: LineState, order: str) -> None:
    lids, cups = line.learn("line-1", 50, "lids"), line.learn("line-1", 50, "cups")
    api.see(product="lids")
    assert api.get(path("baseline"))["product"] == "lids"
    if order == "thaw":
        line.store.freeze(cups, "Ada")
    before = line.store.life(cups)
    api.see(product="cups")
    for meant, says in (({"product": "lids"}, "cups"), ({"product": ""}, "cups"), ({"model": "f" * 12}, MODEL)):
        status, told = api.post(path(f"baseline/{order}"), {"by": "Ada", **meant})
        assert status == 409 and says in told["detail"] and "line-1" in told["detail"]
    after = line.store.life(cups)
    assert (after.count, after.frozen, after.epoch) == (before.count, before.frozen, before.epoch)
    assert line.store.life(lids).count == 50
    status, told = api.post(path(f"baseline/{order}"), {"by": "Ada", "product": "cups", "model": MODEL})
    assert (status, told["product"]) == (200, "cups")


def test_a_baseline_goes_out_and_comes_back_as_a_document(api: Api, line: LineState) -> None:
    line.learn("line-1", 50)
    api.see()
    document = api.get(path("baseline/export"))
    assert document["camera"] == "line-1"
    api.post(path("baseline/reset"), {"by": "Ada"})
    status, told = api.post(path("baseline/import?by=Ada"), document)
    assert (status, told["count"], told["phase"]) == (200, 50, "ready")
    for wrong, says in (
        ({**document, "version": 99}, "version"),
        ({**document, "model": "other"}, "model"),
        ({**document, "window": {**document["window"], "scores": [1.0]}}, "one length"),
        ({}, "format"),
    ):
        status, told = api.post(path("baseline/import"), wrong)
        assert status == 422 and says in told["detail"], told
    status, told = api.post(path("baseline/import"), json.dumps(document).replace("1.5", "NaN").encode())
    assert status == 422
    assert api.get(path("baseline"))["count"] == 50, "what is refused changes nothing"


def test_a_baseline_before_its_first_frame_is_not_there(api: Api) -> None:
    for method, what in [("GET", "baseline"), ("GET", "baseline/export"), ("POST", "baseline/reset")]:
        status, told = api.ask(method, path(what, "line-9"))
        assert status == 404 and "no camera line-9 here" in told["detail"]
    api.board.reported("line-9", up=True)
    status, told = api.ask("GET", path("baseline", "line-9"))
    assert status == 404 and "`linewatch baselines list`" in told["detail"]
    api.see("line-9")
    status, told = api.ask("GET", path("baseline/export", "line-9"))
    assert status == 404 and "no baseline of camera line-9" in told["detail"]


def test_bodies_are_bounded(api: Api) -> None:
    api.see()
    big = b'{"by": "' + b"a" * (64 << 10) + b'"}'
    status, told = api.post(path("baseline/reset"), big)
    assert status == 413 and "65,536 bytes" in told["detail"]
    status, told = api.post(path("baseline/import"), b"[" + b"1," * (100 << 10) + b"1]")
    assert status == 422, "as long as a document may be, and no document"
    assert api.post(path("baseline/import"), b" " * ((8 << 20) + 1))[0] == 413
    connection = http.client.HTTPConnection(urlsplit(api.server.url).netloc, timeout=30)
    connection.request(
        "POST", path("shelve"), iter([b" " * 40_000] * 3), {"Transfer-Encoding": "chunked"}, encode_chunked=True
    )
    assert connection.getresponse().status == 413, "also where nothing tells the length beforehand"
    connection.close()


def test_shelving_and_ending_it(api: Api) -> None:
    api.see()
    status, shelf = api.post(path("shelve"), {"minutes": 30, "by": "Ada", "why": "new lamp"})
    assert status == 200 and shelf["until_ms"] - shelf["from_ms"] == pytest.approx(1_800_000, abs=5_000)
    assert api.camera()["shelved"] == {k: shelf[k] for k in ("from_ms", "until_ms", "by", "why")}
    status, shorter = api.post(path("shelve"), {"minutes": 0.5, "by": "Ada", "why": "nearly done"})
    assert status == 200 and shorter["from_ms"] == shelf["from_ms"] and shorter["until_ms"] < shelf["until_ms"]
    assert api.post(path("unshelve"), {"by": "Ada"}) == (200, {"camera": "line-1"})
    assert api.camera()["shelved"] is None
    status, told = api.post(path("unshelve"))
    assert status == 409 and "line-1 is not shelved" in told["detail"]
    api.orders.plan([Maintenance(start="00:00", end="00:00", why="cleaning")], [])
    assert api.camera()["shelved"]["by"] == "schedule"
    status, told = api.post(path("unshelve"))
    assert status == 409 and "`maintenance`" in told["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"minutes": 0, "why": "x"},
        {"minutes": 10_081, "why": "x"},
        {"minutes": "soon", "why": "x"},
        {"minutes": 5},
        {"minutes": 5, "why": ""},
        {"minutes": 5, "why": "x", "by": ""},
        {"minutes": 5, "why": "x" * 201},
    ],
)
def test_a_shelf_that_is_none_is_refused(api: Api, body: Any) -> None:
    api.see()
    assert api.post(path("shelve"), body)[0] == 422
    assert api.post(path("shelve"), b'{"minutes": NaN, "why": "x"}')[0] == 422
    assert api.camera()["shelved"] is None


def test_a_misspelt_camera_takes_no_orders(api: Api) -> None:
    api.see()
    for what, body in [
        ("shelve", {"minutes": 5, "why": "x"}),
        ("unshelve", {}),
        ("product", {"product": "lids"}),
        ("missed", {}),
        ("accept-view", None),
    ]:
        status, told = api.post(path(what, "lime-1"), body)
        assert status == 404 and "no camera lime-1" in told["detail"], what


def test_a_camera_may_be_called_anything(api: Api) -> None:
    name = "hall/2 [x]?&"
    api.see(name)
    assert api.post(path("shelve", name), {"minutes": 5, "why": "x"})[0] == 200
    assert api.camera(name)["shelved"]["why"] == "x"


def test_a_product_is_set_by_hand(api: Api) -> None:
    api.see()
    assert api.post(path("product"), {"product": "lids", "by": "Ada"}) == (200, {"camera": "line-1", "product": "lids"})
    assert api.orders.product("line-1", time.time_ns()) == "lids"
    assert api.post(path("product"), {"product": None}) == (200, {"camera": "line-1", "product": ""})
    for bad in ({}, {"product": ""}, {"product": "p" * 129}):
        assert api.post(path("product"), bad)[0] == 422
    assert api.post(path("product"), {"product": "a\nb"})[0] == 409
    api.see(header="cups", product="cups")
    status, told = api.post(path("product"), {"product": "lids"})
    assert status == 409 and "name their product themselves (cups)" in told["detail"]
    assert api.post(path("product"), {"product": None})[0] == 200


def test_a_missed_defect_keeps_the_newest_picture(api: Api, line: LineState) -> None:
    key = line.learn("line-1", 100, ago_s=10)  # the last frame is from this moment
    frame = api.see(ago_s=0)
    status, alert = api.post(path("missed"), {"by": "Ada", "seconds": 2})
    assert status == 200
    assert (alert["condition"], alert["camera"], alert["acknowledged_by"]) == ("missed", "line-1", "Ada")
    assert (alert["peak_score"], alert["threshold"], alert["model"]) == (1.5, 2.5, MODEL)
    assert alert["frame"]["captured_at"] == frame.captured_at_ns
    assert alert["evidence_url"] == f"http://page/api/alerts/{alert['alert_id']}/evidence.jpg"
    assert api.get(f"/api/alerts/{alert['alert_id']}/evidence.jpg") == frame.payload
    assert [a["alert_id"] for a in api.get("/api/alerts")["alerts"]] == [alert["alert_id"]]
    assert 75 <= line.store.life(key).count <= 85
    assert api.post(path("missed"), {"by": "Bob", "seconds": 2})[1] == alert, "the same frame again changes nothing"


def test_a_missed_defect_names_its_product(api: Api, line: LineState) -> None:
    line.learn("line-1", 50, "lids", ago_s=5)
    api.see(product="lids")
    assert api.post(path("missed"), {"by": "Ada"})[1]["product"] == "lids"
    api.see("line-2", product="cups", header="cups")
    assert api.post(path("missed", "line-2"), {"by": "Ada"})[1]["product"] == "cups"


def test_who_looks_at_a_picture_marks_that_one(api: Api) -> None:
    shown = api.see(ago_s=5)
    api.get(path("latest.jpg"))
    later = api.see(ago_s=1)
    status, alert = api.post(path("missed"), {"by": "Ada", "at_ms": shown.captured_at_ns // 1_000_000})
    assert status == 200 and alert["started_at"] == shown.captured_at_ns
    assert api.get(f"/api/alerts/{alert['alert_id']}/evidence.jpg") == shown.payload != later.payload
    status, told = api.post(path("missed"), {"at_ms": shown.captured_at_ns // 1_000_000 - 1})
    assert status == 404 and "linewatch alerts missed CAMERA --at TIME --picture FILE" in told["detail"]
    status, newest = api.post(path("missed"), {"at_ms": later.captured_at_ns // 1_000_000})
    assert status == 200 and newest["alert_id"] != alert["alert_id"], "the newest needs not have been shown"


def test_where_the_picture_cannot_be_kept_nothing_is_marked(api: Api, line: LineState) -> None:
    api.see()
    (line.folder / "evidence").write_text("a file where the folder should be")
    status, told = api.post(path("missed"), {})
    assert status == 507 and "nothing was marked" in told["detail"]
    assert api.get("/api/alerts")["alerts"] == []


def test_a_false_alarm_costs_its_frames_and_can_be_withdrawn(api: Api, line: LineState) -> None:
    key = line.learn("line-1", 50, ago_s=60)
    line.alarm("a1", ago_s=58, lasted_s=1)
    status, alert = api.post("/api/alerts/a1/false-alarm", {"by": "Ada"})
    assert (status, alert["false_alarm_by"]) == (200, "Ada")
    assert 39 <= line.store.life(key).count <= 40
    status, alert = api.post("/api/alerts/a1/withdraw-mark", {"by": "Ada"})
    assert (status, alert["false_alarm_at"]) == (200, None)
    status, told = api.post("/api/alerts/a1/withdraw-mark")
    assert status == 409 and "marked neither" in told["detail"]
    assert api.post("/api/alerts/beef/withdraw-mark")[0] == 404


def test_a_withdrawn_missed_defect_is_gone(api: Api) -> None:
    api.see()
    alert = api.post(path("missed"))[1]
    status, last = api.post(f"/api/alerts/{alert['alert_id']}/withdraw-mark", {"by": "Ada"})
    assert (status, last["alert_id"]) == (200, alert["alert_id"])
    assert api.get("/api/alerts")["alerts"] == []
    assert api.ask("GET", f"/api/alerts/{alert['alert_id']}")[0] == 404


def test_reloading_names_what_changed_or_what_is_wrong(api: Api) -> None:
    status, told = api.post("/api/reload")
    assert status == 200 and told["changed"] == ["alerts.threshold"] and abs(told["at_ms"] / 1000 - time.time()) < 60
    api.fault = "config.yaml:7: alerts.threshold: a threshold lies in (0, 1], not 7"
    assert api.post("/api/reload") == (422, {"detail": api.fault})


def test_readiness_tells_notes(api: Api) -> None:
    api.notes = {"configuration": "the changed file was refused: config.yaml:7"}
    assert api.get("/readyz") == {"ready": True, "reasons": {}, "notes": api.notes}
    api.board.trouble("redis", "away")
    status, told = api.ask("GET", "/readyz")
    assert (status, told["ready"], told["notes"]) == (503, False, api.notes)


def test_another_sites_page_orders_nothing(api: Api) -> None:
    api.see()
    headers = {"Sec-Fetch-Site": "cross-site"}
    for what in ("shelve", "baseline/reset", "missed"):
        assert api.ask("POST", path(what), {"minutes": 5, "why": "x"}, **headers)[0] == 403
    assert api.ask("POST", "/api/reload", **headers)[0] == 403


def test_the_description_of_the_api_is_complete(api: Api) -> None:
    paths = api.get("/openapi.json")["paths"]
    orders = ["shelve", "unshelve", "product", "missed", "accept-view"]
    baseline = ["baseline/reset", "baseline/freeze", "baseline/thaw", "baseline/import"]
    for what in (*orders, *baseline):
        operation = paths[f"/api/cameras/{{camera}}/{what}"]["post"]
        assert operation["description"] and {"404", "409", "503"} <= operation["responses"].keys(), what
    for what in ("baseline", "baseline/export", "scores", "latest.jpg"):
        assert "404" in paths[f"/api/cameras/{{camera}}/{what}"]["get"]["responses"]
    assert "422" in paths["/api/reload"]["post"]["responses"]
    assert "409" in paths["/api/alerts/{alert_id}/withdraw-mark"]["post"]["responses"]
    fields = api.get("/openapi.json")["components"]["schemas"]["CameraView"]["properties"]
    assert {"product", "baseline", "threshold_from", "p_value", "episode", "shelved", "region"} <= fields.keys()


def test_while_redis_is_away_orders_are_refused_and_cameras_shown(tmp_path: Path) -> None:
    with EmbeddedValkey() as own:
        api = Api(LineState(tmp_path, own.address, "p"))
        try:
            api.see()
            api.post(path("shelve"), {"minutes": 5, "by": "Ada", "why": "lamp"})
            api.line.alarm("a1")
            own.stop()
            for what, body in [
                ("shelve", {"minutes": 5, "why": "x"}),
                ("unshelve", {}),
                ("product", {"product": "lids"}),
                ("missed", {}),
                ("baseline/reset", {}),
                ("baseline/freeze", {}),
            ]:
                status, told = api.post(path(what), body)
                assert status == 503 and "the order was not carried out" in told["detail"], (what, told)
            assert api.post("/api/alerts/a1/false-alarm")[0] == 503
            status, told = api.ask("GET", path("baseline"))
            assert status == 503 and "order" not in told["detail"]
            view = api.camera()
            assert view["shelved"]["by"] == "Ada" and view["baseline"]["phase"] == "ready"
        finally:
            api.server.stop()


def test_pictures_that_were_shown_are_kept_within_bounds() -> None:
    now_s = 0.0
    seen = Seen(max_bytes=1000, max_age_s=120, clock=lambda: now_s)

    def show(camera: str, at_ms: int, size: int) -> None:
        frame = Frame(camera, 1, at_ms * 1_000_000, "o", pixels=np.zeros((400, 400, 3), np.uint8))
        seen.note(Sighting(frame, 1.0, 2.0, "m"), b"j" * size)

    for at_ms in (1, 2, 3, 4):
        show("a", at_ms, 300)
    assert [seen.find("a", at_ms) is not None for at_ms in (1, 2, 3, 4)] == [False, True, True, True]
    for _ in range(5):
        show("a", 4, 300)  # the same one again takes no more room
    assert seen.find("a", 2) is not None and seen.find("b", 4) is None
    kept = seen.find("a", 4)
    assert kept is not None and kept.frame.payload == b"j" * 300 and kept.frame.pixels is None
    now_s = 121.0
    assert seen.find("a", 4) is None
    show("a", 5, 5000)
    assert seen.find("a", 5) is None, "one that fits nowhere is not kept, and pushes the bounds for nobody"
    show("a", 6, 900)
    assert seen.find("a", 6) is not None
