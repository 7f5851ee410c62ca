"""What the parts ask of the configuration that serves now; a changed one is laid under all of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.checkpoint import CheckpointError
from models.scorer import Scorer
from monitor.judging.baseline.port import Mode, WindowRules
from monitor.judging.episodes import EpisodeRule
from monitor.judging.rulebook import Calibrated
from monitor.judging.thresholds.statistic import AlarmRule
from monitor.line_rules import RulesOf, remembered
from monitor.line_settings import CameraRules
from monitor.scoring.region import Region
from monitor.scoring.regions import Regions
from monitor.settings import Settings


@dataclass(frozen=True, slots=True)
class _Laid:
    settings: Settings
    regions: Regions
    rules: RulesOf


class LiveRules:
    """Answers from one configuration at a time. Thread-safe."""

    def __init__(self, settings: Settings, side: int) -> None:
        """`side`: of the network's picture, in pixels."""
        self.use(settings, side)

    def use(self, settings: Settings, side: int) -> None:
        """From now on this one."""
        self._laid = _Laid(settings, Regions(settings.cameras, side), remembered(settings.cameras))

    @property
    def settings(self) -> Settings:
        return self._laid.settings

    @property
    def regions(self) -> Regions:
        return self._laid.regions

    @property
    def window(self) -> WindowRules:
        """The windows' rules."""
        window = self.settings.window
        return WindowRules(
            max_frames=window.max_frames,
            max_age_s=window.max_age_s,
            warm_up_frames=window.warm_up_frames,
            relearn_after=window.relearn_after_frames,
            mode=Mode(window.mode),
            keep_s=window.keep_days * 86_400,
        )

    @property
    def episode(self) -> EpisodeRule:
        """The on-delay, off-delay and cool-down."""
        alerts = self.settings.alerts
        return EpisodeRule(
            fire_frames=alerts.fire_after.frames,
            fire_of=alerts.fire_after.of,
            fire_s=alerts.fire_after.seconds,
            resolve_frames=alerts.resolve_after.frames,
            resolve_s=alerts.resolve_after.seconds,
            below=alerts.resolve_after.below,
            cooldown_s=alerts.cooldown_s,
            critical_at=alerts.critical_at,
        )

    @property
    def alarm(self) -> AlarmRule:
        """What makes an alarm, and what parts it from the next: by this false alarms are counted."""
        rule = self.episode
        return AlarmRule(
            frames=rule.fire_frames,
            of=rule.fire_of,
            seconds=rule.fire_s,
            resolve_frames=rule.resolve_frames,
            resolve_s=rule.resolve_s,
            cooldown_s=rule.cooldown_s,
        )

    def threshold(self, camera: str) -> Literal["auto"] | float:
        """`auto`, or a number on the normalised score."""
        own = self._laid.rules(camera).threshold
        return self.settings.alerts.threshold if own is None else own

    def wished_per_day(self, camera: str) -> float:
        """So many false alarms a day are wished for at most."""
        own = self._laid.rules(camera).max_false_alarms_per_day
        return self.settings.alerts.max_false_alarms_per_day if own is None else own

    def rules(self, camera: str) -> CameraRules:
        """What the section `cameras` says of a camera."""
        return self._laid.rules(camera)

    def region_of(self, camera: str) -> Region:
        """What counts of a camera's picture."""
        return self._laid.regions(camera)


def named(settings: Settings) -> list[str]:
    """The cameras that the configuration names; those of topics are known when they come."""
    return [entry.camera for entry in settings.sources if entry.camera is not None]


def calibrated(scorer: Scorer) -> Calibrated:
    """What the checkpoint says of normal frames. CheckpointError where it says nothing."""
    calibration = scorer.info.calibration
    if calibration is None:
        raise CheckpointError(
            "the checkpoint has no calibration, so nobody knows which scores are normal: import it again with "
            "`linewatch import FILE --normal FOLDER`, naming normal pictures from this camera"
        )
    return Calibrated(calibration.low, calibration.high, calibration.threshold)
