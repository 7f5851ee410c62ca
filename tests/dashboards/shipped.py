"""The shipped dashboards and rules, read as Grafana reads them."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

PROVISIONING = Path(__file__).parents[2] / "dashboards" / "provisioning"
DASHBOARD_FILES = sorted((PROVISIONING / "dashboards").glob("*.json"))
RULE_FILES = sorted((PROVISIONING / "alerting").glob("*.yaml"))
METRIC_NAME = re.compile(r"\blinewatch_[a-z0-9_]+")


def dashboard(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def load_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def panels(path: Path) -> list[dict[str, Any]]:
    """All panels, those of collapsed rows too, without the rows."""
    flat: list[dict[str, Any]] = []
    for panel in dashboard(path)["panels"]:
        flat.extend([panel, *panel.get("panels", [])])
    return [panel for panel in flat if panel["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    return [rule for path in RULE_FILES for group in load_yaml(path)["groups"] for rule in group["rules"]]


def expressions() -> dict[str, str]:
    """Every PromQL expression, with Grafana's variables in it, by where it stands."""
    found = {}
    for path in DASHBOARD_FILES:
        for panel in panels(path):
            for target in panel.get("targets", []):
                found[f"{path.name}: {panel['title']}: {target['refId']}"] = target["expr"]
    for rule in rules():
        for step in rule["data"]:
            if "expr" in step["model"]:
                found[f"rule {rule['uid']}: {step['refId']}"] = step["model"]["expr"]
    return found


def variable_queries() -> dict[str, str]:
    return {
        f"{path.name}: variable {variable['name']}": variable["definition"]
        for path in DASHBOARD_FILES
        for variable in dashboard(path)["templating"]["list"]
        if variable["type"] == "query"
    }
