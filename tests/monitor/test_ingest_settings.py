"""The configuration of the ingest is read with the same care as the monitor's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from monitor.ingest.settings import IngestSettings
from monitor.serving.metrics import DECLARED, IngestMetrics
from monitor.settings_file import ConfigError, load_tree
from scripts import configuration_page

ROOT = Path(__file__).parents[2]

SMALLEST = """\
sources:
  - rtsp: {camera: line-1, url: "rtsp://user:t0psecret@localhost:8554/line-1"}
  - usb: {camera: line-2, device: 0}
  - files: {camera: bench, path: "clips/*.mp4", fps: native}
kafka: {bootstrap_servers: "localhost:9092", topic: frames}
"""


def load(folder: Path, text: str, **environ: str) -> IngestSettings:
    (folder / "ingest.yaml").write_text(text, encoding="utf-8")
    return load_tree(folder / "ingest.yaml", IngestSettings, environ)


def test_the_smallest_file_and_its_defaults(tmp_path: Path) -> None:
    got = load(tmp_path, SMALLEST)
    assert [entry.camera for entry in got.sources] == ["line-1", "line-2", "bench"]
    assert (got.encode.quality, got.encode.max_width, got.encode.pass_through) == (90, None, True)
    assert (got.buffer.dir, got.buffer.max_bytes, got.metrics) == (Path("buffer"), 1 << 30, None)
    assert "t0psecret" not in repr(got) and "t0psecret" not in got.model_dump_json()


def test_the_environment_wins(tmp_path: Path) -> None:
    got = load(
        tmp_path,
        SMALLEST,
        LINEWATCH_ENCODE__QUALITY="60",
        LINEWATCH_BUFFER__MAX_BYTES="100000",
        LINEWATCH_KAFKA__SECURITY__PROTOCOL="SSL",
        LINEWATCH_METRICS__PORT="0",
        LINEWATCH_SOURCES='[{"files": {"camera": "x", "path": "y"}}]',
    )
    assert (got.encode.quality, got.buffer.max_bytes, got.kafka.security.protocol) == (60, 100_000, "SSL")
    assert got.metrics is not None and got.metrics.port == 0 and len(got.sources) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ":1: sources: missing"),
        ("- a\n", ":1: expected a mapping with the key `sources`"),
        (SMALLEST + "encod: {}\n", ":6: encod: unknown key; did you mean encode?"),
        (SMALLEST + "encode:\n  qualty: 3\n", ":7: encode.qualty: unknown key; did you mean quality?"),
        (SMALLEST + "encode: {quality: 101}\n", ":6: encode.quality: "),
        (SMALLEST + "buffer: {max_bytes: 3}\n", ":6: buffer.max_bytes: "),
        (SMALLEST.replace("topic: frames", "topic: 'a b'"), ":5: kafka.topic: "),
        (SMALLEST.replace("camera: bench", "camera: line-1"), "two sources have the camera id line-1"),
        (
            SMALLEST.replace("- usb: {camera: line-2, device: 0}", "- kafka: {topic: x}"),
            ":3: sources[1].kafka: unknown",
        ),
        (
            SMALLEST.replace("topic: frames", "topic: f, security: {protocol: SASL_SSL}"),
            "kafka.security: SASL_SSL needs",
        ),
        (SMALLEST + "redis: {url: 'redis://x'}\n", ":6: redis: unknown key"),
    ],
)
def test_a_fault_is_told_with_file_line_and_key(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert told in str(caught.value) and "ingest.yaml" in str(caught.value) and "t0psecret" not in str(caught.value)


def test_a_fault_of_the_environment_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"environment variable LINEWATCH_ENCODE__QUALTY: encode\.qualty: unknown key"
    ):
        load(tmp_path, SMALLEST, LINEWATCH_ENCODE__QUALTY="3")


def test_the_page_of_the_configuration_is_current() -> None:
    page = (ROOT / "docs/ingest-configuration.md").read_text()
    assert page == configuration_page.ingest_page(), configuration_page.__doc__
    assert "LINEWATCH_ENCODE__QUALITY" in page and "| none |" in page and "None" not in page


def test_every_metric_is_told() -> None:
    page = (ROOT / "docs/ingest.md").read_text()
    names = {family.name for family in IngestMetrics().registry.collect()}
    assert len(names) >= 9
    for name in names:
        assert f"`{name}" in page, f"{name} is missing in docs/ingest.md"
        assert not names & DECLARED, "the names of the ingest and of the monitor must not mix"


def test_every_reason_of_films_files_and_key_frames_is_told() -> None:
    page = (ROOT / "docs/ingest.md").read_text()
    sources = "".join((ROOT / "streams" / name).read_text() for name in ("film.py", "files.py"))
    reasons = set(re.findall(r'(?:FilmError|_Unread|_refuse)\(\s*(?:\S+, )?"([a-z_]+)"', sources))
    assert {"vanished", "film_broken_off", "bad_file_name"} <= reasons
    for reason in reasons | {"not_a_key_frame"}:
        assert f"`{reason}`" in page, f"{reason} is missing in docs/ingest.md"
