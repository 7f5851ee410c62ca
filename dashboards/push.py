"""Publishes the shipped dashboards to a Grafana that is not provisioned from files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboards.grafana import GrafanaClient, PushOutcome

FOLDER_UID = "linewatch"
FOLDER_TITLE = "linewatch"
SHIPPED_DASHBOARDS = Path(__file__).parent / "provisioning" / "dashboards"


class DashboardFileError(ValueError):
    """A dashboard's file cannot be used; names the file and what was expected."""


@dataclass(frozen=True)
class Pushed:
    """What was done with one dashboard."""

    uid: str
    title: str
    outcome: PushOutcome


def push(client: GrafanaClient, directory: Path = SHIPPED_DASHBOARDS) -> list[Pushed]:
    """Make the folder and save every dashboard of the directory in it, in the files' order.

    All files are read before anything is sent. Repeating it changes nothing.
    Raises DashboardFileError, GrafanaUnavailable, GrafanaRejected.
    """
    dashboards = [_read(path) for path in sorted(directory.glob("*.json"))]
    if not dashboards:
        raise DashboardFileError(f"{directory}: holds no dashboard (*.json)")
    client.ensure_folder(FOLDER_UID, FOLDER_TITLE)
    return [Pushed(model["uid"], model["title"], client.push_dashboard(model, FOLDER_UID)) for model in dashboards]


def _read(path: Path) -> Mapping[str, Any]:
    try:
        model = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DashboardFileError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(model, dict) or not all(
        isinstance(model.get(key), str) and model[key] for key in ("uid", "title")
    ):
        raise DashboardFileError(f"{path}: a dashboard needs the keys 'uid' and 'title', as text")
    return model
