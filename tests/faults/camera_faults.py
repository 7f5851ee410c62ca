"""Network cameras that stall, stop, change and send nonsense, all at the same time, beside one that is well."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.lab import CameraLab
from tests.faults.outcome import NOTICE_S, RECOVER_S, Outcome
from tests.faults.process import until
from tests.streams.rtsp_peer import RtspPeer

WELL, DEAD = "well", "dead"
FPS = 8.0
OTHER_SIZE = (320, 240)


@dataclass
class _Hurt:
    """One camera and what is done to it. `told` names where the service told of it."""

    camera: str
    fault: str
    make: Callable[[RtspPeer], object]
    mend: Callable[[RtspPeer], object]
    began_s: float = 0.0
    noticed_s: float | None = None
    told: str = "-"
    over_s: float = 0.0
    scored: int = 0
    recovered_s: float | None = None
    failed: int = 0


def hurts() -> list[_Hurt]:
    """What can be wrong with a camera, each at a camera of its own."""
    return [
        _Hurt("stopped", "Camera stopped: connections closed and refused", RtspPeer.stop, RtspPeer.start),
        _Hurt("stalled", "Camera stalled: connections stay, no picture comes", RtspPeer.stall, RtspPeer.play),
        _Hurt("mute", "Camera mute: connections are accepted and never answered", RtspPeer.mute, RtspPeer.play),
        _Hurt("broken", "Camera sends bytes that are no stream", RtspPeer.spam, RtspPeer.play),
        _Hurt("frozen", "Camera frozen: the same picture again and again", RtspPeer.freeze, RtspPeer.play),
        _Hurt("garbled", "Camera sends broken pictures", RtspPeer.garble, RtspPeer.play),
    ]


def peers() -> dict[str, RtspPeer]:
    """The cameras of the lab, the dead one first in the list."""
    names = [DEAD, WELL, "resized", *(hurt.camera for hurt in hurts())]
    cameras = {name: RtspPeer(fps=FPS, key_every=8) for name in names}
    cameras[DEAD].mute()
    return cameras


def dead_at_the_start(lab: CameraLab) -> Outcome:
    """A camera that accepts connections and never answers keeps nobody waiting, and is there once it answers."""
    living = [name for name in lab.cameras if name != DEAD]
    first: dict[str, float] = {}

    def all_seen() -> bool:
        seen = [name for name, account in lab.service.ledger().items() if account.scored > 0]
        first.update({name: time.monotonic() - lab.began_s for name in seen if name in living and name not in first})
        return len(first) == len(living)

    assert until(all_seen, 15) is not None, (first, lab.service.ledger(), lab.service.tail())
    noticed = until(lambda: f"rtsp:{DEAD}" in lab.service.reasons(), NOTICE_S)
    assert noticed is not None, f"the dead camera is not told: {lab.service.reasons()}"
    noticed_s = time.monotonic() - lab.began_s
    lab.cameras[DEAD].play()
    over_s = time.monotonic()
    assert until(lambda: lab.service.scored(DEAD) > 0 and lab.up(DEAD), RECOVER_S) is not None, lab.service.tail()
    return Outcome(
        "Camera dead at the start: connections are accepted and never answered",
        over_s - lab.began_s,
        noticed_s,
        "/readyz `rtsp:…`",
        time.monotonic() - over_s,
        f"the {len(living)} others had their first score {max(first.values()):.1f} s after the service answered",
    )


def resized(lab: CameraLab) -> Outcome:
    """Another resolution in mid-stream: nobody has to be told, the pictures go on."""
    camera = "resized"
    before = lab.service.ledger()[camera]
    lab.cameras[camera].resize(*OTHER_SIZE)
    began_s = last_s = time.monotonic()
    scored, longest_s = before.scored, 0.0
    while scored < before.scored + 4 * FPS:
        now = lab.service.scored(camera)
        if now > scored:
            longest_s, last_s, scored = max(longest_s, time.monotonic() - last_s), time.monotonic(), now
        assert time.monotonic() - last_s < RECOVER_S, f"no frame since the change: {lab.service.tail()}"
        time.sleep(0.05)
    assert lab.service.ledger()[camera].failed == before.failed, lab.service.ledger()[camera]
    took_s = time.monotonic() - began_s
    return Outcome(
        "Camera changed its resolution in mid-stream",
        0.0,
        None,
        "no outage",
        longest_s,
        f"{4 * FPS:.0f} frames in the {took_s:.1f} s after it, none failed; the longest gap counts as recovery",
    )


def hurt_together(lab: CameraLab, outage_s: float) -> list[Outcome]:
    """Every fault at once; the camera that is well never misses a beat."""
    every = hurts()
    before = lab.service.ledger()
    well_scored, well_since_s = before[WELL].scored, time.monotonic()
    for hurt in every:
        hurt.failed = sum(before[hurt.camera].failed.values())
        hurt.make(lab.cameras[hurt.camera])
        hurt.began_s = time.monotonic()

    def look() -> bool:
        views, reasons = lab.service.cameras(), lab.service.reasons()
        for hurt in every if views else ():
            ways = _tells(hurt, views[hurt.camera], reasons)
            if hurt.noticed_s is None and ways:
                hurt.noticed_s, hurt.told = time.monotonic() - hurt.began_s, ", ".join(ways)
        return all(hurt.noticed_s is not None for hurt in every)

    noticed = until(look, NOTICE_S)
    assert noticed is not None, [h.camera for h in every if h.noticed_s is None]
    while time.monotonic() < every[0].began_s + outage_s:
        look()
        time.sleep(0.1)
    well = lab.service.scored(WELL) - well_scored
    share = well / (FPS * (time.monotonic() - well_since_s))
    assert share > 0.7, f"the healthy camera got {share:.0%} of its frames while others were hurt"
    for hurt in every:
        hurt.scored = lab.service.scored(hurt.camera)
        hurt.mend(lab.cameras[hurt.camera])
        hurt.over_s = time.monotonic()

    def well_again() -> bool:
        views, reasons = lab.service.cameras(), lab.service.reasons()
        for hurt in every if views else ():
            view = views[hurt.camera]
            fresh = view["ledger"]["scored"] > hurt.scored + 2 and not view["stale"]
            if hurt.recovered_s is None and fresh and not _tells(hurt, view, reasons, failures=False):
                hurt.recovered_s = time.monotonic() - hurt.over_s
        return all(hurt.recovered_s is not None for hurt in every)

    assert until(well_again, RECOVER_S) is not None, [
        (h.camera, lab.service.reasons(), lab.service.cameras()[h.camera]) for h in every if h.recovered_s is None
    ]
    return [
        Outcome(
            hurt.fault,
            hurt.over_s - hurt.began_s,
            hurt.noticed_s or 0.0,
            hurt.told,
            hurt.recovered_s or 0.0,
            f"beside it, a healthy camera got {share:.0%} of its frames",
        )
        for hurt in every
    ]


def _tells(hurt: _Hurt, view: dict[str, Any], reasons: dict[str, str], failures: bool = True) -> list[str]:
    """Where the service says at this moment that something is wrong with this camera."""
    ways = []
    if not view["up"]:
        ways.append("/api/cameras `up`")
    if f"rtsp:{hurt.camera}" in reasons:
        ways.append("/readyz `rtsp:…`")
    if view.get("troubles"):
        ways.append("/api/cameras `troubles` " + " ".join(view["troubles"]))
    if failures and sum(view["ledger"]["failed"].values()) > hurt.failed:
        ways.append("the ledger's `failed`")
    return ways
