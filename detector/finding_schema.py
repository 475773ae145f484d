"""Prints the JSON schema of findings: docs/finding.schema.json is made with it."""

from __future__ import annotations

import json
import sys

from detector.findings import schema


def page() -> str:
    """The schema as text."""
    return json.dumps(schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
