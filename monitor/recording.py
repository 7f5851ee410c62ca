"""Every score as a line of JSON on disk, a file a day, for `linewatch replay`. It never holds the pipeline up."""

from __future__ import annotations

import json
import math
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from monitor.judging.episodes import Hold
from monitor.judging.judge import Verdict

log = structlog.get_logger(__name__)

MAX_WAITING = 100_000
"""Records that may wait for the disk: some 50 MB, ten minutes of 16 cameras at 10 frames a second."""
FLUSH_S = 1.0
PIECE = 2_000
"""Records in one write."""
SWEEP_EVERY_S = 3600.0
JUMP_S = 86_400.0
"""A clock that goes ahead by more at once is not believed at once."""
DAY = re.compile(r"scores-(\d{4}-\d{2}-\d{2})\.jsonl")


class ScoreRecorder:
    """Appends records to `scores-YYYY-MM-DD.jsonl` (the UTC day of writing) below a folder, once a second.

    Several processes may share a folder on one machine: what is written goes in whole lines in one O_APPEND write,
    which Linux does not mix, and begins with a line break. So where a process was killed or the disk was full in the
    middle of a line, that line stands alone, and no other is lost with it. Network file systems do not append in one
    piece: each machine needs a folder of its own there.
    Records that do not fit into memory or cannot be written are counted, not tried again.
    """

    def __init__(
        self,
        folder: Path,
        keep_days: float,
        *,
        max_waiting: int = MAX_WAITING,
        flush_s: float = FLUSH_S,
        now_s: Callable[[], float] = time.time,
        elapsed_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """keep_days: files of days that ended longer ago, and that nobody wrote to since, are deleted, at the start and
        every hour. now_s: the time of day, which may jump; elapsed_s: one that never does."""
        self._folder = folder
        self._keep_s = keep_days * 86_400
        self._max_waiting = max_waiting
        self._flush_s = flush_s
        self._now_s = now_s
        self._elapsed_s = elapsed_s
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._change = threading.Condition()
        self._closing = False
        self._written = self._dropped = 0
        self._full = False
        self._trouble: str | None = None
        self._next_sweep_s = -math.inf
        self._clocks: tuple[float, float] | None = None
        self._thread = threading.Thread(target=self._run, name="record-scores", daemon=True)
        self._thread.start()

    def record(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Take the records (what json.dumps takes; not to be changed afterwards); returns at once."""
        lost = 0
        with self._change:
            for record in records:
                if len(self._waiting) >= self._max_waiting or self._closing:
                    lost += 1
                else:
                    self._waiting.append(record)
            self._dropped += lost
            say, self._full = lost > 0 and not self._full, lost > 0 or self._full
        if say:
            log.warning("scores_not_recorded", folder=str(self._folder), reason="the disk does not keep up")

    def dropped(self) -> int:
        """Records that are in no file, so far."""
        with self._change:
            return self._dropped

    def written(self) -> int:
        """Records that are in a file, so far."""
        with self._change:
            return self._written

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written at present."""
        return self._trouble

    def close(self) -> None:
        """Write what waits, ten seconds at most."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        self._thread.join(10)

    def _run(self) -> None:
        self._clocks = self._left_off()
        while True:
            with self._change:
                if not self._closing:
                    self._change.wait(self._flush_s)
                records, closing = list(self._waiting), self._closing
                self._waiting.clear()
                self._full = False
            for start in range(0, len(records), PIECE):
                self._put(records[start : start + PIECE])
            if closing:
                return
            self._sweep()

    def _put(self, records: list[Mapping[str, Any]]) -> None:
        written, trouble, lines = 0, None, []
        for record in records:
            try:
                lines.append(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode())
            except (TypeError, ValueError, RecursionError) as error:  # say a camera's name that is no text
                trouble = f"a record that is no JSON: {error}"
        try:
            written = self._append(lines) if lines else 0
            if written < len(lines):
                trouble = "the disk is full"
        except OSError as error:
            trouble = error.strerror or type(error).__name__
        before = self._trouble
        self._trouble = None if trouble is None else f"scores cannot be recorded in {self._folder}: {trouble}"
        with self._change:
            self._written += written
            self._dropped += len(records) - written
        if trouble is not None and before is None:
            log.warning("scores_not_recorded", folder=str(self._folder), reason=trouble)
        elif trouble is None and before is not None:
            log.info("scores_recorded_again", folder=str(self._folder), lost=self.dropped())

    def _append(self, lines: list[bytes]) -> int:
        """How many lines are wholly in the file. Raises OSError where none is."""
        day = datetime.fromtimestamp(self._now_s(), UTC).date()
        self._folder.mkdir(parents=True, exist_ok=True)
        # Opened anew each time: a file that somebody moved away or deleted is begun again.
        file = os.open(self._folder / f"scores-{day.isoformat()}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            # A plain write, of which the system may take a part only where the disk is full.
            taken = os.write(file, b"\n" + b"\n".join(lines) + b"\n")
        finally:
            os.close(file)
        whole, end = 0, 1
        for line in lines:
            end += len(line) + 1
            whole += taken >= end
        return whole

    def _left_off(self) -> tuple[float, float] | None:
        """The time of day (when the newest file was written) and the time that never jumps, at the start."""
        newest_s = max((written for _, written in self._files()), default=None)
        return None if newest_s is None else (newest_s, self._elapsed_s())

    def _sweep(self) -> None:
        """Delete the files of days that are over for longer than the retention."""
        elapsed_s = self._elapsed_s()
        if elapsed_s < self._next_sweep_s:
            return
        self._next_sweep_s = elapsed_s + SWEEP_EVERY_S
        now_s = self._now_s()
        before, self._clocks = self._clocks, (now_s, elapsed_s)
        old = [file for file, written_s in self._files() if max(_over_s(file), written_s) < now_s - self._keep_s]
        ahead_s = 0.0 if before is None else now_s - before[0] - (elapsed_s - before[1])
        if old and ahead_s > JUMP_S:
            days = round(ahead_s / 86_400, 1)
            log.warning("scores_kept_for_now", folder=str(self._folder), files=len(old), clock_ahead_by_days=days)
            return  # The next sweep takes them, where the clock is as it should be, or stays so.
        for file in old:
            try:
                file.unlink(missing_ok=True)  # another worker may sweep the same folder
                log.info("scores_forgotten", file=file.name)
            except OSError as error:
                log.warning("scores_not_deleted", file=str(file), error=error.strerror)

    def _files(self) -> list[tuple[Path, float]]:
        """The files of scores, each with when it was last written (seconds since the epoch)."""
        found = []
        try:
            for file in self._folder.iterdir():
                if day_of(file) is not None:
                    with suppress(FileNotFoundError):  # another worker swept it this moment
                        found.append((file, file.stat().st_mtime))
        except OSError:
            pass  # not there yet, or told when the next record is written
        return found


def recorded(
    published: Mapping[str, Any], verdict: Verdict, hold: Hold, shelved: bool, alert_id: str | None
) -> dict[str, Any]:
    """What is recorded of a frame: what the scores topic says of it, and what a replay needs besides.

    published: `monitor.publishing.score_record`. shelved: whether somebody has shelved the camera by hand (what the
    configuration's `maintenance` says is asked anew of the candidate). alert_id: the alert that is firing at the camera
    after this frame.
    """
    return {
        **published,
        "product": verdict.key.product,
        "region": verdict.key.model.removeprefix(published["model"]).removeprefix("-"),
        "identity": verdict.frame.identity,
        "origin": verdict.frame.origin,
        "hold": hold.value,
        "shelved": shelved,
        "limit": verdict.limit,
        "alert": alert_id,
    }


def day_of(file: Path) -> date | None:
    """The UTC day on which a file of scores was written; None where its name says none."""
    named = DAY.fullmatch(file.name)
    try:
        return None if named is None else date.fromisoformat(named[1])
    except ValueError:
        return None


def _over_s(file: Path) -> float:
    """When the day in its name is over."""
    day = day_of(file)
    if day is None or day == date.max:
        return math.inf
    return datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC).timestamp()
