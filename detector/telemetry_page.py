"""Writes docs/metrics.md, by `python -m detector.telemetry_page`, from what `telemetry`
declares.
"""

from __future__ import annotations

import logging
import sys

from detector.log_events import EVENTS
from detector.telemetry import METRICS


def page() -> str:
    """docs/metrics.md, made from the declarations."""
    lines = [
        PAGE_HEAD,
        "## Metrics",
        "",
        "| metric | kind | labels | meaning |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{metric.name}` | {metric.kind} | {', '.join(metric.labels)} | {metric.meaning} |"
        for metric in METRICS
    ]
    lines += [
        "",
        "## Log events",
        "",
        "| event | level | fields | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for name, event in EVENTS.items():
        lines.append(
            f"| `{name}` | {logging.getLevelName(event.level).lower()} | "
            f"{', '.join(event.fields)} | {event.meaning} |"
        )
    return "\n".join(lines) + "\n"


PAGE_HEAD = """# Metrics and log events

Made from `detector/telemetry.py` and `detector/log_events.py` by `make docs`. Metrics are served \
at `[metrics] port`; events go to standard error, as set in `[log]`.
"""

if __name__ == "__main__":
    sys.stdout.write(page())
