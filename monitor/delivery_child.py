"""The program of the process that delivers for a worker: `python -m monitor.delivery_child PARENT`.

In a process of its own, since a webhook that fails half the time in a storm of alerts otherwise takes the interpreter
from the thread that judges: 500 frames a second became 300. It reads orders from standard input, a pickle each, and
writes what became of each try to standard output, a line of JSON each.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
from typing import Final

import structlog

from monitor import logs
from monitor.delivery_process import Begin, Order, Stop, Use
from monitor.delivery_wiring import wired_alone
from streams.capture import lifeline

log = structlog.get_logger(__name__)

NICE: Final = 10
"""Where processors are scarce the scoring goes first."""


def main() -> None:
    """Deliver until the parent says stop, or is gone."""
    lifeline.die_with(int(sys.argv[1]))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent ends us, in order
    os.nice(NICE)
    out = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not get between the lines
    orders = os.fdopen(os.dup(0), "rb")
    begin = _next(orders)
    assert isinstance(begin, Begin)
    logs.set_up(begin.log_format, begin.log_level)
    writing = threading.Lock()

    def told(channel: str, outcome: str, late_s: float | None) -> None:
        line = json.dumps({"channel": channel, "outcome": outcome, "late_s": late_s}).encode() + b"\n"
        with writing:
            os.write(out, line)

    settings = begin.settings
    wired = wired_alone(lambda: settings, begin.base_url, told)
    wired.delivering.start()
    while not isinstance(order := _next(orders), Stop):
        assert isinstance(order, Use)
        try:
            lay = wired.delivering.prepare(order.settings)
        except ValueError as error:  # the parent could make them: a file has changed since
            log.error("channels_not_changed", error=str(error), remedy="mend it and reload again")
            continue
        settings = order.settings
        lay()
    wired.delivering.stop(order.flush_s)


def _next(orders: object) -> Order:
    """Whoever has a parent that is gone is gone as well: another process goes on with what is in Redis."""
    try:
        order: Order = pickle.load(orders)  # type: ignore[arg-type]  # from our parent, who could do all that we can
    except (EOFError, OSError, pickle.UnpicklingError):
        os._exit(0)
    return order


if __name__ == "__main__":
    main()
