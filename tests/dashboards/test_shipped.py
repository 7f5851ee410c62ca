"""The shipped dashboards and rules: current, well formed, and naming only metrics that exist."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from shipped import (
    DASHBOARD_FILES,
    METRIC_NAME,
    PROVISIONING,
    dashboard,
    expressions,
    load_yaml,
    panels,
    rules,
    variable_queries,
)

from dashboards import build
from dashboards.push import FOLDER_TITLE, FOLDER_UID
from monitor.serving.metrics import DECLARED

EXPRESSIONS = expressions()
PANELS = [pytest.param(panel, id=f"{path.stem}-{panel['id']}") for path in DASHBOARD_FILES for panel in panels(path)]
COUNTER_FUNCTIONS = r"(?:rate|irate|increase)\("


def test_the_generated_files_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--check"]) == 0, capsys.readouterr().err


def test_check_finds_a_changed_and_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = ["--directory", str(tmp_path)]
    assert build.main(["--check", *directory]) == 1
    assert "line.json: not current" in capsys.readouterr().err
    assert build.main(directory) == 0
    assert build.main(["--check", *directory]) == 0
    (tmp_path / "dashboards" / "line.json").write_text("{}")
    assert build.main(["--check", *directory]) == 1


def test_there_are_dashboards_and_rules() -> None:
    assert [path.name for path in DASHBOARD_FILES] == ["delivery.json", "line.json"]
    assert len(rules()) == 9
    assert len(EXPRESSIONS) > 30


@pytest.mark.parametrize("where", [*EXPRESSIONS, *variable_queries()])
def test_every_metric_named_is_declared_by_the_monitor(where: str) -> None:
    named = set(METRIC_NAME.findall((EXPRESSIONS | variable_queries())[where]))
    assert named or "up{" in EXPRESSIONS[where], "names no metric at all"
    assert named <= DECLARED, f"not declared in monitor/serving/metrics.py: {named - DECLARED}"


@pytest.mark.parametrize("path", DASHBOARD_FILES, ids=lambda path: path.stem)
def test_a_dashboard_can_be_provisioned_and_pushed(path: Path) -> None:
    model = dashboard(path)
    assert len(model["uid"]) <= 40 and re.fullmatch(r"[a-z0-9-]+", model["uid"])
    assert model["editable"] is False
    assert model.get("id") is None
    assert model["title"] not in _folder_names()
    assert not model.get("__inputs"), "an import form has nobody to fill it in here"


@pytest.mark.parametrize("path", DASHBOARD_FILES, ids=lambda path: path.stem)
def test_panel_ids_are_unique_and_panels_do_not_overlap(path: Path) -> None:
    model = dashboard(path)
    ids = [panel["id"] for panel in model["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in model["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("path", DASHBOARD_FILES, ids=lambda path: path.stem)
def test_the_template_variables_are_there_and_used(path: Path) -> None:
    model = dashboard(path)
    variables = {variable["name"]: variable for variable in model["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    (chosen,) = variables.keys() & {"camera", "channel"}
    assert variables[chosen]["multi"] is True
    assert variables[chosen]["includeAll"] is True
    body = yaml.safe_dump(model["panels"], width=10_000)
    for name in variables:
        assert f"${{{name}" in body or f"${name}" in body, f"${name} is used nowhere"


@pytest.mark.parametrize("path", DASHBOARD_FILES, ids=lambda path: path.stem)
def test_alert_regions_are_shown(path: Path) -> None:
    (query,) = dashboard(path)["annotations"]["list"]
    assert query["enable"] is True
    assert query["target"]["tags"] == ["linewatch"]
    assert query["datasource"]["uid"] == "-- Grafana --"


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_has_title_description_source_unit_and_targets(panel: dict[str, Any]) -> None:
    assert panel["title"].strip()
    assert panel["description"].strip().endswith(".")
    if panel["type"] == "text":
        assert panel["options"]["mode"] == "html"
        assert "${base_url}/api/cameras/${camera:percentencode}/latest.jpg" in (panel["options"]["content"])
        return
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}"
        assert target["legendFormat"]


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_counters_are_rated_over_the_interval_of_the_page(where: str) -> None:
    expr = EXPRESSIONS[where]
    if "Ledger difference" in where:
        # The one place where the counters' own values are compared.
        return
    for window in re.findall(r"\[([^\]]+)\]", expr):
        if not where.startswith("rule "):
            # EEMUA 191 counts alarms in ten minutes, whatever the page shows.
            assert window == ("10m" if ": Alarms in " in where else "$__rate_interval")
    for counter in re.findall(r"linewatch_\w+_(?:total|bucket|count|sum)\b", expr):
        assert re.search(rf"{COUNTER_FUNCTIONS}{counter}\b", expr), f"{counter} is not rated"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_every_expression(tmp_path: Path) -> None:
    records = [
        {"record": f"check:number{index}", "expr": _without_variables(expr)}
        for index, expr in enumerate(EXPRESSIONS.values())
    ]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": records}]}))
    done = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["uid"])
def test_a_rule_is_a_query_reduced_and_compared(rule: dict[str, Any]) -> None:
    assert len(rule["uid"]) <= 40
    query, reduce, threshold = rule["data"]
    assert [query["refId"], reduce["refId"], threshold["refId"]] == ["A", "B", "C"]
    assert rule["condition"] == "C"
    assert query["datasourceUid"] in _datasource_uids()
    assert query["model"]["instant"] is True
    assert reduce["datasourceUid"] == threshold["datasourceUid"] == "__expr__"
    assert reduce["model"]["type"] == "reduce" and reduce["model"]["expression"] == "A"
    assert threshold["model"]["type"] == "threshold" and threshold["model"]["expression"] == "B"
    (condition,) = threshold["model"]["conditions"]
    assert condition["evaluator"]["type"] == "gt"
    assert all(step["relativeTimeRange"]["from"] > 0 for step in rule["data"])
    assert rule["noDataState"] in ("OK", "NoData", "Alerting", "KeepLast")
    assert rule["execErrState"] in ("OK", "Error", "Alerting", "KeepLast")
    assert re.fullmatch(r"\d+[sm]", rule["for"])
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"] and rule["annotations"]["description"]
    # Provisioning expands $NAME in labels, so a template there would have to be escaped.
    assert "$" not in "".join(rule["labels"].values())


def test_rule_uids_are_unique() -> None:
    uids = [rule["uid"] for rule in rules()]
    assert len(set(uids)) == len(uids)


def test_a_worker_that_is_gone_alerts_though_its_series_are_gone() -> None:
    (rule,) = [rule for rule in rules() if rule["uid"] == "linewatch-worker-gone"]
    assert rule["noDataState"] == "Alerting"


def test_the_provider_and_push_use_the_same_folder() -> None:
    (provider,) = load_yaml(PROVISIONING / "dashboards" / "linewatch.yaml")["providers"]
    assert (provider["folderUid"], provider["folder"]) == (FOLDER_UID, FOLDER_TITLE)
    assert provider["allowUiUpdates"] is False
    (group,) = load_yaml(PROVISIONING / "alerting" / "linewatch.yaml")["groups"]
    assert group["folder"] != provider["folder"]


def test_the_picture_source_is_the_one_that_the_dashboard_asks_and_hides() -> None:
    sources = load_yaml(PROVISIONING / "datasources" / "linewatch.yaml")["datasources"]
    by_uid = {source["uid"]: source for source in sources}
    assert all(len(uid) <= 40 for uid in by_uid)
    variables = {item["name"]: item for item in dashboard(_file("line"))["templating"]["list"]}
    prefix, _, uid = variables["base_url"]["query"].rpartition("/")
    assert prefix == "/api/datasources/proxy/uid"
    pattern = variables["datasource"]["regex"].strip("/")
    assert [name["uid"] for name in sources if not re.match(pattern, name["name"])] == [uid]
    assert by_uid[uid]["secureJsonData"]["httpHeaderValue1"].startswith("Bearer $__file{")


def _without_variables(expr: str) -> str:
    return expr.replace("$__rate_interval", "1m").replace("$camera", "line-1").replace("$channel", "mail")


def _file(stem: str) -> Path:
    return next(path for path in DASHBOARD_FILES if path.stem == stem)


def _folder_names() -> set[str]:
    provider = load_yaml(PROVISIONING / "dashboards" / "linewatch.yaml")["providers"][0]
    return {provider["folder"], FOLDER_TITLE}


def _datasource_uids() -> set[str]:
    sources = load_yaml(PROVISIONING / "datasources" / "linewatch.yaml")["datasources"]
    return {source["uid"] for source in sources}
