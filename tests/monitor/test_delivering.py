"""Delivery as it is wired: channels that cannot be made, that change while they deliver, and what is told of it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
import yaml
from redis.backoff import NoBackoff
from redis.retry import Retry
from typer.testing import CliRunner

import monitor.delivering as delivering_module
import monitor.delivery_figures as figures_module
from monitor.alerting.outbox import Outbox
from monitor.cli import app
from monitor.commands.dispatch import _reloaded
from monitor.config_check import check_hours
from monitor.delivering import ChannelError, Delivering, DeliveryParts
from monitor.delivery.book import SubscriptionBook
from monitor.delivery.channels.channel import DeliveryRefused
from monitor.delivery.dead_letters import DeadLetters
from monitor.delivery.delivery import Delivery
from monitor.delivery.matching import wants
from monitor.delivery.materials import Place
from monitor.delivery.queue import DeliveryQueue
from monitor.delivery.trial_materials import TrialMaterials
from monitor.delivery_figures import DeliveryFigures
from monitor.embedded import EmbeddedValkey
from monitor.embedded.server import free_port
from monitor.judging.episodes import Change
from monitor.serving.board import Board
from monitor.serving.metrics import Metrics
from monitor.settings import Settings
from monitor.settings_file import ConfigError, load_settings
from monitor.subscription_settings import Subscription
from tests.monitor.deliveries import Remembering, at_last, delivery
from tests.monitor.peer import event
from tests.monitor.service import checkpoint, pictures

BASE = {"model": {"checkpoint": "none"}, "sources": [{"files": {"camera": "a", "path": "*.mp4"}}]}


def settings(*channels: dict[str, Any], **more: Any) -> Settings:
    return Settings.model_validate({**BASE, "channels": channels, **more})


def hook(secret: str = "one-0123456789abcdef", **more: Any) -> dict[str, Any]:
    return {"name": "hook", "webhook": {"url": "http://127.0.0.1:9/", "secret": secret, **more}}


def delivering(client: redis.Redis, prefix: str, first: Settings, here: bool = True) -> Delivering:
    outbox = Outbox(client, prefix)
    book = SubscriptionBook(client, prefix, lambda: (), lambda: frozenset({"hook"}))
    materials = TrialMaterials("http://page", lambda _: Place(None, ()))
    told: Callable[..., None] = lambda *_: None  # noqa: E731
    return Delivering(DeliveryParts(client, prefix, outbox, book, materials, materials, told), first, here)


def test_a_channel_that_cannot_be_made_is_named_by_its_place(
    redis_client: redis.Redis, prefix: str, tmp_path: Path
) -> None:
    wrong = tmp_path / "body.j2"
    wrong.write_text("{{ nothing")
    broken = {"name": "other", "webhook": {"url": "http://a/", "format": "template", "template": wrong}}
    with pytest.raises(ChannelError, match="channel other") as raised:
        delivering(redis_client, prefix, settings(hook(), broken))
    assert raised.value.key == ("channels", 1)


def test_a_template_that_was_written_anew_makes_its_channel_anew(
    redis_client: redis.Redis, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = tmp_path / "body.j2"
    template.write_text("{}")
    made: list[str] = []

    def make(entry: Any, *_: object) -> Remembering:
        made.append(entry.name)
        return Remembering(name=entry.name)

    monkeypatch.setattr(delivering_module, "make_channel", make)
    same = settings(hook(format="template", template=template))
    one = delivering(redis_client, prefix, same, here=False)
    one.prepare(same)()
    assert made == ["hook"]
    template.write_text('{"more": 1}')
    one.prepare(same)()
    assert made == ["hook", "hook"]


def test_a_secret_that_is_changed_while_it_delivers_holds_for_all_that_waits(
    redis_client: redis.Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three secrets in a row; what is on its way by the first is refused later. Nothing is given up, nothing is sent by
    the first again, the one that was replaced before it began never begins, and one channel works at the end."""
    made: dict[str, Remembering] = {}
    on_its_way, go_on = threading.Event(), threading.Event()

    def wrong_secret(_: Delivery) -> None:
        on_its_way.set()
        assert go_on.wait(20)
        raise DeliveryRefused("401")

    def make(entry: Any, *_: object) -> Remembering:
        secret = entry.webhook.secret.get_secret_value()[:3]
        made[secret] = Remembering(wrong_secret if secret == "one" else lambda _: None, parallel=1)
        return made[secret]

    monkeypatch.setattr(delivering_module, "make_channel", make)
    queue = DeliveryQueue(redis_client, prefix)
    for number in range(3):
        queue.put(delivery(number, f"line-{number}"))
    one = delivering(redis_client, prefix, settings(hook()))
    one.start()
    assert on_its_way.wait(20)
    for secret in ("two-0123456789abcdef", "six-0123456789abcdef"):
        one.prepare(settings(hook(secret)))()
    go_on.set()
    at_last("all has arrived", lambda: queue.depth("hook") == 0)
    one.stop(5)
    assert len(made["one"].tries) == 1 and not made["two"].tries and len(made["six"].arrived) == 3
    assert DeadLetters(redis_client, prefix).count() == {}
    assert [channel.closed for channel in made.values()] == [1, 1, 1]
    workers = {thread.name for thread in threading.enumerate() if thread.is_alive()}
    assert not {name for name in workers if name.startswith(("dispatch-hook", "deliver-hook"))}


def test_channels_that_are_changed_at_the_end_do_not_begin_after_it(
    redis_client: redis.Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()
    made: list[Remembering] = []

    def make(*_: object) -> Remembering:
        made.append(Remembering(lambda _: held.wait(20) and None, parallel=1))
        return made[-1]

    monkeypatch.setattr(delivering_module, "make_channel", make)
    queue = DeliveryQueue(redis_client, prefix)
    for number in range(2):
        queue.put(delivery(number, f"line-{number}"))
    one = delivering(redis_client, prefix, settings(hook()))
    one.start()
    at_last("it delivers", lambda: made[0].tries)
    one.prepare(settings(hook("two-0123456789abcdef")))()
    stopping = threading.Thread(target=one.stop, args=(5,))
    stopping.start()
    at_last("the new one was stopped", lambda: made[1].closed)
    held.set()
    stopping.join(20)
    assert not stopping.is_alive() and not made[1].tries
    assert queue.depth("hook") == 1  # for the next start


def test_it_is_told_that_nobody_delivers_and_what_waits_for_channels_that_are_gone(
    redis_client: redis.Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures_module, "ALONE_S", 0.0)
    one = delivering(redis_client, prefix, settings(hook()), here=False)
    queue, board = DeliveryQueue(redis_client, prefix), Board()
    figures = DeliveryFigures(
        one.router, queue, DeadLetters(redis_client, prefix), lambda: one.channel_kinds, Metrics(), board
    )
    figures()
    assert "nobody delivers" in board.all_notes()["delivery"]
    redis_client.set(f"{prefix}:lease:router", "another")
    figures()
    assert "delivery" not in board.all_notes()
    queue.ready("pager")
    queue.put(delivery(1, channel="pager"))
    figures()
    assert "pager (1)" in board.all_notes()["delivery"]


def test_the_end_does_not_wait_long_for_a_redis_that_is_away(prefix: str) -> None:
    away = redis.Redis(port=free_port(), decode_responses=True, retry=Retry(NoBackoff(), 0))
    one = delivering(away, prefix, settings(hook()))
    one.start()
    began_s = time.monotonic()
    one.stop(60)
    assert time.monotonic() - began_s < 30


def test_a_critical_subscription_is_told_when_an_alert_becomes_critical_and_when_it_ends() -> None:
    critical = Subscription(name="critical", to=("hook",), from_severity="critical")
    course = event(1), event(1, Change.RAISED, "critical"), event(1, Change.RESOLVED, "critical")
    assert [wants(critical, each, lambda _: Place(None, ())) for each in course] == [False, True, True]


def test_commands_name_the_line_of_what_cannot_be_used(
    valkey: EmbeddedValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the checkpoint's, where it is a channel's."""
    monkeypatch.setattr("monitor.commands.dispatch._Asked", object)  # signals are those of the tests
    (tmp_path / "part.jpg").write_bytes(pictures(checkpoint(tmp_path / "model.safetensors"))[0])
    path = tmp_path / "config.yaml"
    config = {
        "model": {"checkpoint": str(tmp_path / "model.safetensors")},
        "sources": [{"files": {"camera": "a", "path": str(tmp_path / "part.jpg")}}],
        "redis": {"url": valkey.address},
        "evidence": {"dir": str(tmp_path / "evidence")},
        "http": {"port": 0},
        "channels": [{"name": "phone", "apprise": {"url": "nosuch://service"}}],
        "subscriptions": [{"name": "all", "to": ["phone"]}],
    }
    never = {"quiet": [{"start": "00:00", "end": "00:00"}]}
    for command in ("run", "dispatch"):
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        found = CliRunner().invoke(app, [command, str(path)])
        assert found.exit_code == 2 and "config.yaml:14: channels[0]: channel phone: " in found.output
        path.write_text(yaml.safe_dump({**config, "subscriptions": [{"name": "all", "to": ["phone"], "when": never}]}))
        found = CliRunner().invoke(app, [command, str(path)])
        assert found.exit_code == 2 and "subscriptions[0].when: subscription all: " in found.output
    monkeypatch.setitem(sys.modules, "boto3", None)
    path.write_text(yaml.safe_dump({**config, "evidence": {"dir": str(tmp_path), "s3": {"bucket": "pictures"}}}))
    for command in ("run", "dispatch"):
        found = CliRunner().invoke(app, [command, str(path)])
        assert found.exit_code == 2 and ": evidence.s3: boto3 is not installed" in found.output


def test_a_dispatch_takes_what_can_change_and_keeps_the_rest(
    redis_client: redis.Redis, prefix: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"

    def written(*channels: dict[str, Any], **more: Any) -> Settings:
        path.write_text(yaml.safe_dump({**BASE, "channels": list(channels), **more}))
        return load_settings(path)

    before = written(hook())
    wired: Any = SimpleNamespace(delivering=delivering(redis_client, prefix, before))
    written(hook("two-0123456789abcdef"), redis={"prefix": "elsewhere"})
    assert _reloaded(path, before, wired) is before  # it would go on with the Redis that it knows
    written(hook(), {"name": "phone", "apprise": {"url": "nosuch://service"}})
    assert _reloaded(path, before, wired) is before
    changed = written(hook(), {**hook(), "name": "second"})
    assert _reloaded(path, before, wired) == changed
    assert set(wired.delivering.channel_kinds) == {"hook", "second"}


def test_hours_that_never_open_are_refused_with_their_line(tmp_path: Path) -> None:
    always = {"start": "00:00", "end": "00:00"}
    found = settings(
        hook(),
        subscriptions=[{"name": "day", "to": ["hook"]}, {"name": "never", "to": ["hook"], "when": {"quiet": [always]}}],
    )
    path = tmp_path / "config.yaml"
    path.write_text("subscriptions:\n  - name: day\n  - name: never\n    when:\n      quiet: []\n")
    with pytest.raises(ConfigError, match=r"config.yaml:4: subscriptions\[1\].when: subscription never: .*quiet"):
        check_hours(found, path)
