"""Checks that a name or a pattern means a rule: of the catalogue, or of oopswatch itself.

In: what a person wrote. Out: nothing, or a `FilterError` that says which rules there are like it. A
silence, a filter or a route for a rule that does not exist would do nothing, in silence.
"""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase

from detector.alert.watchdog import RULES
from detector.catalogue import Catalogue
from detector.store.query.filters import FilterError


def demand_rule(name: str, catalogue: Catalogue) -> None:
    """Raises `FilterError` where no rule has this name, and none fits it as a pattern."""
    known = {*(rule.id for rule in catalogue.rules), *RULES}
    if any(fnmatchcase(rule, name) for rule in known):
        return
    near = get_close_matches(name, sorted(known), n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    raise FilterError(
        "rule", f"no rule is called {name}{meant}; `oopswatch rules list` names them all"
    )
