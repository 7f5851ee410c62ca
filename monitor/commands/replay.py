"""`linewatch replay`: a changed configuration tried on stored scores, before it goes live."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from models.writing import replace_file
from monitor.adapters import redis_client
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.evidence_wiring import evidence_store
from monitor.judging.baseline.store import BaselineStore
from monitor.kafka_security import security_of
from monitor.progress import counting
from monitor.replay.candidate import Candidate, Override, load_candidate
from monitor.replay.kafka_reading import read_topic
from monitor.replay.page import as_page
from monitor.replay.pictures import Pictures
from monitor.replay.reading import Progress, Read, ReadingError, Wanted, read_files
from monitor.replay.redis_reading import read_windows
from monitor.replay.report import as_json, as_text
from monitor.replay.rows import RowMaker
from monitor.replay.spill import Stored
from monitor.replay.trial import NothingToTry, Task, attempt
from monitor.settings_file import ConfigError

EXAMPLE = (
    "Examples: linewatch replay scores/ --config config.yaml --set alerts.threshold=0.9 --out report.html   |   "
    "linewatch replay scores/ --config candidate.yaml --against config.yaml --since 7d   |   "
    "linewatch replay kafka://localhost:9092/scores --config config.yaml   (docs/replay.md)"
)
SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def replay(
    scores: Annotated[
        str,
        typer.Argument(
            help="A file or folder that `recording` wrote, kafka://host:port/topic, or redis (what the windows hold)."
        ),
    ],
    config: Annotated[Path, typer.Option(help="The configuration to try, YAML.")],
    against: Annotated[
        Path | None,
        typer.Option(help="The configuration of now.  [default: what happened, from Redis or the records]"),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Instead of model.checkpoint, where that lies elsewhere on this machine.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE over --config, such as alerts.threshold=0.9; repeatable."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="From when on alerts are told: 2026-05-31, 2026-05-31T06:00, or 7d, 12h ago.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Until when, likewise.")] = None,
    camera: Annotated[
        list[str] | None, typer.Option(help="Only these; * and ? stand for anything. Repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write a report with plots and pictures, HTML.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write everything as JSON; - prints it instead.")] = None,
) -> None:
    """Tell which alerts there would have been on stored scores with another configuration, camera by camera."""
    now_s = datetime.now(UTC).timestamp()
    from_ns, until_ns = _time_ns(since, "--since", now_s, 0), _time_ns(until, "--until", now_s, 1 << 62)
    if from_ns >= until_ns:
        fail(f"--since {since} --until {until}: nothing lies between", USAGE)
    try:
        candidate = load_candidate(config, checkpoint, [_override(one) for one in settings or ()])
        other = None if against is None else load_candidate(against, checkpoint)
    except ConfigError as error:
        fail(str(error), USAGE)
    wanted = Wanted(_with_lead_in(from_ns, candidate, other), until_ns, tuple(camera or ("*",)))
    task = Task(scores, candidate, other, wanted, from_ns)
    try:
        with Stored(RowMaker()) as stored, _quiet():
            with counting("scores read") as progress:
                read = _read(task, stored, progress)
                stored.sort()
            found, known = attempt(task, stored, read, counting)
    except NothingToTry as error:
        fail(str(error), USAGE)
    except ReadingError as error:
        fail(str(error), USAGE if not scores.startswith(("kafka:", "redis")) else FAILED)
    except OSError as error:
        fail(f"the temporary folder cannot be written to: {error}; TMPDIR names another", FAILED)
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    told = as_json(found)
    if json_ is None or str(json_) != "-":
        typer.echo(as_text(found))
    try:
        if json_ is not None and str(json_) == "-":
            typer.echo(json.dumps(told, allow_nan=False))
        elif json_ is not None:
            replace_file(json_, json.dumps(told, indent=1, allow_nan=False).encode())
        if out is not None:
            page = as_page(found, Pictures(evidence_store(candidate.settings), known))
            replace_file(out, page.encode())
            typer.echo(f"report: {out}", err=True)
    except OSError as error:
        fail(f"cannot be written: {error}", FAILED)


def _read(task: Task, stored: Stored, progress: Progress) -> Read:
    settings = task.candidate.settings
    if task.scores == "redis":
        client = redis_client(settings)
        try:
            store = BaselineStore(client, settings.redis.prefix, settings.redis.shards)
            return read_windows(store, stored, task.wanted, progress)
        finally:
            client.close()
    if task.scores.startswith("kafka:"):
        security = [security_of(settings.publish.security)] if settings.publish is not None else []
        return read_topic(task.scores, stored, task.wanted, progress, *security)
    return read_files(Path(task.scores), stored, task.wanted, progress)


def _with_lead_in(from_ns: int, *candidates: Candidate | None) -> int:
    """From when on scores are read: what filled the windows by then belongs to them. A threshold from a wished rate has
    learnt from all that came before, a number only depends on the window."""
    reach_s = 0.0
    for one in candidates:
        if one is None:
            continue
        rules = (one.settings.alerts.threshold, *(entry.threshold for entry in one.settings.cameras))
        if "auto" in rules and one.settings.window.mode != "frozen":
            return 0
        reach_s = max(reach_s, one.settings.window.max_age_s)
    return max(0, from_ns - round(reach_s * 1e9))


def _override(text: str) -> Override:
    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", key):
        fail(f"--set {text}: expected KEY=VALUE, such as alerts.threshold=0.9", USAGE)
    return Override(key, value)


def _time_ns(text: str | None, option: str, now_s: float, default: int) -> int:
    if text is None:
        return default
    ago = SPAN.fullmatch(text.strip())
    if ago is not None:
        return max(0, round((now_s - float(ago[1]) * SECONDS[ago[2]]) * 1e9))
    try:
        time = datetime.fromisoformat(text.strip())
        return max(0, round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()) * 10**9)
    except (ValueError, OverflowError):
        fail(f"{option} {text}: expected a day or time like 2026-05-31T06:00 (UTC), or 7d, 12h, 30m ago", USAGE)


@contextmanager
def _quiet() -> Iterator[None]:
    """What the judge logs of a window that is learnt anew would look like news of the line; it is in the result."""
    logger = logging.getLogger("monitor.judging.judge")
    before = logger.level
    if logger.getEffectiveLevel() > logging.DEBUG:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
