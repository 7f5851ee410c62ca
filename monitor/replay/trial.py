"""One trial from its beginning to its end: scores read, what happened, both configurations run, both compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

import redis

from monitor.adapters import key_prefix, redis_client
from monitor.alerting.outbox import Outbox
from monitor.replay.candidate import Candidate, differences
from monitor.replay.compare import compare
from monitor.replay.engine import Engine
from monitor.replay.episode import Outcome, Told
from monitor.replay.happened import Happened, happened
from monitor.replay.reading import Progress, Read, Wanted
from monitor.replay.report import Replayed
from monitor.replay.span import Trace
from monitor.replay.spill import Stored
from monitor.replay.survey import Survey, survey

Counting = Callable[[str], AbstractContextManager[Progress]]


class NothingToTry(RuntimeError):
    """No stored score can tell anything of this candidate; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Task:
    """scores: how they are called. from_ns: from when on alerts are told; earlier scores fill the windows."""

    scores: str
    candidate: Candidate
    against: Candidate | None
    wanted: Wanted
    from_ns: int


def attempt(task: Task, stored: Stored, read: Read, counting: Counting) -> tuple[Replayed, list[Told]]:
    """What the trial found, and the alerts of which evidence may be kept. Raises NothingToTry.

    stored: everything was added; it is sorted here, and cameras that the candidate says nothing about leave it.
    """
    notes = [*_told_of(read), *_fit(task, stored, read)]
    if stored.duplicates:
        notes.append(f"{stored.duplicates} scores were there twice")
    with counting("scores looked through") as progress:
        seen = survey(stored, task.candidate.baseline_model, task.from_ns, progress)
    if not seen.spans:
        raise NothingToTry(f"{task.scores}: no score from --since on; earlier ones only fill the windows")
    true, trouble = _happened(task, seen)
    notes += [trouble] if trouble else []
    then, then_limits = _run(task.candidate, "then", stored, seen, true, counting)
    now: Outcome | None
    if task.against is not None:
        now, now_limits = _run(task.against, "now", stored, seen, true, counting)
    else:
        now, note = _what_happened(task, seen, true)
        now_limits = seen.limits
        notes += [note] if note else []
    told = compare(None if now is None else now.episodes, then.episodes, seen.spans, seen.from_ns)
    replayed = Replayed(
        title=f"{task.candidate.label} on {task.scores}",
        comparison=told,
        now=now,
        then=then,
        changes=[] if task.against is None else differences(task.against.settings, task.candidate.settings),
        notes=notes,
        scores=seen.scores,
        now_limits=now_limits,
        then_limits=then_limits,
    )
    return replayed, [*(true.alerts if true else []), *seen.alerts, *(now.episodes if now else [])]


def _told_of(read: Read) -> list[str]:
    notes = list(read.notes)
    if read.bad:
        more = f" (and {read.bad - len(read.named)} more)" if read.bad > len(read.named) else ""
        notes.append(f"{read.bad} lines are no scores and were passed by: {'; '.join(read.named)}{more}")
    if read.broken_ends:
        notes.append(f"{read.broken_ends} files end in the middle of a line: their process was killed, or is writing")
    return notes


def _fit(task: Task, stored: Stored, read: Read) -> list[str]:
    """Leave the cameras out of which no score can tell anything. Raises NothingToTry where none is left."""
    if stored.stretch() is None:
        aside = f"; {read.left_out} are of other cameras or times" if read.left_out else ""
        bad = f"; {read.bad} lines are no scores, such as {read.named[0]}" if read.bad else ""
        raise NothingToTry(f"{task.scores}: no score to replay{aside}{bad}")
    sides = [task.candidate, *([task.against] if task.against else [])]
    notes = []
    for camera in stored.cameras():
        wanted = {side.baseline_model(camera) for side in sides}
        others = {model: found for (name, model), found in stored.models.items() if name == camera}
        fitting = others.keys() & wanted
        for model in sorted(others.keys() - wanted):
            found = others[model]
            notes.append(
                f"{camera}: {found.count} scores from {_when(found.first_ns)} to {_when(found.last_ns)} are of model "
                f"{model}, not of {' and '.join(sorted(wanted))}, and were left out"
            )
        if len(wanted) > 1:
            notes.append(f"{camera}: the configurations differ in its model or region, which replayed scores cannot")
        if not fitting or len(wanted) > 1:
            stored.leave_out(camera)
    if not stored.cameras():
        raise NothingToTry(
            "\n".join(
                [
                    *(f"{task.scores}: {note}" for note in notes),
                    "A changed model or region cannot be tried on stored scores: it would have given others. Name the "
                    "checkpoint that gave these with --checkpoint, or let the changed one run for a while, recording, "
                    "and replay what it recorded.",
                ]
            )
        )
    return notes


def _run(
    candidate: Candidate, whose: str, stored: Stored, seen: Survey, true: Happened | None, counting: Counting
) -> tuple[Outcome, dict[str, Trace]]:
    engine = Engine(candidate, stored, seen.from_ns, seen.until_ns, *([true.called_false] if true else []))
    with counting(f"frames judged ({whose})") as progress:
        outcome = engine.run(progress)
    return outcome, engine.limits


def _happened(task: Task, seen: Survey) -> tuple[Happened | None, str | None]:
    """What Redis knows, and why it knows nothing."""
    settings = task.candidate.settings
    client = redis_client(settings)
    try:
        return happened(Outbox(client, key_prefix(settings)), task.wanted, seen.spans), None
    except redis.RedisError as error:
        if task.against is not None or seen.tells_alerts:
            return None, None
        return (
            None,
            f"Redis of the configuration does not answer ({type(error).__name__}), so nobody knows what happened",
        )
    finally:
        client.close()


def _what_happened(task: Task, seen: Survey, true: Happened | None) -> tuple[Outcome | None, str | None]:
    """The alerts of now, where no configuration stands for it, and what is to be known of that."""
    kept_ns = round((datetime.now(UTC).timestamp() - task.candidate.settings.evidence.keep_days * 86_400) * 1e9)
    complete = seen.from_ns >= kept_ns
    if true is not None and true.knows_cameras and (complete or not seen.tells_alerts):
        alerts, unseen = _covered(true.alerts, seen)
        notes = [] if complete else ["Redis keeps alerts for evidence.keep_days only: of now the oldest are missing"]
        if unseen:
            notes.append(f"{unseen} alerts that happened are left out: no score of their time is stored")
        return Outcome("what happened (alerts in Redis)", alerts), "; ".join(notes) or None
    if seen.tells_alerts:
        return Outcome("what happened (as recorded with the scores)", seen.alerts), None
    return None, (
        "what happened is not known: neither these records nor Redis tell of alerts; --against CONFIG compares with "
        "the configuration of now"
    )


def _covered(alerts: Sequence[Told], seen: Survey) -> tuple[list[Told], int]:
    """The alerts of whose time there are scores, and how many others there are."""
    kept, unseen = [], 0
    for one in alerts:
        span = seen.spans[one.camera]
        if one.started_ns > span.last_ns or one.last_ns < span.first_ns:
            continue
        if seen.scores[one.camera].between(one.started_ns, min(one.last_ns, span.last_ns)):
            kept.append(one)
        else:
            unseen += 1
    return kept, unseen


def _when(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")
