"""The site of the documentation holds every page, and its links lead to pages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SITE = ROOT / "deploy" / "site"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the site is made from."""
    target = tmp_path_factory.mktemp("site") / "sources"
    subprocess.run([sys.executable, SITE / "sources.py", target], check=True)
    return target


def pages_of(items: object) -> Iterator[str]:
    """The pages of a navigation, in its order."""
    if isinstance(items, str):
        yield items
    elif isinstance(items, list):
        for item in items:
            yield from pages_of(item)
    elif isinstance(items, dict):
        for item in items.values():
            yield from pages_of(item)


def test_every_page_is_found(sources: Path) -> None:
    """Navigation and pages agree; decisions are linked from one."""
    listed = set(pages_of(yaml.safe_load((SITE / "mkdocs.yml").read_text())["nav"]))
    assert {page for page in listed if not (sources / page).is_file()} == set()
    there = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert there - listed == set()


def test_links_to_folders_lead_to_pages(sources: Path) -> None:
    """A site has no folders to look into."""
    start = (sources / "README.md").read_text()
    assert "(docs/decisions/0001-" in start
    assert "(docs/decisions/)" not in start
