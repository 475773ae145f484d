"""The head of a file → whether CR alone ends its lines, as some terminals' captures have
it.

In a file with LFs a CR is part of its line (a progress bar, what a process wrote into its message)
or of the line end (CRLF). Does no IO.
"""

from __future__ import annotations

from detector.lazy_regex import lazy_regex

# A line of bare dmesg or of a console (printk's "[%5lu.%06lu]").
_STAMPED = lazy_regex(rb"(?:<\d{1,3}>)?\[ *\d+\.\d+\]")


def are_cr(head: bytes, *, last: bool = False) -> bool | None:
    """Returns whether CR alone ends the lines; None where more of the file must come to tell.

    `last` says that no more is waited for.

    Behind one LF at the end only where the first line has printk's stamp: what a daemon ends with a
    LF is one message, into which a process may have written CRs and a kernel's line.
    """
    between, ended = b"\n" in head[:-1], head.endswith(b"\n")
    if between or (ended and not _STAMPED.match(head)):
        return False
    # a CR at the very end divides nothing, and a LF may follow it
    divided = head.count(b"\r") - head.count(b"\r\n") - head.endswith(b"\r") > 0
    if last:
        return divided
    return False if ended and not divided else None


def as_lf(data: bytes) -> bytes:
    """The same bytes, each CR a LF."""
    return data.replace(b"\r", b"\n")


def unified(text: bytes) -> bytes:
    """A whole text with LFs between its lines."""
    return as_lf(text) if are_cr(text, last=True) else text
