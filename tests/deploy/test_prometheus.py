"""The shipped alerts about oopswatch itself and the dashboard: Prometheus takes them, each alert is
tested both ways and explained, and every metric that they name is declared.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.telemetry import METRICS

pytestmark = pytest.mark.debian
DOCS = Path(__file__).parents[2] / "docs"
_METRIC = re.compile(r"\b(?:oopswatch|process)_\w+")


@pytest.fixture
def promtool(program: Callable[[str, str], str]) -> Callable[..., str]:
    """Runs promtool; its output, with what it complains of."""
    path = program("promtool", "prometheus")

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            [path, *command], check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def _rules(deploy: Path) -> list[dict[str, Any]]:
    """The alerts."""
    groups = yaml.safe_load((deploy / "prometheus" / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _panels(deploy: Path) -> Iterator[dict[str, Any]]:
    """The dashboard's panels."""
    yield from json.loads((deploy / "grafana" / "dashboards" / "oopswatch.json").read_text())[
        "panels"
    ]


def _undeclared(expression: str) -> set[str]:
    """The metrics of an expression that oopswatch does not serve."""
    served = {metric.name for metric in METRICS}
    served |= {
        f"{metric.name}_{part}"
        for metric in METRICS
        if metric.kind == "histogram"
        for part in ("bucket", "sum", "count")
    }
    return set(_METRIC.findall(expression)) - served


def test_promtool_takes_configuration_and_rules(promtool, deploy):
    """The scrape configuration and the rules file that it names."""
    assert "is valid" in promtool("check", "config", deploy / "prometheus" / "prometheus.yml")


def test_each_alert_fires_and_is_quiet_where_it_must(promtool, deploy):
    """The unit tests of the rules pass, and there is one each way for every alert."""
    tests = deploy / "prometheus" / "rules_test.yml"
    assert "SUCCESS" in promtool("test", "rules", tests)
    names = {case["name"] for case in yaml.safe_load(tests.read_text())["tests"]}
    alerts = {rule["alert"] for rule in _rules(deploy)}
    assert {f"{alert} {way}" for alert in alerts for way in ("fires", "is quiet")} == names


def test_each_alert_has_its_place_in_the_runbook(deploy):
    """The annotation names a heading that is there, and no heading is left over."""
    headings = re.findall(r"^## (\w+)$", (DOCS / "runbook.md").read_text(), re.MULTILINE)
    assert [rule["alert"] for rule in _rules(deploy)] == headings
    for rule in _rules(deploy):
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_metrics_of_alerts_are_declared(deploy):
    """An alert on a metric that is not served never fires."""
    assert {name for rule in _rules(deploy) for name in _undeclared(rule["expr"])} == set()
    assert _undeclared("oopswatch_no_such_metric > 0") == {"oopswatch_no_such_metric"}


def test_expressions_of_the_dashboard_are_valid_and_declared(promtool, deploy, tmp_path):
    """Each expression passes Prometheus' own parser, as a recording rule."""
    expressions = [
        target["expr"].replace("$instance", ".*")
        for panel in _panels(deploy)
        for target in panel["targets"]
    ]
    assert {name for expression in expressions for name in _undeclared(expression)} == set()
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for number, expression in enumerate(expressions)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", file)


def test_panels_of_the_dashboard_do_not_overlap(deploy):
    """Grafana moves panels that overlap, and the page is another than the one that was drawn."""
    taken: set[tuple[int, int]] = set()
    for panel in _panels(deploy):
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
