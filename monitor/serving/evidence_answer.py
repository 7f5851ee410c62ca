"""Pictures and clips as answers: players ask for ranges of a clip, and cannot wind without them."""

from __future__ import annotations

import hashlib
import re

from fastapi import Response

from monitor.alerting.evidence import EvidenceStore, Kind

MEDIA_TYPES: dict[Kind, str] = {"evidence": "image/jpeg", "heatmap": "image/jpeg", "clip": "video/mp4"}


def evidence_answer(
    store: EvidenceStore, alert_id: str, kind: Kind, asked_range: str | None, if_range: str | None = None
) -> Response | None:
    """The picture or clip of an alert, from wherever it is kept; None where it is not.

    asked_range, if_range: the request's `Range` and `If-Range`. It is read whole, for a clip is replaced by a longer
    one while somebody may be reading it: an answer is a piece of one of them, never of both.
    """
    data = store.read(alert_id, kind)
    return None if data is None else ranged(data, MEDIA_TYPES[kind], asked_range, if_range)


def ranged(data: bytes, media_type: str, asked_range: str | None, if_range: str | None = None) -> Response:
    """All of it, or 206 with the one range that was asked for. Several ranges at once get all, as HTTP allows, and so
    does a range of what it is no longer (`If-Range`); one that lies behind the end gets 416."""
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"Accept-Ranges": "bytes", "ETag": tag}
    asked = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", (asked_range or "").strip(), re.ASCII)
    whole = Response(data, media_type=media_type, headers=headers)
    if asked is None or if_range not in (None, tag):
        return whole
    first_given, last_given = asked.groups()
    if first_given:
        first = int(first_given)
        last = min(int(last_given), len(data) - 1) if last_given else len(data) - 1
        if last_given and int(last_given) < first:  # no range at all, which HTTP says to ignore
            return whole
    elif last_given:
        first, last = max(0, len(data) - int(last_given)), len(data) - 1
    else:
        return whole
    if first > last:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Response(data[first : last + 1], 206, media_type=media_type, headers=headers)
