"""Manifests for Kubernetes: kustomize builds them, the schemas hold, and what they name is
there.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.alert.routing_file import load_routing
from detector.cli import COMMANDS
from detector.settings import load

pytestmark = pytest.mark.debian
BIN = Path(sys.executable).parent
OVERLAYS = ["base", "overlays/prometheus-operator", "overlays/fleet"]
# Kinds of operators, of which Kubernetes has no schema.
OF_OPERATORS = ("PodMonitor", "ScaledObject")


@pytest.fixture(params=OVERLAYS)
def built(request, program: Callable[[str, str], str], deploy: Path, tmp_path: Path) -> Path:
    """A file with all manifests of an overlay."""
    folder = deploy / "kubernetes" / request.param
    done = subprocess.run(
        [program("kubectl", "kubectl of Kubernetes, 1.22 or newer"), "kustomize", folder],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    file = tmp_path / "manifests.yaml"
    file.write_text(done.stdout)
    return file


def _objects(built: Path, name: str = "oopswatch") -> dict[str, dict[str, Any]]:
    """The manifests of the app of this name by kind: there is one of each."""
    listed = [
        item
        for item in yaml.safe_load_all(built.read_text())
        if item["metadata"]["labels"]["app.kubernetes.io/name"] == name
    ]
    objects = {item["kind"]: item for item in listed}
    assert len(objects) == len(listed)
    return objects


def _pods(built: Path) -> list[dict[str, Any]]:
    """The pods of all apps."""
    return [
        item["spec"]["template"]["spec"]
        for item in yaml.safe_load_all(built.read_text())
        if item["kind"] == "StatefulSet"
    ]


def _validated(file: Path) -> subprocess.CompletedProcess[str]:
    """What the schemas say of manifests."""
    return subprocess.run(
        [BIN / "kubernetes-validate", "--strict", file],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_manifests_keep_the_schemas(built):
    """Every field is known; only the operators' own kinds have no schema in Kubernetes."""
    done = _validated(built)
    assert done.returncode == 0, done.stdout + done.stderr
    warned = [line for line in (done.stdout + done.stderr).splitlines() if "WARN" in line]
    assert all(any(f"kind {kind}" in line for kind in OF_OPERATORS) for line in warned)


def test_an_unknown_field_would_be_noticed(built):
    """The check above can fail."""
    built.write_text(built.read_text().replace("enableServiceLinks:", "enableServiceLink:"))
    assert _validated(built).returncode != 0


def test_pods_are_restricted(built):
    """What Pod Security's level `restricted` demands, and a root file system that nobody writes."""
    for pod in _pods(built):
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["enableServiceLinks"] is False
        assert pod["automountServiceAccountToken"] is False


def test_settings_of_the_pod_hold(built, tmp_path):
    """The ConfigMap's files load; the paths in them are mounted, the ports are declared."""
    objects = _objects(built)
    pod = objects["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    files = objects["ConfigMap"]["data"]
    text = files["oopswatch.toml"]
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    tokens = tmp_path / "tokens.toml"
    tokens.write_text("")
    local = text.replace("/etc/oopswatch-access/", f"{tmp_path}/").replace(
        "/etc/oopswatch/", f"{tmp_path}/"
    )
    (tmp_path / "oopswatch.toml").write_text(local)
    settings, _ = load(tmp_path / "oopswatch.toml", {}, {})
    assert load_routing(settings.alert.file).receivers
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounts[str(settings.store.path.parent)] == "history"
    assert {"/etc/oopswatch", "/etc/oopswatch-access", "/tmp"} <= set(mounts)
    volumes = {volume["name"] for volume in pod["volumes"]} | {"history"}
    assert set(mounts.values()) == volumes
    command, *_ = container["args"]
    assert command in COMMANDS
    (settings_volume,) = [item for item in pod["volumes"] if item["name"] == "settings"]
    assert settings_volume["configMap"]["name"] == objects["ConfigMap"]["metadata"]["name"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": settings.serve.port, "metrics": settings.metrics.port}
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    assert {container[probe]["httpGet"]["port"] for probe in probes} == {"http"}


def test_selectors_select_the_pod(built):
    """Service, budget, network policy and monitor mean the pod that there is."""
    objects = _objects(built)
    labels = objects["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        objects["Service"]["spec"]["selector"],
        objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]
    if "PodMonitor" in objects:
        selectors.append(objects["PodMonitor"]["spec"]["selector"]["matchLabels"])
    for selector in selectors:
        assert selector
        assert selector.items() <= labels.items()


def test_stages_of_the_fleet_agree(program, deploy, tmp_path):
    """Both read one settings file, and KEDA counts the lag of the group that `detect` is in."""
    done = subprocess.run(
        [program("kubectl", "kubectl"), "kustomize", deploy / "kubernetes" / "overlays" / "fleet"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    built = tmp_path / "fleet.yaml"
    built.write_text(done.stdout)
    archive, detect = _objects(built), _objects(built, "oopswatch-detect")
    pods = [item["StatefulSet"]["spec"]["template"]["spec"] for item in (archive, detect)]
    assert [pod["containers"][0]["args"][0] for pod in pods] == ["archive", "detect"]
    given = {one["name"]: one["value"] for one in pods[0]["containers"][0]["env"]}
    settings, _ = load(None, {}, given)
    assert settings.fleet.acts_topic == "oopswatch.acts"
    assert settings.fleet.incidents_topic == "oopswatch.incidents"
    name = archive["ConfigMap"]["metadata"]["name"]
    for pod in pods:  # files that the settings name are there
        mounts = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert {"/etc/oopswatch", "/etc/oopswatch-access"} <= mounts
        assert {"name": "settings", "configMap": {"name": name}} in pod["volumes"]
    labels = detect["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        detect["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        detect["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
        assert not selector.items() <= archive["StatefulSet"]["metadata"]["labels"].items()
    (trigger,) = detect["ScaledObject"]["spec"]["triggers"]
    path = tmp_path / "oopswatch.toml"
    path.write_text(archive["ConfigMap"]["data"]["oopswatch.toml"])
    kafka = tomllib.loads(path.read_text())["kafka"]
    assert trigger["metadata"]["bootstrapServers"] in kafka["bootstrap_servers"]
    assert trigger["metadata"]["topic"] in kafka["topics"]
    assert trigger["metadata"]["consumerGroup"] == kafka["group"]
    target = detect["ScaledObject"]["spec"]["scaleTargetRef"]
    assert target == {"kind": "StatefulSet", "name": detect["StatefulSet"]["metadata"]["name"]}
