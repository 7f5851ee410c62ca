"""A whole baseline as a JSON document, for another server, another line, or safe keeping."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
    model_validator,
)

from monitor.judging.baseline.checking import GREATEST
from monitor.judging.baseline.life import VERSION, rules_of

FORMAT = "linewatch-baseline"
MOST_FRAMES = 1_000_000
LATEST_MS = 2**53

Count = Annotated[StrictInt, Field(ge=0, le=LATEST_MS)]
TimeMs = Annotated[StrictInt, Field(ge=-LATEST_MS, le=LATEST_MS)]


def _reasonable(value: float) -> float:
    if not -GREATEST <= value <= GREATEST:
        raise ValueError(f"expected a finite number, up to {GREATEST:g}")
    return value


Number = Annotated[float, Field(allow_inf_nan=False, strict=True), AfterValidator(_reasonable)]
Identity = Annotated[StrictStr, Field(min_length=1, max_length=4096)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeptRange(_Part):
    """As life.Kept."""

    count: Count
    least: Number
    greatest: Number
    q_low: Number
    q_high: Number
    at_ms: TimeMs

    @model_validator(mode="after")
    def _in_order(self) -> KeptRange:
        if not self.least <= self.q_low <= self.q_high <= self.greatest:
            raise ValueError("expected least <= q_low <= q_high <= greatest")
        return self


class StateFields(_Part):
    """As told in life.py, less what belongs to one server."""

    refused: Count = 0
    frozen: StrictBool = False
    entered: Count = 0
    began_ms: TimeMs | None = None
    ready_ms: TimeMs | None = None
    newest_ms: TimeMs | None = None
    relearnt: Count = 0
    relearnt_ms: TimeMs | None = None
    kept: KeptRange | None = None


class Frames(_Part):
    """Three lists of one length: frame by frame."""

    identities: Annotated[tuple[Identity, ...], Field(max_length=MOST_FRAMES)]
    times_ms: Annotated[tuple[TimeMs, ...], Field(max_length=MOST_FRAMES)]
    scores: Annotated[tuple[Number, ...], Field(max_length=MOST_FRAMES)]

    @model_validator(mode="after")
    def _one_length(self) -> Frames:
        lengths = (len(self.identities), len(self.times_ms), len(self.scores))
        if len(set(lengths)) > 1:
            raise ValueError(
                "identities, times_ms and scores have to be of one length, found {}, {} and {}".format(*lengths)
            )
        if len(set(self.identities)) < lengths[0]:
            raise ValueError("identities: the same one is there twice")
        return self


class Document(_Part):
    """A baseline. rules: those it was kept under, for the reader; the ones of the place it is loaded into apply."""

    format: Literal["linewatch-baseline"] = "linewatch-baseline"
    version: Literal[3] = 3
    camera: StrictStr
    model: StrictStr
    product: StrictStr
    exported_ms: Count
    rules: StrictStr | None = None
    state: StateFields
    window: Frames
    refused: Frames
    tail: dict[str, Any] | None = None

    @field_validator("rules")
    @classmethod
    def _known_rules(cls, value: str | None) -> str | None:
        rules = None if value is None else rules_of(value)
        if value is not None and (rules is None or rules.keep_s <= 0):
            raise ValueError("expected what an export gives: five numbers, a mode, a time in ms")
        return value

    @model_validator(mode="after")
    def _each_frame_once(self) -> Document:
        if both := set(self.window.identities) & set(self.refused.identities):
            raise ValueError(f"refused: identities: {min(both)!r} is in the window as well")
        return self


def read_document(raw: object, model: str, now_ms: int) -> Document:
    """ValueError that names the field, what was found and what was expected: for another format, version or model, and
    for values that no window can hold, times in the future among them."""
    if not isinstance(raw, dict):
        raise ValueError(f"expected a document of a baseline, found {type(raw).__name__}")
    for name, expected in (("format", FORMAT), ("version", VERSION), ("model", model)):
        if raw.get(name) != expected:
            raise ValueError(f"{name}: expected {expected!r}, found {raw.get(name)!r}")
    try:
        document = Document.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        found = "" if isinstance(first["input"], dict | list | tuple) else f", found {first['input']!r:.100}"
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{where}: {message}{found}" if where else message) from None
    for name, latest in (
        ("window.times_ms", max(document.window.times_ms, default=0)),
        ("refused.times_ms", max(document.refused.times_ms, default=0)),
        ("state.newest_ms", document.state.newest_ms or 0),
        ("state.relearnt_ms", document.state.relearnt_ms or 0),
    ):
        if latest > now_ms:
            raise ValueError(f"{name}: {latest} ms lies in the future; expected capture times up to now ({now_ms} ms)")
    return document
