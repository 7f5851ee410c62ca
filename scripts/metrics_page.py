"""Writes docs/metrics.md from the declarations: `python scripts/metrics_page.py docs/metrics.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from monitor.serving.metrics import Metrics

HEAD = """\
# Metrics

At `/metrics`. At rest, for every camera, `captured = scored + dropped + failed`, to the frame. Labels are bounded:
nothing is labelled with an alert, a frame or an address.

Stages: `decode`, `score`, `health`, `window`, `report`, `publish`. Outcomes of deliveries: `delivered`, `failed` (an
alert is tried again, a score is lost), `refused`, `dropped` (scores only).

## Reasons
| of | reason | what happened |
| --- | --- | --- |
| `dropped` | `superseded` | a newer frame of a live camera took its place |
| | `fps_limit` | it came sooner than `fps` allows; it was not converted |
| | `not_a_key_frame` | `key_frames_only` is set; it was not decoded |
| | `stale` | captured longer ago than `max_age_ms` |
| `failed` | `undecodable` | no image, one that is cut off, or a damaged picture of a stream |
| | `too_large` | its header claims more pixels than `limits.max_pixels` |
| | `empty`, `oversized`, `no_camera`, `bad_camera`, `corrupt` | a message that is no frame ([topics.md](topics.md)) |
| | `unreadable_file`, `bad_file_name`, `oversized` | a file that cannot be read or played, or is above 512 MiB |
| | `vanished` | a watched file that was whole and then gone before it was read |
| | `film_broken_off` | a film ended well before its claimed length; its frames so far count |
| | `scoring_failed`, `score_not_finite` | the network failed on it |
| | `internal_error` | a fault of linewatch; see its log |

## Metrics
This page is made from the declarations by `python scripts/metrics_page.py docs/metrics.md`.

| metric | kind | labels | meaning |
| --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page."""
    rows = []
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)
            rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
