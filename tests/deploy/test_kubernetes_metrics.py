"""What Prometheus, its operator and its adapter find in deploy/kubernetes."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.kubernetes_objects import FOLDER, of_kind, selects
from tests.deploy.round_trip import lost
from tests.metric_names import families
from tests.programs import require_program

pytestmark = pytest.mark.integration


@pytest.mark.long
def test_the_prometheus_operators_own_types_know_every_field_of_the_monitor() -> None:
    (monitor,) = of_kind("overlays/cpu", "ServiceMonitor")
    # Late, for the time that it takes.
    from cloudcoil.models.prometheus_operator.v1 import ServiceMonitor

    back = ServiceMonitor.model_validate(monitor).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    assert lost(monitor, back) == []
    wrong = monitor | {"spec": monitor["spec"] | {"colour": "x"}}
    back = ServiceMonitor.model_validate(wrong).model_dump(by_alias=True, exclude_none=True)
    assert lost(wrong, back) == ["/spec/colour"]


@pytest.mark.parametrize("entry", ["overlays/cpu", "overlays/gpu"])
def test_replicas_follow_a_metric_of_the_service_and_the_inbox_does_not(entry: str) -> None:
    (scaler,) = of_kind(entry, "HorizontalPodAutoscaler")
    target = scaler["spec"]["scaleTargetRef"]
    (deployment,) = of_kind(entry, "Deployment")
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert "replicas" not in deployment["spec"]
    (metric,) = (one["pods"]["metric"]["name"] for one in scaler["spec"]["metrics"])
    assert families()[metric] == ("gauge", ())
    (inbox,) = of_kind(entry, "StatefulSet")
    assert inbox["spec"]["replicas"] == 1


def test_promtool_takes_the_query_that_the_adapter_makes(tmp_path: Path) -> None:
    promtool = require_program("promtool", "prometheus")
    values = FOLDER / "components" / "autoscaling" / "adapter-values.yaml"
    (rule,) = yaml.safe_load(values.read_text("utf-8"))["rules"]["custom"]
    (scaler,) = of_kind("overlays/cpu", "HorizontalPodAutoscaler")
    asked = scaler["spec"]["metrics"][0]["pods"]["metric"]["name"]
    assert rule["seriesQuery"].startswith(asked + "{")
    assert rule["name"]["as"] == asked and re.fullmatch(rule["name"]["matches"], asked)
    query = rule["metricsQuery"]
    for place, text in {"Series": asked, "LabelMatchers": 'pod=~"a|b"', "GroupBy": "pod"}.items():
        assert f"<<.{place}>>" in query
        query = query.replace(f"<<.{place}>>", text)
    rules = [{"record": "asked", "expr": expr} for expr in (query, rule["seriesQuery"])]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "adapter", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True)
    # Two records of one name are warned of, not refused.
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_metrics_key_stands_where_prometheus_looks_for_it() -> None:
    (monitor,) = of_kind("overlays/cpu", "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    for service in of_kind("overlays/cpu", "Service"):
        labels = service["metadata"]["labels"]
        assert selects(monitor["spec"]["selector"]["matchLabels"], labels)
        assert labels[monitor["spec"]["jobLabel"]] == "mammoseg"
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
