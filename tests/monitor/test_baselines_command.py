"""`linewatch baselines` as its user meets it: no service runs."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from monitor.commands.baselines import app
from monitor.embedded import EmbeddedValkey
from monitor.orders.orders import Orders
from tests.monitor.line_state import MODEL, LineState

ROOT = Path(__file__).parents[2]


@pytest.fixture
def line(valkey: EmbeddedValkey, prefix: str, tmp_path: Path) -> LineState:
    return LineState(tmp_path, valkey.address, prefix)


def test_every_baseline_is_listed_with_how_far_it_is(line: LineState) -> None:
    line.learn("line-1", 50)
    line.learn("line-1", 5, "lids")
    line.learn("line-2", 12)
    heading, *rows = line.run(app, "list").stdout.splitlines()
    assert heading.split()[:4] == ["camera", "product", "model", "phase"]
    assert [row.split()[:5] for row in rows] == [
        ["line-1", "-", MODEL, "ready", "50/10"],
        ["line-1", "lids", MODEL, "warming", "5/10"],
        ["line-2", "-", MODEL, "ready", "12/10"],
    ]
    assert [(b["camera"], b["count"]) for b in line.json(app, "list", "--camera", "line-2")] == [("line-2", 12)]
    assert line.run(app, "list", "--camera", "nowhere").stderr == "no baselines\n"


def test_one_baseline_is_told_with_its_distribution(line: LineState) -> None:
    line.learn("line-1", 50)
    told = line.run(app, "show", "line-1").stdout
    assert "phase:          ready" in told and "frames:         50 (10 make it ready)" in told and "###" in told
    told = line.json(app, "show", "line-1")
    assert sum(told["distribution"]["counts"]) == 50 and told["distribution"]["edges"][0] == 1.0
    line.run(app, "reset", "line-1", "--yes")
    assert line.json(app, "show", "line-1")["distribution"] is None


def test_resetting_wants_to_be_meant(line: LineState) -> None:
    key = line.learn("line-1", 50)
    refused = line.run(app, "reset", "line-1")
    assert refused.exit_code == 2 and "say --yes" in refused.stderr
    assert line.store.life(key).count == 50
    epoch = line.store.life(key).epoch
    told = line.json(app, "reset", "line-1", "--yes", "--by", "Ada")
    assert (told["phase"], told["count"], told["epoch"] > epoch) == ("cold", 0, True)


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "left"), [(b"n\n", 50), (b"y\n", 0)])
def test_on_a_terminal_it_is_asked(line: LineState, answer: bytes, left: int) -> None:
    key = line.learn("line-1", 50)
    ours, theirs = pty.openpty()
    script = "from monitor.commands.baselines import app; app()"
    with subprocess.Popen(
        [sys.executable, "-c", script, "reset", "line-1", "--config", str(line.config)],
        cwd=ROOT,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if not k.startswith("LINEWATCH_")},
    ) as process:
        os.write(ours, answer)
        _, said = process.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)
    assert b"Throw away the 50 frames learnt of camera line-1 (ready)?" in said
    assert line.store.life(key).count == left
    assert process.returncode == (0 if left == 0 else 1)


def test_freezing_and_thawing(line: LineState) -> None:
    key = line.learn("line-1", 50)
    for _ in range(2):
        assert line.json(app, "freeze", "line-1")["frozen"] is True
    line.learn("line-1", 10, ago_s=30)
    assert line.store.life(key).count == 50
    assert "ready (frozen)" in line.run(app, "list").stdout
    for _ in range(2):
        assert line.json(app, "thaw", "line-1")["frozen"] is False
    line.learn("line-1", 10, ago_s=20)
    assert line.store.life(key).count == 60


def test_a_baseline_that_is_not_ready_is_not_frozen(line: LineState) -> None:
    key = line.learn("line-1", 5)
    done = line.run(app, "freeze", "line-1")
    assert done.exit_code == 1 and "is warming (5 of 10 frames): frozen, it would never become ready" in done.stderr
    assert not line.store.life(key).frozen


def test_exported_and_imported_it_is_the_same(line: LineState) -> None:
    key = line.learn("line-1", 50, "lids")
    before = line.store.distribution(key)
    out = line.folder / "line-1.json"
    assert line.run(app, "export", "line-1", "--out", out).exit_code == 0
    assert json.loads(line.run(app, "export", "line-1").stdout)["window"] == json.loads(out.read_text())["window"]
    line.run(app, "reset", "line-1", "--yes")
    told = line.json(app, "import", out, "--by", "Ada")
    assert (told["camera"], told["product"], told["count"], told["phase"]) == ("line-1", "lids", 50, "ready")
    assert line.store.distribution(key) == before
    told = line.json(app, "import", out, "--camera", "line-7", "--product", "")
    assert (told["camera"], told["product"], told["count"]) == ("line-7", "", 50)


def test_an_export_overwrites_nothing(line: LineState) -> None:
    line.learn("line-1")
    out = line.folder / "kept.json"
    out.write_text("mine")
    done = line.run(app, "export", "line-1", "--out", out)
    assert done.exit_code == 2 and "is there already" in done.stderr and out.read_text() == "mine"
    assert line.run(app, "export", "line-1", "--out", line.folder / "no" / "f.json").exit_code == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no json", "is no JSON"),
        ("[]", "a JSON object"),
        ("{}", "names no camera and model"),
        ('{"camera": "line-1", "model": "m"}', "format"),
        ("[" * 100_000, "is no JSON"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_export_is_refused(line: LineState, text: str | None, says: str) -> None:
    file = line.folder / "import.json"
    if text is not None:
        file.write_text(text)
    done = line.run(app, "import", file)
    assert done.exit_code == 2 and says in done.stderr and "import.json" in done.stderr
    assert line.store.list() == []


def test_a_baseline_of_another_model_is_refused(line: LineState) -> None:
    key = line.learn("line-1")
    file = line.folder / "import.json"
    line.run(app, "export", "line-1", "--out", file)
    done = line.run(app, "import", file, "--model", "ffffffffffff")
    assert done.exit_code == 2 and "model: expected 'ffffffffffff'" in done.stderr
    assert line.store.list() == [key]


def test_of_several_one_has_to_be_named(line: LineState) -> None:
    line.learn("line-1", 20)
    line.learn("line-1", 30, "lids")
    line.learn("line-1", 40, "lids", model="ffffffffffff")
    done = line.run(app, "show", "line-1")
    assert done.exit_code == 2 and "there are 3 baselines of camera line-1" in done.stderr
    assert '--product "lids" --model ffffffffffff' in done.stderr
    assert line.json(app, "show", "line-1", "--product", "")["count"] == 20
    assert line.json(app, "show", "line-1", "--product", "lids", "--model", "01")["count"] == 30
    assert line.json(app, "show", "line-1", "--model", "ff")["count"] == 40
    wrong = line.run(app, "reset", "line-1", "--product", "cups", "--yes")
    assert wrong.exit_code == 2 and "there is no such baseline of camera line-1" in wrong.stderr
    unknown = line.run(app, "show", "line-9")
    assert unknown.exit_code == 1 and "no baseline of camera line-9 is kept; there are some of line-1" in unknown.stderr


def test_a_product_is_set_by_hand_and_returned_to_the_plan(line: LineState, redis_client: redis.Redis) -> None:
    line.configure(products=[{"product": "lids", "start": "00:00", "end": "00:00"}])
    assert line.run(app, "product", "line-1").stdout == "line-1: lids (by the plan)\n"
    told = line.json(app, "product", "line-1", "cups", "--by", "Ada")
    assert (told["product"], told["by_hand"]["by"]) == ("cups", "Ada")
    service = Orders(redis_client, line.prefix)
    service.refresh()
    assert service.product("line-1", time.time_ns()) == "cups"
    assert "line-1: cups (set by Ada at " in line.run(app, "product", "line-1").stdout
    assert line.json(app, "product", "line-1", "--schedule") == {"camera": "line-1", "product": "lids", "by_hand": None}
    note = "frames that name their product themselves go before"
    assert note in line.run(app, "product", "line-1", "cups").stderr
    assert note not in line.run(app, "product", "line-1", "--schedule").stderr
    assert note not in line.run(app, "product", "line-1").stderr
    both = line.run(app, "product", "line-1", "cups", "--schedule")
    assert both.exit_code == 2 and "not both" in both.stderr
    line.configure()
    assert line.run(app, "product", "line-1").stdout == "line-1: no product\n"
    bad = line.run(app, "product", "line-1", "two\nlines")
    assert bad.exit_code == 1 and "product: expected 1 to 128 printable characters" in bad.stderr
