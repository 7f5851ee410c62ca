"""Panels of how long something takes, from a histogram."""

from dashboards.panels import Panel, Query, timeseries

_RATE = "$__rate_interval"


def latency(title: str, description: str, histogram: str) -> Panel:
    """p50, p95 and p99 of all workers together."""
    quantiles = [(0.5, "p50"), (0.95, "p95"), (0.99, "p99")]
    queries = [quantile(histogram, share, name) for share, name in quantiles]
    return timeseries(title, description, "s", queries, minimum=0)


def quantile(histogram: str, share: float, legend: str) -> Query:
    """One quantile of all workers together."""
    return Query(f"histogram_quantile({share}, sum by (le) (rate({histogram}_bucket[{_RATE}])))", legend)


def latency_by(label: str, title: str, description: str, histogram: str, selected: str) -> Panel:
    """p50 and p95 for each value of a label."""
    return timeseries(
        title,
        description,
        "s",
        [
            Query(
                f"histogram_quantile({share}, sum by (le, {label}) (rate({histogram}_bucket{selected}[{_RATE}])))",
                f"{{{{{label}}}}} {name}",
            )
            for share, name in ((0.5, "p50"), (0.95, "p95"))
        ],
        minimum=0,
    )
