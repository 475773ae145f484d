"""A template becomes a signature that the catalogue takes."""

from __future__ import annotations

import pytest

from detector.catalogue import read
from detector.kernel_errors.draft import DraftError, draft
from detector.kernel_errors.template import template_of
from detector.match import Matcher
from detector.model import Boot, Line
from tests.support.shipped import shipped_files

SAMPLES = (
    [
        "acmenic 0000:af:00.0 eth3: ring 3 lost its fence 0x1f2e after 2034 ms",
        "acmenic 0000:3b:00.1 eth0: ring 12 lost its fence 0x0 after 7 ms",
    ],
    ["acme: path /srv/data/7 \"quoted\" 'x' <y> & z\\ has gone away"],
    ["acmedisk sdb: sense   00 00 11 f8 at 1, 2, 3"],
    ["acme: name \u202e\u2066gnp.exe\U000e0041 of thing 4 is bad"],
    ["acme: Ümlaut in the name of thing 4 (regex: .*+?[a-z]{1,2}$^)"],
)


@pytest.mark.parametrize("samples", SAMPLES)
def test_draft_passes_the_check_and_claims_its_samples(samples):
    """Beside all that is shipped: literal, regex, examples, time, no double claim."""
    assert len({template_of(sample) for sample in samples}) == 1
    text = draft("4f1c20aa93be", samples)
    catalogue = read(shipped_files() | {"kernel/ours.toml": text}, prove=True)
    matcher = Matcher(catalogue, timeout_s=1.0)
    for number, sample in enumerate(samples):
        found = matcher.match(Line(sample, "test", number, "h", "kmsg", trust="kernel"), Boot())
        assert found is not None
        assert found.signature.endswith("-4f1c")


def test_template_without_words_makes_none():
    """There is nothing to search for."""
    with pytest.raises(DraftError, match="long enough"):
        draft("4f1c20aa93be", ["12 34 0x1f"])


def test_characters_that_reorder_text_are_spelled_out():
    """A driver's name may hold them; a terminal would act on them."""
    text = draft("4f1c20aa93be", ["acme: name \u202e\u2066gnp.exe\U000e0041 of thing 4 is bad"])
    assert text.isascii()
    assert r"\u202E\u2066gnp.exe\U000E0041" in text
