"""Logs: structured, on standard error, as text for people or JSON for machines."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import cv2
import structlog

LogFormat = Literal["text", "json"]

_current: tuple[LogFormat, str] = ("text", "info")


def current() -> tuple[LogFormat, str]:
    """The format and the level that were set up last, for a process that is to log likewise."""
    return _current


def set_up(log_format: LogFormat = "text", level: str = "info") -> None:
    """Send our logs, and the libraries' warnings, to standard error in one format.

    OpenCV's own messages are silenced: they go to standard error past every format, and may hold the address of a
    camera with its password. What they would tell is told by our sources.
    """
    global _current  # noqa: PLW0603 - as logging itself is
    _current = (log_format, level)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=log_format == "json"),
    ]
    last: Any = (
        structlog.processors.JSONRenderer()  # which escapes by itself
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # the default shows local variables, secrets and all
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([structlog.processors.format_exc_info] if log_format == "json" else [_escaped]),
                last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for ours in ("monitor", "streams", "models", "dashboards"):
        logging.getLogger(ours).setLevel(level.upper())
    # kafka-python repeats every failed connection attempt several times a second; our sources tell of it once. And its
    # debug messages hold the logins of SASL.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)


def _escaped(_logger: Any, _method: str, said: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Names come from outside: on a terminal their control characters would be carried out. Line breaks in values are
    shown by the renderer."""
    for key, value in said.items():
        if isinstance(value, str) and not value.isprintable():
            said[key] = "".join(
                c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in value
            )
    return said
