"""What a log makes the explainer say, and what it must not: the cases stand in cases/*.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.explain.logs import explained, stamped

FOLDER = Path(__file__).parent / "cases"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(FOLDER.glob("*.toml"))
    for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]
]


@pytest.mark.parametrize("case", CASES)
def test_case(case):
    """Each sentence and step that must be there is, with its confidence; none that must not."""
    diagnoses = [one.diagnosis for one in explained(stamped(case["log"]))]
    sentences = [f"[{said.confidence}] {said.text}" for one in diagnoses for said in one.statements]
    evidence = [text for one in diagnoses for said in one.statements for text in said.evidence]
    steps = [step for one in diagnoses for step in one.next_steps]
    shown = "\n".join((*sentences, *evidence, *steps))
    for part in case.get("said", ()):
        assert any(part in sentence for sentence in sentences), f"{part!r} is not in:\n{shown}"
    for part in case.get("unsaid", ()):
        assert not any(part in text for text in (*sentences, *evidence)), f"{part!r} in:\n{shown}"
    for part in case.get("evidence", ()):
        assert any(part in text for text in evidence), f"{part!r} is no evidence in:\n{shown}"
    for part in case.get("steps", ()):
        assert any(part in step for step in steps), f"no step {part!r} in:\n{shown}"
    for part in case.get("no-steps", ()):
        assert not any(part in step for step in steps), f"step {part!r} in:\n{shown}"


def test_no_case_is_empty():
    """A case that demands nothing would hold nothing."""
    assert all(
        any(param.values[0].get(key) for key in ("said", "unsaid", "steps", "no-steps"))
        for param in CASES
    )
