"""Expressions that are compiled when they are first used."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest

import detector
from detector.lazy_regex import _LazyRegex, lazy_regex


def test_it_matches_as_a_compiled_expression_does() -> None:
    """Text, bytes, flags, groups and substitution are those of `re.compile`."""
    lazy = lazy_regex(r"(?P<word>[a-z]+) (\d+)", re.IGNORECASE)
    matched = lazy.fullmatch("CPU 7")
    assert matched is not None
    assert matched["word"] == "CPU"
    assert lazy.groupindex == {"word": 1}
    assert lazy.sub(r"\2", "cpu 7, cpu 8") == "7, 8"
    assert lazy.search("cpu 7", 1) is not None
    assert lazy_regex(rb"\x00+").split(b"a\x00\x00b") == [b"a", b"b"]


def test_nothing_is_compiled_before_its_first_use() -> None:
    """A faulty expression raises when it is used, and names what is wrong."""
    lazy = lazy_regex("(")
    assert repr(lazy) == "lazy_regex('(')"
    with pytest.raises(re.error, match="missing \\)"):
        lazy.match("")


def test_every_expression_of_the_product_compiles() -> None:
    """What a compiled expression would raise at import is raised here."""
    count = 0
    for module in pkgutil.walk_packages(detector.__path__, "detector."):
        if module.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, _LazyRegex):
                assert isinstance(value.pattern, str | bytes)
                count += 1
    assert count > 300
