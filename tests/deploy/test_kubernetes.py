"""deploy/kubernetes: what kustomize makes of it, held against schemas and the service."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.capacity.plan import MemoryPlan
from service.postgres_options import PORT
from service.settings import Settings
from tests.deploy.kubernetes_objects import (
    ENTRIES,
    ROOT,
    Object,
    built,
    containers,
    made,
    mib,
    of_kind,
    pods,
    selects,
    values,
    workloads,
)
from tests.thinned import thinned

pytestmark = pytest.mark.integration
VERSIONS = ("1.29", "1.32", "1.37")
"""Of Kubernetes: the oldest that has all that is used, and newer ones."""

MARGIN_MIB = 256
"""Of a container's limit over MEMORY_MIB."""


def hold_against_schema(one: Object, version: str) -> None:
    """Raise where Kubernetes' own schema of a version does not know an object as it is."""
    # Imported late, as below: it would be a good part of what it takes to collect any tests.
    import kubernetes_validate

    kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("version", thinned(VERSIONS, 3))
@pytest.mark.parametrize("entry", ENTRIES)
def test_kubernetes_own_schema_takes_every_object_and_knows_every_field(
    entry: str, version: str
) -> None:
    for one in made(entry):
        if one["kind"] != "ServiceMonitor":
            hold_against_schema(one, version)


def test_the_schema_refuses_a_field_that_there_is_not() -> None:
    one = json.loads(json.dumps(made("base")[0]))
    from kubernetes_validate import ValidationError

    one["metadata"]["colour"] = "x"
    with pytest.raises(ValidationError):
        hold_against_schema(one, VERSIONS[0])


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_pod_is_of_the_restricted_pod_security_standard(entry: str) -> None:
    for pod in pods(entry):
        context = pod["securityContext"]
        assert (context["runAsNonRoot"], context["runAsUser"]) == (True, 10001)
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        kinds = {kind for volume in pod["volumes"] for kind in volume.keys() - {"name"}}
        assert kinds <= {"secret", "emptyDir", "persistentVolumeClaim"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_container_is_given_settings_that_there_are_and_memory_for_them(entry: str) -> None:
    for container in containers(entry):
        given, limits = values(container), container["resources"]["limits"]
        assert given.keys() <= Settings.model_fields.keys()
        settings: dict[str, Any] = given | {"destinations": "http://archive/dicom-web"}
        if "inbox_database" in given:
            settings["inbox_database"] = "postgresql://a@b/c"
        Settings(**settings).access_options()
        # On an address that is not the loopback it does not start without.
        (keys,) = (one for one in container["volumeMounts"] if one["name"] == "keys")
        assert Path(given["keys_file"]).parent == Path(keys["mountPath"])
        assert container["resources"]["requests"]["memory"] == limits["memory"]
        cores, memory = int(limits["cpu"]), int(given["memory_mib"])
        plan = MemoryPlan.of(memory, runners=cores, cores=cores, max_body_mib=128)
        if container["args"] == ["scp"]:
            # One reader beside the process itself, which took 124 MiB at rest on 2026-11-29.
            assert mib(limits["memory"]) > 124 + 88 + plan.reader_mib + MARGIN_MIB
        else:
            assert mib(limits["memory"]) >= memory + MARGIN_MIB
            assert memory >= 288 * cores


@pytest.mark.parametrize("entry", ENTRIES)
def test_kubernetes_own_variables_are_not_taken_for_settings(entry: str) -> None:
    assert all(pod["enableServiceLinks"] is False for pod in pods(entry))


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_pod_has_time_to_finish_what_it_accepted(entry: str) -> None:
    for pod in pods(entry):
        given = values(pod["containers"][0])
        # Deliveries under way have five seconds more.
        needed = float(given["lame_duck_s"]) + float(given["drain_s"]) + 5
        assert pod["terminationGracePeriodSeconds"] > needed


@pytest.mark.parametrize("entry", ENTRIES)
def test_probes_ask_routes_that_there_are_and_a_busy_service_is_not_killed(entry: str) -> None:
    routes = yaml.safe_load((ROOT / "openapi.yaml").read_text("utf-8"))["paths"]
    for container in containers(entry):
        ports = {port["name"] for port in container["ports"]}
        startup, ready, live = (
            container[f"{name}Probe"] for name in ("startup", "readiness", "liveness")
        )
        for probe in (startup, ready, live):
            action = probe.get("httpGet") or probe["tcpSocket"]
            assert action["port"] in ports
            assert "httpGet" not in probe or action["path"] in routes
        # docs/reliability.md: 18.3 s was the longest under attack.
        assert live["periodSeconds"] * live["failureThreshold"] >= 60
        assert live["timeoutSeconds"] >= 10
        if container["args"] == ["serve"]:
            assert (ready["httpGet"]["path"], live["httpGet"]["path"]) == (
                "/health/ready",
                "/health/live",
            )


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_selects_pods_selects_pods_that_there_are(entry: str) -> None:
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in workloads(entry)]
    selectors = [one["spec"]["selector"] for one in of_kind(entry, "Service")]
    selectors += [
        one["spec"]["selector"]["matchLabels"]
        for one in of_kind(entry, "PodDisruptionBudget", "Deployment", "StatefulSet")
    ]
    policies = [one["spec"] for one in of_kind(entry, "NetworkPolicy")]
    selectors += [one["podSelector"]["matchLabels"] for one in policies]
    for selector in selectors:
        assert any(selects(selector, pod) for pod in labels), selector
    closed = [one for one in policies if one["policyTypes"] == ["Ingress", "Egress"]]
    for pod in labels:
        assert any(selects(one["podSelector"]["matchLabels"], pod) for one in closed), pod
    for service in of_kind(entry, "Service"):
        (workload,) = (
            one
            for one in workloads(entry)
            if selects(service["spec"]["selector"], one["spec"]["template"]["metadata"]["labels"])
        )
        template = workload["spec"]["template"]["spec"]
        ports = {port["name"] for one in template["containers"] for port in one["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@pytest.mark.parametrize("entry", ENTRIES)
def test_images_are_of_this_version_and_secrets_are_named_only(entry: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    images = {container["image"] for container in containers(entry)}
    assert images <= {f"mammoseg:{version}", f"mammoseg-gpu:{version}"}
    assert ("mammoseg-gpu" in str(images)) == (entry == "overlays/gpu")
    assert of_kind(entry, "Secret", "ConfigMap") == []


def test_the_inbox_fits_its_volume_and_is_a_folder_in_it() -> None:
    (inbox,) = of_kind("overlays/cpu", "StatefulSet")
    pod = inbox["spec"]["template"]["spec"]
    (claim,) = inbox["spec"]["volumeClaimTemplates"]
    for container in pod["containers"]:
        given = values(container)
        storage = claim["spec"]["resources"]["requests"]["storage"]
        assert mib(storage) >= 1.1 * int(given["inbox_mib"])
        (mount,) = (
            one["mountPath"]
            for one in container["volumeMounts"]
            if one["name"] == claim["metadata"]["name"]
        )
        # The volume's own folder may be looked into by others, which an inbox refuses.
        assert Path(mount) in Path(given["inbox"]).parents


def test_replicas_of_the_inbox_share_a_volume_and_a_database() -> None:
    (inbox,) = of_kind("overlays/replicas", "StatefulSet")
    (claim,) = of_kind("overlays/replicas", "PersistentVolumeClaim")
    assert inbox["spec"]["replicas"] > 1
    assert "volumeClaimTemplates" not in inbox["spec"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    pod = inbox["spec"]["template"]["spec"]
    volumes = {one["name"]: one for one in pod["volumes"]}
    named = volumes["inbox"]["persistentVolumeClaim"]["claimName"]
    assert named == claim["metadata"]["name"]
    storage = mib(claim["spec"]["resources"]["requests"]["storage"])
    for container in pod["containers"]:
        assert storage >= 1.1 * int(values(container)["inbox_mib"])
        mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
        assert Path(mounts["inbox"]) in Path(values(container)["inbox"]).parents
        (database,) = (one for one in container["env"] if one["name"] == "MAMMOSEG_INBOX_DATABASE")
        secret = database["valueFrom"]["secretKeyRef"]["name"]
        assert secret == volumes["database"]["secret"]["secretName"]
    (policy,) = (
        one["spec"]
        for one in of_kind("overlays/replicas", "NetworkPolicy")
        if one["metadata"]["name"] == "mammoseg-inbox-database"
    )
    assert policy["egress"][0]["ports"][0]["port"] == PORT


def test_a_sites_own_folder_is_made_as_the_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    site, policy = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "kustomization.yaml").write_text(site)
    (tmp_path / "archive.yaml").write_text(policy)
    (tmp_path / "mammoseg").symlink_to(ROOT)
    objects = built(tmp_path)
    assert {one["metadata"]["namespace"] for one in objects} == {"mammoseg"}
    assert len(objects) == len(made("overlays/cpu")) + 1
    told = yaml.safe_load(site)["images"][0]
    images = {
        container["image"]
        for one in objects
        if one["kind"] in ("Deployment", "StatefulSet")
        for container in one["spec"]["template"]["spec"]["containers"]
    }
    assert images == {f"{told['newName']}@{told['digest']}"}
    hold_against_schema(yaml.safe_load(policy), VERSIONS[0])
