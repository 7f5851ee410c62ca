"""`linewatch doctor` on what tells people: channels, subscriptions, links, tokens, the bucket. Nothing is ever sent."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from monitor.delivery.book import SubscriptionBook
from monitor.doctor.bucket import examine_bucket
from monitor.doctor.evidence import examine_evidence
from monitor.doctor.finding import Finding, Mark
from monitor.doctor.links import examine_links
from monitor.doctor.redis_server import examine_redis
from monitor.embedded import EmbeddedValkey
from monitor.evidence_settings import Evidence
from monitor.http_settings import Http
from monitor.settings import Redis
from monitor.subscription_settings import Subscription
from tests.dashboards.stub_grafana import TOKEN, serve
from tests.monitor.peer import HttpPeer
from tests.monitor.service import checkpoint
from tests.monitor.test_doctor import PASSWORD, PICTURE, doctor, free_port, said, silent_server
from tests.monitor.test_evidence_s3 import SECRET, Storage, settings

OVER = threading.Event()


@pytest.fixture
def config(tmp_path: Path, valkey: EmbeddedValkey, prefix: str, one_thread: None) -> dict[str, Any]:
    checkpoint(tmp_path / "model.safetensors")
    (tmp_path / "a.jpg").write_bytes(PICTURE)
    return {
        "model": {"checkpoint": str(tmp_path / "model.safetensors"), "threads": 1},
        "sources": [{"files": {"camera": "line-1", "path": str(tmp_path / "a.jpg")}}],
        "redis": {"url": valkey.address, "prefix": prefix},
        "http": {"port": 0},
        "evidence": {"dir": str(tmp_path / "evidence")},
    }


def test_each_channel_is_told_apart_and_nothing_is_sent(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    template = tmp_path / "body.j2"
    template.write_text('{"text": \n{{ event.nothing.at_all | tojson }}}')
    secret = f"T{'0K3N' * 6}"
    with HttpPeer() as peer, serve() as grafana, silent_server() as broker, silent_server(lambda _: b"no TLS") as plain:
        channels: dict[str, dict[str, Any]] = {
            "good": {"webhook": {"url": f"{peer.url}/{secret}", "secret": PASSWORD}},
            "neighbour": {"webhook": {"url": f"http://169.254.169.254/{secret}"}},
            "nobody": {"webhook": {"url": f"http://no-such-host.invalid/{secret}"}},
            "closed": {"webhook": {"url": f"http://u:{secret}@127.0.0.1:{free_port()}/{secret}"}},
            "clear": {"webhook": {"url": f"https://127.0.0.1:{plain}/{secret}"}},
            "worded": {"webhook": {"url": peer.url, "format": "template", "template": str(template)}},
            "scada": {"mqtt": {"host": "127.0.0.1", "port": broker, "password": PASSWORD}},
            "away": {"mqtt": {"host": "127.0.0.1", "port": free_port()}},
            "untrusted": {"mqtt": {"host": "127.0.0.1", "tls": True, "ca_file": str(tmp_path / "no.pem")}},
            "bus": {"kafka": {"bootstrap_servers": f"127.0.0.1:{free_port()}", "topic": "t"}},
            "board": {"grafana": {"url": grafana.url, "token": TOKEN}},
            "chat": {"apprise": {"url": f"slack://{'T1JJ3T3L2'}/A1BRTD4JD/{secret}/#line"}},
            "odd": {"apprise": {"url": f"nosuchservice://{secret}"}},
        }
        config["channels"] = [{"name": name, **kind} for name, kind in channels.items()]
        config["subscriptions"] = [{"name": "shift", "to": ["good", "chat"]}]
        config["delivery"] = {"allow_targets": ["127.0.0.1", "*"]}
        code, found = doctor(config, tmp_path)
        assert peer.requests == [] and grafana.annotations == {}
    assert code == 1
    assert secret not in str(found) and "T1JJ3T3L2" not in str(found) and TOKEN not in str(found)
    good = found["channel:good"]
    assert f"127.0.0.1:{peer.port} is there (cloudevents, signed)" in said(good)
    assert good[0]["remedy"] == "try it: linewatch subscriptions test shift"
    assert found["channel:scada"][0]["remedy"] == "try it: linewatch subscriptions test NAME"
    assert "Apprise knows the address" in said(found["channel:chat"])
    assert "may write annotations" in said(found["channel:board"])
    for name, told in {
        "neighbour": "169.254.169.254 is a cloud's metadata service: not connected",
        "nobody": "no-such-host.invalid cannot be found",
        "closed": "connection refused",
        "clear": "does not speak TLS as expected",
        "worded": "body.j2, line 2",
        "away": "connection refused",
        "untrusted": "mqtt.ca_file: cannot read",
        "bus": "connection refused",
        "odd": "Apprise cannot use this address (nosuchservice://…)",
    }.items():
        assert told in said(found[f"channel:{name}"], "failed"), found[f"channel:{name}"]
    assert "channels[5]" in found["channel:worded"][0]["remedy"]
    assert "no subscription names the channel board" in said(found["subscriptions"], "warning")


def test_subscriptions_that_tell_nobody_are_told(config: dict[str, Any], tmp_path: Path, prefix: str) -> None:
    quiet = {"quiet": [{"start": "00:00", "end": "00:00"}]}
    config["channels"] = [{"name": "chat", "apprise": {"url": "json://127.0.0.1:9"}}]
    config["cameras"] = [{"match": "line-1", "line": "north"}]
    config["subscriptions"] = [
        {
            "name": "all",
            "to": ["chat"],
            "cameras": ["line-*"],
            "lines": ["north"],
            "escalate": {"to": "lead", "after_s": 60},
        },
        {"name": "lead", "to": ["chat"], "cameras": ["none"]},
        {"name": "typo", "to": ["chat"], "cameras": ["Line-1"], "tags": ["west"]},
        {"name": "never", "to": ["chat"], "when": quiet | {"critical_passes": False}},
        {"name": "critical", "to": ["chat"], "when": quiet},
    ]
    config["delivery"] = {"here": False}
    client = redis.Redis.from_url(config["redis"]["url"], decode_responses=True)
    book = SubscriptionBook(client, prefix, lambda: (), lambda: frozenset({"chat", "pager"}))
    book.create(Subscription(name="gone", to=("pager",)), "Ada")
    book.create(Subscription(name="half", to=("pager", "chat")), "Ada")
    client.hset(f"{prefix}:subscriptions:off", "lead", '{"on": false, "by": "Ada", "at_ms": 1}')
    client.hset(f"{prefix}:subscriptions", "odd", "{}")
    code, found = doctor(config, tmp_path)
    assert code == 1
    failed, warned = (said(found["subscriptions"], mark).splitlines() for mark in ("failed", "warning"))
    assert said(found["subscriptions"]) == "5 of the configuration, 2 by API; off: lead"
    assert failed == [
        "never: its quiet hours cover all of its working hours, so nothing could ever be told; leave some time",
        "gone: there is no channel pager",
    ]
    assert [one.partition(":")[0] for one in warned[:-1]] == ["odd", "all", "typo", "typo", "critical", "half"]
    assert warned[-1] == "delivery.here is false, and nobody delivers at present"
    assert "escalates to lead, but it is off" in warned[1]
    assert "no camera of the configuration is Line-1" in warned[2] and "the tag west" in warned[3]
    client.set(f"{prefix}:lease:router", "somebody", px=60_000)
    client.close()
    config["sources"].append({"kafka": {"bootstrap_servers": f"127.0.0.1:{free_port()}", "topic": "t"}})
    _, found = doctor(config, tmp_path)
    assert "nobody delivers" not in said(found["subscriptions"], "warning")
    assert "no camera of the configuration is Line-1" in said(found["subscriptions"]), "it may be one of the topic"


@pytest.mark.parametrize(
    ("given", "warned"),
    [
        ({}, ["not signed", "links point to this machine's loopback"]),
        ({"token": "short"}, ["fewer than 16 characters", "http.public_url is not set"]),
        ({"token": PASSWORD, "public_url": "https://line.example"}, []),
        ({"token": PASSWORD, "host": "0.0.0.0"}, ["http.public_url is not set"]),
        ({"token": PASSWORD, "host": "10.1.2.3"}, []),
        ({"link_key": "k" * 48, "public_url": "https://line.example"}, []),
        ({"access": [{"name": "Ada", "role": "viewer", "token": "a" * 16}], "public_url": "http://h"}, ["not signed"]),
    ],
)
def test_links_that_would_not_work_are_told(given: dict[str, Any], warned: list[str]) -> None:
    found = list(examine_links(Http.model_validate(given), OVER))
    warnings = [one for one in found if one.mark is Mark.WARNING]
    assert len(warnings) == len(warned) and all(told in one.said for told, one in zip(warned, warnings, strict=True))
    assert not any(secret in str(found) for secret in (PASSWORD, "k" * 48, "a" * 16))


def test_tokens_are_counted_and_not_shown(config: dict[str, Any], tmp_path: Path) -> None:
    people = [{"name": f"p{n}", "role": "operator", "token": f"{PASSWORD}-{n}"} for n in range(2)]
    config["http"] = {"port": 0, "token": PASSWORD, "access": people}
    _, found = doctor(config, tmp_path)
    assert "there are 3 (1 admin, 2 operator)" in said(found["http"])


def test_a_bucket_is_tried_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(name: str) -> Finding:
        (found,) = examine_bucket(settings(storage, name), OVER)
        assert SECRET not in str(found) and "AKIDTHATISSECRET" not in str(found)
        return found

    with Storage() as storage:
        from monitor.alerting.bucket import Bucket  # noqa: PLC0415

        client = Bucket(settings(storage))._client
        client.create_bucket(Bucket="pictures")
        found = told("pictures")
        assert found.mark is Mark.OK and "'site/linewatch' can be written, read, listed and deleted" in found.said
        assert client.list_objects_v2(Bucket="pictures")["KeyCount"] == 0
        found = told("not-there")
        assert found.mark is Mark.FAILED and "cannot be written" in found.said and "NoSuchBucket" in found.said
        storage.go()
        assert told("pictures").mark is Mark.FAILED
        monkeypatch.setitem(sys.modules, "boto3", None)
        assert "boto3 is not installed" in told("pictures").said


def test_the_size_limit_and_clips_count_for_the_room(tmp_path: Path) -> None:
    day = tmp_path / "2026-01-01"
    day.mkdir()
    for name in ("a-evidence.jpg", "a-clip.mp4"):
        (day / name).write_bytes(bytes(15_000_000))
        os.utime(day / name, (time.time() - 86_400 * 2, time.time() - 86_400 * 2))
    (day / "others.txt").write_bytes(bytes(15_000_000))

    def room(max_bytes: int) -> Finding:
        return list(examine_evidence(Evidence(dir=tmp_path, max_bytes=max_bytes), OVER))[1]

    short = room(60_000_000)
    assert short.mark is Mark.WARNING and "15 MB a day" in short.said and "(60 MB) holds 4 days" in short.said
    long = room(600_000_000)
    assert long.mark is Mark.OK and "holds what evidence.keep_days keeps" in long.said


def test_what_redis_keeps_is_told_where_it_says_so(tmp_path: Path) -> None:
    with EmbeddedValkey(data=tmp_path) as server:
        client = redis.Redis.from_url(server.address, decode_responses=True)

        def told(url: str = server.address) -> list[Finding]:
            asked = redis.Redis.from_url(url, decode_responses=True)
            found = examine_redis(Redis(url=url), asked, OVER)
            return [one for one in found if "AOF" in one.said]

        (kept,) = told()
        assert kept.mark is Mark.OK
        client.config_set("appendfsync", "no")
        (kept,) = told()
        assert kept.mark is Mark.WARNING and "appendfsync everysec" in str(kept.remedy)
        client.config_set("appendonly", "no")
        (kept,) = told()
        assert kept.mark is Mark.WARNING and "appendonly yes" in str(kept.remedy)
        client.acl_setuser("app", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-config"])
        client.close()
        assert told(server.address.replace("redis://", "redis://app:pw@")) == []
