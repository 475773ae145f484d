"""Reads plans of SQLite queries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from sqlite3 import Connection

LARGE = (
    "boots",
    "matches",
    "evidence",
    "reports",
    "incidents",
    "changes",
    "noise",
    "noise_programs",
    "signature_hours",
    "problem_hosts",
    "problem_days",
    "problem_kernels",
    "problem_hardware",
    "problem_frames",
    "faults",
    "value_hours",
    "program_days",
    "spreads",
    "spread_hosts",
    "kernel_error_hosts",
    "kernel_error_days",
    "kernel_error_host_days",
)


# The page of a list ends after so many rows, in the order of this index; what a pattern leaves out
# is compared in it alone.
IN_ORDER = ("incidents_place", "problems_last", "problems_first", "problems_regressed")


# Hold nothing but the reports and incidents that are open now.
SMALL = ("reports_open", "incidents_live")


def scans(connection: Connection, statements: Iterable[str]) -> set[tuple[str, str]]:
    """Those of some statements that read through a large table, with what SQLite plans."""
    found = set()
    for statement in statements:
        if (
            not statement.lstrip()
            .upper()
            .startswith(("SELECT", "WITH", "UPDATE", "DELETE", "INSERT"))
            or "'main'." in statement
        ):
            continue
        if statement.endswith("ORDER BY id DESC LIMIT 1"):  # the last row of a table
            continue
        if re.search(
            r"\b(?:old|new)\b", statement
        ):  # a step of a trigger, or of a removal over a table that is gone
            continue
        for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"):
            if scan := re.match(
                r"SCAN (?:TABLE )?(\w+)(?: USING (?:COVERING )?INDEX (\w+))?", row[3]
            ):
                names = {
                    "i": "incidents",
                    "m": "matches",
                    "e": "evidence",
                    "p": "problems",
                    "h": "hosts",
                    "r": "reports",
                    "v": "value_hours",
                    "s": "spreads",
                }
                table = names.get(scan[1], scan[1])
                if table in LARGE and scan[2] not in (*IN_ORDER, *SMALL):
                    found.add((row[3], " ".join(statement.split())[:300]))
    return found
