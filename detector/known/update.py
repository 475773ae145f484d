"""Puts an index together: bugs of several sources, each once, and what was left out by
reason.

In: documents (CVE records as bytes), facts from commits. Out: bugs. Two records of one mainline
commit become one bug with the traces of both. No IO.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from detector.known.bug import Bug
from detector.known.build import bug_of
from detector.known.cve import Published, UnusableError, published
from detector.known.message import MessageReader


@dataclass(slots=True)
class Gathered:
    """The bugs so far, how many commits added to one (`joined`), and how many documents yielded
    none, by reason, with the first of each.
    """

    bugs: dict[str, Bug] = field(default_factory=dict)
    joined: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    _by_commit: dict[str, str] = field(default_factory=dict)

    def document(self, name: str, data: bytes | None, reader: MessageReader) -> None:
        """Takes one JSON document."""
        try:
            facts = _record(data)
        except UnusableError as error:
            self.left_out[str(error)] += 1
            self.first.setdefault(str(error), name)
            return
        if facts.id in self.bugs:
            self.left_out["a second record of one id"] += 1
            self.first.setdefault("a second record of one id", name)
            return
        self.add(bug_of(facts, reader))

    def commits(self, facts: Iterable[Published], reader: MessageReader) -> None:
        """Takes facts from commits: only those whose message holds a trace are bugs of their own;
        what a record has already gains their traces.
        """
        for fact in facts:
            bug = bug_of(fact, reader)
            known = self._by_commit.get(fact.main or "")
            if known is not None:
                self.joined += 1
                self.bugs[known] = _with_traces(self.bugs[known], bug)
            elif bug.traces:
                self.add(bug)
            else:
                self.left_out["a commit without a trace that is read"] += 1

    def add(self, bug: Bug) -> None:
        """Takes a bug."""
        self.bugs[bug.id] = bug
        if bug.main is not None:
            self._by_commit.setdefault(bug.main, bug.id)


def _record(data: bytes | None) -> Published:
    if data is None:
        raise UnusableError("larger than any record")
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnusableError("not JSON") from error
    return published(record)


def _with_traces(bug: Bug, other: Bug) -> Bug:
    traces = tuple(dict.fromkeys((*bug.traces, *other.traces)))
    return replace(bug, traces=traces, named=bug.named or other.named)
