"""One picture against its camera's usual one: what looks wrong in it, and what cannot be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from monitor.judging.health.displacement import REACH, displacement
from monitor.judging.health.reference import CELL, TILE, Floats, Reference, cell_sums, detail, tile_sums
from monitor.judging.health.rules import HealthRules
from monitor.judging.health.trouble import Condition
from monitor.scoring.sight import BURNT_FROM, GREY_SHAPE, Sight

_LIT: Final = 0.1  # above this change of the light (a logarithm), burnt out pixels say nothing of what they show
_SHAKEN: Final = 0.12  # less agreement than usual in a third of the steady tiles, and the shift is looked for
_SEARCH_EVERY: Final = 3  # frames, while the view shakes
_SAME: Final = 0.05  # the agreement of every tile as good as before
_KEPT: Final = 0.85  # a tile that agrees with its reference this well, against its usual agreement, is not covered
_NEARLY_ALL: Final = 0.85  # of the structure that stays
_TELLING: Final = 100.0  # grey levels: where a pixel may differ by more, most things that cover it go unnoticed
_AS_SHARP: Final = 0.6  # of its usual sharpness must a picture have, ...
_AS_MUCH: Final = 0.5  # of its usual structure a tile, ...
_AS_MANY: Final = 0.75  # ... and so many of the tiles, for the camera to look elsewhere and not at a cover
_MARGIN: Final = 0.3  # black or burnt must exceed by this share of the picture what was normal while learning
_MOST: Final = 0.98  # where that leaves no room, the condition cannot be told
_STEADY_TILES: Final = 2  # without structure in so many tiles that stays, moved cannot be told

VIEW: Final = frozenset(Condition) - {Condition.OFFLINE, Condition.FROZEN}
"""The conditions that one picture can show."""


class Finding(NamedTuple):
    """What was measured and what is allowed; `seen` is None where this picture cannot tell."""

    seen: bool | None
    value: float = 0.0
    limit: float = 0.0


UNKNOWN: Final = Finding(None)


def findings(sight: Sight, reference: Reference | None, rules: HealthRules) -> Mapping[Condition, Finding]:
    """What this picture says of every condition of VIEW. Without a reference only dark and bright can be told.

    One thing explains a picture: where it is dark or bright, nothing else is told; where the view has moved or is
    covered, what follows from that is not told as well.
    """
    found = dict.fromkeys(VIEW, UNKNOWN)

    def note(condition: Condition, finding: Finding) -> bool:
        """Whether this explains the picture. What is not watched explains nothing."""
        if condition in rules.watch:
            found[condition] = finding
        return bool(found[condition].seen)

    dark = note(
        Condition.DARK, _too_much(sight.black, None if reference is None else reference.black, rules.dark_above)
    )
    bright = note(
        Condition.BRIGHT, _too_much(sight.burnt, None if reference is None else reference.burnt, rules.bright_above)
    )
    if reference is None or dark or bright:
        return found
    view = _View(sight, reference)
    moved, covered = _moved(view, rules), _covered(view, rules)
    if covered.seen and (moved.value or (covered.value >= _NEARLY_ALL and view.elsewhere())):
        # The structure is all there, only not where it was: that is no cover.
        moved = moved if moved.value else Finding(True, REACH / GREY_SHAPE[1], rules.moved_above)
        covered = UNKNOWN
    # What covers the structure hides where it is.
    if note(Condition.MOVED, UNKNOWN if covered.seen else moved) or note(Condition.COVERED, covered):
        return found
    note(Condition.BLURRED, _blurred(view, rules))
    note(Condition.RELIT, _relit(view, rules))
    return found


class _View:
    """One picture beside its reference: what several conditions need of both."""

    def __init__(self, sight: Sight, reference: Reference) -> None:
        self.sight, self.reference = sight, reference
        self.light = reference.light_of(sight.grey)
        self.gain = np.float32(np.exp(self.light))
        lit = sight.grey.astype(np.float32) / self.gain
        self.detail = detail(lit)
        self.agreeing = reference.agreeing(self.detail)
        self.steady = reference.agreement > 0
        changed = np.abs(lit - reference.level) > reference.room
        if abs(self.light) > _LIT:
            changed &= (sight.grey < BURNT_FROM) & (reference.level < BURNT_FROM)
        self.changed = cell_sums(changed.astype(np.float32)) / CELL**2

    def shaken(self) -> bool:
        """Whether a third of the steady tiles agree less with the reference than usual."""
        shaken = self.steady & (self.agreeing < self.reference.agreement - _SHAKEN)
        return 3 * int(shaken.sum()) >= int(self.steady.sum()) > 0

    def gone(self) -> Floats:
        """How much of each cell's structure is gone, 0..1; 0 where it has none."""
        energy = self.reference.cell_energy
        left = cell_sums(self.reference.template * self.detail) / np.maximum(energy, 1e-6)
        kept = ~self.steady | (self.agreeing >= _KEPT * self.reference.agreement)
        # Along its tile's edge a cell may be read too strictly; a tile that agrees as a whole has lost nothing.
        kept_cells = np.repeat(np.repeat(kept, TILE // CELL, axis=0), TILE // CELL, axis=1)
        return np.where(kept_cells | (energy <= 0), 0.0, 1 - np.clip(left, 0, 1)).astype(np.float32)

    def elsewhere(self) -> bool:
        """Whether the picture is as sharp and has as much structure as usual, though not in its place."""
        if self.sight.fine < _AS_SHARP * self.reference.fine * self.gain:
            return False
        energy = tile_sums(self.reference.weight * self.detail * self.detail)
        enough = energy[self.steady] >= _AS_MUCH * self.reference.template_energy[self.steady]
        return len(enough) >= _STEADY_TILES and float(enough.mean()) >= _AS_MANY


def _too_much(share: float, usual: float | None, setting: float) -> Finding:
    limit = _MOST if usual is None else max(setting, usual + _MARGIN)
    return Finding(share >= limit, share, limit) if limit <= _MOST else UNKNOWN


def _moved(view: _View, rules: HealthRules) -> Finding:
    if int(view.steady.sum()) < _STEADY_TILES:
        return UNKNOWN
    share = 0.0
    if not view.shaken():
        view.reference.search_in = 0
    else:
        # What lies askew lies there for many frames: the same agreement means the same places. And a view that goes on
        # shaking is looked for in every third frame, since that is what costs most.
        known = view.reference.searched
        stale = known is None or float(np.abs(known[0] - view.agreeing).max()) > _SAME
        if known is None or (stale and view.reference.search_in <= 0):
            known = view.reference.searched = view.agreeing, displacement(view.reference, view.detail)
            view.reference.search_in = _SEARCH_EVERY
        view.reference.search_in -= 1
        share = known[1]
    return Finding(share >= rules.moved_above, share, rules.moved_above)


def _covered(view: _View, rules: HealthRules) -> Finding:
    """The share of the picture that shows something else: levels as never before, or structure that is gone.

    Where parts pass, hardly any level is new; such places count half. Where nearly all structure is gone, the picture
    is covered whatever its levels are: an even card may be as bright as the wall was.
    """
    reference = view.reference
    gone = view.gone()
    telling = cell_sums((reference.room <= _TELLING).astype(np.float32)) / CELL**2
    area = float(np.maximum(view.changed, gone).sum() / np.maximum(0.5 + 0.5 * telling, gone).sum())
    energy = reference.cell_energy
    lost = float((gone * energy).sum() / energy.sum()) if int(view.steady.sum()) >= _STEADY_TILES else 0.0
    value = max(area, lost) if lost >= _NEARLY_ALL else area
    return Finding(value >= rules.covered_above, value, rules.covered_above)


def _blurred(view: _View, rules: HealthRules) -> Finding:
    usual = max(view.reference.fine, 1e-6)
    limit = min(rules.blurred_below, 0.8 * view.reference.fine_least / usual)
    value = view.sight.fine / float(view.gain) / usual
    return Finding(value < limit, value, limit)


def _relit(view: _View, rules: HealthRules) -> Finding:
    limit = max(float(np.log1p(rules.relit_above)), 2 * view.reference.light)
    return Finding(abs(view.light) >= limit, float(view.gain), float(np.exp(np.copysign(limit, view.light))))
