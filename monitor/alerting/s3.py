"""From the folder to the bucket: what is finished is brought there, and removed here once it is there."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from monitor.alerting.bucket import Bucket, BucketAway
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.evidence_room import Kept
from streams.backoff import Backoff

log = structlog.get_logger(__name__)

SETTLED_S = 30.0
"""A file is brought away so long after the last moment at which it was to be replaced."""
EVERY_S = 10.0
SWEEP_EVERY_S = 3600.0
LONGEST_WAIT_S = 60.0


class S3Mover:
    """A thread. While the bucket is away the files stay in the folder, which `max_bytes` bounds, and `trouble` says so.

    Several processes may bring away the same folder: both put the same bytes under the same name. A file that is
    replaced while it is on its way stays, and is brought there again. Killed between the two steps, it is brought there
    twice.
    """

    def __init__(
        self,
        store: EvidenceStore,
        bucket: Bucket,
        *,
        after_s: float,
        keep_days: float,
        every_s: float = EVERY_S,
        settled_s: float = SETTLED_S,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        """after_s: evidence.clip.after_s. wall_s: since the epoch."""
        self._store = store
        self._bucket = bucket
        self._settled_s = after_s + settled_s
        self._keep_s = keep_days * 86_400
        self._every_s = every_s
        self._wall_s = wall_s
        self._next_sweep_s = float("-inf")
        self._refused: dict[str, float] = {}
        self._stop = threading.Event()
        self._trouble: str | None = None
        self.moved = 0
        self._thread = threading.Thread(target=self._run, name="evidence-s3", daemon=True)

    @property
    def trouble(self) -> str | None:
        """Why nothing can be brought there at present."""
        return self._trouble

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What is in the folder stays there for the next process."""
        self._stop.set()
        self._thread.join(12)

    def _run(self) -> None:
        backoff = Backoff(1.0, max(LONGEST_WAIT_S, self._every_s))
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            try:
                self._move()
                self._sweep()
                backoff.reset()
                wait_s = self._every_s
                self._well()
            except BucketAway as error:
                wait_s = backoff.next_s()
                self._away(str(error))
            except Exception:
                wait_s = LONGEST_WAIT_S
                log.exception("evidence_mover_failed")

    def _move(self) -> None:
        """Bring away what is settled, oldest first. Raises BucketAway where two files in a row cannot be: one that
        cannot be alone is tried again an hour later, so that it holds up no other."""
        now_s = self._wall_s()
        self._refused = {path: at_s for path, at_s in self._refused.items() if now_s - at_s < SWEEP_EVERY_S}
        settled = [file for file in self._store.room.files() if file.written_s < now_s - self._settled_s]
        settled.sort(key=lambda file: file.written_s)
        refused: tuple[Kept, BucketAway] | None = None
        for file in settled:
            if self._stop.is_set():
                return
            if file.path in self._refused:
                continue
            try:
                self.moved += self._bring(file)
            except BucketAway as error:
                if refused is not None:
                    raise
                refused = file, error
                continue
            if refused is not None:
                self._set_aside(*refused)
                refused = None
        if refused is not None:
            raise refused[1]

    def _set_aside(self, file: Kept, error: BucketAway) -> None:
        self._refused[file.path] = self._wall_s()
        log.warning("evidence_refused", file=os.path.basename(file.path), bytes=file.size, error=str(error))

    def _bring(self, file: Kept) -> bool:
        path = Path(file.path)
        try:
            with path.open("rb") as opened:
                identity = _identity(os.fstat(opened.fileno()))
                data = opened.read()
        except OSError:  # swept, or brought away by another process
            return False
        self._bucket.put(path.name, data)
        # It may have been replaced meanwhile: under a hidden name nobody can replace it between the look and the end.
        hidden = path.with_name(f".{path.name}.{os.getpid()}.part")
        with suppress(OSError):
            os.rename(path, hidden)
            if _identity(os.stat(hidden)) != identity and not path.exists():
                os.rename(hidden, path)
            else:
                os.unlink(hidden)
            with suppress(OSError):  # it is not empty
                path.parent.rmdir()
        return True

    def _sweep(self) -> None:
        now_s = time.monotonic()
        if now_s < self._next_sweep_s:
            return
        gone = self._bucket.sweep(self._wall_s() - self._keep_s, self._stop.is_set)
        self._next_sweep_s = now_s + SWEEP_EVERY_S
        if gone:
            log.info("evidence_swept_s3", bucket=self._bucket.name, objects=gone)
            self._next_sweep_s = now_s + self._every_s  # there may be more

    def _away(self, error: str) -> None:
        if self._trouble is None:
            log.warning(
                "s3_away",
                bucket=self._bucket.name,
                error=error,
                remedy="check evidence.s3 and the storage; files stay below evidence.dir, and are tried again",
            )
        self._trouble = f"evidence cannot be brought to s3 ({self._bucket.name}): {error}"

    def _well(self) -> None:
        if self._trouble is not None:
            log.info("s3_answers", bucket=self._bucket.name, moved=self.moved)
        self._trouble = None


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_mtime_ns, found.st_size
