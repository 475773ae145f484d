"""The shipped Alertmanager configuration: amtool takes it, alerts take their routes, and the
inhibition is a careful one.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from detector.alert.senders.alertmanager import ALERT, HEARTBEAT

pytestmark = pytest.mark.debian


@pytest.fixture
def amtool(program: Callable[[str, str], str], deploy: Path) -> Callable[..., str]:
    """Runs amtool on the configuration; its output."""
    path = program("amtool", "prometheus-alertmanager")
    config = deploy / "alertmanager" / "alertmanager.yml"

    def run(*command: str) -> str:
        filled = [word.format(config=config) for word in command]
        return subprocess.run(
            [path, *filled], check=True, capture_output=True, text=True, timeout=30
        ).stdout

    return run


def test_amtool_takes_it(amtool: Callable[..., str]) -> None:
    """Its syntax, its matchers, its receivers."""
    assert "SUCCESS" in amtool("check-config", "{config}")


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ([f"alertname={HEARTBEAT}", "instance=ow", "severity=none"], "dead-mans-switch"),
        ([f"alertname={ALERT}", "severity=critical", "host=db-17"], "on-call"),
        ([f"alertname={ALERT}", "severity=warning", "host=db-17"], "tickets"),
        (["alertname=NodeDown", "host=db-17"], "on-call"),
    ],
)
def test_routes(amtool: Callable[..., str], labels: list[str], receiver: str) -> None:
    """The heartbeat rings nobody, incidents go by their severity."""
    assert amtool("config", "routes", "test", "--config.file={config}", *labels).strip() == receiver


def test_inhibition_wants_a_host_on_both_sides(deploy: Path) -> None:
    """Where a label is missing on both sides Alertmanager takes them for equal: everything would be
    held back.
    """
    config = yaml.safe_load((deploy / "alertmanager" / "alertmanager.yml").read_text())
    (rule,) = config["inhibit_rules"]
    assert rule["equal"] == ["host"]
    for side in ("source_matchers", "target_matchers"):
        assert 'host=~".+"' in rule[side]
    assert 'alertname!~"Oopswatch.*"' in rule["target_matchers"]
