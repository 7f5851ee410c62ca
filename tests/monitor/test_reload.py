"""A changed configuration is taken over; a wrong one is refused with file, line and key, and the last good serves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from models.checkpoint import CheckpointError
from monitor.reload import Loaded, Reloader, changed_keys
from monitor.scoring.region import RegionError
from monitor.settings import Settings
from monitor.settings_file import ConfigError, load_settings

GOOD = """\
model:
  checkpoint: {checkpoint}
sources:
  - rtsp: {{camera: line-1, url: "rtsp://localhost:8554/line-1"}}
evidence: {{dir: {evidence}}}
alerts:
  threshold: {threshold}
"""


class Taking:
    """Notes what it is asked to take over."""

    def __init__(self) -> None:
        self.taken: list[Settings] = []
        self.error: Exception | None = None

    def prepare(self, settings: Settings, model_changed: bool) -> Callable[[], None]:
        if self.error is not None:
            raise self.error
        return lambda: self.taken.append(settings)


class Lab:
    def __init__(self, folder: Path) -> None:
        self.path, self.folder = folder / "config.yaml", folder
        (folder / "model.safetensors").touch()
        self.write()
        self.live, self.told = Taking(), list[tuple[Loaded, str]]()
        self.reloader = Reloader(
            self.path, load_settings(self.path, {}), self.live, lambda loaded, what: self.told.append((loaded, what))
        )

    def write(self, threshold: str = "auto", more: str = "") -> None:
        text = GOOD.format(
            checkpoint=self.folder / "model.safetensors", evidence=self.folder / "evidence", threshold=threshold
        )
        self.path.write_text(text + more)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_what_changed_is_named_and_taken(lab: Lab) -> None:
    lab.write("0.7", "  fire_after: {frames: 2, of: 5}\n")
    assert lab.reloader.reload() == ["alerts.threshold", "alerts.fire_after.frames"]
    assert lab.live.taken[0].alerts.threshold == 0.7
    assert [what for _, what in lab.told] == ["start", "taken"] and lab.reloader.loaded.refused is None


def test_a_wrong_one_is_refused_with_file_line_and_key_and_the_next_good_one_is_taken(lab: Lab) -> None:
    lab.write("7")
    with pytest.raises(ConfigError, match=r"config\.yaml:7: alerts\.threshold: a threshold on the normalised score"):
        lab.reloader.reload()
    assert lab.live.taken == [] and "config.yaml:7" in str(lab.reloader.loaded.refused)
    assert lab.told[-1][1] == "refused"
    lab.write("0.9")
    lab.reloader.reload()
    assert lab.reloader.loaded.refused is None and len(lab.live.taken) == 1


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("http: {port: 9}\n", r"http\.port"),
        ('redis: {url: "redis://elsewhere:6379/0"}\n', r"redis\.url"),
        ("batching: {max_size: 7}\n", r"batching\.max_size"),
    ],
)
def test_what_is_wired_once_is_refused_with_the_remedy(lab: Lab, more: str, key: str) -> None:
    lab.write(more=more)
    with pytest.raises(ConfigError, match=rf"config\.yaml:8: {key}: cannot change while linewatch runs; restart it"):
        lab.reloader.reload()


def test_a_file_that_is_gone_or_a_model_that_cannot_be_used_is_refused(lab: Lab) -> None:
    lab.live.error = CheckpointError("it is a checkpoint of version 9")
    lab.write("0.5")
    with pytest.raises(ConfigError, match=r"config\.yaml:2: model\.checkpoint: it is a checkpoint of version 9"):
        lab.reloader.reload()
    lab.path.unlink()
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        lab.reloader.reload()


def test_without_a_file_there_is_nothing_to_reload(lab: Lab) -> None:
    reloader = Reloader(None, load_settings(lab.path, {}), lab.live, lambda loaded, what: None)
    with pytest.raises(ConfigError, match="did not come from a file"):
        reloader.reload()


def test_lists_are_named_as_a_whole_and_a_section_that_appears_by_its_name(lab: Lab) -> None:
    before = load_settings(lab.path, {})
    lab.write(more='cameras:\n  - {match: "*", threshold: 0.5}\nrecording: {dir: scores}\n')
    assert changed_keys(before, load_settings(lab.path, {})) == ["cameras", "recording"]


@pytest.mark.parametrize("wrong", ["2026-02-30", "[" * 1500])
def test_a_value_that_yaml_cannot_read_is_refused(lab: Lab, wrong: str) -> None:
    lab.write(wrong)
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        lab.reloader.reload()
    assert lab.told[-1][1] == "refused" and lab.reloader.loaded.refused


def test_whatever_else_goes_wrong_is_refused_too(lab: Lab) -> None:
    lab.live.error = RuntimeError("CUDA out of memory, said rtsp://u:t0psecret@h")
    lab.write("0.5")
    with pytest.raises(ConfigError, match=r"config\.yaml: RuntimeError: CUDA out of memory") as caught:
        lab.reloader.reload()
    assert lab.told[-1][1] == "refused" and "RuntimeError" in str(lab.reloader.loaded.refused)
    assert "t0psecret" not in str(caught.value)


def test_a_fault_of_a_region_is_one_of_the_cameras(lab: Lab) -> None:
    lab.live.error = RegionError("line-1: its region without its masks leaves nothing")
    lab.write(more='cameras:\n  - {match: "*", threshold: 0.5}\n')
    with pytest.raises(ConfigError, match=r"config\.yaml:8: cameras: line-1: its region"):
        lab.reloader.reload()


def test_a_refused_one_makes_no_folders(lab: Lab) -> None:
    text = lab.path.read_text().replace(str(lab.folder / "evidence"), str(lab.folder / "elsewhere"))
    lab.path.write_text(text + f"recording: {{dir: {lab.folder / 'scores'}}}\n")
    with pytest.raises(ConfigError, match=r"evidence\.dir: cannot change"):
        lab.reloader.reload()
    assert not (lab.folder / "elsewhere").exists() and not (lab.folder / "scores").exists()


def test_files_that_were_read_and_taken_away_refuse_nothing_but_new_ones_must_be_there(lab: Lab) -> None:
    film = lab.folder / "film.mp4"
    film.touch()
    files = f"  - files: {{camera: bench, path: {film}}}\n"
    lab.path.write_text(lab.path.read_text().replace("evidence:", files + "evidence:"))
    assert lab.reloader.reload() == ["sources"]
    film.unlink()
    lab.path.write_text(lab.path.read_text().replace("threshold: auto", "threshold: 0.5"))
    assert lab.reloader.reload() == ["alerts.threshold"]
    lab.path.write_text(lab.path.read_text().replace("evidence:", files.replace("bench", "other") + "evidence:"))
    with pytest.raises(ConfigError, match=r"config\.yaml:6: sources\[2\]\.files\.path: no picture or film"):
        lab.reloader.reload()


def test_a_checkpoint_written_anew_under_its_name_is_a_change_once(lab: Lab) -> None:
    (lab.folder / "model.safetensors").write_bytes(b"anew")
    assert lab.reloader.reload() == ["model.checkpoint"]
    assert lab.reloader.reload() == []
