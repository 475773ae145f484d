"""Forms of logs that were read wrongly once: what a scan must say, what it must not. The table is
forms.toml; what explanations must say of the `explain-*` forms stands in tests/explain/cases.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from detector.cli.pattern_tests import scanned
from tests.explain.logs import explained
from tests.support.shipped import shipped

ROOT = Path(__file__).parents[2]
TABLE = tomllib.loads(Path(__file__).with_name("forms.toml").read_text(encoding="utf-8"))["form"]
FORMS = [pytest.param(form, id=form["name"]) for form in TABLE]


@pytest.mark.parametrize("form", FORMS)
def test_form(form: dict[str, Any], tmp_path: Path) -> None:
    """The scan and the explanation say what stands in the log, and nothing that does not."""
    path = tmp_path / "log"
    path.write_text(form["log"], encoding="utf-8")
    items = scanned(path, {}, shipped())
    matches = [item for item in items if item["type"] == "match"]
    incidents = [item for item in items if item["type"] == "incident"]
    first = matches[0] if matches else {}
    said = {
        **next((one["report"] for one in matches if one.get("report")), {}),
        "severity": first.get("severity"),
        "host": first.get("host"),
        "signatures": [item["signature"] for item in matches],
        "incidents": len(incidents),
        "gap_us": incidents[0]["gap_us"] if incidents else None,
    }
    wanted = {key: None if value == "-" else value for key, value in form.get("scan", {}).items()}
    assert {key: said.get(key) for key in wanted} == wanted
    sentences = spoken(form["log"])
    assert all(text in sentences for text in form.get("said", ()))
    titles = [str(one.get("report", {}).get("title")) for one in matches]
    texts = "\n".join([*titles, sentences, *(one["text"] for one in matches)])
    assert not [text for text in form.get("unsaid", ()) if text in texts]


def spoken(log: str) -> str:
    """What an explanation says of a log that is pasted as a quotation: functions and sentences."""
    told = explained("\n".join(row.removeprefix("> ") for row in log.splitlines()))
    functions = [one.report.function or "" for one in told if one.report is not None]
    return "\n".join(
        [*(one.text for each in told for one in each.diagnosis.statements), *functions]
    )


def test_every_given_file_has_a_row() -> None:
    """No file of that folder is without a row here; of the `explain-*` ones the cases are known."""
    given = next(
        (path for up in (0, 1) if (path := ROOT.parents[up] / "shared/data/failing").exists()), None
    )
    if given is None:
        pytest.skip("the folder of given files is not here")
    assert {path.name.split("-")[0] for path in given.glob("m*.log")} == {
        form["name"] for form in TABLE
    }
