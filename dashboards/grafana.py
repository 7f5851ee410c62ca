"""The port to Grafana, and its two errors.

    GrafanaError
    ├── GrafanaUnavailable   a later try may succeed: refused, timed out, 408, 429, 5xx
    └── GrafanaRejected      a later try cannot succeed unchanged: other 4xx, bad URL or token,
                             an answer that is not Grafana's

The implementations are made by `dashboards.clients.connect`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

PushOutcome = Literal["created", "updated", "unchanged"]
ALERT_TAG = "alert:"
"""An alert's region carries the tag `alert:<alert id>`; it is how the region is found again."""


class GrafanaError(Exception):
    """What went wrong with a call, in words that name the address and never the token."""


class GrafanaUnavailable(GrafanaError):
    """Grafana did not answer or could not serve; the same call may succeed later."""


class GrafanaRejected(GrafanaError):
    """Grafana answered no, or the answer is not Grafana's; `status` is its HTTP status if any."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class GrafanaClient(Protocol):
    """What linewatch asks of a Grafana.

    Blocking: every call waits for the answer; each wait for the server is at most the time-out
    given at the start. No call retries: the caller owns back-off.
    Errors: every call raises `GrafanaUnavailable` or `GrafanaRejected` and nothing else.
    Idempotence: every call may be repeated after a failure without doubling anything; for
    `open_region` that needs an `alert:<id>` tag.
    Threads: one thread at a time.
    """

    def health(self) -> str:
        """The version that answers. Neither the token nor any permission is checked."""
        ...

    def ensure_folder(self, uid: str, title: str) -> bool:
        """Make the folder unless a folder of that uid exists; True if it was made."""
        ...

    def push_dashboard(self, dashboard: Mapping[str, Any], folder_uid: str) -> PushOutcome:
        """Save the classic JSON model under its `uid`, over whatever is there.

        Nothing is saved where Grafana already holds the same model, so that its version history
        shows real changes only.
        """
        ...

    def find_annotation(self, tag: str) -> int | None:
        """The id of the oldest annotation that carries exactly this tag, or None."""
        ...

    def open_region(self, time_ms: int, tags: Sequence[str], text: str) -> int:
        """Start a region at `time_ms` (since the epoch) and return its id.

        If a tag begins with `alert:` and an annotation carrying that tag exists, its id is
        returned and nothing is written: a crash between posting and noting the id is harmless.
        """
        ...

    def close_region(self, annotation_id: int, time_end_ms: int) -> None:
        """End the region at `time_end_ms`; its tags and text stay as they are."""
        ...

    def close(self) -> None:
        """Release the connections. May be repeated."""
        ...
