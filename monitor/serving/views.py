"""What the API answers, as types: the OpenAPI document is made from these and from those in bodies.py."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from monitor.alerting.alert import Alert
from monitor.subscription_settings import Subscription


class LedgerView(BaseModel):
    """captured = scored + dropped + failed + in_flight."""

    captured: int
    scored: int
    dropped: dict[str, int] = Field(description="By reason.")
    failed: dict[str, int] = Field(description="By reason.")
    in_flight: int


class BaselineState(BaseModel):
    """How far a camera's baseline is: as the newest frame met it."""

    phase: str = Field(description="cold, warming, ready, stale or drifting.")
    count: int = Field(description="Frames in the window.")
    needed: int = Field(description="So many make it ready.")
    refused: int = Field(description="Anomalous frames that stayed out, counted towards a new normal.")
    relearn_after: int = Field(description="So many refused frames are the new normal.")
    frozen: bool = Field(description="Somebody has frozen it: it neither learns nor forgets.")
    epoch: int = Field(description="Rises when it is reset or learnt anew.")


class ThresholdFrom(BaseModel):
    """Where an automatic threshold comes from."""

    method: str = Field(description="spot, dspot or conformal.")
    wished_per_day: float = Field(description="False alarms a day that are accepted.")
    peaks: int = Field(description="Peaks of the scores that it is taken from.")
    needed_peaks: int
    watched_s: float = Field(description="How long the camera was watched for it.")
    needed_s: float
    value: float | None = Field(description="On the raw score; null while the sample is too small.")


class ShelvedView(BaseModel):
    """Nobody is called for this camera now. ms since the epoch."""

    from_ms: int
    until_ms: int
    by: str = Field(description="Who ordered it; `schedule` for maintenance of the configuration.")
    why: str


class RegionView(BaseModel):
    """Polygons of [x, y] in shares of the picture: what counts (empty: everything), and what does not."""

    inside: list[list[tuple[float, float]]]
    outside: list[list[tuple[float, float]]]


class CameraView(BaseModel):
    """One camera now. Scores are raw but for `normalised` and `threshold`, which lie in 0..1."""

    camera: str
    up: bool
    stale: bool = Field(description="The newest picture no longer shows what the camera sees.")
    age_s: float | None = Field(description="Seconds since the newest verdict.")
    captured_at: int | None = Field(description="Of the newest verdict's frame, ns since the epoch.")
    seq: int | None
    score: float | None
    normalised: float | None
    low: float | None
    high: float | None
    threshold: float | None
    limit: float | None = Field(description="The threshold on the raw score.")
    count: int | None = Field(description="Frames in the window.")
    state: str | None = Field(description="warming, ready or degraded.")
    warm_up_frames: int = Field(description="So many frames make the window ready.")
    anomalous: bool | None = Field(description="Whether the newest verdict is.")
    firing: str | None = Field(description="The id of the open alert.")
    troubles: list[str] = Field(description="What is wrong with the camera itself; its anomaly alerts are held back.")
    held_back: dict[str, int] = Field(description="Alerts held back in this run, by reason.")
    fps: float = Field(description="Verdicts a second over the last ten seconds of frames.")
    ledger: LedgerView
    product: str = Field(description='What it sees; "" where nobody says.')
    baseline: BaselineState | None = Field(description="Null while nothing is known of it.")
    threshold_from: ThresholdFrom | None = Field(description="Null where the threshold is a fixed number.")
    p_value: float | None = Field(description="The conformal p-value of the newest frame in its window.")
    episode: str = Field(description="quiet, pending, firing or recovering.")
    shelved: ShelvedView | None
    region: RegionView | None = Field(description="Null where the whole picture counts.")


class DistributionView(BaseModel):
    """A histogram of the raw scores in the window: `counts[i]` lie between `edges[i]` and `edges[i + 1]`."""

    edges: list[float]
    counts: list[int]


class BaselineView(BaselineState):
    """A baseline in full. Times in ms since the epoch; `low`, `high`, `limit` raw, as the newest frame was judged."""

    camera: str
    model: str = Field(description="The model's id, with the region's where one is set.")
    product: str
    began_ms: int | None
    ready_ms: int | None
    newest_ms: int | None
    relearnt: int = Field(description="How often it was learnt anew.")
    relearnt_ms: int | None
    low: float | None
    high: float | None
    limit: float | None
    threshold_from: ThresholdFrom | None
    distribution: DistributionView | None


class ScoresView(BaseModel):
    """A camera's chart, oldest first. Times in milliseconds since the epoch; `score`, `limit`, `low`, `high` raw."""

    camera: str
    time_ms: list[int]
    score: list[float]
    limit: list[float]
    low: list[float]
    high: list[float]
    normalised: list[float]
    threshold: list[float]


class AlertPage(BaseModel):
    """Alerts, newest first. `next` is the offset of the following page, null on the last."""

    alerts: list[Alert]
    next: int | None


class ProductView(BaseModel):
    """What a camera sees now."""

    camera: str
    product: str


class Reloaded(BaseModel):
    """The keys of the configuration that changed."""

    changed: list[str]
    at_ms: int


class Readiness(BaseModel):
    """`reasons`: why frames cannot be scored as they should, by part; empty when ready. `notes`: what else is worth
    knowing, such as a changed configuration that was refused."""

    ready: bool
    reasons: dict[str, str]
    notes: dict[str, str]


class SubscriptionView(BaseModel):
    """A subscription, where it comes from, and whether it tells anything. Times in ms since the epoch."""

    subscription: Subscription
    origin: Literal["configuration", "api"] = Field(description="Those of the configuration are changed there.")
    on: bool
    switched_by: str | None = Field(description="Who switched it on or off; null where nobody did.")
    switched_at_ms: int | None
    changed_by: str | None = Field(description="Who wrote it last, by API or command.")
    changed_at_ms: int | None


class ChannelView(BaseModel):
    """Where messages go, and how many wait."""

    name: str
    kind: str = Field(description="webhook, mqtt, kafka, grafana, apprise; gone: no longer configured.")
    built_in: bool = Field(description="It gets every event, whatever the subscriptions say.")
    queued: int = Field(description="Messages that are on their way.")
    oldest_s: float | None = Field(description="For how long the oldest of them has waited.")
    dead: int = Field(description="Messages that could not be delivered.")


class SubscriptionsView(BaseModel):
    subscriptions: list[SubscriptionView]
    channels: list[ChannelView]


class TriedView(BaseModel):
    channel: str
    outcome: Literal["delivered", "failed", "refused"] = Field(
        description="failed: another try may help; refused: it will not."
    )
    detail: str = Field(description="Why; empty where it was delivered.")
    took_s: float


class TrialView(BaseModel):
    """What became of a test message, channel by channel."""

    on: bool = Field(description="Whether the subscription is on; one that is off can be tested as well.")
    results: list[TriedView]


class DeadLetterView(BaseModel):
    """A message that could not be delivered. Times in ms since the epoch."""

    id: str
    channel: str
    kind: str = Field(description="event, group or digest; unreadable.")
    cameras: list[str]
    alert_ids: list[str]
    events: int = Field(description="So many events are in it.")
    error: str
    outcome: Literal["refused", "expired", "unreadable"] = Field(
        description="refused by the other side; expired after many tries; unreadable in the queue."
    )
    tries: int
    at_ms: int = Field(description="When it was given up.")
    queued_ms: int | None = Field(description="When it was to be sent first, or was sent again; null if unreadable.")


class DeadLetterPage(BaseModel):
    """Newest first. `next` is the offset of the following page, null on the last."""

    dead_letters: list[DeadLetterView]
    next: int | None


class Replayed(BaseModel):
    replayed: int = Field(description="So many are on their way again.")


class Discarded(BaseModel):
    discarded: int
