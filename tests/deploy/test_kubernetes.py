"""Manifests for Kubernetes: kustomize builds them, the schemas hold, and what they name is
there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.alert.routing_file import load_routing
from detector.settings import load

pytestmark = pytest.mark.debian
BIN = Path(sys.executable).parent
OVERLAYS = ["base", "overlays/prometheus-operator"]


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


def _objects(built: Path) -> dict[str, dict[str, Any]]:
    """The manifests by kind: there is one of each."""
    listed = list(yaml.safe_load_all(built.read_text()))
    objects = {item["kind"]: item for item in listed}
    assert len(objects) == len(listed)
    return objects


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
    """Every field is known; only the operator's own kind has no schema in Kubernetes."""
    done = _validated(built)
    assert done.returncode == 0, done.stdout + done.stderr
    warned = [line for line in (done.stdout + done.stderr).splitlines() if "WARN" in line]
    assert all("kind PodMonitor" in line for line in warned)


def test_an_unknown_field_would_be_noticed(built):
    """The check above can fail."""
    built.write_text(built.read_text().replace("enableServiceLinks:", "enableServiceLink:"))
    assert _validated(built).returncode != 0


def test_pod_is_restricted(built):
    """What Pod Security's level `restricted` demands, and a root file system that nobody writes."""
    pod = _objects(built)["StatefulSet"]["spec"]["template"]["spec"]
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
