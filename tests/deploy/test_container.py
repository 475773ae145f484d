from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from detector.alert.routing_file import load_routing
from detector.serve.http.tokens import find, read_tokens
from detector.settings import load

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def test_hadolint_has_nothing_to_say(deploy):
    """The container file keeps to hadolint's rules, without exceptions."""
    done = subprocess.run(
        [BIN / "hadolint", "--no-fail", deploy / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("name", ["compose.yaml", "compose.stages.yaml"])
def test_compose_files_keep_the_schema(deploy, name):
    """The compose specification knows every key."""
    command = [
        BIN / "check-jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        deploy / name,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_the_image_copies_is_let_through():
    """Every path that the container file copies is there, and .dockerignore lets it into the
    build.
    """
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE
    )
    paths = {path for line in copied for path in line.split()}
    let_through = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert paths == let_through
    assert all((ROOT / path).exists() for path in paths)


def test_what_the_image_copies_is_all_that_the_wheel_needs():
    """Each path that goes into the wheel is among what the container file copies."""
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
        for word in line.split()
    }
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    wheel = wheel["targets"]["wheel"]
    assert {*wheel["packages"], *wheel["force-include"]} <= copied


def test_container_runs_as_nobody_and_ends_cleanly(deploy):
    """A numeric user, a command that gets the signals itself, and the signal that ends it."""
    text = (deploy / "Dockerfile").read_text()
    assert "USER 65532:65532" in text
    assert 'ENTRYPOINT ["oopswatch"]' in text
    assert "STOPSIGNAL SIGTERM" in text


def test_settings_of_the_compose_file_hold(deploy, tmp_path):
    """Its environment is settings, what it mounts is there, and its ports are this machine's."""
    services = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]
    environment = {name: str(value) for name, value in services["oopswatch"]["environment"].items()}
    for name in ("OOPSWATCH_ALERT_FILE", "OOPSWATCH_SERVE_TOKENS_FILE"):
        mounts = [volume.split(":")[1] for volume in services["oopswatch"]["volumes"]]
        assert any(Path(environment[name]).is_relative_to(mount) for mount in mounts)
        environment[name] = str(tmp_path / Path(environment[name]).name)
        Path(environment[name]).touch()
    settings, _ = load(None, {}, environment)
    assert load_routing(deploy / "container" / "notify.toml").receivers
    scraped = yaml.safe_load((deploy / "prometheus" / "prometheus.yml").read_text())
    targets = scraped["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == [f"oopswatch:{settings.metrics.port}"]
    for service in services.values():
        for volume in service.get("volumes", []):
            if volume.startswith("./"):
                assert (deploy / volume.split(":")[0]).exists(), volume
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_stages_of_the_compose_file_agree(deploy):
    """Settings hold, the topics that they name are made, and every service is one that is there."""
    base, stages = (
        yaml.safe_load((deploy / name).read_text())["services"]
        for name in ("compose.yaml", "compose.stages.yaml")
    )
    (made,) = stages["topics"]["command"]
    for name in ("detect", "oopswatch"):
        environment = base.get(name, {}).get("environment", {}) | stages[name]["environment"]
        named = ("OOPSWATCH_KAFKA", "OOPSWATCH_FLEET")
        about = {key: str(value) for key, value in environment.items() if key.startswith(named)}
        settings, _ = load(None, {}, about)
        fleet = settings.fleet
        topics = fleet.findings_topic, fleet.noise_topic, fleet.incidents_topic, fleet.acts_topic
        for topic in topics:
            assert topic is None or topic in made
        assert (fleet.acts_topic is not None) == (name == "oopswatch")
        assert stages[name]["depends_on"].keys() <= (base | stages).keys()
    scraped = yaml.safe_load((deploy / "prometheus" / "prometheus.yml").read_text())
    (discovered,) = scraped["scrape_configs"][0]["dns_sd_configs"]
    detect = stages["detect"]["environment"]
    assert discovered["names"] == ["detect"]
    assert discovered["port"] == detect["OOPSWATCH_METRICS_PORT"]
    assert detect["OOPSWATCH_METRICS_ADDRESS"] == "0.0.0.0"


def test_token_of_the_compose_file_is_made_once(deploy, tmp_path):
    """The command of the access service makes a file of tokens, and leaves one that is there."""
    service = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]["access"]
    (command,) = service["command"]
    local = command.replace("/etc/oopswatch/access", str(tmp_path)).replace(
        "oopswatch tokens", f"{BIN}/oopswatch tokens"
    )
    shell = [*service["entrypoint"], local]
    first = subprocess.run(shell, check=True, capture_output=True, text=True).stdout.strip()
    token = find(read_tokens(tmp_path / "tokens.toml"), first)
    assert token is not None
    assert token.roles == {"read", "act"}
    assert subprocess.run(shell, check=True, capture_output=True, text=True).stdout == ""
