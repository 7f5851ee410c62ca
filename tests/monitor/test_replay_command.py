"""`linewatch replay` as its user meets it, and the whole way from a run that records to a replay of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import cv2
import numpy as np
import pytest
import redis
import yaml
from kafka import KafkaProducer
from playwright.sync_api import Browser
from typer.testing import CliRunner, Result

from models.checkpoint import load_checkpoint
from models.method_scorer import fingerprint
from monitor.alerting.alert import EVENT_TYPES, Event, alert_of
from monitor.alerting.outbox import Outbox
from monitor.cli import app
from monitor.embedded import EmbeddedBroker, EmbeddedValkey
from monitor.judging.baseline.port import BaselineKey, Criterion, Entry, Rule, WindowRules
from monitor.judging.baseline.redis_window import RedisWindow
from monitor.judging.episodes import Change, Episode, Severity
from tests.monitor.recorded import NOON_NS, record, write
from tests.monitor.service import Running, checkpoint, pictures, until

pytestmark = pytest.mark.usefixtures("one_thread")

ALERT = "00000000000000aa"
Line = Callable[..., list[dict[str, Any]]]


def tell(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["replay", *map(str, arguments)])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, float]:
    """A checkpoint, its id, and the score of its normal picture."""
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    normal = min(checkpoint(path))
    held = load_checkpoint(path)
    return path, fingerprint(held.method, held.preprocess), normal


@pytest.fixture
def config(model: tuple[Path, str, float], tmp_path: Path, prefix: str, valkey: EmbeddedValkey) -> Path:
    return configured(tmp_path / "config.yaml", model[0], valkey, prefix, tmp_path)


def configured(file: Path, model: Path, valkey: EmbeddedValkey, prefix: str, folder: Path, **more: Any) -> Path:
    sections: dict[str, Any] = {
        "model": {"checkpoint": str(model), "device": "cpu"},
        "sources": [{"files": {"camera": "bench", "path": str(folder / "clips/*.png")}}],
        "redis": {"url": valkey.address, "prefix": prefix},
        "evidence": {"dir": str(folder / "evidence"), "keep_days": 3650},
        "window": {"max_frames": 400, "warm_up_frames": 10, "mode": "quantile"},
        "alerts": {"threshold": 0.9, "cooldown_s": 0, "resolve_after": {"frames": 3}},
        **more,
    }
    file.write_text(yaml.safe_dump(sections))
    return file


def configured_like(config: Path, file: Path, threshold: float) -> Path:
    """The same with another threshold."""
    sections = yaml.safe_load(config.read_text())
    sections["alerts"]["threshold"] = threshold
    file.write_text(yaml.safe_dump(sections))
    return file


@pytest.fixture
def line(model: tuple[Path, str, float]) -> Line:
    """Recorded frames of a camera: 300 normal ones, six far above them, 20 normal ones, three a little above, 20."""

    def make(camera: str = "line-1", alert: str | None = ALERT, **more: Any) -> list[dict[str, Any]]:
        usual = [0.3, 0.4, 0.5, 0.6, 0.45]
        scores = usual * 12 + [4.0] * 6 + usual * 4 + [0.7] * 3 + usual * 4
        made = [record(n, s * model[2], camera, model=model[1], **more) for n, s in enumerate(scores)]
        for one in made[62:69]:
            one["alert"] = alert
        before = [record(n, s * model[2], camera, model=model[1], **more) for n, s in enumerate(usual * 48, start=-240)]
        return before + made

    return make


def test_what_happened_against_a_lower_threshold(config: Path, line: Line, tmp_path: Path) -> None:
    write(tmp_path / "scores" / "scores-2026-05-31.jsonl", line() + line("line-2", None))
    done = tell(tmp_path / "scores", "--config", config, "--set", "alerts.threshold=0.6")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        "now:  what happened (as recorded with the scores)",
        f"then: {config}, alerts.threshold=0.6",
    ]
    table = {row.split()[0]: row.split()[1:6] for row in lines if row.startswith(("line-", "all "))}
    assert table["line-1"] == ["1", "2", "1", "0", "1"]
    assert table["line-2"] == ["0", "2", "0", "0", "2"]
    assert table["all"] == ["1", "4", "1", "0", "3"]
    appear = [row for row in lines if re.match(r"  2026-05-31 12:00:0\d  line-\d  \d.\d s, peak ", row)]
    assert len(appear) == 3 and "alerts that appear: 3" in lines


def test_two_configurations_and_everything_as_json(config: Path, line: Line, tmp_path: Path) -> None:
    scores = write(tmp_path / "a.jsonl", line(alert=None))
    done = tell(
        scores, "--config", config, "--set", "alerts.fire_after={frames: 5, of: 5}", "--against", config, "--json", "-"
    )
    assert done.exit_code == 2 and "--set alerts.fire_after" in done.stderr  # sections are set key by key
    low = configured_like(config, tmp_path / "low.yaml", 0.6)
    keys = ("--set", "alerts.fire_after.of=6", "--set", "alerts.fire_after.frames=6")
    done = tell(scores, "--config", config, *keys, "--against", low, "--json", "-")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert {change["key"]: (change["now"], change["then"]) for change in told["changes"]} == {
        "alerts.threshold": ("0.6", "0.9"),
        "alerts.fire_after.frames": ("3", "6"),
        "alerts.fire_after.of": ("5", "6"),
    }
    assert told["total"] == {"now": 2, "then": 1, "stay": 1, "stay_as": 1, "appear": 0, "vanish": 1}
    (vanished,) = told["vanished"]
    assert vanished["started_at"] == NOON_NS + 86 * 10**8 and vanished["length_s"] == pytest.approx(0.5)
    assert told["cameras"]["line-1"]["days"]["2026-05-31"] == told["total"]
    assert told["cameras"]["line-1"]["frames"] == 349
    again = tell(scores, "--config", config, *keys, "--against", low, "--json", tmp_path / "out.json")
    assert again.exit_code == 0
    assert json.loads((tmp_path / "out.json").read_text()) == told  # to the last digit the same


def test_what_happened_is_asked_of_redis(
    config: Path, line: Line, tmp_path: Path, redis_client: redis.Redis, prefix: str, model: tuple[Path, str, float]
) -> None:
    outbox = Outbox(redis_client, prefix)
    now_ns = time.time_ns()
    shift = now_ns - NOON_NS - 3600 * 10**9
    records = line(alert=None)
    for one in records:
        one["captured_at"] += shift
        one.pop("alert")
        one.pop("identity")
    scores = write(tmp_path / "a.jsonl", records)
    config = configured_like(config, tmp_path / "high.yaml", 0.9)
    unknown = tell(scores, "--config", config)
    assert "now:  unknown" in unknown.stdout and "--against" in unknown.stderr
    begun = NOON_NS + shift + 60 * 10**8
    for alert_id, start in (("aa", begun), ("bb", begun + 15 * 10**8), ("cc", begun + 3000 * 10**9)):
        episode = Episode(
            alert_id, "line-1", start, 4.0, 1.0, Severity.CRITICAL, "frames/0/60", 60, start, start + 10**9
        )
        outbox.write(Event(EVENT_TYPES[Change.RESOLVED], start, alert_of(episode, model[1], None)), 3600)
    told = tell(scores, "--config", config, "--json", "-")
    assert told.exit_code == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["now"]["says"] == "what happened (alerts in Redis)"
    # cc began when no score was stored any more: it is no part of the comparison.
    assert {one["alert_id"] for one in (*found["stayed"], *found["vanished"])} == {"aa", "bb"}
    assert [one["alert_id"] for one in found["vanished"]] == ["bb"]


def test_the_windows_in_redis_as_scores(
    config: Path, redis_client: redis.Redis, prefix: str, model: tuple[Path, str, float]
) -> None:
    now_ms = time.time_ns() // 1_000_000
    window = RedisWindow(redis_client, prefix, WindowRules(500, 3600, 10, 400), address="")
    rule = Rule(Criterion.ABSOLUTE, model[2] * 0.9, 0.0, model[2])
    scores = ([0.3, 0.5, 0.4] * 20 + [4.0] * 6) * 2 + [0.4] * 9
    key = BaselineKey("line-1", model[1])
    window.judge([Entry(key, f"f{n}", s * model[2], now_ms - 60_000 + n * 100, rule) for n, s in enumerate(scores)])
    done = tell("redis", "--config", config, "--json", "-")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["total"]["then"] == 2
    assert "the windows in Redis hold the last frames only" in done.stderr


def test_a_topic_as_scores(config: Path, line: Line, broker: EmbeddedBroker) -> None:
    topic = f"scores-{uuid4().hex[:8]}"
    broker.create_topic(topic, partitions=1)
    producer = KafkaProducer(bootstrap_servers=broker.address)
    for one in line():
        producer.send(topic, value=json.dumps(one).encode())
    producer.flush(20)
    producer.close()
    done = tell(f"kafka://{broker.address}/{topic}", "--config", config, "--json", "-")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["cameras"]["line-1"]["frames"] == 349


def test_a_report_with_plots_and_pictures(config: Path, line: Line, tmp_path: Path, browser: Browser) -> None:
    day = tmp_path / "evidence" / "2026-05-31"
    day.mkdir(parents=True)
    cv2.imwrite(str(day / f"{ALERT}-evidence.jpg"), np.full((480, 640, 3), 120, np.uint8))
    camera = "<b>line & 1"
    scores = write(tmp_path / "a.jsonl", line(camera) + line("line-2", None))
    out = tmp_path / "report.html"
    done = tell(scores, "--config", config, "--set", "alerts.threshold=0.6", "--out", out)
    assert done.exit_code == 0, done.stderr
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if not request.url.startswith("data:") else None)
    page.goto(out.as_uri())
    assert asked == [out.as_uri()]  # it needs nothing from anywhere
    text = page.inner_text("body")
    assert camera in text and "Alerts that stay" in text and "Alerts that appear" in text
    appear, stay = text.split("Alerts that appear")[1].split("Alerts that stay")
    assert "picture of another alert, 2.4 s earlier" in appear  # the nearest one that has a picture
    assert "no picture kept" in appear  # line-2 has none
    assert "picture of another alert" not in stay and "no picture kept" not in stay
    broken = page.evaluate("[...document.images].filter(i => !i.complete || i.naturalWidth === 0).length")
    assert broken == 0
    widths = page.evaluate("[...document.querySelectorAll('.alert img')].map(i => i.naturalWidth)")
    assert widths and set(widths) == {280}
    assert page.locator(".drawn img").count() == 3  # alerts a day, and each camera over time
    page.close()


def test_scores_of_another_model_are_refused(config: Path, line: Line, tmp_path: Path) -> None:
    done = tell(write(tmp_path / "a.jsonl", [one | {"model": "0123456789ab"} for one in line()]), "--config", config)
    assert done.exit_code == 2
    assert "349 scores from 2026-05-31 11:59 UTC" in done.stderr and "0123456789ab" in done.stderr
    assert "--checkpoint" in done.stderr and done.stdout == ""
    mixed = line() + [one | {"model": "0123456789ab", "camera": "line-2"} for one in line()]
    some = tell(write(tmp_path / "b.jsonl", mixed), "--config", config, "--json", "-")
    assert some.exit_code == 0
    assert "line-2: 349 scores" in some.stderr and set(json.loads(some.stdout)["cameras"]) == {"line-1"}


def test_a_changed_region_is_refused(
    model: tuple[Path, str, float], valkey: EmbeddedValkey, prefix: str, line: Line, tmp_path: Path
) -> None:
    region = [{"match": "line-*", "region": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]}]
    changed = configured(tmp_path / "c.yaml", model[0], valkey, prefix, tmp_path, cameras=region)
    done = tell(write(tmp_path / "a.jsonl", line()), "--config", changed)
    assert done.exit_code == 2 and f"not of {model[1]}-" in done.stderr and "changed model or region" in done.stderr


def test_bad_lines_are_told_and_do_not_stop_it(config: Path, line: Line, tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", line())
    file.write_text("nonsense\n" + file.read_text() + '{"camera": "line-1", "capt')
    done = tell(file, "--config", config)
    assert done.exit_code == 0
    assert f"1 lines are no scores and were passed by: {file}:1: not JSON" in done.stderr
    assert "1 files end in the middle of a line" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "alerts.threshold"), "--set alerts.threshold: expected KEY=VALUE"),
        (
            ("--set", "alerts.treshold=0.9"),
            "--set alerts.treshold: alerts.treshold: unknown key; did you mean threshold?",
        ),
        (("--set", "alerts.threshold=2"), "--set alerts.threshold: alerts.threshold"),
        (("--since", "yesterday"), "--since yesterday: expected a day or time"),
        (("--since", "2026-06-01", "--until", "2026-05-31"), "nothing lies between"),
        (("--until", "2026-05-01"), "no score to replay; 349 are of other cameras or times"),
        (("--camera", "press-*"), "no score to replay"),
        (("--since", "2026-05-31T13:00"), "no score"),
        (("--checkpoint", "missing.safetensors"), "--checkpoint: missing.safetensors"),
        (("--against", "missing.yaml"), "missing.yaml: cannot read the configuration"),
    ],
)
def test_wrong_usage(config: Path, line: Line, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = tell(write(tmp_path / "a.jsonl", line()), "--config", config, *arguments)
    assert done.exit_code == 2, done.stderr
    assert said in done.stderr and done.stdout == ""


def test_a_report_that_cannot_be_written(config: Path, line: Line, tmp_path: Path) -> None:
    done = tell(write(tmp_path / "a.jsonl", line()), "--config", config, "--out", tmp_path / "no" / "report.html")
    assert done.exit_code == 1 and "cannot be written" in done.stderr


def test_since_counts_from_there_and_the_window_is_filled_before(config: Path, line: Line, tmp_path: Path) -> None:
    scores = write(tmp_path / "a.jsonl", line())
    done = tell(scores, "--config", config, "--since", "2026-05-31T12:00:07", "--json", "-")
    told = json.loads(done.stdout)
    assert done.exit_code == 0 and told["cameras"]["line-1"]["frames"] == 39
    assert all(one["started_at"] >= NOON_NS + 7 * 10**9 for one in (*told["appeared"], *told["stayed"]))


@pytest.mark.slow
def test_a_run_that_records_and_its_replay(
    model: tuple[Path, str, float],
    broker: EmbeddedBroker,
    topic: str,
    valkey: EmbeddedValkey,
    prefix: str,
    tmp_path: Path,
) -> None:
    """The same configuration gives, on what it recorded, the very alerts that it gave."""
    normal, anomalous = pictures(checkpoint(tmp_path / "m.safetensors"))
    config = {
        "model": {"checkpoint": str(tmp_path / "m.safetensors"), "device": "cpu"},
        "sources": [
            {
                "kafka": {
                    "bootstrap_servers": broker.address,
                    "topic": topic,
                    "group_id": f"g-{topic}",
                    "session_timeout_ms": 6000,
                }
            }
        ],
        "redis": {"url": valkey.address, "prefix": prefix},
        "http": {"port": 0},
        "health": {"enabled": False},
        "window": {"warm_up_frames": 5},
        "alerts": {"cooldown_s": 0},
        "evidence": {"dir": str(tmp_path / "evidence")},
        "recording": {"dir": str(tmp_path / "scores")},
    }
    pieces = ([normal] * 20 + [anomalous] * 6 + [normal] * 15) * 2
    start_ns = time.time_ns() - len(pieces) * 10**8
    producer = KafkaProducer(bootstrap_servers=broker.address)
    for n, jpeg in enumerate(pieces):
        headers = [("captured_at", b"%d" % (start_ns + n * 10**8)), ("product", b"bolts")]
        producer.send(topic, key=b"line-1", value=jpeg, headers=headers)
    producer.flush(20)
    producer.close()
    with Running(config, tmp_path) as running:

        def alerts() -> list[Any]:
            return list(running.json("/api/alerts")["alerts"])

        assert until(lambda: len(alerts()) == 2 and all(one["ended_at"] for one in alerts()))
        fired = {one["alert_id"] for one in alerts()}
    done = tell(tmp_path / "scores", "--config", tmp_path / "config.yaml", "--json", "-", "--out", tmp_path / "r.html")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["now"]["says"] == "what happened (alerts in Redis)"
    assert {one["alert_id"] for one in told["stayed_as"]} == {one["alert_id"] for one in told["stayed"]} == fired
    assert told["total"] == {"now": 2, "then": 2, "stay": 2, "stay_as": 2, "appear": 0, "vanish": 0}
    for now, then in zip(told["stayed"], told["stayed_as"], strict=True):
        assert now == then
    assert (tmp_path / "r.html").read_text().count("data:image/jpeg;base64,") == 2
    (file,) = (tmp_path / "scores").iterdir()
    recorded = [json.loads(row) for row in file.read_text().splitlines() if row]
    assert len(recorded) == len(pieces)
    assert {one["alert"] for one in recorded} == {None, *fired} and {one["product"] for one in recorded} == {"bolts"}
    with_stricter = tell(
        tmp_path / "scores",
        "--config",
        tmp_path / "config.yaml",
        "--set",
        "alerts.fire_after.frames=7",
        "--set",
        "alerts.fire_after.of=7",
        "--json",
        "-",
    )
    assert json.loads(with_stricter.stdout)["total"]["vanish"] == 2
