"""The section of the dashboard "linewatch: line" on what is normal for each camera."""

from dashboards.panels import GridLine, Query, Section, state_timeline, timeseries

_CAMERA = '{camera=~"$camera"}'
_RATE = "$__rate_interval"
_PHASES = {"cold": "blue", "warming": "yellow", "ready": "green", "stale": "purple", "drifting": "orange"}


def baselines() -> Section:
    phases = [
        Query(
            f'{index} * (linewatch_baseline_phase{{camera=~"$camera", phase="{phase}"}} == 1)',
            "{{camera}}",
        )
        for index, phase in enumerate(_PHASES, start=1)
    ]
    life = state_timeline(
        "Baselines",
        "What each camera's window is good for: cold and warming go by the model's calibration, stale by the range of "
        "before, drifting is about to be learnt anew.",
        Query(" or ".join(query.expr for query in phases), "{{camera}}"),
        {
            str(index): {"text": phase, "color": colour, "index": index}
            for index, (phase, colour) in enumerate(_PHASES.items(), start=1)
        },
    )
    frames = timeseries(
        "Frames in the window",
        "How many frames the range and the threshold of each camera rest on.",
        "short",
        [Query(f"linewatch_baseline_frames{_CAMERA}", "{{camera}}")],
        minimum=0,
    )
    refused = timeseries(
        "Refused frames",
        "Anomalous frames kept out of the window, less the normal ones since: what rises on and on is drift.",
        "short",
        [Query(f"linewatch_baseline_refused_frames{_CAMERA}", "{{camera}}")],
        minimum=0,
    )
    relearnt = timeseries(
        "Learnt anew",
        "Baselines that became what was refused before: a lasting change of the line, the light or the camera.",
        "short",
        [Query(f"sum by (camera) (increase(linewatch_baselines_relearnt_total{_CAMERA}[{_RATE}]))", "{{camera}}")],
        custom={"drawStyle": "bars", "fillOpacity": 80},
        minimum=0,
    )
    shelved = state_timeline(
        "Shelved",
        "When nobody was called about a camera: shelved by somebody, or under maintenance.",
        Query(f"linewatch_camera_shelved{_CAMERA} == 1", "{{camera}}"),
        {"1": {"text": "shelved", "color": "purple", "index": 0}},
    )
    return Section("Baselines", [GridLine(7, [life, shelved]), GridLine(7, [frames, refused, relearnt])])
