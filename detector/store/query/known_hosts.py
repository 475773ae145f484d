"""Host names as people write them → as the history spells them.

In: a name or a pattern. Out: itself where the history knows it so, else its lower case, the one
form in which names are kept. A host that no line named is its source's, which may hold capitals.
"""

from __future__ import annotations

from dataclasses import replace
from sqlite3 import Connection

from detector.store.query.filters import Filter

_KNOWN = "SELECT 1 FROM hosts WHERE name GLOB ? LIMIT 1"


def as_known(connection: Connection, host: str) -> str:
    """A host's name, or a pattern of names, as the history spells it."""
    if host == host.lower() or connection.execute(_KNOWN, (host,)).fetchone():
        return host
    return host.lower()


def with_known_hosts(connection: Connection, criteria: Filter) -> Filter:
    """The filter with its hosts as the history spells them."""
    hosts = tuple(as_known(connection, host) for host in criteria.host)
    return criteria if hosts == criteria.host else replace(criteria, host=hosts)
