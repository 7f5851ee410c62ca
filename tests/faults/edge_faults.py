"""At the edge: the broker is away, and once there is no room on the disk either."""

from __future__ import annotations

from tests.faults.edge_lab import FPS, EdgeLab
from tests.faults.outcome import Fault, Outcome
from tests.faults.process import until


def edge_broker_away(lab: EdgeLab, outage_s: float) -> Outcome:
    """What the cameras deliver meanwhile waits on the disk, and arrives afterwards."""
    ingest = lab.ingest
    dropped = ingest.count("dropped")
    fault = Fault("Ingest: the broker cuts and refuses connections")
    lab.door.shut()
    fault.noticed({"/metrics `broker_up`": lambda: not ingest.broker_up})
    fault.lasts(outage_s)
    kept = ingest.buffered
    assert kept > FPS * (outage_s - 5), f"{kept} frames in the buffer after {outage_s:.0f} s"
    lab.door.open()
    fault.over()
    recovered_s = fault.recovered(lambda: ingest.broker_up and ingest.buffered == 0, "the buffer is empty again")
    assert ingest.count("dropped") == dropped, "frames were dropped though there was room in the buffer"
    return fault.outcome(recovered_s, f"{kept} frames waited in the buffer and arrived, none was dropped")


def buffer_disk_full(lab: EdgeLab, outage_s: float) -> Outcome:
    """What cannot be kept is dropped and counted, and once there is room the buffer takes frames again."""
    ingest = lab.ingest
    lab.door.shut()
    assert until(lambda: ingest.buffered > 0, 30) is not None, ingest.tail()
    kind = "file system" if lab.disk.mounted else "limit on files"
    fault = Fault(f"Ingest: disk full for the buffer ({kind}) while the broker is away")
    lab.disk.fill(ingest.pid)
    # A limit on files is an error of another kind than a file system without room.
    reason = "disk_full" if lab.disk.mounted else "disk_error"
    fault.noticed({f"/metrics `dropped` {reason}": lambda: ingest.count("dropped", reason=reason) > 0})
    fault.lasts(outage_s)
    lab.disk.free(ingest.pid)
    dropped, kept = ingest.count("dropped"), ingest.buffered
    fault.over()
    recovered_s = fault.recovered(lambda: ingest.buffered > kept, "the buffer takes frames again")
    lab.door.open()
    assert until(lambda: ingest.broker_up and ingest.buffered == 0, 60) is not None, ingest.tail()
    return fault.outcome(recovered_s, f"{dropped} frames dropped and counted; those kept before and after arrived")
