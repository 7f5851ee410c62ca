"""Scores on disk: nothing is mixed, nothing blocks, what is lost is counted."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from monitor.recording import ScoreRecorder, day_of
from tests.monitor.recorded import NOON_S, record, until

DAY_S = 86_400


def lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines() if line]


def put(file: Path, written_s: float) -> None:
    """A file of scores that was last written then."""
    file.parent.mkdir(exist_ok=True)
    file.write_text("{}\n")
    os.utime(file, (written_s, written_s))


def swept(made: ScoreRecorder, elapsed_s: float = 0) -> bool:
    return made._next_sweep_s > elapsed_s


@pytest.fixture
def recorder(tmp_path: Path) -> Callable[..., ScoreRecorder]:
    def make(**options: Any) -> ScoreRecorder:
        return ScoreRecorder(tmp_path / "scores", 2, **{"flush_s": 0.02, "now_s": lambda: NOON_S, **options})

    return make


def test_every_record_is_a_line_of_its_day(recorder: Callable[..., ScoreRecorder], tmp_path: Path) -> None:
    now_s = [NOON_S]
    made = recorder(now_s=lambda: now_s[0])
    made.record([record(n) for n in range(5000)])
    assert until(lambda: made.written() == 5000)
    now_s[0] += DAY_S
    made.record([record(5000, camera="Größe 2")])
    made.close()
    first, second = sorted((tmp_path / "scores").iterdir())
    assert (first.name, second.name) == ("scores-2026-05-31.jsonl", "scores-2026-06-01.jsonl")
    assert lines(first) == [record(n) for n in range(5000)]
    assert lines(second) == [record(5000, camera="Größe 2")]
    assert (made.written(), made.dropped(), made.trouble) == (5001, 0, None)


def test_it_is_on_disk_soon_without_closing(recorder: Callable[..., ScoreRecorder], tmp_path: Path) -> None:
    made = recorder()
    made.record([record(1)])
    file = tmp_path / "scores" / "scores-2026-05-31.jsonl"
    assert until(lambda: file.exists() and lines(file) == [record(1)])
    file.rename(file.with_suffix(".away"))  # what moves a file away does not end the recording
    made.record([record(2)])
    assert until(lambda: file.exists() and lines(file) == [record(2)])
    made.close()


def _worker(folder: Path, camera: str, count: int) -> None:
    made = ScoreRecorder(folder, 2, flush_s=0.001, now_s=lambda: NOON_S)
    for seq in range(count):
        made.record([{**record(seq, camera=camera), "filler": "x" * 300}])
    made.close()


@pytest.mark.slow
def test_workers_that_share_a_folder_do_not_mix_lines(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_worker, args=(tmp_path, f"line-{n}", 4000)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    found = lines(tmp_path / "scores-2026-05-31.jsonl")
    for n in range(3):
        assert [one["seq"] for one in found if one["camera"] == f"line-{n}"] == list(range(4000))


def test_a_line_that_was_cut_off_costs_no_other(recorder: Callable[..., ScoreRecorder], tmp_path: Path) -> None:
    file = tmp_path / "scores" / "scores-2026-05-31.jsonl"
    file.parent.mkdir()
    file.write_bytes(b'\n{"camera":"line-1","seq":1,"captur')  # as a process leaves it that was killed while writing
    made = recorder()
    made.record([record(2)])
    made.close()
    broken, *whole = [line for line in file.read_text().splitlines() if line]
    assert broken == '{"camera":"line-1","seq":1,"captur'
    assert [json.loads(line) for line in whole] == [record(2)]


def test_what_does_not_fit_is_counted_and_nobody_waits(recorder: Callable[..., ScoreRecorder], tmp_path: Path) -> None:
    made = recorder(max_waiting=100, flush_s=3600)
    began_s = time.monotonic()
    made.record([record(n) for n in range(250)])
    assert time.monotonic() - began_s < 5
    assert made.dropped() == 150
    made.close()
    assert lines(tmp_path / "scores" / "scores-2026-05-31.jsonl") == [record(n) for n in range(100)]
    assert (made.written(), made.dropped()) == (100, 150)
    made.record([record(1)])
    assert made.dropped() == 151  # after the end nothing is written


def _on_a_full_disk(folder: Path, answer: Any) -> None:
    # A limit on the size of files stands for a full disk: a write is cut off, the next ones fail.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    made = ScoreRecorder(folder, 2, flush_s=0.01, now_s=lambda: NOON_S)
    made.record([record(n) for n in range(100)])
    waited = until(lambda: made.written() + made.dropped() == 100)
    first = (made.written(), made.dropped(), made.trouble)
    made.record([record(n) for n in range(100, 110)])
    waited &= until(lambda: made.written() + made.dropped() == 110)
    second = (made.written(), made.dropped(), made.trouble)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
    made.record([record(n) for n in range(110, 120)])
    waited &= until(lambda: made.written() + made.dropped() == 120)
    made.close()
    answer.put((waited, first, second, (made.written(), made.dropped(), made.trouble)))


def test_a_full_disk_is_counted_and_ends_when_there_is_room_again(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    worker = context.Process(target=_on_a_full_disk, args=(tmp_path, answer))
    worker.start()
    waited, first, second, last = answer.get(timeout=60)
    worker.join(30)
    assert waited
    written = first[0]
    assert 0 < written < 100 and first[1] == 100 - written
    assert "cannot be recorded" in first[2]
    assert second[:2] == (written, 110 - written) and second[2] is not None
    assert last == (written + 10, 110 - written, None)
    found = []
    for line in (tmp_path / "scores-2026-05-31.jsonl").read_text().splitlines():
        try:
            found.append(json.loads(line)["seq"])
        except ValueError:
            continue  # the one that was cut off
    assert found == [*range(written), *range(110, 120)]


def test_a_folder_that_cannot_be_made_is_told(recorder: Callable[..., ScoreRecorder], tmp_path: Path) -> None:
    (tmp_path / "scores").write_text("a file where the folder should be")
    made = recorder()
    made.record([record(1)])
    assert until(lambda: made.dropped() == 1)
    assert made.trouble is not None and str(tmp_path / "scores") in made.trouble
    made.close()


def test_what_is_no_json_does_not_end_the_recording(recorder: Callable[..., ScoreRecorder], tmp_path: Path) -> None:
    made = recorder()
    made.record([{"camera": object()}])
    assert until(lambda: made.dropped() == 1)
    made.record([record(1)])
    made.close()
    assert lines(tmp_path / "scores" / "scores-2026-05-31.jsonl") == [record(1)]


def test_old_days_go_and_nothing_else(recorder: Callable[..., ScoreRecorder], tmp_path: Path) -> None:
    folder = tmp_path / "scores"
    folder.mkdir()
    kept = ["scores-2026-05-29.jsonl", "scores-2026-05-31.jsonl", "scores-2026-02-31.jsonl", "notes.jsonl"]
    gone = ["scores-2026-05-28.jsonl", "scores-2025-12-31.jsonl"]
    for name in (*kept, *gone):
        put(folder / name, NOON_S if "05-31" in name else NOON_S - 10 * DAY_S)
    made = recorder()
    assert until(lambda: not any((folder / name).exists() for name in gone))
    made.close()
    assert sorted(file.name for file in folder.iterdir()) == sorted(kept)


def test_a_file_that_was_written_to_lately_stays_whatever_its_name(
    recorder: Callable[..., ScoreRecorder], tmp_path: Path
) -> None:
    folder = tmp_path / "scores"
    put(folder / "scores-2026-05-01.jsonl", NOON_S)
    put(folder / "scores-2026-05-02.jsonl", NOON_S - 10 * DAY_S)
    made = recorder()
    assert until(lambda: not (folder / "scores-2026-05-02.jsonl").exists())
    made.close()
    assert (folder / "scores-2026-05-01.jsonl").exists()


def test_a_clock_that_jumped_back_does_not_stop_the_sweep(
    recorder: Callable[..., ScoreRecorder], tmp_path: Path
) -> None:
    now_s, elapsed_s = [NOON_S + 20 * 365 * DAY_S], [100.0]
    made = recorder(now_s=lambda: now_s[0], elapsed_s=lambda: elapsed_s[0])
    assert until(lambda: swept(made))
    now_s[0] = NOON_S
    put(tmp_path / "scores" / "scores-2026-05-01.jsonl", NOON_S - 10 * DAY_S)
    elapsed_s[0] += 3700
    assert until(lambda: not (tmp_path / "scores" / "scores-2026-05-01.jsonl").exists(), 20)
    made.close()


def test_a_clock_that_jumps_ahead_deletes_nothing_at_once(
    recorder: Callable[..., ScoreRecorder], tmp_path: Path
) -> None:
    folder = tmp_path / "scores"
    put(folder / "scores-2026-05-30.jsonl", NOON_S - DAY_S)
    put(folder / "scores-2026-05-31.jsonl", NOON_S)
    now_s, elapsed_s = [NOON_S + 365 * DAY_S], [100.0]
    with capture_logs() as said:
        made = recorder(now_s=lambda: now_s[0], elapsed_s=lambda: elapsed_s[0])  # wrong since the machine started
        assert until(lambda: any(row["event"] == "scores_kept_for_now" for row in said))
        now_s[0], elapsed_s[0] = NOON_S + 3600, elapsed_s[0] + 3601
        assert until(lambda: swept(made, elapsed_s[0]))
        said.clear()
        now_s[0], elapsed_s[0] = NOON_S + 365 * DAY_S, elapsed_s[0] + 3601  # wrong while it runs
        assert until(lambda: any(row["event"] == "scores_kept_for_now" for row in said))
        assert len(list(folder.iterdir())) == 2
        now_s[0], elapsed_s[0] = now_s[0] + 3601, elapsed_s[0] + 3601  # it stays so: time did pass
        assert until(lambda: list(folder.iterdir()) == [])
        made.close()


@pytest.mark.parametrize("bad", [{"camera": "\ud800"}, {"camera": object()}])
def test_a_record_that_cannot_be_written_costs_no_other(
    recorder: Callable[..., ScoreRecorder], tmp_path: Path, bad: dict[str, Any]
) -> None:
    made = recorder(flush_s=3600)
    made.record([record(1), bad, record(2)])
    made.close()
    assert lines(tmp_path / "scores" / "scores-2026-05-31.jsonl") == [record(1), record(2)]
    assert (made.written(), made.dropped()) == (2, 1)
    assert made.trouble is not None and "no JSON" in made.trouble


def test_records_of_many_threads(recorder: Callable[..., ScoreRecorder], tmp_path: Path) -> None:
    made = recorder()
    threads = [
        threading.Thread(target=lambda n=n: [made.record([record(s, camera=f"c{n}")]) for s in range(500)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.close()
    found = lines(tmp_path / "scores" / "scores-2026-05-31.jsonl")
    for n in range(4):
        assert [one["seq"] for one in found if one["camera"] == f"c{n}"] == list(range(500))


def test_the_day_in_a_name() -> None:
    assert str(day_of(Path("scores-2026-05-31.jsonl"))) == "2026-05-31"
    assert day_of(Path("scores-2026-13-31.jsonl")) is None
    assert day_of(Path("scores-2026-05-31.jsonl.gz")) is None
