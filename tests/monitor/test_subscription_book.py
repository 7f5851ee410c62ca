"""Subscriptions by configuration and by API, kept in a real Valkey."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import redis

from monitor.delivery import book as module
from monitor.delivery.book import SubscriptionBook, SubscriptionRefused, SubscriptionUnknown
from monitor.delivery.held import stage_held
from monitor.subscription_settings import Subscription

CHANNELS = frozenset({"mail", "chat"})


def sub(name: str, *to: str, **says: Any) -> Subscription:
    return Subscription.model_validate({"name": name, "to": to or ("mail",), **says})


class Books:
    """A book with its configuration, and another process's book with the same one."""

    def __init__(self, client: Any, prefix: str) -> None:
        self.client, self.prefix = client, prefix
        self.configured: tuple[Subscription, ...] = (sub("night"), sub("disabled", enabled=False))
        self.channels = CHANNELS
        self.here, self.there = (
            SubscriptionBook(client, prefix, lambda: self.configured, lambda: self.channels) for _ in range(2)
        )

    def on(self) -> list[str]:
        return [one.name for one in self.there.current()]


@pytest.fixture
def books(redis_client: redis.Redis, prefix: str) -> Books:
    return Books(redis_client, prefix)


def test_what_is_written_by_one_is_there_for_all_at_once(books: Books) -> None:
    made = books.here.create(sub("b", "mail", "chat", cameras=["line-*"]), " Ann ")
    assert made == books.there.get("b") and (made.origin, made.on, made.changed_by) == ("api", True, "Ann")
    assert made.changed_at_ms is not None and made.switched_by is None
    books.here.create(sub("a"), "Ann")
    listed = [(one.subscription.name, one.origin) for one in books.there.listed()]
    assert listed == [("night", "configuration"), ("disabled", "configuration"), ("a", "api"), ("b", "api")]
    assert books.on() == ["night", "a", "b"]
    changed = books.there.change("b", sub("b", "chat"), "Bob")
    assert books.here.get("b") == changed and changed.changed_by == "Bob" and changed.subscription.to == ("chat",)
    books.here.delete("b", "Bob")
    assert books.on() == ["night", "a"]
    with pytest.raises(SubscriptionUnknown):
        books.there.get("b")


def test_on_and_off_by_hand_with_who_and_when(books: Books) -> None:
    off = books.here.switch("night", False, "Ann")
    assert (off.on, off.switched_by, off.origin) == (False, "Ann", "configuration") and off.switched_at_ms
    assert books.on() == []
    assert books.there.switch("night", True, "Bob").switched_by == "Bob" and books.on() == ["night"]
    with pytest.raises(SubscriptionRefused, match=r"enabled: false.*reload"):
        books.here.switch("disabled", True, "Ann")
    books.here.create(sub("mine", enabled=False), "Ann")
    assert not books.here.get("mine").on
    assert books.here.switch("mine", True, "Bob").on and books.here.get("mine").subscription.enabled


def test_what_does_not_fit_is_refused_with_the_remedy_and_changes_nothing(books: Books) -> None:
    books.here.create(sub("c"), "Ann")
    books.here.create(sub("b", escalate={"to": "c", "after_s": 60}), "Ann")
    books.here.create(sub("a", escalate={"to": "b", "after_s": 60}), "Ann")
    before = books.client.hgetall(f"{books.prefix}:subscriptions")
    day = [{"start": "00:00", "end": "00:00"}]
    refused: list[tuple[str, Any]] = [
        ("already", lambda: books.there.create(sub("a"), "Ann")),
        ("already", lambda: books.there.create(sub("night"), "Ann")),
        ("stands in the configuration", lambda: books.there.change("night", sub("night"), "Ann")),
        ("stands in the configuration", lambda: books.there.delete("night", "Ann")),
        ("no channel post; there are: chat, mail", lambda: books.there.create(sub("x", "post"), "Ann")),
        ("no subscription y", lambda: books.there.create(sub("x", escalate={"to": "y", "after_s": 9}), "Ann")),
        ("comes back to c", lambda: books.there.change("c", sub("c", escalate={"to": "a", "after_s": 9}), "Ann")),
        ("keeps its name", lambda: books.there.change("c", sub("d"), "Ann")),
        ("b escalates to c", lambda: books.there.delete("c", "Ann")),
        ("leave some time", lambda: books.there.create(sub("x", when={"quiet": day}), "Ann")),
        ("1 to 100 printable", lambda: books.there.create(sub("x"), " ")),
        ("1 to 100 printable", lambda: books.there.switch("c", False, "a\nb")),
    ]
    for says, attempt in refused:
        with pytest.raises(SubscriptionRefused, match=says):
            attempt()
    for unknown in (
        lambda: books.here.change("x", sub("x"), "A"),
        lambda: books.here.delete("x", "A"),
        lambda: books.here.switch("x", True, "A"),
    ):
        with pytest.raises(SubscriptionUnknown):
            unknown()
    assert books.client.hgetall(f"{books.prefix}:subscriptions") == before


def test_one_that_cannot_be_read_hides_no_other_and_can_be_deleted(books: Books) -> None:
    books.here.create(sub("good"), "Ann")
    key = f"{books.prefix}:subscriptions"
    newer = json.loads(books.client.hget(key, "good"))
    newer["subscription"] |= {"name": "newer", "of_a_newer_version": 1}
    texts = {"broken": "{", "newer": json.dumps(newer), "other": books.client.hget(key, "good")}
    books.client.hset(key, mapping=texts)
    books.client.hset(f"{key}:off", "good", "[]")
    assert books.on() == ["night", "good"]
    for name in texts:
        books.here.delete(name, "Ann")
    assert books.client.hkeys(key) == ["good"]


def test_a_reload_may_take_channels_away_and_take_names(books: Books) -> None:
    books.here.create(sub("a", "chat"), "Ann")
    books.here.create(sub("b", "chat", "mail"), "Ann")
    books.channels = frozenset({"mail"})
    assert [(one.name, one.to) for one in books.there.current()] == [("night", ("mail",)), ("b", ("mail",))]
    books.configured = (sub("b", cameras=["x"]),)
    assert [(one.name, one.cameras) for one in books.there.current()] == [("b", ("x",))]
    assert {one.subscription.name: one.origin for one in books.there.listed()} == {"b": "configuration", "a": "api"}


def test_what_was_gathered_goes_with_a_subscription(books: Books) -> None:
    books.here.create(sub("a"), "Ann")
    books.here.switch("a", False, "Ann")
    stage_held(books.client, books.prefix, "a", "quiet", "{}", 5)
    books.here.delete("a", "Ann")
    assert sorted(books.client.scan_iter(f"{books.prefix}:*")) == []


def test_of_changes_at_once_none_is_lost_and_no_two_contradict(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 12)
    outcomes: list[str] = []

    def work(number: int) -> None:
        for name in ("same", f"own-{number}", f"more-{number}"):
            try:
                books.here.create(sub(name), f"person {number}")
                outcomes.append(name)
            except SubscriptionRefused as error:
                outcomes.append("refused" if "already" in str(error) else "full")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("same") == 1 and outcomes.count("refused") == 5 and outcomes.count("full") == 1
    assert len(books.here.listed()) == 2 + 12
