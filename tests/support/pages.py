"""Visits pages and reads their links."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from fastapi.testclient import TestClient

from detector.serve.app import create_app
from detector.settings import Settings

LISTS = (
    "/incidents",
    "/faults",
    "/fleet",
    "/problems",
    "/hosts",
    "/noise",
    "/kernel-errors",
    "/rules",
    "/signatures",
    "/silences",
)


def visit(path: Path, now_us: int) -> TestClient:
    """A browser on this machine."""
    settings = Settings.model_validate(
        {
            "store": {"path": str(path)},
            "serve": {"requests_per_second": 1000, "request_burst": 10_000},
        }
    )
    return TestClient(create_app(settings, clock=lambda: now_us), base_url="http://127.0.0.1:8470")


def links(page: str) -> list[str]:
    """Where a page leads to."""
    return [unescape(one) for one in re.findall(r'href="([^"]*)"', page)]


ENDLESS = "WITH RECURSIVE n (a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n) SELECT sum(a) FROM n"
