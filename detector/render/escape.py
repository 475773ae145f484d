"""Hostile text made harmless for people's eyes: no escape sequence, no direction mark, no
line end reaches a terminal.

In: text of log lines. Out: one line of printable characters. It cuts nothing and knows nothing of
HTML, which templates escape.
"""

from __future__ import annotations


def inert(text: str) -> str:
    r"""The text with everything that does not print spelled as Python spells it: `\x1b`,
    `\u202e`, `\n`.
    """
    if text.isprintable():
        return text
    return "".join(
        item if item.isprintable() else item.encode("unicode_escape").decode() for item in text
    )
