"""Recomputes the sums that explanations show, and gathers the numbers of a text."""

from __future__ import annotations

import re
from collections.abc import Iterator

NUMBER = r"0x[0-9a-f]+|\d+"
_WRAP = (1 << 64) - 1
_SUM = re.compile(
    rf"(?P<left>(?:\(?(?:{NUMBER})(?: \([^)]*\))?\)?(?: (?:[-+*%^]|>>|<<) )?)+)"
    rf"(?P<rounded>, rounded down to (?P<block>\d+) bytes,)? = (?P<right>-?(?:{NUMBER}))"
)
_NAMED = re.compile(
    rf"(?P<value>{NUMBER}) = (?:NULL|\w+ \((?P<base>0x[0-9a-f]+)\)) (?P<sign>[-+]) "
    rf"(?P<distance>0x[0-9a-f]+)"
)
_REPEATED = re.compile(
    r"(?P<value>0x[0-9a-f]+) = (?P<base>0x[0-9a-f]+) (?P<sign>[-+]) (?P<distance>0x[0-9a-f]+)$"
)


def false_sums(text: str) -> Iterator[str]:
    """The sums of a text that do not come out."""
    for found in _SUM.finditer(text):
        left = re.sub(r" \([^()]*\)", "", found["left"])  # `(skc_net)` beside a number
        if not re.search(r"[-+*%^]|>>|<<", left):
            continue
        value = _value(left)
        right = int(found["right"], 0)
        if found["block"]:
            value -= value % int(found["block"])
        if value & _WRAP != right & _WRAP and value & 0xFFFF_FFFF != right:
            yield f"{found[0]} (it is {value & _WRAP:#x})"
    for pattern in (_NAMED, _REPEATED):
        for found in pattern.finditer(text):
            base = int(found["base"] or "0", 16)
            distance = int(found["distance"], 16) * (-1 if found["sign"] == "-" else 1)
            if (base + distance) & _WRAP not in (
                int(found["value"], 0),
                int(found["value"], 0) | 0xFFFF_FFFF << 32,
            ):
                yield found[0]


def sums_shown(text: str) -> Iterator[int]:
    """What the sums of a text come to as they stand there; `false_sums` says which are wrong."""
    for found in _SUM.finditer(text):
        if re.search(r"[-+*%^]|>>|<<", found["left"]):
            yield int(found["right"], 0)


def _value(expression: str) -> int:
    """A sum of numbers, with the precedence of C for what occurs: `*`, `%`, then `+ -`, shifts,
    `^`.
    """
    tokens = re.findall(rf"{NUMBER}|[-+*%^()]|>>|<<", expression)
    position = 0

    def term(level: int) -> int:
        nonlocal position
        if level == len(_LEVELS):
            token = tokens[position]
            position += 1
            if token == "(":
                inside = term(0)
                position += 1
                return inside
            return int(token, 0)
        value = term(level + 1)
        while position < len(tokens) and tokens[position] in _LEVELS[level]:
            operator = tokens[position]
            position += 1
            value = _OPERATIONS[operator](value, term(level + 1))
        return value

    return term(0)


_LEVELS = (("^",), ("<<", ">>"), ("+", "-"), ("*", "%"))
_OPERATIONS = {
    "^": lambda a, b: a ^ b,
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "%": lambda a, b: a % b,
}


def log_numbers(log: str) -> set[int]:
    """Every number that a log could mean: each word of digits read as decimal and as hexadecimal,
    whole and, for words of hexadecimal bytes, as they stand.
    """
    values: set[int] = set()
    for word in re.findall(r"[0-9a-fA-F]+", log):
        if len(word) <= 16:
            values.add(int(word, 16))
        if word.isdigit() and len(word) <= 20:
            values.add(int(word))
    return values


def numbers(text: str) -> Iterator[tuple[str, int]]:
    """The numbers of a sentence as written and as meant: hexadecimal with 0x, or of eight digits
    and more; else decimal. Numbers within a name are the name's.
    """
    for found in re.finditer(
        r"(?<![\w.+#/-])(0x[0-9a-f]+|[0-9a-f]{8,16}|\d+)(?![\w.]*[a-z_(])", text
    ):
        word = found[1]
        yield (
            word,
            int(word, 16)
            if word.startswith("0x") or (len(word) >= 8 and not word.isdigit())
            else int(word),
        )
