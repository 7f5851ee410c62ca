"""What a replay found, as a page of its own: with plots, and with the pictures that are still kept."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from monitor.replay import plot
from monitor.replay.compare import Change
from monitor.replay.episode import Told
from monitor.replay.pictures import Pictures
from monitor.replay.plot import Drawn
from monitor.replay.report import Replayed, beside
from monitor.replay.span import Span
from monitor.replay.words import away, length, rate, score, when

PLOTTED = 24
"""Cameras that are drawn in one report, those with the most changes first."""
LISTED = 500
"""Alerts of one kind that are listed on the page; all are in the JSON."""


def as_page(found: Replayed, pictures: Pictures) -> str:
    """One HTML document that needs no network and no script."""
    loader = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    loader.filters |= {"when": when, "length": length, "score": score, "rate": rate, "away": away}
    compared = found.comparison
    cameras, days = compared.by_camera(), compared.by_day()
    groups = [
        ("Alerts that appear", "There would be new ones.", compared.appeared),
        ("Alerts that vanish", "They would not come any more.", compared.vanished),
        ("Alerts that stay", "As they are now.", compared.stayed),
    ]
    if not compared.knows_now:
        groups = [("Alerts", "What happened is not known: all that there would be.", compared.appeared)]
    watched = {camera: compared.spans.get(camera, Span()) for camera in cameras}
    return loader.get_template("page.html").render(
        found=found,
        knows_now=compared.knows_now,
        total=compared.total(),
        cameras=[
            (camera, change, watched[camera], watched[camera].a_day(change.now), watched[camera].a_day(change.then))
            for camera, change in cameras.items()
        ],
        days=days.items(),
        groups=[
            (name, says, len(episodes), [(one, pictures.of(one)) for one in episodes[:LISTED]])
            for name, says, episodes in groups
            if episodes
        ],
        bars=_uri(plot.a_day(days, compared.knows_now)) if days else None,
        plots=[(camera, _uri(plot.over_time(_drawn(camera, found)))) for camera in _plotted(found)],
        left_out=max(0, len(found.scores) - PLOTTED),
        beside=[
            (whose, lines)
            for whose, outcome in (("now", found.now), ("then", found.then))
            if outcome is not None and (lines := beside(outcome))
        ],
    )


def _plotted(found: Replayed) -> list[str]:
    """The cameras to draw: most changes first, then most alerts, then by name."""
    changes = found.comparison.by_camera()

    def weight(camera: str) -> tuple[int, int, str]:
        change = changes.get(camera, Change())
        return -(change.vanish + change.appear), -change.then, camera

    return sorted(found.scores, key=weight)[:PLOTTED]


def _drawn(camera: str, found: Replayed) -> Drawn:
    compared = found.comparison

    def own(episodes: Iterable[Told]) -> list[Told]:
        return [one for one in episodes if one.camera == camera]

    return Drawn(
        camera,
        found.scores[camera],
        found.now_limits.get(camera),
        found.then_limits[camera],
        own(compared.stayed),
        own(compared.vanished),
        own(compared.stayed_as),
        own(compared.appeared),
    )


def _uri(content: bytes) -> str:
    return f"data:image/png;base64,{b64encode(content).decode()}"
