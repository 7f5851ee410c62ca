"""What the windows in Redis still hold, where nothing was recorded."""

from __future__ import annotations

import math

import redis

from monitor.judging.baseline.port import BaselineKey
from monitor.judging.baseline.series import Series
from monitor.judging.baseline.store import BaselineStore
from monitor.replay.reading import Progress, Read, ReadingError, Wanted
from monitor.replay.rows import RowMaker
from monitor.replay.spill import Stored


def read_windows(store: BaselineStore, stored: Stored, wanted: Wanted, progress: Progress) -> Read:
    """The frames of all baselines, refused ones as well. Raises ReadingError."""
    read = Read()
    try:
        keys = [key for key in store.list() if wanted.has_camera(key.camera)]
        for done, key in enumerate(keys):
            progress(done, len(keys))
            _take(key, store.series(key, max(0, wanted.from_ns // 1_000_000)), stored, wanted, read)
    except redis.RedisError as error:
        raise ReadingError(f"Redis cannot be read: {type(error).__name__}; is redis.url of --config right?") from None
    if keys:
        read.notes.append(
            "the windows in Redis hold the last frames only, at most window.max_frames of window.max_age_s, and none "
            "from under maintenance or trouble of the camera: recording: {dir: FOLDER} keeps all of them, for days"
        )
    return read


def _take(key: BaselineKey, series: Series, stored: Stored, wanted: Wanted, read: Read) -> None:
    maker: RowMaker = stored.maker
    product, model = maker.products.code(key.product), maker.models.code(key.model)
    place = maker.places.code(f"redis:{key.product}")  # two products may have frames of the same moment
    for seq, (time_ms, score) in enumerate(zip(series.times_ms.tolist(), series.scores.tolist(), strict=True)):
        time_ns = time_ms * 1_000_000
        if wanted.from_ns <= time_ns < wanted.until_ns and time_ns > 0:
            stored.add(key.camera, (time_ns, seq, score, math.nan, 0, -1, place, product, model, 0, 0, 0))
            read.kept += 1
        else:
            read.left_out += 1
