"""The dashboard, the alerts and the page name only what the service shows."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client import generate_latest

from tests.deploy.round_trip import lost
from tests.metric_names import all_metrics, families, series
from tests.programs import require_program

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy/grafana/mammoseg.json"
RULES = ROOT / "deploy/prometheus/mammoseg.rules.yaml"
OF_PROMETHEUS = {"up"}
NAME = re.compile(r"\b(?:mammoseg|process)_\w+\b|\bup\b")


def texts(value: Any, *keys: str) -> Iterator[str]:
    """Yield each text that stands under one of the keys, at any depth."""
    if isinstance(value, list):
        for one in value:
            yield from texts(one, *keys)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key in keys and isinstance(one, str):
                yield one
            yield from texts(one, *keys)


def test_a_dashboard_query_names_only_metrics_that_there_are() -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    queries = [*texts(dashboard, "expr", "query")]
    named = {name for query in queries for name in NAME.findall(query)}
    assert len(named) > 25
    assert named - series() - {"mammoseg"} == set()


def test_a_dashboard_shows_every_metric_of_the_service() -> None:
    text = DASHBOARD.read_text("utf-8")
    own = {name for name in families() if name.startswith("mammoseg_")}
    assert {name for name in own if name not in text} == set()


def test_a_query_groups_by_labels_that_its_metrics_have() -> None:
    known = {"le", "instance", "job"} | {
        label for _, labels in families().values() for label in labels
    }
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    queries = [*texts(dashboard, "expr"), *texts(yaml.safe_load(RULES.read_text("utf-8")), "expr")]
    grouped = {
        label.strip()
        for query in queries
        for labels in re.findall(r"\b(?:by|on|group_left) \(([^)]*)\)", query)
        for label in labels.split(",")
    }
    assert grouped - known == set()


def test_grafanas_own_schema_knows_every_field_of_the_dashboard() -> None:
    plugins.register_default_plugins()
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    back = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(dashboard)))
    assert lost(dashboard, back) == []
    places = [
        {
            (panel["gridPos"]["x"] + dx, panel["gridPos"]["y"] + dy)
            for dx in range(panel["gridPos"]["w"])
            for dy in range(panel["gridPos"]["h"])
        }
        for panel in dashboard["panels"]
    ]
    assert len(set().union(*places)) == sum(map(len, places)), "panels lie on one another"
    assert max(x for place in places for x, _ in place) < 24
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


def test_an_alert_names_only_metrics_that_there_are() -> None:
    rules = yaml.safe_load(RULES.read_text("utf-8"))["groups"][0]["rules"]
    named = {name for rule in rules for name in NAME.findall(rule["expr"])}
    assert named - series() - OF_PROMETHEUS == set()
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert {"summary", "description"} == rule["annotations"].keys(), rule["alert"]


def test_an_alert_names_only_problem_codes_that_there_are() -> None:
    code = "".join(path.read_text("utf-8") for path in (ROOT / "service").rglob("*.py"))
    for name in re.findall(r'code="([^"]+)"', RULES.read_text("utf-8")):
        assert f'"{name}"' in code, name


def test_a_fresh_service_shows_what_alerts_see_grow_unless_they_see_it_begin() -> None:
    """Prometheus counts no growth of a series that begins with what it would count."""
    fresh = generate_latest(all_metrics().registry).decode()
    rules = yaml.safe_load(RULES.read_text("utf-8"))["groups"][0]["rules"]
    grows = re.compile(r'\b(?:rate|increase)\((\w+)\{(\w+="[^"]+")\}')
    seen = {
        found
        for rule in rules
        for found in grows.findall(rule["expr"])
        if f"max_over_time({found[0]}" not in rule["expr"] or "problems" in found[0]
    }
    assert len(seen) >= 4
    for name, label in seen:
        assert re.search(rf"^{name}\{{[^}}]*{label}", fresh, re.MULTILINE), (name, label)


def test_every_alert_is_tried() -> None:
    alerts = set(texts(yaml.safe_load(RULES.read_text("utf-8")), "alert"))
    tests = [yaml.safe_load(path.read_text("utf-8")) for path in RULES.parent.glob("*.test.yaml")]
    tried = {
        case["alertname"]
        for file in tests
        for test in file["tests"]
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert alerts == tried


def test_promtool_takes_the_rules_and_their_tests_hold() -> None:
    promtool = require_program("promtool", "prometheus")
    tests = sorted(path.name for path in RULES.parent.glob("*.test.yaml"))
    for arguments in (["check", "rules", RULES.name], ["test", "rules", *tests]):
        done = subprocess.run(
            [promtool, *arguments], cwd=RULES.parent, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_promtool_says_of_an_alert_that_does_not_fire_that_it_does_not(tmp_path: Path) -> None:
    promtool = require_program("promtool", "prometheus")
    blunt = RULES.read_text("utf-8").replace('{state="dead"} > 0', '{state="dead"} > 100')
    (tmp_path / RULES.name).write_text(blunt, "utf-8")
    test = RULES.parent / "mammoseg.test.yaml"
    (tmp_path / test.name).write_text(test.read_text("utf-8"), "utf-8")
    done = subprocess.run([promtool, "test", "rules", test.name], cwd=tmp_path, capture_output=True)
    assert done.returncode != 0


def test_the_page_lists_every_metric_with_its_labels() -> None:
    page = (ROOT / "docs/metrics.md").read_text("utf-8")
    told: dict[str, set[str]] = {}
    for names, labels in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|([^|]*)\|", page, re.MULTILINE):
        for name in re.findall(r"`((?:mammoseg|process)_\w+)`", names):
            told[name] = set(re.findall(r"`(\w+)`", labels))
    assert told == {name: set(labels) for name, (_, labels) in families().items()}
