"""What people send to the API, as types."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from monitor.subscription_settings import Name, Subscription

By = Annotated[str, Field(min_length=1, max_length=100)]
DeadLetterId = Annotated[str, Field(min_length=1, max_length=100)]


class Who(BaseModel):
    """Who acts."""

    by: By = "operator"


class BaselineOrder(Who):
    """Refused where the baseline that the camera is judged by is not the one that is meant."""

    product: str | None = Field(None, max_length=128, description='Of this product, "" for none; any where not given.')
    model: str | None = Field(None, max_length=128, description="Of this model; any where not given.")


class ShelveOrder(Who):
    minutes: float = Field(gt=0, le=10_080, allow_inf_nan=False, description="How long, from now; a week at most.")
    why: str = Field(min_length=1, max_length=200)


class ProductChange(Who):
    product: str | None = Field(
        min_length=1, max_length=128, description="What the camera sees from now on; null: what the schedule says."
    )


class MissedMark(Who):
    seconds: float = Field(
        5,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="Frames within so many seconds before and after leave the baseline.",
    )
    at_ms: int | None = Field(
        None,
        ge=0,
        le=4_102_444_800_000,
        description="The capture time of the picture that shows it, as latest.jpg tells in X-Captured-At (but in ms); "
        "the newest where not given.",
    )


class EscalateOrder(Who):
    to: Name | None = Field(
        None, description="A subscription; null: to whom the subscriptions that are told of the alert escalate."
    )


class SubscriptionOrder(Who):
    subscription: Subscription


class SwitchOrder(Who):
    on: bool = Field(description="Whether it tells anything.")


class DeadLetterOrder(Who):
    """Which dead letters. Both have to be said: an empty order shall not mean all."""

    ids: Annotated[list[DeadLetterId], Field(min_length=1, max_length=500)] | None = Field(
        description="These; null: all of the channel."
    )
    channel: Name | None = Field(description="Of this channel only; null: of every one.")
