"""The pictures worth looking at: what a model finds most surely, what it misses, and what deceives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from models.evaluation.evaluated import Evaluated, Floats
from models.preprocess import Picture

EACH = 6
"""Pictures of a group."""
SHOWN = 192
"""Smaller pictures are enlarged to this side at least, so that an outline stays thin."""
QUALITY = 90
OUTLINE = (83, 255, 172)  # RGB; in no part of the heat map's colours

Side = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """index: into the scores. verdict: "found", "missed", "false alarm" or "passed"; None without a threshold.
    original, rebuilt, heat: JPEG files."""

    index: int
    verdict: str | None
    original: bytes
    rebuilt: bytes
    heat: bytes


@dataclass(frozen=True)
class Group:
    title: str
    says: str
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class _Choice:
    title: str
    says: str
    indices: npt.NDArray[np.intp]


def find_cases(evaluated: Evaluated, each: int = EACH) -> tuple[Group, ...]:
    """Up to three groups of `each` pictures; none where the evaluation cannot show pictures. ValueError where `look`
    gives other shapes than it should."""
    if evaluated.look is None:
        return ()
    choices = _choose(evaluated, each)
    indices = np.concatenate([choice.indices for choice in choices])
    pictures, rebuilt, heat = evaluated.look(indices)
    count, (side, _, channels) = len(indices), pictures.shape[1:]
    expected = (count, side, side, channels), (count, side, side, channels), (count, side, side)
    if (pictures.shape, rebuilt.shape, heat.shape) != expected:
        raise ValueError(
            f"look gave pictures {list(pictures.shape)}, rebuilt {list(rebuilt.shape)}, heat {list(heat.shape)} for "
            f"{count} pictures: expected [n, S, S, C] twice and [n, S, S]"
        )
    heat = _scaled(heat, evaluated.anomalous[indices])
    groups, start = [], 0
    for choice in choices:
        rows = range(start, start + len(choice.indices))
        made = tuple(_case(evaluated, int(indices[i]), pictures[i], rebuilt[i], heat[i]) for i in rows)
        groups.append(Group(choice.title, choice.says, made))
        start += len(choice.indices)
    return tuple(groups)


def _choose(evaluated: Evaluated, each: int) -> Sequence[_Choice]:
    order = np.argsort(-evaluated.scores, kind="stable")
    anomalous, normal = order[evaluated.anomalous[order]], order[~evaluated.anomalous[order]]
    threshold = evaluated.threshold
    lowest = anomalous[len(anomalous) - min(each, len(anomalous) // 2) :][::-1]
    missed = 0 if threshold is None else int(np.count_nonzero(evaluated.scores[anomalous] <= threshold))
    false = 0 if threshold is None else int(np.count_nonzero(evaluated.scores[normal] > threshold))
    choices = (
        _Choice(
            "Anomalies with the highest scores",
            "What the model is surest of.",
            anomalous[: min(each, len(anomalous) - len(lowest))],
        ),
        _Choice(
            "Anomalies with the lowest scores",
            "The hardest to find."
            if threshold is None
            else f"{missed} of {len(anomalous)} lie below the threshold and are missed."
            if missed
            else "None is missed; these are the nearest to the threshold.",
            lowest,
        ),
        _Choice(
            "Normal pictures with the highest scores",
            "What the model takes for odd."
            if threshold is None
            else f"{false} of {len(normal)} lie above the threshold and would raise a false alarm."
            if false
            else "None raises an alarm; these are the nearest to the threshold.",
            normal[:each],
        ),
    )
    return [choice for choice in choices if len(choice.indices)]


def _case(evaluated: Evaluated, index: int, picture: Picture, rebuilt: Floats, heat: Floats) -> Case:
    verdict = None
    if evaluated.threshold is not None:
        alarm = bool(evaluated.scores[index] > evaluated.threshold)
        names = ("missed", "found") if evaluated.anomalous[index] else ("passed", "false alarm")
        verdict = names[alarm]
    factor = max(1, -(-SHOWN // picture.shape[0]))
    original = _enlarged(_rgb(picture), factor)
    again = _enlarged(_rgb(_bytes((rebuilt + 1) * 127.5)), factor)
    glow = np.asarray(cv2.resize(heat, original.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    heated = _overlay(original, glow)
    if evaluated.masks is not None and evaluated.masks[index].any():
        mask = cv2.resize(
            evaluated.masks[index].astype(np.uint8), original.shape[1::-1], interpolation=cv2.INTER_NEAREST
        )
        outline = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
        original = original.copy()
        for image in (original, heated):
            cv2.drawContours(image, outline, -1, OUTLINE, 1)
    return Case(index, verdict, _jpeg(original), _jpeg(again), _jpeg(heated))


def _scaled(heat: Floats, anomalous: npt.NDArray[np.bool_]) -> Floats:
    """[0, 1], the same scale for all that are shown (a scale of its own would make noise glow): 0 is what half of the
    normal pictures' pixels stay under. The root, so that a faint fault is not black beside a glaring one."""
    heat = np.nan_to_num(np.asarray(heat, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low = float(np.median(heat[~anomalous]))
    high = float(np.quantile(heat, 0.995))
    if high <= low:
        high = float(heat.max())
    if high <= low:
        return np.zeros_like(heat)
    return np.asarray(np.sqrt(np.clip((heat - low) / (high - low), 0, 1)), np.float32)


def _overlay(picture: Side, heat: Floats) -> Side:
    """The picture in grey, glowing where heat [S, S] in [0, 1] is high."""
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.float32)
    colour = cv2.cvtColor(cv2.applyColorMap(_bytes(heat * 255), cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    strength = np.minimum(heat * 1.6, 0.85)[..., np.newaxis]
    return _bytes(grey * 0.75 * (1 - strength) + colour.astype(np.float32) * strength)


def _rgb(picture: Picture) -> Side:
    return np.ascontiguousarray(np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture)


def _enlarged(picture: Side, factor: int) -> Side:
    """By a whole factor, pixels kept as they are: a small picture is not to look sharper than the model saw it."""
    return np.ascontiguousarray(np.kron(picture, np.ones((factor, factor, 1), np.uint8))) if factor > 1 else picture


def _bytes(values: npt.NDArray[np.floating]) -> Side:
    return np.asarray(np.clip(np.nan_to_num(values), 0, 255).round(), np.uint8)


def _jpeg(picture: Side) -> bytes:
    good, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not good:
        raise ValueError(f"OpenCV cannot encode a picture of {list(picture.shape)}")
    return np.asarray(encoded).tobytes()
