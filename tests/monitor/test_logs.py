"""What a log line shows of text that comes from outside."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog

from monitor import logs


@pytest.fixture
def said() -> Iterator[StringIO]:
    """What the service's own handler writes, in text."""
    root, into = logging.getLogger(), StringIO()
    before, level = list(root.handlers), root.level
    logs.set_up("text")
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(into)
    yield into
    root.handlers[:] = before
    root.setLevel(level)


def test_names_cannot_steer_a_terminal_nor_make_lines_of_their_own(said: StringIO) -> None:
    log = structlog.get_logger("monitor.test")
    log.info("ordered", by="Eve\x1b[2J", why="a\n2026 [error] b", camera="x\x9b31m", name="\u202egnp", fine="Zoë")
    logging.getLogger("monitor.other").warning("they say \x1b]0;title\x07")
    lines = said.getvalue().splitlines()
    assert len(lines) == 2 and all(line.isprintable() for line in lines)
    assert "Eve\\x1b[2J" in lines[0] and "fine=Zoë" in lines[0] and "\\x1b]0;title" in lines[1]
