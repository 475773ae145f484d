from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
import structlog
from prometheus_client import Counter, Gauge, Histogram

from detector import log_events, telemetry

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _as_it_was():
    """Each test leaves logging as it found it."""
    level = logging.getLogger("kafka").level
    yield
    structlog.reset_defaults()
    logging.getLogger("kafka").setLevel(level)


def said(style: str, level: str = "info", **fields: object) -> str:
    """What one event looks like."""
    stream = io.StringIO()
    telemetry.configure(level, style, stream)
    telemetry.say(
        "broker_away", **({"servers": "b:9092", "error": "refused", "retry_s": 1} | fields)
    )
    return stream.getvalue()


def test_json_event_carries_its_fields():
    """One object a line, with event, level, time and the declared fields."""
    event = json.loads(said("json"))
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "broker_away",
        "level": "warning",
        "servers": "b:9092",
        "error": "refused",
        "retry_s": 1,
    }


@pytest.mark.parametrize("style", ["console", "json", "auto"])
def test_control_characters_stay_inside_their_value(style):
    """A log line that somebody else wrote cannot forge a second one or reach the terminal."""
    told = said(style, error="x\x1b[31m\nlevel=info event=started")
    assert told.count("\n") == 1
    assert "\x1b" not in told


def test_events_below_the_level_are_not_said():
    """The level of the settings decides."""
    stream = io.StringIO()
    telemetry.configure("error", "json", stream)
    telemetry.say("broker_back", servers="b:9092", away_s=1)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("strated", {}),
        ("broker_back", {"servers": "x"}),
        ("broker_back", {"servers": "x", "away_s": 1, "why": 1}),
    ],
)
def test_undeclared_events_and_fields_are_mistakes(event, fields):
    """What is not declared cannot be said."""
    with pytest.raises(ValueError, match=event):
        telemetry.say(event, **fields)


def test_kafka_client_is_quiet_unless_debugging():
    """Its repeated complaints are told once, by events of our own."""
    telemetry.configure("info", "json", io.StringIO())
    assert not logging.getLogger("kafka").isEnabledFor(logging.ERROR)
    telemetry.configure("debug", "json", io.StringIO())
    assert logging.getLogger("kafka").isEnabledFor(logging.DEBUG)


def test_what_is_declared_is_used():
    """Every metric is counted and every event said somewhere in the package, and no event is said
    that is not declared.
    """
    code = "".join(
        path.read_text()
        for path in (ROOT / "detector").rglob("*.py")
        if path.name not in {"telemetry.py", "log_events.py"}
    )
    metrics = {
        name
        for name, value in vars(telemetry).items()
        if isinstance(value, Counter | Gauge | Histogram)
    }
    assert {name for name in metrics if f"telemetry.{name}" not in code} == set()
    own = Path(telemetry.__file__).read_text().partition("def say(")[2]
    assert {event for event in log_events.EVENTS if f'"{event}"' not in code + own} == set()
    assert set(re.findall(r'telemetry\.say\(\s*"(\w+)"', code)) <= set(log_events.EVENTS)


def test_metrics_follow_prometheus_names():
    """Prefix, unit and _total as Prometheus wants them, and every declared metric is registered."""
    registered = set()
    for family in telemetry.REGISTRY.collect():
        registered.add(family.name + ("_total" if family.type == "counter" else ""))
    assert registered == {metric.name for metric in telemetry.METRICS}
    assert all(metric.name.startswith(("oopswatch_", "process_")) for metric in telemetry.METRICS)


def test_metrics_are_served():
    """The page that Prometheus scrapes holds the figures."""
    server, thread = telemetry.expose("127.0.0.1", 0)
    try:
        with urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as answer:
            assert b"oopswatch_records_total" in answer.read()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_page_is_what_the_code_says():
    """docs/metrics.md is made from the declarations: `make docs` writes it anew."""
    made = subprocess.run(
        [sys.executable, "-m", "detector.telemetry_page"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout
    assert made == (ROOT / "docs" / "metrics.md").read_text()
