"""Text before any format: what is taken out of every line, how much of it is read, and
what is no text at all.

Comes in: decoded text. Goes out: the same without what no log means. It knows no format.
"""

from __future__ import annotations

from detector.lazy_regex import lazy_regex

LINE_BOUND = 16_384
"""Characters of one line that are read. printk stores at most 1,024 (kernel/printk/printk.c),
extended consoles print at most 8,192."""
ROWS_BOUND = 100_000
"""Lines of one record that are read."""

_ESCAPES = lazy_regex(
    r"\x1b(?:\[[0-9;?]{0,32}[ "
    r"-/]?[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|[()#][0-9A-Za-z]|[0-9=>A-Zc-z])?"
)
_CONTROLS = lazy_regex(r"[\x00-\x08\x0e-\x1f\x7f\ufffd]")
_BYTE_ORDER_MARK = "\ufeff"
_HEAD = 256
_START = 16


def cleaned(text: str) -> str:
    """A line without colours, NULs, byte order marks, line ends and blanks on the right, its
    no-break spaces as blanks. Other control characters stay: they may be the message's own.
    """
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    if "\0" in text:
        text = text.replace("\0", "")
    if _BYTE_ORDER_MARK in text:  # of files that were put together, each with its own
        text = text.replace(_BYTE_ORDER_MARK, "")
    if "\xa0" in text:  # what pages and mails make of a stamp's padding
        text = text.replace("\xa0", " ")
    text = text.strip("\r\n").rstrip()
    # socat -v writes a carriage return as it is spelled (xio-streams: xioread with "verbose").
    return text[:-2].rstrip() if text.endswith("\\r") else text


def is_rule(text: str) -> bool:
    """Returns whether a line is blank, or the rule that a report begins with (`=====`)."""
    return not text.strip("=-*_#~. ")


def is_text(text: str) -> bool:
    """Returns whether a line without any form could be text: it begins with words, or less
    than a fifth of its head is controls or broken bytes.
    """
    start = text[:_START]
    if start.isascii() and start.isprintable() and (len(start) == _START or text == start):
        return True
    head = text[:_HEAD]
    return 5 * len(_CONTROLS.findall(head)) <= len(head)
