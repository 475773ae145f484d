"""The roles that a bearer token can have."""

from __future__ import annotations

from typing import Literal, get_args

Role = Literal["read", "act", "sql"]
ROLES: frozenset[str] = frozenset(get_args(Role))
