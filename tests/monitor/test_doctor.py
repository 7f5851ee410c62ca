"""`linewatch doctor` on real servers, all of them well, and each of them ill in turn."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
import yaml
from kafka import KafkaAdminClient, KafkaProducer
from pydantic import BaseModel, SecretStr
from typer.testing import CliRunner

from models.checkpoint import load_checkpoint, save
from monitor.cli import app
from monitor.doctor import examine as examining
from monitor.doctor import redis_server
from monitor.doctor import trial as trial_of_a_source
from monitor.doctor.clock import Clock
from monitor.doctor.evidence import examine_evidence
from monitor.doctor.examine import examine
from monitor.doctor.finding import Check, Examined, Finding, Mark, failed, ok, worst
from monitor.doctor.rtsp_login import describe
from monitor.doctor.secrets import secrets_of, without_secrets
from monitor.embedded import EmbeddedBroker, EmbeddedRtsp, EmbeddedValkey
from monitor.evidence_settings import Evidence
from monitor.settings import Settings
from streams.codec import encode_jpeg
from streams.frame import Frame
from streams.simulator import Line, write_film
from streams.source import Keep, Outlet
from tests.dashboards.stub_grafana import TOKEN, StubGrafana, serve
from tests.monitor.service import Running, checkpoint
from tests.streams.rtsp_peer import RtspPeer

PASSWORD = "pa55/w@rd-of-ours"
PICTURE = encode_jpeg(np.full((48, 64, 3), 90, np.uint8))


@pytest.fixture
def grafana(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubGrafana]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as stub:
        yield stub


@pytest.fixture
def config(tmp_path: Path, valkey: EmbeddedValkey, prefix: str, one_thread: None) -> dict[str, Any]:
    """The least that works: a checkpoint, pictures, Redis."""
    checkpoint(tmp_path / "model.safetensors")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(PICTURE)
    return {
        "model": {"checkpoint": str(tmp_path / "model.safetensors"), "threads": 1},
        "sources": [{"files": {"camera": "bench", "path": str(tmp_path / "pictures")}}],
        "redis": {"url": valkey.address, "prefix": prefix},
        "http": {"port": 0},
        "evidence": {"dir": str(tmp_path / "evidence")},
    }


def doctor(config: dict[str, Any], folder: Path) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The exit code, and the findings of each check."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    done = CliRunner().invoke(app, ["doctor", str(path), "--json"])
    assert done.exit_code in {0, 1}, (done.exit_code, done.stderr)
    told = json.loads(done.stdout)
    assert (told["result"] == "failed") == (done.exit_code == 1)
    assert told["took_s"] < 40
    checks: dict[str, list[dict[str, Any]]] = {}
    for finding in told["findings"]:
        checks.setdefault(finding.pop("check"), []).append(finding)
        assert PASSWORD not in str(finding) and "pa55" not in str(finding)
        assert finding["remedy"] or finding["mark"] == "ok", "what does not work has its remedy"
    return done.exit_code, checks


def said(findings: list[dict[str, Any]], mark: str = "ok") -> str:
    return "\n".join(finding["said"] for finding in findings if finding["mark"] == mark)


@pytest.mark.slow
def test_all_is_well(
    config: dict[str, Any], tmp_path: Path, broker: EmbeddedBroker, topic: str, grafana: StubGrafana
) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.address)
    for _ in range(7):
        producer.send(topic, key=b"line-7", value=PICTURE)
    producer.flush(10)
    producer.close()
    for name in ("scores", "alerts"):
        broker.create_topic(f"{topic}-{name}")
    write_film(Line(1, 0, width=64, height=48), tmp_path / "film.mp4", 4)
    with EmbeddedRtsp(tmp_path) as rtsp, EmbeddedValkey(data=tmp_path) as kept:
        config["redis"]["url"] = kept.address
        config["http"] |= {"public_url": "https://line.example", "link_key": "0123456789abcdef"}
        config["sources"] += [
            {"kafka": {"bootstrap_servers": broker.address, "topic": topic, "group_id": f"doctor-{topic}"}},
            {"rtsp": {"camera": "line-1", "url": rtsp.url("film")}},
            {"files": {"camera": "film", "path": str(tmp_path / "*.mp4")}},
            {"files": {"camera": "later", "path": str(tmp_path / "pictures"), "watch": True}},
        ]
        config["publish"] = {
            "bootstrap_servers": broker.address,
            "scores_topic": f"{topic}-scores",
            "alerts_topic": f"{topic}-alerts",
        }
        config["grafana"] = {"url": grafana.url, "token": TOKEN}
        code, found = doctor(config, tmp_path)
        client = redis.Redis.from_url(kept.address, decode_responses=True)
        assert list(client.scan_iter("*")) == []
        assert "linewatch_doctor" not in str(client.function_list())
        client.close()
    assert code == 0, found
    assert {f["mark"] for findings in found.values() for f in findings} == {"ok"}, found
    assert list(found) == [
        "configuration",
        "model",
        "files:bench",
        f"kafka:{topic}",
        "rtsp:line-1",
        "files:film",
        "files:later",
        "redis",
        "publish",
        "grafana",
        "links",
        "evidence",
        "http",
    ]
    assert "5 sources" in said(found["configuration"])
    assert "ganomaly, 32 px" in said(found["model"]) and "16 pictures scored in" in said(found["model"])
    assert "2 partitions with 7 messages" in said(found[f"kafka:{topic}"])
    assert "has read nothing yet and begins with the oldest message; 7 wait" in said(found[f"kafka:{topic}"])
    assert "is a frame of camera line-7, 64x48" in said(found[f"kafka:{topic}"])
    assert re.search(r"film.mp4/play_count_0: 64x48, \d+\.\d frames a second", said(found["rtsp:line-1"]))
    assert "the first is 64x48" in said(found["files:film"])
    assert "watched, 1 pictures and films there now" in said(found["files:later"])
    assert "functions work" in said(found["redis"]) and "its clock agrees" in said(found["redis"])
    assert "may write annotations" in said(found["grafana"]) and grafana.annotations == {}
    assert "it will be made" in said(found["evidence"]) and not (tmp_path / "evidence").exists()
    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    try:
        group = f"doctor-{topic}"
        assert group not in str(admin.list_groups())
        assert all(at.offset < 0 for at in admin.list_group_offsets({group: None})[group].values()), "nothing committed"
    finally:
        admin.close()


def test_the_table_is_for_people_and_the_exit_code_for_scripts(config: dict[str, Any], tmp_path: Path) -> None:
    config["sources"][0]["files"]["path"] = str(tmp_path / "nothing" / "*.jpg")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    done = CliRunner().invoke(app, ["doctor", str(path)])
    assert done.exit_code == 1 and done.stderr == ""
    rows = done.stdout.splitlines()
    at = next(i for i, row in enumerate(rows) if row.startswith("failed"))
    assert rows[at].split()[1] == "files:bench" and "no picture or film at" in rows[at]
    assert "→ correct sources[0].files.path" in "".join(rows[at + 1 : at + 4])
    assert rows[0].startswith("ok       configuration")
    assert re.fullmatch(r"\d+ ok, 1 warning, 1 failed; examined in [\d.]+ s", rows[-1])


def test_a_configuration_that_cannot_be_read_ends_with_2(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("model: {checkpoint: m.safetensors}\nsource: []\n")
    done = CliRunner().invoke(app, ["doctor", str(path)])
    assert done.exit_code == 2 and done.stdout == "" and "did you mean sources?" in done.stderr


def test_a_checkpoint_that_cannot_be_used_is_told(config: dict[str, Any], tmp_path: Path) -> None:
    good = Path(config["model"]["checkpoint"])
    for content, told in ((None, "model.safetensors"), (b"no checkpoint", "model.safetensors")):
        bad = tmp_path / "bad" / "model.safetensors"
        bad.parent.mkdir(exist_ok=True)
        if content is not None:
            bad.write_bytes(content)
        code, found = doctor(config | {"model": {"checkpoint": str(bad)}}, tmp_path)
        assert code == 1 and told in said(found["model"], "failed")
        assert "linewatch train" in found["model"][0]["remedy"]
    held = load_checkpoint(good)
    save(good, held.method, held.preprocess, calibration=None, training={})
    code, found = doctor(config, tmp_path)
    assert code == 1 and "it has no calibration" in said(found["model"], "failed")


def test_a_gpu_that_is_asked_for_and_not_there_is_told(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    config["model"]["device"] = "cuda"
    code, found = doctor(config, tmp_path)
    assert code == 1 and "sees no CUDA" in said(found["model"], "failed")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_servers_that_are_away_are_told_with_what_to_do(config: dict[str, Any], tmp_path: Path) -> None:
    port = free_port()
    config["sources"].append({"kafka": {"bootstrap_servers": f"127.0.0.1:{port}", "topic": "frames"}})
    config["sources"].append({"kafka": {"bootstrap_servers": "no-such-host.invalid:9092", "topic": "others"}})
    config["redis"]["url"] = f"redis://someone:{PASSWORD.replace('/', '%2F').replace('@', '%40')}@127.0.0.1:{port}/0"
    config["publish"] = {"bootstrap_servers": f"127.0.0.1:{port}"}
    config["grafana"] = {"url": f"http://127.0.0.1:{port}", "token": "glsa_" + PASSWORD.replace("/", "-")}
    code, found = doctor(config, tmp_path)
    assert code == 1
    for check in ("kafka:frames", "publish", "redis"):
        assert "cannot be reached (connection refused)" in said(found[check], "failed"), found[check]
    assert "no-such-host.invalid cannot be found" in said(found["kafka:others"], "failed")
    assert "sources[2].kafka.bootstrap_servers" in found["kafka:others"][0]["remedy"]
    assert "no answer" in said(found["grafana"], "failed") and "start Grafana" in found["grafana"][0]["remedy"]
    assert {f["mark"] for f in found["files:bench"] + found["model"]} == {"ok"}, "the others are examined all the same"


@pytest.mark.slow
def test_topics_that_are_missing_or_hold_no_frames_are_told(
    config: dict[str, Any], tmp_path: Path, broker: EmbeddedBroker, topic: str
) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.address)
    producer.send(topic, key=b"line-7", value=b"no picture")
    producer.flush(10)
    producer.close()
    servers = broker.address
    broker.create_topic(f"{topic}-empty")
    broker.create_topic(f"{topic}-empty.dlq")
    config["sources"] = [
        {"kafka": {"bootstrap_servers": servers, "topic": topic}},
        {"kafka": {"bootstrap_servers": servers, "topic": f"{topic}-missing"}},
        {"kafka": {"bootstrap_servers": f"{servers},127.0.0.1:{free_port()}", "topic": f"{topic}-empty"}},
    ]
    config["publish"] = {"bootstrap_servers": servers, "scores_topic": f"{topic}-scores", "alerts_topic": topic}
    code, found = doctor(config, tmp_path)
    assert code == 1
    assert "is no frame: undecodable" in said(found[f"kafka:{topic}"], "failed")
    missing = found[f"kafka:{topic}-missing"]
    assert f"the topic {topic}-missing does not exist" in said(missing, "failed")
    assert f"--create --topic {topic}-missing" in missing[0]["remedy"]
    empty = said(found[f"kafka:{topic}-empty"], "warning")
    assert "there is no message to look at" in empty and "connection refused" in empty
    assert f"the topic {topic}-scores does not exist yet" in said(found["publish"], "warning")
    assert f"the topic {topic} is there" in said(found["publish"])


@pytest.mark.slow
def test_what_takes_the_place_of_a_broker_is_told(config: dict[str, Any], tmp_path: Path) -> None:
    with silent_server() as port:
        config["sources"] = [{"kafka": {"bootstrap_servers": f"127.0.0.1:{port}", "topic": "frames"}}]
        code, found = doctor(config, tmp_path)
    assert code == 1 and "no broker answers" in said(found["kafka:frames"], "failed")


@contextmanager
def silent_server(answer: Callable[[bytes], bytes] | None = None) -> Iterator[int]:
    """Accepts connections and says nothing, or what `answer` makes of what it was told."""
    server = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []

    def talk(client: socket.socket) -> None:
        try:
            while answer is not None and (told := client.recv(65536)):
                client.sendall(answer(told))
        except OSError:
            return

    def accept() -> None:
        try:
            while True:
                client, _ = server.accept()
                kept.append(client)
                threading.Thread(target=talk, args=(client,), daemon=True).start()
        except OSError:
            return

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        for client in kept:
            client.close()


@pytest.mark.slow
def test_cameras_that_do_not_deliver_are_told_each_with_its_reason(config: dict[str, Any], tmp_path: Path) -> None:
    def camera(name: str, url: str, **more: object) -> dict[str, Any]:
        return {"rtsp": {"camera": name, "url": url, "open_timeout_s": 3, "read_timeout_s": 3, **more}}

    secret = PASSWORD.replace("/", "%2F").replace("@", "%40")
    with (
        RtspPeer(user="operator", password=PASSWORD) as locked,
        RtspPeer() as stalled,
        silent_server() as silent,
        silent_server(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as web,
        silent_server(lambda _: b"RTSP/1.0 404 Not Found\r\nCSeq: 1\r\n\r\n") as elsewhere,
    ):
        stalled.stall()
        config["sources"] = [
            camera("good", locked.url),
            camera("wrong", locked.address.replace("rtsp://", f"rtsp://operator:{secret}x@")),
            camera("nobody", locked.address),
            camera("dead", f"rtsp://operator:{secret}@127.0.0.1:{free_port()}/line"),
            camera("silent", f"rtsp://operator:{secret}@127.0.0.1:{silent}/line"),
            camera("stalled", stalled.url),
            camera("web", f"rtsp://127.0.0.1:{web}/line"),
            camera("path", f"rtsp://127.0.0.1:{elsewhere}/no"),
            {"usb": {"camera": "usb", "device": "/dev/video99"}},
        ]
        began_s = time.monotonic()
        code, found = doctor(config, tmp_path)
        took_s = time.monotonic() - began_s
    assert code == 1
    assert re.search(r"160x120, \d+\.\d frames a second", said(found["rtsp:good"])), found["rtsp:good"]
    for name, told in {
        "wrong": "it refuses the user or password",
        "nobody": "it wants a login",
        "dead": "cannot be reached (connection refused)",
        "silent": "it accepts connections, but says nothing within 3 s",
        "stalled": "no picture within 6 s",
        "web": "does not speak RTSP",
        "path": "it has no such stream",
    }.items():
        assert told in said(found[f"rtsp:{name}"], "failed"), found[f"rtsp:{name}"]
    assert "there is no /dev/video99" in said(found["usb:usb"], "failed")
    assert took_s < 25, "they are tried at the same time"


@pytest.mark.parametrize(("qop", "algorithm"), [("", ""), (', qop="auth"', ""), ("", ', algorithm="SHA-256"')])
def test_a_camera_may_ask_for_a_digest(qop: str, algorithm: str) -> None:
    hashing = hashlib.sha256 if algorithm else hashlib.md5
    heard: list[bytes] = []

    def camera(told: bytes) -> bytes:
        heard.append(told)
        text = told.decode()
        fields = dict(re.findall(r'(\w+)="?([^",\r]*)"?', text.partition("Authorization: Digest ")[2]))
        if not fields:
            asked = f'Digest realm="camera", nonce="abc"{qop}{algorithm}'
            ways = f'WWW-Authenticate: Basic realm="c"\r\nWWW-Authenticate: {asked}\r\n'
            return f"RTSP/1.0 401 Unauthorized\r\n{ways}\r\n".encode()

        def digest(content: str) -> str:
            return hashing(content.encode()).hexdigest()

        middle = f"{fields['nc']}:{fields['cnonce']}:auth:" if qop else ""
        who = digest(f"operator:camera:{PASSWORD}")
        right = digest(f"{who}:abc:{middle}{digest('DESCRIBE:' + fields['uri'])}")
        return b"RTSP/1.0 200 OK\r\n\r\n" if fields["response"] == right else b"RTSP/1.0 401 Unauthorized\r\n\r\n"

    secret = PASSWORD.replace("/", "%2F").replace("@", "%40")
    with silent_server(camera) as port:
        for url, status in ((f"operator:{secret}@", 200), (f"operator:{secret}x@", 401)):
            answer, shown = describe(f"rtsp://{url}127.0.0.1:{port}/line?channel=1", 5)
            assert (answer.status, shown) == (status, True)
    assert b"pa55" not in b"".join(heard) and b"?channel=1 RTSP/1.0" in heard[0]


def test_redis_that_cannot_do_what_is_asked_is_told(config: dict[str, Any], tmp_path: Path, prefix: str) -> None:
    with EmbeddedValkey() as server:
        client = redis.Redis.from_url(server.address)
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.acl_setuser(
            "reader", enabled=True, passwords=[f"+{PASSWORD}"], keys=["other:*"], commands=["+@all", "-function"]
        )
        client.close()
        at = server.address.removeprefix("redis://")
        secret = PASSWORD.replace("/", "%2F").replace("@", "%40")
        config["redis"]["url"] = f"redis://reader:{secret}@{at}"
        code, found = doctor(config, tmp_path)
        assert code == 1
        assert f"keys under {prefix}: cannot be written" in said(found["redis"], "failed")
        assert "functions cannot be used" in said(found["redis"], "failed")
        assert "keys go (allkeys-lru)" in said(found["redis"], "warning")
        config["redis"]["url"] = f"redis://reader:{secret}x@{at}"
        code, found = doctor(config, tmp_path)
        assert code == 1 and "refuses the user or password" in said(found["redis"], "failed")


def test_clocks_that_are_apart_are_told(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead:
        perf_counter = staticmethod(time.perf_counter)

        @staticmethod
        def time() -> float:
            return time.time() + 90

    monkeypatch.setattr(redis_server, "time", Ahead)
    code, found = doctor(config, tmp_path)
    assert code == 0 and re.search(r"its clock is (89|90)\.\d s behind", said(found["redis"], "warning"))


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("token", "it refuses the token"),
        ("viewer", "the token may not write annotations"),
        ("login page", "not what Grafana answers"),
    ],
)
def test_a_grafana_that_would_take_no_annotations_is_told(
    config: dict[str, Any], tmp_path: Path, grafana: StubGrafana, what: str, told: str
) -> None:
    config["grafana"] = {"url": grafana.url, "token": TOKEN if what != "token" else f"glsa_{PASSWORD}"}
    answer = grafana.answer

    def other(method: str, path: str, body: Any) -> tuple[int, Any]:
        if what == "viewer" and method == "POST":
            return 403, {"message": "You'll need additional permissions: annotations:create"}
        return (200, ["log in"]) if what == "login page" else answer(method, path, body)

    grafana.answer = other  # type: ignore[method-assign]
    code, found = doctor(config, tmp_path)
    assert code == 1 and told in said(found["grafana"], "failed"), found["grafana"]
    assert grafana.annotations == {}


def test_a_folder_that_cannot_be_written_is_told(config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    config["evidence"]["dir"] = str(tmp_path / "file" / "evidence")
    code, found = doctor(config, tmp_path)
    assert code == 1 and "cannot be written" in said(found["evidence"], "failed")


def test_room_that_does_not_last_is_told(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = tmp_path / "evidence" / "2026-01-01"
    day.mkdir(parents=True)
    (day / "a-evidence.jpg").write_bytes(bytes(30_000_000))
    code, found = doctor(config, tmp_path)
    assert code == 0 and "30 MB a day so far" in said(found["evidence"])
    usage = shutil.disk_usage(tmp_path)
    for free, mark, told in (
        (90_000_000, "warning", "only 90 MB are free"),
        (9_000_000, "failed", "only 9 MB are free"),
    ):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: usage._replace(free=free))
        code, found = doctor(config, tmp_path)
        assert told in said(found["evidence"], mark) and code == (mark == "failed")
        assert "the free room lasts about" in said(found["evidence"], "warning")


@pytest.mark.slow
def test_a_port_that_is_taken_is_told_and_a_linewatch_known(config: dict[str, Any], tmp_path: Path) -> None:
    with silent_server() as port:
        code, found = doctor(config | {"http": {"port": port}}, tmp_path)
        assert code == 1 and f"127.0.0.1:{port} is taken by another program" in said(found["http"], "failed")
    config["sources"][0]["files"] |= {"loop": True, "fps": 5}
    config["http"] = {"port": 0, "token": PASSWORD}
    with Running(config, tmp_path) as running:
        config["http"]["port"] = int(running.url.rpartition(":")[2])
        code, found = doctor(config, tmp_path)
    assert code == 0 and "taken by a linewatch that is running" in said(found["http"], "warning")


def test_a_check_that_hangs_holds_up_nobody_and_keeps_what_it_found() -> None:
    freed = threading.Event()

    def hangs(over: threading.Event) -> Iterator[Finding]:
        yield ok("so far so good")
        over.wait()
        freed.set()
        yield ok("too late")

    def breaks(over: threading.Event) -> Iterator[Finding]:
        raise RuntimeError("a fault of ours")
        yield

    told: list[tuple[str, ...]] = []
    began_s = time.monotonic()
    found = examine(
        [
            Check("hangs", hangs, "mend it", 1.0),
            Check("breaks", breaks, ""),
            Check("good", lambda _: iter([ok("fine")]), ""),
        ],
        lambda left, total: told.append(tuple(left)),
    )
    assert time.monotonic() - began_s < 10 and freed.is_set()
    assert [f.said for f in found[0].findings] == ["so far so good", "gave no answer within 1 s"]
    assert found[0].findings[1].remedy == "mend it"
    assert "RuntimeError: a fault of ours" in found[1].findings[0].said
    assert [f.said for f in found[2].findings] == ["fine"]
    assert worst(iter(found)) == Mark.FAILED and worst(iter(found[2:])) == Mark.OK
    assert ("hangs",) in told and told[-1] == ()


class Camera:
    """A camera that delivers at once."""

    name, cameras = "camera", ("camera",)

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        while not stop.is_set():
            outlet.offer(Frame("camera", 1, 1, "x", PICTURE), Keep.NEWEST)
            stop.wait(0.05)

    def finish(self, frame: Frame) -> None: ...

    def reject(self, frame: Frame, error: str) -> None: ...

    def close(self) -> None: ...


def tries(clock: Clock) -> Iterator[Finding]:
    trial = trial_of_a_source.try_out(Camera(), 10, clock)
    yield ok("fine") if trial.frame is not None else failed("no picture", "")


@pytest.fixture
def one_turn(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    turns = threading.BoundedSemaphore(1)
    monkeypatch.setattr(trial_of_a_source, "_SLOTS", turns)
    monkeypatch.setattr(examining, "AT_ONCE", 1)
    return turns


def test_waiting_for_a_turn_costs_a_camera_none_of_its_time(
    one_turn: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes a second; the last one is done after more than its whole limit."""
    monkeypatch.setattr(trial_of_a_source, "MEASURE_S", 1.0)
    found = examine([Check(f"camera:{i}", tries, "", 3.0) for i in range(4)], lambda *_: None)
    assert [[f.said for f in one.findings] for one in found] == [["fine"]] * 4


def test_a_turn_that_never_comes_is_told(one_turn: threading.Semaphore) -> None:
    with one_turn:
        began_s = time.monotonic()
        found = examine([Check(f"camera:{i}", tries, "", 0.5) for i in range(2)], lambda *_: None)
        assert 1 <= time.monotonic() - began_s < 10
    assert [[f.said for f in one.findings] for one in found] == [
        ["was not tried: its turn did not come within 1 s"]
    ] * 2


def test_files_that_the_file_system_refuses_are_told(config: dict[str, Any], tmp_path: Path) -> None:
    for path, told in (("x" * 300, "cannot be read (File name too long)"), ("~nosuchuser/x", "no picture or film")):
        config["sources"] = [{"files": {"camera": "a", "path": path}}]
        code, found = doctor(config, tmp_path)
        assert code == 1 and told in said(found["files:a"], "failed")


def test_a_picture_that_goes_while_it_is_counted_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = tmp_path / "2026-01-01"
    day.mkdir()
    (day / "a.jpg").write_bytes(bytes(30_000_000))
    monkeypatch.setattr(Path, "glob", lambda *_: iter([day / "gone.jpg", day / "a.jpg"]))
    found = list(examine_evidence(Evidence(dir=tmp_path), threading.Event()))
    assert "30 MB a day so far" in found[1].said


def test_an_address_that_cannot_be_read_is_secret_in_all_its_pieces() -> None:
    class Named(BaseModel):
        url: SecretStr

    for url, pieces in {
        "rtsp://admin:secretpw/99@cam/live": ("secretpw", "secretpw/99", "admin:secretpw/99"),
        "rtsp://admin:long@1234/5@cam/live": ("long", "long@1234/5"),
        "rtsp://admin:1234#5@cam/live": ("1234", "1234#5"),
    }.items():
        assert {url, *pieces} <= secrets_of(Named(url=SecretStr(url)))  # type: ignore[arg-type]


def test_no_secret_leaves_whatever_a_library_says(config: dict[str, Any]) -> None:
    secret = PASSWORD.replace("/", "%2F").replace("@", "%40")
    config["redis"]["url"] = f"redis://someone:{secret}@somewhere/0"
    config["sources"].append({"rtsp": {"camera": "a", "url": "rtsp://somewhere/line?user=u&password=of-the-query"}})
    config["sources"].append({"rtsp": {"camera": "b", "url": "rtsp://somewhere/line"}})
    security = {"protocol": "SASL_SSL", "mechanism": "PLAIN", "username": "someone", "password": "of-the-broker"}
    config["sources"].append({"kafka": {"bootstrap_servers": "h:1", "topic": "t", "security": security}})
    config["grafana"] = {"url": "http://somewhere", "token": "glsa_of_grafana"}
    secrets = secrets_of(Settings.model_validate(config))
    error = f"{PASSWORD} {secret} ?user=u&password=of-the-query of-the-broker glsa_of_grafana rtsp://somewhere/line"
    cleaned = without_secrets(Examined("x", (failed(error, error),)), secrets).findings[0]
    assert cleaned.said == cleaned.remedy == "*** *** ?*** *** *** rtsp://somewhere/line"
