"""Where evidence is kept, wired: the folder, the storage behind it, and who brings it there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from monitor.alerting.bucket import Bucket
from monitor.alerting.clips import ClipMaker
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.s3 import S3Mover
from monitor.evidence_settings import Evidence
from monitor.settings import Settings
from streams.frame import Pixels


@dataclass(frozen=True, slots=True)
class EvidenceParts:
    """clips, mover: None where the configuration has none."""

    store: EvidenceStore
    clips: ClipMaker | None
    mover: S3Mover | None

    def start(self) -> None:
        for part in (self.clips, self.mover):
            if part is not None:
                part.start()

    def stop(self, flush_s: float) -> None:
        """Finish the clips that are being made, for `flush_s` at most."""
        if self.clips is not None:
            self.clips.stop(flush_s)
        if self.mover is not None:
            self.mover.stop()

    @property
    def trouble(self) -> str | None:
        """Why evidence cannot be kept at present, where it cannot."""
        found = [part.trouble for part in (self.clips, self.mover) if part is not None and part.trouble is not None]
        return "; ".join(found) or None


def evidence_parts(settings: Settings, drawn: Callable[[str, Pixels], Pixels]) -> EvidenceParts:
    """Everything, for a worker; nothing is started. Raises BotoMissing as `evidence_store` does."""
    evidence = settings.evidence
    bucket = None if evidence.s3 is None else Bucket(evidence.s3)
    store = _store(evidence, bucket, drawn)
    clips = ClipMaker(store, evidence.clip, settings.limits.max_pixels) if evidence.clip.enabled else None
    mover = None
    if bucket is not None:
        mover = S3Mover(store, bucket, after_s=evidence.clip.after_s, keep_days=evidence.keep_days)
    return EvidenceParts(store, clips, mover)


def evidence_store(settings: Settings) -> EvidenceStore:
    """For those that read. Raises BotoMissing where the section `s3` is given and boto3 is not installed."""
    evidence = settings.evidence
    return _store(evidence, None if evidence.s3 is None else Bucket(evidence.s3))


def _store(
    evidence: Evidence,
    bucket: Bucket | None,
    drawn: Callable[[str, Pixels], Pixels] = lambda camera, pixels: pixels,
) -> EvidenceStore:
    return EvidenceStore(evidence.dir, evidence.keep_days, drawn, max_bytes=evidence.max_bytes, far=bucket)
