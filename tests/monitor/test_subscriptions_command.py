"""`linewatch subscriptions`, `dead-letters` and `alerts escalate` as their user meets them: no service runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from monitor.commands import alerts, dead_letters, subscriptions
from monitor.delivery.delivery import Delivery, Kind, id_of
from monitor.delivery.queue import DeliveryQueue
from monitor.embedded import EmbeddedValkey
from monitor.embedded.server import free_port
from tests.monitor.dead import bury
from tests.monitor.line_state import LineState
from tests.monitor.peer import Answered, HttpPeer

APP = subscriptions.app


@pytest.fixture
def hook() -> Iterator[HttpPeer]:
    with HttpPeer() as there:
        yield there


@pytest.fixture
def line(valkey: EmbeddedValkey, prefix: str, tmp_path: Path, hook: HttpPeer) -> LineState:
    line = LineState(tmp_path, valkey.address, prefix)
    line.configure(
        channels=[
            {"name": "hook", "webhook": {"url": f"{hook.url}/hook"}},
            {"name": "closed", "webhook": {"url": f"http://127.0.0.1:{free_port()}/closed"}},
        ],
        delivery={"allow_targets": ["127.0.0.1"]},
        cameras=[{"match": "line-3-*", "line": "line-3"}],
        subscriptions=[
            {"name": "day", "to": ["hook"], "lines": ["line-3"], "escalate": {"to": "lead", "after_s": 60}},
            {"name": "lead", "to": ["hook", "closed"], "tell": ["escalated"]},
        ],
    )
    return line


def written(line: LineState, **keys: Any) -> Path:
    file = line.folder / "night.yaml"
    file.write_text(json.dumps({"name": "night", "to": ["hook"], **keys}))
    return file


def test_one_is_added_changed_switched_and_deleted(line: LineState) -> None:
    added = line.json(APP, "add", written(line, cameras=["line-3-*"]), "--by", "Ada")
    assert (added["origin"], added["on"], added["changed_by"]) == ("api", True, "Ada")
    again = line.run(APP, "add", written(line))
    assert again.exit_code == 1 and "--replace" in again.stderr
    assert line.json(APP, "add", written(line, from_severity="critical"), "--replace")["on"] is True
    assert "from_severity: critical" in line.run(APP, "show", "night").stdout
    rows = line.run(APP, "list").stdout.splitlines()
    assert [row.split()[:2] for row in rows[1:]] == [
        ["day", "configuration"],
        ["lead", "configuration"],
        ["night", "API"],
    ]
    off = line.json(APP, "off", "day", "--by", "Ada")
    assert (off["on"], off["switched_by"]) == (False, "Ada") and "off, by Ada" in line.run(APP, "list").stdout
    assert line.json(APP, "on", "day")["on"] is True
    unsaid = line.run(APP, "delete", "night")
    assert unsaid.exit_code == 2 and "--yes" in unsaid.stderr
    assert line.run(APP, "delete", "night", "--yes").exit_code == 0
    gone = line.run(APP, "show", "night")
    assert gone.exit_code == 1 and "no subscription night" in gone.stderr
    configured = line.run(APP, "delete", "day", "--yes")
    assert configured.exit_code == 1 and "configuration" in configured.stderr


def test_what_is_shown_can_be_added_again(line: LineState) -> None:
    when = {"timezone": "Europe/Berlin", "quiet": [{"start": "22:00", "end": "06:00"}]}
    before = line.json(APP, "add", written(line, when=when, how_often={"digest": {"at": ["06:00"]}}))
    shown = line.folder / "shown.yaml"
    shown.write_text(line.run(APP, "show", "night").stdout)
    assert line.json(APP, "add", shown, "--replace")["subscription"] == before["subscription"]


def test_a_wrong_file_is_told_with_its_line_and_key(line: LineState) -> None:
    file = line.folder / "wrong.yaml"
    file.write_text("name: night\nto: [hook]\nfrom_severity: dire\n")
    done = line.run(APP, "add", file)
    assert done.exit_code == 2 and "wrong.yaml:3: from_severity" in done.stderr
    nowhere = line.run(APP, "add", written(line, to=["pager"]))
    assert nowhere.exit_code == 1 and "no channel pager" in nowhere.stderr and "hook" in nowhere.stderr


def test_a_trial_says_what_happened_at_each_channel(line: LineState, hook: HttpPeer) -> None:
    line.learn("line-3-left", 2)
    line.learn("line-2", 2)
    assert line.json(APP, "test", "day")["results"][0]["outcome"] == "delivered"
    (request,) = hook.requests
    event = json.loads(request.body)
    assert (event["type"], event["subject"]) == ("linewatch.test", "line-3-left")
    assert request.headers["idempotency-key"] == id_of(event["id"], "hook")
    line.run(APP, "off", "lead")
    done = line.run(APP, "test", "lead")
    assert done.exit_code == 1 and "lead is off" in done.stderr
    assert [row.split()[:2] for row in done.stdout.splitlines()[1:]] == [["hook", "delivered"], ["closed", "failed"]]
    assert "refused" in done.stdout, "by whom and why"
    hook.answer = lambda _: Answered(403)
    refused = line.run(APP, "test", "day", "--json")
    assert refused.exit_code == 1 and "403" in json.loads(refused.stdout)["results"][0]["detail"]


def test_an_alert_is_escalated_by_hand(line: LineState) -> None:
    line.alarm("a1", "line-3-left", lasted_s=None)
    line.alarm("a2", "line-2", lasted_s=None)
    for _ in range(2):
        told = line.json(alerts.app, "escalate", "a1", "--by", "Ada")
        assert (told["escalated_to"], told["escalated_by"]) == ("lead", "Ada")
    events = [json.loads(row["event"]) for _, row in line.client.xrange(line.outbox.stream)]
    assert [e["id"] for e in events if e["type"] == "linewatch.alert.escalated"] == ["a1.escalated.lead"]
    assert "escalated to lead by Ada" in line.run(alerts.app, "list").stdout
    nobody = line.run(alerts.app, "escalate", "a2")
    assert nobody.exit_code == 1 and "name one" in nobody.stderr
    unknown = line.run(alerts.app, "escalate", "a2", "--to", "nobody")
    assert unknown.exit_code == 1 and "no subscription nobody" in unknown.stderr
    line.run(APP, "off", "lead")
    off = line.run(alerts.app, "escalate", "a2", "--to", "lead")
    assert off.exit_code == 1 and "lead is off" in off.stderr


def letter(line: LineState, channel: str, number: int) -> str:
    """A dead letter; its id."""
    alert = line.alarm(f"{number:x}", f"line-{number}", lasted_s=None)
    event: dict[str, Any] = {
        "id": f"{alert.alert_id}.firing",
        "subject": alert.camera,
        "data": alert.model_dump(mode="json"),
    }
    delivery = Delivery(id_of(event["id"], channel), channel, Kind.EVENT, (event,), ("day",), queued_ms=1000 * number)
    return bury(line.client, line.prefix, delivery, "HTTP 410: gone")


def test_dead_letters_are_listed_replayed_and_discarded(line: LineState) -> None:
    app: typer.Typer = dead_letters.app
    first, second, third = letter(line, "hook", 1), letter(line, "hook", 2), letter(line, "left", 3)
    listed = line.json(app, "list")
    assert [found["id"] for found in listed] == [third, second, first]
    assert "HTTP 410: gone" in line.run(app, "list", "--channel", "hook", "--limit", "1").stdout
    assert "1.firing" in line.run(app, "show", first).stdout
    assert line.run(app, "replay").exit_code == 2
    gone = line.run(app, "replay", "--all")
    assert gone.exit_code == 1 and "no channel left is configured" in gone.stderr and "closed, hook" in gone.stderr
    assert line.json(app, "replay", first) == {"replayed": 1}
    (entry,) = DeliveryQueue(line.client, line.prefix).oldest("hook", 10)
    assert Delivery.from_json(entry.text).delivery_id == first.removeprefix("hook:")
    unsaid = line.run(app, "discard", "--channel", "left")
    assert unsaid.exit_code == 2 and "--yes" in unsaid.stderr
    assert line.json(app, "discard", "--channel", "left", "--yes") == {"discarded": 1}
    assert [found["id"] for found in line.json(app, "list")] == [second]
    assert line.run(app, "show", third).exit_code == 1
