"""`linewatch alerts` as its user meets it: no service runs."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import redis

from monitor.alerting.outbox import AlertUnknown
from monitor.commands.alerts import app
from monitor.embedded import EmbeddedValkey
from monitor.embedded.server import free_port
from monitor.orders.orders import Orders
from streams.codec import encode_jpeg
from tests.monitor.line_state import LineState


@pytest.fixture
def line(valkey: EmbeddedValkey, prefix: str, tmp_path: Path) -> LineState:
    return LineState(tmp_path, valkey.address, prefix)


def test_alerts_are_listed_newest_first(line: LineState) -> None:
    line.alarm("a1", "line-1", ago_s=300)
    line.alarm("a2", "line-2", ago_s=200)
    line.alarm("a3", "line-1", ago_s=100, lasted_s=None)
    done = line.run(app, "list")
    assert done.exit_code == 0, done.stderr
    heading, *rows = done.stdout.splitlines()
    assert heading.split()[:4] == ["id", "started", "camera", "condition"]
    assert [row.split()[0] for row in rows] == ["a3", "a2", "a1"]
    assert " firing " in rows[0] and " resolved " in rows[1]
    assert [a["alert_id"] for a in line.json(app, "list", "--camera", "line-1")] == ["a3", "a1"]
    assert [a["alert_id"] for a in line.json(app, "list", "--state", "resolved", "--limit", "1")] == ["a2"]
    assert line.run(app, "list", "--camera", "nowhere").stderr == "no alerts\n"


def test_one_alert_is_told_with_its_pictures(line: LineState) -> None:
    line.alarm("a1")
    line.alarm("a2", grey=None)
    told = line.run(app, "show", "a1").stdout
    assert "peak score:   3.5" in told and "acknowledged: no" in told
    picture = next(row for row in told.splitlines() if row.startswith("evidence:")).split(maxsplit=1)[1]
    assert Path(picture).is_file()
    assert "evidence:     not kept" in line.run(app, "show", "a2").stdout
    assert line.json(app, "show", "a1")["files"] == {"evidence": picture, "heatmap": None}


def test_acknowledging_keeps_the_first_name(line: LineState) -> None:
    line.alarm("a1")
    assert line.json(app, "acknowledge", "a1", "--by", "Ada")["acknowledged_by"] == "Ada"
    assert line.json(app, "acknowledge", "a1", "--by", "Bob")["acknowledged_by"] == "Ada"
    assert "acknowledged by Ada" in line.run(app, "list").stdout


def test_the_frames_of_a_false_alarm_leave_every_baseline_of_the_camera(line: LineState) -> None:
    keys = [line.learn("line-1", 50, product, ago_s=60) for product in ("", "lids")]
    other = line.learn("line-2", 50)
    line.alarm("a1", "line-1", ago_s=58, lasted_s=1)  # among them 10 or 11 frames of each
    assert line.json(app, "false-alarm", "a1", "--by", "Ada")["false_alarm_by"] == "Ada"
    left = [line.store.life(key).count for key in keys]
    assert all(39 <= count <= 40 for count in left), left
    assert line.store.life(other).count == 50
    assert line.json(app, "false-alarm", "a1", "--by", "Bob")["false_alarm_by"] == "Ada"
    assert [line.store.life(key).count for key in keys] == left


def test_what_is_false_and_still_firing_leaves_up_to_now(line: LineState) -> None:
    key = line.learn("line-1", 50, ago_s=10)
    line.alarm("a1", "line-1", ago_s=8, lasted_s=None)
    line.run(app, "false-alarm", "a1")
    assert 19 <= line.store.life(key).count <= 21


def test_a_false_alarm_about_the_camera_itself_costs_no_frames(line: LineState) -> None:
    key = line.learn("line-1", 50, ago_s=60)
    line.alarm("a1", "line-1", ago_s=59, condition="dark")
    line.run(app, "false-alarm", "a1")
    assert line.store.life(key).count == 50 and line.outbox.get("a1").false_alarm_at is not None


def test_a_mark_that_was_a_mistake_is_withdrawn(line: LineState) -> None:
    line.alarm("a1")
    line.run(app, "false-alarm", "a1", "--by", "Ada")
    line.run(app, "acknowledge", "a1", "--by", "Bob")
    told = line.json(app, "withdraw-mark", "a1", "--by", "Ada")
    assert told["false_alarm_at"] is None and told["acknowledged_by"] == "Bob"
    again = line.run(app, "withdraw-mark", "a1")
    assert again.exit_code == 1 and "marked neither as a false alarm nor as missed" in again.stderr


def test_a_missed_defect_becomes_an_alert_and_its_frames_leave(line: LineState) -> None:
    key = line.learn("line-1", 50, ago_s=60)
    at = datetime.fromtimestamp(time.time() - 58).isoformat(timespec="milliseconds")
    picture = line.folder / "part.jpg"
    picture.write_bytes(encode_jpeg(np.full((48, 64, 3), 90, np.uint8)))
    call = ("missed", "line-1", "--at", at, "--seconds", "1", "--picture", picture, "--by", "Ada")
    told = line.json(app, *call)
    assert (told["condition"], told["acknowledged_by"], told["ended_at"]) == ("missed", "Ada", told["started_at"])
    assert told["peak_score"] == pytest.approx(1.6, abs=0.05), "the highest score of those frames"
    kept = line.evidence.find(told["alert_id"], "evidence")
    assert kept is not None and kept.read_bytes() == picture.read_bytes()
    assert 29 <= line.store.life(key).count <= 30
    assert line.json(app, *call)["alert_id"] == told["alert_id"], "the same mark again changes nothing"
    assert [a["alert_id"] for a in line.json(app, "list")] == [told["alert_id"]]
    line.run(app, "withdraw-mark", told["alert_id"])
    assert line.json(app, "list") == []
    with pytest.raises(AlertUnknown):
        line.outbox.get(told["alert_id"])


def test_a_missed_defect_without_a_picture_says_so(line: LineState) -> None:
    done = line.run(app, "missed", "line-9")
    assert done.exit_code == 0
    assert "no frame of camera line-9 is known" in done.stderr and "no --picture was given" in done.stderr
    (alert,) = line.outbox.newest(offset=0, limit=5)
    assert alert.frame is None and alert.evidence_url is None and alert.peak_score == 0


@pytest.mark.parametrize("at", ["yesterday", "25:99", "2999-01-01T00:00:00", "2026-02-30T10:00:00", ""])
def test_a_time_that_is_none_or_to_come_is_wrong_usage(line: LineState, at: str) -> None:
    done = line.run(app, "missed", "line-1", "--at", at)
    assert done.exit_code == 2 and "expected a time" in done.stderr
    assert line.json(app, "list") == []


@pytest.mark.parametrize("at", ["0:00", "0:00:00", "00:00:00", "0:00:00.25"])
def test_the_hour_may_have_one_digit(line: LineState, at: str) -> None:
    told = line.json(app, "missed", "line-1", "--at", at)
    midnight = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    assert told["started_at"] / 1e9 - midnight == pytest.approx(0.25 if "." in at else 0, abs=0.01)


def test_a_missed_defect_is_of_the_product_that_ran(line: LineState) -> None:
    line.learn("line-1", 50, "cups", ago_s=600)
    line.learn("line-1", 50, "lids", ago_s=60)
    at = datetime.fromtimestamp(time.time() - 58).isoformat(timespec="milliseconds")
    assert line.json(app, "missed", "line-1", "--at", at)["product"] == "lids"
    at = datetime.fromtimestamp(time.time() - 300).isoformat(timespec="milliseconds")
    assert line.json(app, "missed", "line-1", "--at", at)["product"] == ""


def test_a_picture_that_is_none_marks_nothing(line: LineState) -> None:
    (line.folder / "note.jpg").write_text("no picture")
    for picture in ("note.jpg", "absent.jpg"):
        done = line.run(app, "missed", "line-1", "--picture", line.folder / picture)
        assert done.exit_code == 2 and picture in done.stderr
    assert line.json(app, "list") == []


def test_where_the_picture_cannot_be_kept_nothing_is_marked(line: LineState) -> None:
    picture = line.folder / "part.jpg"
    picture.write_bytes(encode_jpeg(np.full((48, 64, 3), 90, np.uint8)))
    (line.folder / "evidence").write_text("a file where the folder should be")
    done = line.run(app, "missed", "line-1", "--picture", picture)
    assert done.exit_code == 1 and "nothing was marked" in done.stderr
    assert line.json(app, "list") == []


def test_shelving_reaches_the_service_and_ends(line: LineState, redis_client: redis.Redis) -> None:
    line.learn("line-1")
    service = Orders(redis_client, line.prefix)
    told = line.json(app, "shelve", "line-1", "--for", "2h", "--why", "new lamp", "--by", "Ada")
    assert told["until_ms"] - told["from_ms"] == pytest.approx(2 * 3_600_000, abs=5_000)
    service.refresh()
    assert service.shelved("line-1", time.time_ns()) is not None
    assert [s["why"] for s in line.json(app, "shelved")] == ["new lamp"]
    assert "new lamp" in line.run(app, "shelved").stdout
    assert line.run(app, "unshelve", "line-1").exit_code == 0
    service.refresh()
    assert service.shelved("line-1", time.time_ns()) is None
    again = line.run(app, "unshelve", "line-1")
    assert again.exit_code == 1 and "line-1 is not shelved" in again.stderr
    assert line.run(app, "shelved").stderr == "nothing is shelved\n"


def test_maintenance_that_holds_now_is_listed(line: LineState) -> None:
    line.configure(maintenance=[{"cameras": ["line-*"], "start": "00:00", "end": "00:00", "why": "cleaning"}])
    assert [(s["camera"], s["by"], s["why"]) for s in line.json(app, "shelved")] == [("line-*", "schedule", "cleaning")]
    done = line.run(app, "unshelve", "line-1")
    assert done.exit_code == 1 and "`maintenance`" in done.stderr


@pytest.mark.parametrize(
    ("span", "code", "says"),
    [
        ("8d", 1, "7 days at most"),
        ("0m", 2, "expected a time span"),
        ("soon", 2, "expected a time span"),
        ("-5m", 2, "expected a time span"),
    ],
)
def test_a_shelf_that_makes_no_sense_is_refused(line: LineState, span: str, code: int, says: str) -> None:
    done = line.run(app, "shelve", "line-1", f"--for={span}", "--why", "x")
    assert (done.exit_code, says in done.stderr) == (code, True), done.stderr


def test_names_from_outside_cannot_move_the_cursor(line: LineState) -> None:
    line.alarm("a1", "line\x1b[2J-1")
    assert "\x1b" not in line.run(app, "list").stdout + line.run(app, "show", "a1").stdout


def test_faults_name_what_to_do(line: LineState, tmp_path: Path) -> None:
    unknown = line.run(app, "acknowledge", "beef")
    assert unknown.exit_code == 1 and "no alert beef is kept; `linewatch alerts list`" in unknown.stderr
    nameless = line.run(app, "acknowledge", "beef", "--by", " ")
    assert nameless.exit_code == 2 and "--by: expected" in nameless.stderr
    line.config.write_text(line.config.read_text() + "colour: red\n")
    wrong = line.run(app, "list")
    assert wrong.exit_code == 2 and "colour: unknown key" in wrong.stderr
    line.configure(redis={"url": f"redis://:geheim@127.0.0.1:{free_port()}/0", "timeout_s": 1})
    for call in (("list",), ("false-alarm", "a1"), ("shelve", "line-1", "--for", "5m", "--why", "x")):
        away = line.run(app, *call)
        assert away.exit_code == 1, away.stderr
        assert "config.yaml:" in away.stderr and "redis.url" in away.stderr and "does not answer" in away.stderr
        assert "geheim" not in away.stderr
    missing = tmp_path / "absent.yaml"
    line.config = missing
    assert line.run(app, "list").exit_code == 2


def test_json_is_one_document(line: LineState) -> None:
    assert json.loads(line.run(app, "list", "--json").stdout) == []
    assert json.loads(line.run(app, "shelved", "--json").stdout) == []
