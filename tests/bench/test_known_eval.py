"""How well bugs are named is measured as the product names them."""

from __future__ import annotations

import json

from bench.known_eval import Product, cases, held
from detector.app.known import index_file, known_bugs
from detector.known.index import Index
from detector.settings import Settings
from detector.sources.known.index_file import read
from tests.known.fleet import crash, oops, records
from tests.support.shipped import shipped


def test_cases_and_own_traces_are_counted(tmp_path):
    """A crash whose bug the index has is right, the same with another expectation is wrong."""
    index = tmp_path / "known-bugs.zst"
    oops("known", "update", "--from", records(tmp_path), "--fewer", "--to", index)
    settings = Settings.model_validate({"known": {"index": str(index)}})
    product = Product(settings, shipped(), known_bugs(settings, shipped))
    case = {"title": "t", "log": crash("db-1", "6.1.7"), "expect_certainty": "certain"}
    path = tmp_path / "cases.jsonl"
    path.write_text(
        "\n".join(json.dumps(case | {"expect": one}) for one in (["CVE-2024-00007"], "none"))
    )
    _, inside, outside, wrong = cases(product, [path])
    assert inside == "  bug in the index: 1: right likely 1 (100.0 %)"
    assert outside == "  bug not in the index: 1: wrong likely 1 (100.0 %)"
    assert wrong.startswith("  wrong, likely: t: CVE-2024-00007 (")
    assert index_file(settings).path == index
    small = Index.of(read(index)[1])
    assert list(held("own", small, lambda trace: trace)) == ["own: 1: right likely 1 (100.0 %)"]
    assert list(held("out", small, lambda trace: trace, absent=True)) == [
        "out: 1: none 1 (100.0 %)"
    ]
