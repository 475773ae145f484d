"""Copies the pages of a checkout, and the files that they link to, to where the site is made from.

A link to a folder becomes one to its README.md, or to its first page.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "deploy", "patterns")
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")
LINK = re.compile(r"(\]\()([^)\s#]+)([^)]*\))")


def main(target: Path) -> None:
    """Makes the folder anew."""
    shutil.rmtree(target, ignore_errors=True)
    for name in FOLDERS:
        shutil.copytree(
            ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.zst")
        )
    for name in (*PAGES, "LICENSE"):
        shutil.copy(ROOT / name, target / name)
    for page in target.rglob("*.md"):
        page.write_text(with_pages(page.read_text(), page.parent))


def with_pages(text: str, folder: Path) -> str:
    """A page's text, whose links to folders lead to pages in them."""

    def led(link: re.Match[str]) -> str:
        place = folder / link[2]
        if "://" in link[2] or not place.is_dir():
            return link[0]
        pages = ("README.md", *sorted(path.name for path in place.glob("*.md")))
        first = next((name for name in pages if (place / name).is_file()), None)
        return f"{link[1]}{link[2].rstrip('/')}/{first}{link[3]}" if first else link[0]

    return LINK.sub(led, text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
