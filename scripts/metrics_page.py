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

Reasons of `dropped`: `superseded` (a newer frame of a live camera took its place), `fps_limit`. Reasons of `failed`:
see the dead letters in [topics.md](topics.md), and `unreadable_file`. Stages: `decode`, `score`, `window`, `report`,
`publish`. Outcomes of deliveries: `delivered`, `failed` (an alert is tried
again, a score is lost), `refused`, `dropped` (scores only).

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
