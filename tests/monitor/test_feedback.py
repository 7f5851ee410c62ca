"""What people marked, as a folder that training and evaluation take as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from structlog.testing import capture_logs
from typer.testing import CliRunner

from models import datasets
from models.preprocess import Preprocess
from monitor.commands.alerts import app as alerts
from monitor.commands.evaluate import evaluate
from monitor.commands.export_feedback import export_feedback
from monitor.commands.train import train
from monitor.embedded import EmbeddedValkey
from tests.monitor.line_state import LineState

app = typer.Typer()
app.command("export-feedback")(export_feedback)
app.command("train")(train)
app.command("evaluate")(evaluate)


@pytest.fixture
def line(valkey: EmbeddedValkey, prefix: str, tmp_path: Path) -> LineState:
    return LineState(tmp_path, valkey.address, prefix)


def export(line: LineState, *arguments: str) -> Any:
    return line.run(app, "export-feedback", "--out", line.folder / "out", *arguments)


def manifest(line: LineState) -> list[dict[str, Any]]:
    return [json.loads(row) for row in (line.folder / "out" / "manifest.jsonl").read_text().splitlines()]


def pictures(line: LineState) -> list[str]:
    return sorted(p.relative_to(line.folder / "out").as_posix() for p in (line.folder / "out").rglob("*.jpg"))


def test_false_alarms_are_good_and_missed_ones_defects(line: LineState) -> None:
    line.learn("line-1")
    line.alarm("a1", "hall/2 [x]")
    line.alarm("a2")
    line.alarm("a3")
    line.alarm("a4", condition="dark")
    line.alarm("a5")
    for alert_id in ("a1", "a4"):
        line.run(alerts, "false-alarm", alert_id, "--by", "Ada")
    line.run(alerts, "acknowledge", "a3", "--by", "Bob")
    source = line.evidence.find("a5", "evidence")
    assert source is not None
    missed = line.json(alerts, "missed", "line-1", "--picture", source, "--by", "Cem")["alert_id"]
    done = export(line)
    assert done.exit_code == 0, done.stderr
    assert "1 in defect/missed, 1 in good" in done.stdout
    entries = {entry["alert_id"]: entry for entry in manifest(line)}
    assert set(entries) == {"a1", missed}, "what nobody marked, merely saw, or is about the camera says nothing"
    good = entries["a1"]
    assert good["file"].startswith("good/hall_2_x_-") and good["file"].endswith("-a1.jpg")
    assert (good["camera"], good["marked_by"], good["score"], good["limit"]) == ("hall/2 [x]", "Ada", 3.5, 2.5)
    assert good["marked_at"] > 0 and good["model"] and good["product"] == ""
    assert (entries[missed]["marked_by"], entries[missed]["condition"]) == ("Cem", "missed")
    original = line.evidence.find("a1", "evidence")
    assert original is not None and (line.folder / "out" / good["file"]).read_bytes() == original.read_bytes()


def test_what_was_acknowledged_counts_where_it_is_asked_for(line: LineState) -> None:
    for alert_id in ("a1", "a2"):
        line.alarm(alert_id)
        line.run(alerts, "acknowledge", alert_id, "--by", "Bob")
    line.run(alerts, "false-alarm", "a2", "--by", "Ada")
    export(line, "--confirmed")
    assert [Path(p).parent.as_posix() for p in pictures(line)] == ["defect/confirmed", "good"]


def test_nothing_is_overwritten_and_what_is_new_is_added(line: LineState) -> None:
    line.alarm("a1")
    line.run(alerts, "false-alarm", "a1")
    export(line)
    (before,) = pictures(line)
    (line.folder / "out" / before).write_bytes(b"mended by hand")
    line.alarm("a2")
    line.run(alerts, "false-alarm", "a2")
    done = export(line)
    assert "1 in good; 1 were there before" in done.stdout
    assert (line.folder / "out" / before).read_bytes() == b"mended by hand"
    assert [entry["alert_id"] for entry in manifest(line)] == ["a1", "a2"]
    again = export(line)
    assert again.exit_code == 0 and "nothing new; 2 were there before" in again.stdout
    assert len(manifest(line)) == 2


def test_what_was_marked_anew_is_told_and_left_to_people(line: LineState) -> None:
    line.alarm("a1")
    line.run(alerts, "acknowledge", "a1")
    export(line, "--confirmed")
    line.run(alerts, "false-alarm", "a1")
    done = export(line, "--confirmed")
    assert "alert a1 was marked anew" in done.stderr and "belongs in good" in done.stderr
    (picture,) = pictures(line)
    (line.folder / "out" / "good").mkdir()
    (line.folder / "out" / picture).rename(line.folder / "out" / "good" / Path(picture).name)
    moved = export(line, "--confirmed")
    assert "1 were there before" in moved.stdout and "anew" not in moved.stderr


def test_a_withdrawn_mark_takes_its_picture_out(line: LineState) -> None:
    for alert_id in ("a1", "a2", "a3"):
        line.alarm(alert_id)
        line.run(alerts, "false-alarm", alert_id)
    source = line.evidence.find("a1", "evidence")
    assert source is not None
    missed = line.json(alerts, "missed", "line-1", "--picture", source)["alert_id"]
    export(line)
    original = {Path(p).name: (line.folder / "out" / p).read_bytes() for p in pictures(line)}
    line.run(alerts, "withdraw-mark", "a1")
    line.run(alerts, "withdraw-mark", missed)
    with capture_logs() as said:
        done = export(line)
    assert done.exit_code == 0
    assert {row["alert_id"]: row["log_level"] for row in said if row["event"] == "picture_withdrawn"} == {
        "a1": "warning",
        missed: "warning",
    }
    left = pictures(line)
    assert [Path(p).parent.as_posix() for p in left] == ["good", "good"] and not any("a1" in p for p in left)
    aside = {file.name: file.read_bytes() for file in (line.folder / "out" / "withdrawn").iterdir()}
    gone = {name: data for name, data in original.items() if name.endswith(("-a1.jpg", f"-{missed}.jpg"))}
    assert aside == {f"{name}.withdrawn": data for name, data in gone.items()}
    found = datasets.find(line.folder / "out")
    assert {picture.kind for picture in (*found.train, *found.test)} == {"good"}
    last = {entry["alert_id"]: entry for entry in manifest(line)}
    assert last["a1"]["file"].startswith("withdrawn/") and last["a1"]["withdrawn_from"].startswith("good/")
    assert last["a1"]["why"] == "it is not marked by now" and last[missed]["why"] == "the alert is gone"
    rows = len(manifest(line))
    export(line)
    assert len(manifest(line)) == rows, "once is enough"
    line.run(alerts, "false-alarm", "a1")
    assert "1 in good" in export(line).stdout
    line.run(alerts, "withdraw-mark", "a1")
    export(line)
    assert len(list((line.folder / "out" / "withdrawn").iterdir())) == 3, "nothing that was laid aside is overwritten"


def test_where_the_only_mark_is_withdrawn_that_is_no_failure(line: LineState) -> None:
    line.alarm("a1")
    line.run(alerts, "false-alarm", "a1")
    export(line)
    line.run(alerts, "withdraw-mark", "a1")
    done = export(line)
    assert done.exit_code == 0 and pictures(line) == []


def test_what_is_merely_forgotten_or_not_asked_for_stays(line: LineState) -> None:
    for alert_id, camera in (("a1", "line-1"), ("a2", "hall"), ("a3", "line-1")):
        line.alarm(alert_id, camera)
        line.run(alerts, "acknowledge" if alert_id == "a3" else "false-alarm", alert_id)
    source = line.evidence.find("a1", "evidence")
    assert source is not None
    missed = line.json(alerts, "missed", "line-1", "--picture", source)["alert_id"]
    export(line, "--confirmed")
    before = pictures(line)
    assert len(before) == 4
    for alert_id in ("a1", missed):  # as when evidence.keep_days are over
        line.client.delete(line.outbox.key(alert_id))
        picture = line.evidence.find(alert_id, "evidence")
        assert picture is not None
        picture.unlink()
    assert export(line, "--camera", "line-*").exit_code == 1
    assert pictures(line) == before and not (line.folder / "out" / "withdrawn").exists()


def test_the_product_is_the_alerts_own_where_it_has_one(line: LineState) -> None:
    line.configure(products=[{"product": "lids", "start": "00:00", "end": "00:00"}])
    for alert_id in ("a1", "a2"):
        alert = line.alarm(alert_id)
        if alert_id == "a1":
            text = alert.model_copy(update={"product": "cups"}).model_dump_json()
            line.client.hset(line.outbox.key(alert_id), "episode", text)
        line.run(alerts, "false-alarm", alert_id)
    export(line)
    assert {entry["alert_id"]: entry["product"] for entry in manifest(line)} == {"a1": "cups", "a2": "lids"}


def test_pictures_that_are_gone_are_told(line: LineState) -> None:
    for number in range(1, 8):
        line.alarm(f"a{number}", grey=None)
        line.run(alerts, "false-alarm", f"a{number}")
    done = export(line)
    assert done.exit_code == 1 and "no picture is kept of any marked alert" in done.stderr
    assert "7 marked have no picture" in done.stderr and "and 2 more" in done.stderr
    line.alarm("b1")
    line.run(alerts, "false-alarm", "b1")
    done = export(line)
    assert done.exit_code == 0 and "7 marked have no picture" in done.stderr and "1 in good" in done.stdout


def test_only_some_days_and_cameras(line: LineState) -> None:
    for alert_id, camera, ago_s in [("a1", "line-1", 60), ("a2", "hall", 60), ("a3", "line-1", 3 * 86_400)]:
        line.alarm(alert_id, camera, ago_s=ago_s)
        line.run(alerts, "false-alarm", alert_id)
    export(line, "--since", "2", "--camera", "line-*")
    assert [entry["alert_id"] for entry in manifest(line)] == ["a1"]


def test_where_nothing_is_marked_that_is_said(line: LineState) -> None:
    line.alarm("a1")
    done = export(line)
    assert done.exit_code == 1 and "nothing is marked" in done.stderr and "--confirmed" in done.stderr
    assert pictures(line) == []


@pytest.mark.parametrize("text", ["no json\n", "[]\n", '{"file": "x"}\n'])
def test_a_folder_with_a_strange_manifest_is_left_alone(line: LineState, text: str) -> None:
    line.alarm("a1")
    line.run(alerts, "false-alarm", "a1")
    (line.folder / "out").mkdir()
    (line.folder / "out" / "manifest.jsonl").write_text(text)
    done = export(line)
    assert done.exit_code == 1 and "manifest.jsonl:1: expected" in done.stderr and pictures(line) == []


def test_a_folder_that_cannot_be_written_is_told(line: LineState) -> None:
    line.alarm("a1")
    line.run(alerts, "false-alarm", "a1")
    (line.folder / "out").write_text("a file")
    done = export(line)
    assert done.exit_code == 1 and "cannot be written" in done.stderr and "out" in done.stderr


def test_defects_alone_are_never_taken_for_normal(line: LineState) -> None:
    line.alarm("a1")
    line.run(alerts, "acknowledge", "a1")
    export(line, "--confirmed")
    with pytest.raises(ValueError, match="not all of its pictures are normal"):
        datasets.find(line.folder / "out")


def marked_line(line: LineState, good: int, defects: int) -> None:
    for number in range(good + defects):
        alert_id = f"{number + 16:x}"
        line.alarm(alert_id, ago_s=3600 - 10 * number, grey=60 if number < good else 200)
        line.run(alerts, "false-alarm" if number < good else "acknowledge", alert_id, "--by", "Ada")
    assert export(line, "--confirmed").exit_code == 0


def test_the_folder_is_a_data_set(line: LineState) -> None:
    marked_line(line, good=16, defects=4)
    found = datasets.find(line.folder / "out")
    assert (len(found.train), len(found.test), found.left_out, found.stray_masks) == (8, 12, (), ())
    assert not any(picture.anomalous for picture in found.train)
    assert sum(picture.anomalous for picture in found.test) == 4
    loaded = datasets.load([*found.train, *found.test], Preprocess(32, 3))
    assert loaded.pictures.shape == (20, 32, 32, 3) and loaded.unreadable == ()


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_training_and_evaluation_take_it_as_it_is(line: LineState, monkeypatch: pytest.MonkeyPatch) -> None:
    marked_line(line, good=24, defects=4)
    monkeypatch.chdir(line.folder)
    run = CliRunner()
    trained = run.invoke(
        app, ["train", "out", "--out", "m.safetensors", "--steps", "2", "--size", "32", "--batch", "4"]
    )
    assert trained.exit_code == 0, trained.stderr
    measured = run.invoke(app, ["evaluate", "m.safetensors", "out", "--json"])
    assert measured.exit_code == 0, measured.stderr
    told = json.loads(measured.stdout)
    assert (told["normal"], told["anomalous"]) == (8, 4) and set(told["kinds"]) == {"good", "defect"}
