"""`python -m detector.explain` prints docs/next-steps.md."""

from __future__ import annotations

import sys

from detector.explain.step_rules import RULES

_HEAD = """\
# What to do next

Written from `detector/explain/step_rules.py` by `make docs`; a test holds it to be the same.

`oopswatch explain`, the page of an incident and its alerts end in steps. A step is given only \
where it can work on the host at hand: `crash` on a
dump only where the kernel died (or may have: an oops kills the whole kernel only where \
`kernel.panic_on_oops` says so) and its report does not show that none can have been taken, a live \
look only where it
goes on, no symbol of code that no image holds, nothing of a management controller in a virtual \
machine. Words in capitals are replaced by what the report names;
a step whose word the report does not have is left out. The known issue's own steps follow.

| kind | when | steps |
| --- | --- | --- |
"""


def page() -> str:
    """The whole page."""
    rows = (
        f"| {rule.kinds} | {rule.when} | "
        + "<br>".join(f"`{step.replace('|', chr(92) + '|')}`" for step in rule.steps)
        + " |\n"
        for rule in RULES
    )
    return _HEAD + "".join(rows)


sys.stdout.write(page())
