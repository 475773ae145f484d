"""Runs of the service over a broker that is moved on."""

from __future__ import annotations

from tests.kafka.service import Service


def clean(service: Service) -> None:
    """It ended as it should: the last line says so, and nothing says anything of a failure."""
    events = service.events
    assert events[-1]["event"] == "stopped"
    assert events[-1]["reason"] == "SIGTERM"
    assert {event["level"] for event in events} <= {"info", "warning"}


def moving(service: Service) -> set[str]:
    """The partitions that a service says it has now."""
    owned: set[str] = set()
    for event in service.said("rebalance"):
        owned -= set(event["revoked"])
        owned |= set(event["assigned"])
    return owned
