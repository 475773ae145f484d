"""Kernel errors: lines of priority err or worse that no signature claims.

`priority` says how the bytes of a record show such a priority, `template` reduces a line to what
its message is, `tally` counts lines by template, host and day, `news` decides which templates are
new, `draft` makes a signature of one. All of it is pure: no IO, no clock.
"""

from __future__ import annotations
