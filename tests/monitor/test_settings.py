"""The configuration: the contract's smallest file works, and what is wrong is told with file, line and key."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from monitor.config_check import check_files
from monitor.settings import Settings
from monitor.settings_file import ConfigError, line_of, load_settings

SMALLEST = """\
model:
  checkpoint: model.safetensors
sources:
  - kafka: {bootstrap_servers: "localhost:9092", topic: frames, group_id: linewatch}
  - rtsp: {camera: line-1, url: "rtsp://localhost:8554/line-1"}
  - files: {camera: bench, path: "clips/*.mp4", fps: 10, loop: false}
redis: {url: "redis://localhost:6379/0"}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def load(config: Path, text: str, **environ: str) -> Settings:
    config.write_text(text, encoding="utf-8")
    return load_settings(config, environ)


def test_the_smallest_file_of_the_contract_and_its_defaults(config: Path) -> None:
    got = load(config, SMALLEST)
    assert [next(k for k in ("kafka", "rtsp", "files") if getattr(s, k)) for s in got.sources] == [
        "kafka",
        "rtsp",
        "files",
    ]
    assert (got.batching.max_size, got.batching.max_wait_ms) == (64, 10)
    assert (got.window.max_frames, got.window.max_age_s, got.window.mode) == (2000, 3600, "minmax")
    alerts = got.alerts
    assert (alerts.threshold, alerts.max_false_alarms_per_day, alerts.cooldown_s) == ("auto", 3, 30)
    assert (alerts.fire_after.frames, alerts.fire_after.of, alerts.resolve_after.frames) == (3, 5, 10)
    assert (got.http.host, got.http.port, got.http.token) == ("127.0.0.1", 8090, None)
    assert got.publish is None and got.grafana is None and got.subscriptions == ()


def test_publish_has_the_contracts_topics(config: Path) -> None:
    publish = load(config, SMALLEST + "publish: {bootstrap_servers: 'b:9092'}\n").publish
    assert publish is not None and (publish.scores_topic, publish.alerts_topic) == ("scores", "alerts")


def test_every_key_can_come_from_the_environment(config: Path) -> None:
    got = load(
        config,
        SMALLEST,
        LINEWATCH_HTTP__PORT="99",
        LINEWATCH_ALERTS__FIRE_AFTER__FRAMES="2",
        LINEWATCH_REDIS__URL="redis://r:1/2",
        LINEWATCH_SOURCES='[{"files": {"camera": "x", "path": "y"}}]',
        LINEWATCH_DATA="not a setting",
    )
    assert got.http.port == 99 and got.alerts.fire_after.frames == 2
    assert got.redis.url.get_secret_value() == "redis://r:1/2"
    assert len(got.sources) == 1 and got.sources[0].files is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SMALLEST + "batchin: {}\n", ":8: batchin: unknown key; did you mean batching?"),
        (SMALLEST + "batching:\n  max_sise: 3\n", ":9: batching.max_sise: unknown key; did you mean max_size?"),
        (SMALLEST.replace("camera: line-1", "camra: line-1"), ":5: sources[1].rtsp.camra: unknown key"),
        (SMALLEST.replace("camera: line-1", "camra: line-1"), ":5: sources[1].rtsp.camera: missing"),
        (SMALLEST.replace("model:\n  checkpoint: model.safetensors\n", ""), ":1: model: missing"),
        (SMALLEST + "http: {port: many}\n", ":8: http.port: "),
        (SMALLEST + "http:\n  host: 0.0.0.0\n", ":8: http: listening on 0.0.0.0 needs http.token"),
        (SMALLEST + "alerts: {threshold: 7.0}\n", ":8: alerts.threshold: a threshold on the normalised score"),
        (SMALLEST + "alerts: {fire_after: {frames: 6, of: 5}}\n", ":8: alerts.fire_after: 6 anomalous frames"),
        (SMALLEST + "grafana: {url: 'http://g', token_file: /nowhere/t}\n", "grafana: token_file: cannot read"),
        (SMALLEST + "redis: {}\n", ":8: redis: given twice, first in line 7"),
        (SMALLEST.replace("camera: bench", "camera: line-1"), "two sources have the camera id line-1"),
        (SMALLEST + "window: {max_frames: 50, warm_up_frames: 60}\n", ":8: window: warm_up_frames (60) is more than"),
        (SMALLEST.replace("redis://localhost:6379/0", "http://x"), ":7: redis.url: expected redis://host:port/db"),
        (SMALLEST.replace("redis://localhost:6379/0", "redis://h:p/0"), ":7: redis.url: expected redis://host:port/db"),
        (SMALLEST.replace("rtsp://localhost", "http://localhost"), ":5: sources[1].rtsp.url: expected rtsp://"),
        (SMALLEST.replace("localhost:9092", "nohost"), ":4: sources[0].kafka.bootstrap_servers: expected host:port"),
        ("model: [\n", ":2: not valid YAML"),
        ("- a\n- b\n", ":1: expected a mapping"),
        ("", ":1: model: missing"),
        ("model: {checkpoint: m}\nsources: []\n", ":2: sources:"),
        ("model: {checkpoint: m}\nsources:\n  - {}\n", ":3: sources[0]: each source is exactly one of"),
    ],
)
def test_a_fault_is_told_with_file_line_and_key(config: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(config, text)
    assert told in str(caught.value)
    assert str(config) in str(caught.value)


@pytest.mark.parametrize(
    ("login", "told"),
    [
        ("u:t0psecret/99@localhost", "write / as %2F, ? as %3F, # as %23, @ as %40"),
        ("u:12#t0psecret@localhost", "write / as %2F, ? as %3F, # as %23, @ as %40"),
        ("u:x@h:t0psecret/99@localhost", "a port of 1 to 65535"),
        ("u:t0psecret@", "found no host"),
        ("u:t0psecret@[localhost", "expected rtsp://host:port/path"),
    ],
)
def test_a_camera_whose_address_cannot_be_read_is_refused_without_showing_it(
    config: Path, login: str, told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(config, SMALLEST.replace("rtsp://localhost:8554", f"rtsp://{login}"))
    said = str(caught.value)
    assert ":5: sources[1].rtsp.url: " in said and told in said and "t0psecret" not in said


@pytest.mark.parametrize("url", ["rtsp://u:p%2F%40@cam:554/a@1?b=c@d", "rtsps://[::1]/a", "rtsp://cam"])
def test_a_camera_whose_address_can_be_read_is_taken(config: Path, url: str) -> None:
    got = load(config, SMALLEST.replace("rtsp://localhost:8554/line-1", url)).sources[1].rtsp
    assert got is not None and got.url.get_secret_value() == url


def test_a_broken_entry_is_told_once(config: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(config, "model: {checkpoint: m}\nsources:\n  - files: {camera: a, path: b, fsp: 3}\n")
    assert len(str(caught.value).splitlines()) == 1 and "did you mean fps?" in str(caught.value)


def test_a_fault_of_the_environment_names_the_variable(config: Path) -> None:
    with pytest.raises(ConfigError, match=r"environment variable LINEWATCH_BATCHING__MAX_SIZE: batching\.max_size"):
        load(config, SMALLEST, LINEWATCH_BATCHING__MAX_SIZE="many")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration: No such file"):
        load_settings(tmp_path / "none.yaml", {})


def test_secrets_come_from_files_and_are_never_shown(config: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0psecret\n")
    text = SMALLEST + f"http: {{host: 0.0.0.0, token_file: {tmp_path / 'token'}}}\n"
    got = load(config, text.replace("rtsp://localhost", "rtsp://u:t0psecret@localhost"))
    assert got.http.token is not None and got.http.token.get_secret_value() == "t0psecret"
    assert "t0psecret" not in repr(got) and "t0psecret" not in got.model_dump_json()
    with pytest.raises(ConfigError) as caught:
        load(config, SMALLEST + "redis_: {}\nhttp: {token: [t0psecret]}\n")
    assert "t0psecret" not in str(caught.value)


def test_a_small_window_shortens_its_warm_up(config: Path) -> None:
    assert load(config, SMALLEST + "window: {max_frames: 20}\n").window.warm_up_frames == 20


def test_the_line_of_a_key_that_only_fails_in_use(config: Path) -> None:
    config.write_text(SMALLEST)
    assert line_of(config, "sources", 2, "files", "path") == f"{config}:6: sources[2].files.path"
    assert line_of(config, "http", "port") == f"{config}:1: http.port"


def test_files_that_the_file_system_refuses_are_told_with_key_and_reason(config: Path, tmp_path: Path) -> None:
    text = SMALLEST + f"evidence: {{dir: {tmp_path / 'evidence'}}}\n"
    for path, why in (("x" * 300, ": File name too long"), ("~nosuchuser/x", "")):
        got = load(config, text.replace("clips/*.mp4", path).replace(", loop: false", ""))
        with pytest.raises(ConfigError) as caught:
            check_files(got, config)
        assert f":6: sources[2].files.path: no picture or film at {path}{why}" in str(caught.value).splitlines()[-1]


def test_every_setting_is_described() -> None:
    def undescribed(model: type[BaseModel], path: str = "") -> list[str]:
        missing = []
        for name, field in model.model_fields.items():
            inner = field.annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                missing += undescribed(inner, f"{path}{name}.")
            elif not field.description and not any(
                isinstance(a, type) and issubclass(a, BaseModel) for a in getattr(inner, "__args__", ())
            ):
                missing.append(path + name)
        return missing

    assert undescribed(Settings) == []


def test_the_tree_is_frozen(config: Path) -> None:
    with pytest.raises(ValidationError):
        load(config, SMALLEST).http.port = 1  # type: ignore[misc]


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_loads_or_is_a_configuration_error(text: str) -> None:
    with NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        with pytest.raises(ConfigError):
            load_settings(Path(file.name), {})


WHOLE = """\
model: {checkpoint: m, device: cpu, threads: 1}
sources:
  - kafka: {bootstrap_servers: "b:9092", topic: frames, group_id: g, security: {protocol: SASL_SSL, mechanism: PLAIN,
      username: u, password: p, ca_file: ca}}
  - rtsp: {camera: line-1, url: "rtsp://cam/s", fps: 5, transport: tcp}
  - usb: {camera: usb, device: 0}
  - files: {camera: bench, path: clips, fps: native, watch: true}
redis: {url: "redis://h:1/0", prefix: x}
alerts: {threshold: auto, cooldown_s: 3, fire_after: {frames: 2, of: 5}}
cameras: [{match: "line-*", threshold: 0.5, region: [[[0, 0], [1, 0], [1, 1]]]}]
maintenance: [{start: "22:00", end: "23:00", timezone: UTC, days: [mon], why: cleaning}]
products: [{start: "22:00", end: "23:00", product: caps}]
health: {cameras: {line-1: {}}}
publish: {bootstrap_servers: "b:9092"}
grafana: {url: "http://g", token: t}
http: {host: 127.0.0.1, public_url: "http://p", token: t}
evidence: {dir: e}
recording: {dir: r}
limits: {max_pixels: 5000}
"""


def places(tree: Any, key: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [key] * bool(key) + [place for name, value in inner for place in places(value, (*key, name))]


def faults_of(text: str, **environ: str) -> str:
    """Of loading and of the files it names; "" where there is none. For hypothesis, which tmp_path does not suit."""
    with NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        try:
            load_settings(Path(file.name), environ)
        except ConfigError as error:
            return str(error)
    return ""


@settings(max_examples=150, deadline=None)
@given(
    place=st.sampled_from(places(yaml.safe_load(WHOLE))),
    form=st.sampled_from(
        (
            "{s}://u:{p}@h/0",
            "u:{p}@h",
            "{s}://:{p}@h:1/0",
            " {s}://u:{p}@h:99999999 ",
            "{s}://h/?password={p}",
            "u:{p},@h",
        )
    ),
    scheme=st.sampled_from(("rtsp", "redis", "http", "mqtt")),
    rest=st.text("aZ0/@:#?,'\"\\ \n\u00e9", max_size=6),
    wrap=st.sampled_from(("value", "list", "section", "key")),
)
def test_a_password_in_any_value_is_in_no_message(
    place: tuple[str | int, ...], form: str, scheme: str, rest: str, wrap: str
) -> None:
    text = form.format(s=scheme, p=f"t0psecret{rest}")
    tree = yaml.safe_load(WHOLE)
    target = tree
    for name in place[:-1]:
        target = target[name]
    target[place[-1]] = {"value": text, "list": [text], "section": {"url": text}, "key": {text: None}}[wrap]
    assert "t0psecret" not in faults_of(yaml.safe_dump(tree))
    if all(isinstance(name, str) for name in place) and wrap == "value":
        variable = "LINEWATCH_" + "__".join(str(name).upper() for name in place)
        assert "t0psecret" not in faults_of(WHOLE, **{variable: text})
        assert "t0psecret" not in faults_of(WHOLE, **{variable: json.dumps([text])})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SMALLEST.replace('{camera: line-1, url: "rtsp://localhost:8554/line-1"}', "rtsp://a:t0psecret@h/s"),
         ":5: sources[1].rtsp: expected a section of keys, found text"),
        (SMALLEST.replace('{url: "redis://localhost:6379/0"}', "redis://:t0psecret@h/0"),
         ":7: redis: expected a section of keys, found text"),
        ("model: {checkpoint: m}\nsources: rtsp://a:t0psecret@h/s\n", ":2: sources: expected a list, found text"),
        (SMALLEST + "grafana: http://u:t0psecret@h\n", ":8: grafana: expected a section of keys, found text"),
        (SMALLEST + "http: {public_url: 'ftp://u:t0psecret@h'}\n", ":8: http.public_url: "),
        (SMALLEST.replace("localhost:9092", "u:t0psecret@h"),
         ":4: sources[0].kafka.bootstrap_servers: expected host:port"),
        (SMALLEST + "http: {token: *t0psecret}\n", ":8: not valid YAML: found undefined alias"),
        (SMALLEST + "http: {token: !t0psecret }\n", ":8: not valid YAML: could not determine a constructor"),
        (SMALLEST + "http: {token_file: 'http://u:t0psecret@h'}\n", ":8: http: token_file: cannot read a text"),
        ("rtsp://u:t0psecret@h\n", ":1: expected a mapping with the key `model`, found text"),
    ],
)  # fmt: skip
def test_an_address_in_the_wrong_place_is_told_without_it(config: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(config, text)
    assert told in str(caught.value) and "t0psecret" not in str(caught.value)


def test_an_address_for_a_section_in_the_environment_is_told_without_it(config: Path) -> None:
    with pytest.raises(ConfigError, match="LINEWATCH_REDIS: redis: expected a section of keys, found text") as caught:
        load(config, SMALLEST, LINEWATCH_REDIS="redis://:t0psecret@h/0")
    assert "t0psecret" not in str(caught.value)


def test_an_address_for_a_file_is_told_without_it(config: Path, tmp_path: Path) -> None:
    text = SMALLEST.replace("model.safetensors", "'http://u:t0psecret@h/m'").replace(
        "clips/*.mp4", "rtsp://u:t0psecret@h"
    )
    got = load(config, text.replace(", loop: false", "") + f"evidence: {{dir: {tmp_path / 'evidence'}}}\n")
    with pytest.raises(ConfigError, match=r"model\.checkpoint: no file \*\*\*") as caught:
        check_files(got, config)
    assert "t0psecret" not in str(caught.value) and "no picture or film at ***" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("2026-02-30", ":8: not valid YAML: this looks like a date and is none; a text is written in quotes"),
        ("0b_", ":8: not valid YAML: this looks like a number and is none"),
        ("!!bool maybe", ":8: not valid YAML: this looks like true or false and is none"),
        ("[" * 1500, ": nested too deeply"),
        ("&a [*a]", "max_size"),
    ],
)
def test_values_that_yaml_cannot_read_are_faults_like_any_other(config: Path, value: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(config, SMALLEST + f"batching: {{max_size: {value}}}\n")
    assert told in str(caught.value) or "nested too deeply" in str(caught.value)
    assert str(config) in str(caught.value)


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan"])
@pytest.mark.parametrize(
    "key", ["alerts.cooldown_s", "evidence.keep_days", "window.keep_days", "alerts.threshold", "batching.max_size"]
)
def test_a_number_is_finite(config: Path, key: str, value: str) -> None:
    section, name = key.split(".")
    with pytest.raises(ConfigError, match=rf":8: {section}\.{name}: "):
        load(
            config,
            SMALLEST + f"{section}: {{{name}: {value}}}\n",
        )


@pytest.mark.parametrize("key", ["alerts.cooldown_s", "evidence.keep_days"])
def test_an_endless_number_is_told_in_words(config: Path, key: str) -> None:
    section, name = key.split(".")
    with pytest.raises(ConfigError, match=rf":8: {section}\.{name}: Input should be a finite number, found inf"):
        load(config, SMALLEST + f"{section}: {{{name}: .inf}}\n")


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize("time", ["22:00", "06:00", "00:00", "10:30"])
def test_a_time_of_day_needs_no_quotes(config: Path, time: str, quote: str) -> None:
    got = load(config, SMALLEST + f"maintenance:\n  - {{start: {quote}{time}{quote}, end: '23:59'}}\n")
    assert got.maintenance[0].start == time


@pytest.mark.parametrize("wrong", ["1320", "6:00", "24:00", "'22:0'", "true"])
def test_what_is_no_time_of_day_is_told(config: Path, wrong: str) -> None:
    with pytest.raises(
        ConfigError, match=r':9: maintenance\[0\]\.start: expected a time of day from "00:00" to "23:59"'
    ):
        load(config, SMALLEST + f"maintenance:\n  - {{start: {wrong}, end: '23:59'}}\n")
