"""Which mask belongs to which picture."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.datasets.naming import fold, without_mask


@dataclass(frozen=True)
class MaskFile:
    """anchor: the folder that the masks' folder stands in; its pictures are somewhere below it.
    below: the folders between the masks' folder and the file, () in a flat one."""

    path: Path
    anchor: Path
    below: tuple[str, ...]


def match(pictures: Sequence[Path], masks: Sequence[MaskFile]) -> tuple[dict[Path, Path], tuple[Path, ...]]:
    """(the mask of each picture that has one, the masks that fit none or cannot be told apart).

    pictures: the anomalous ones. A mask fits a picture of the same name, with or without "_mask" and
    whatever the suffix, below the mask's anchor, in whose path the folders between occur in order:
    ground_truth/colour/00.png fits test/colour/00.jpg; ground_truth/a_mask.png fits defect/a.png. Of
    several, the one with the nearest anchor and then with the most folders counts. Two as good as each
    other, or one that fits two pictures, are not guessed at.
    """
    named: dict[str, list[MaskFile]] = defaultdict(list)
    for mask in masks:
        for stem in {mask.path.stem, without_mask(mask.path.stem)}:
            named[stem].append(mask)
    chosen: dict[Path, Path] = {}
    for picture in pictures:
        fitting = [mask for mask in named[picture.stem] if _fits(picture, mask)]
        best = max((_nearness(mask) for mask in fitting), default=None)
        nearest = [mask for mask in fitting if _nearness(mask) == best]
        if len(nearest) == 1:
            chosen[picture] = nearest[0].path
    uses = Counter(chosen.values())
    chosen = {picture: mask for picture, mask in chosen.items() if uses[mask] == 1}
    used = set(chosen.values())
    return chosen, tuple(mask.path for mask in masks if mask.path not in used)


def _nearness(mask: MaskFile) -> tuple[int, int]:
    return len(mask.anchor.parts), len(mask.below)


def _fits(picture: Path, mask: MaskFile) -> bool:
    if mask.anchor not in picture.parents:
        return False
    folders = iter(fold(part) for part in picture.relative_to(mask.anchor).parts[:-1])
    return all(any(part == fold(wanted) for part in folders) for wanted in mask.below)
