"""Corpora at a tiny size: their length, their hits, their truth; and that a plain script finds what
was planted.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.corpora import Corpus, corpora, line_count, make
from bench.figures import disagreement, printed_incidents
from bench.peers import configurations, plain_regex
from bench.wanted import literals

SIZE = 3_000_000


@pytest.fixture(scope="module")
def noisy(tmp_path_factory) -> Corpus:
    """3 MB at 2 % hits."""
    one = Corpus(60, 0.02, SIZE, tmp_path_factory.mktemp("corpora"))
    make(one)
    return one


def test_a_corpus_is_as_large_and_as_noisy_as_it_was_ordered(noisy):
    """Lines of 140 bytes on average, hits as `rg -c` would count them, each rounded as small
    numbers allow.
    """
    lines = noisy.path.read_bytes().splitlines()
    wanted = [literal.encode() for literal in literals()]
    hits = sum(any(literal in line for literal in wanted) for line in lines)
    assert noisy.lines() == len(lines)
    assert 130 <= sum(map(len, lines)) / len(lines) <= 145
    assert 0.015 <= hits / len(lines) <= 0.03


def test_a_beginning_is_the_first_lines(noisy):
    """A file of its own, made once; all of it is the corpus itself."""
    part = noisy.beginning(1_000)
    assert line_count(part) == 1_000
    assert noisy.path.read_bytes().startswith(part.read_bytes())
    assert noisy.beginning(10**9) == noisy.path


def test_a_corpus_that_is_there_is_not_made_again(noisy):
    """By hosts, share, size and folder."""
    before = noisy.path.stat().st_mtime_ns
    (same,) = corpora([(60, 0.02)], SIZE, noisy.path.parent)
    assert (same, same.path.stat().st_mtime_ns) == (noisy, before)


def test_the_plain_script_finds_what_was_planted(noisy):
    """The phrases that all peers are given are the right ones."""
    words = [
        sys.executable,
        plain_regex.__file__,
        noisy.path,
        configurations.release(),
        configurations.fault(),
        configurations.noise(),
    ]
    told = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    planted = noisy.truth().incidents
    assert planted
    assert disagreement(planted, printed_incidents(told)) == ""


def test_configurations_hold_every_phrase():
    """Each program is asked for both halves."""
    release = configurations.release()
    for text in (configurations.sec(), configurations.syslog_ng(), configurations.mtail()):
        assert release in text
        assert configurations.fault() in text.replace("\\/", "/")
    assert all(
        repr(phrase) in configurations.rsigma()
        for phrase in ("Unhandled fault: ", "general protection fault")
    )


def test_the_scripts_of_peers_are_there():
    """What the harness starts by path."""
    folder = Path(plain_regex.__file__).parent
    assert all((folder / name).exists() for name in ("drain.py", "quix_job.py", "plain_regex.py"))
