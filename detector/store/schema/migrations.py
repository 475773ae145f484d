"""The list that migrations enter themselves into, in the order in which
`schema/__init__.py` imports their modules.
"""

from __future__ import annotations

from sqlite_utils.migrations import Migrations

MIGRATIONS = Migrations("oopswatch")
