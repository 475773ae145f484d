"""Datasette opens a history as it is, and every query that is shipped for it runs and answers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.support.queries import fill

METADATA = Path(__file__).parents[2] / "deploy" / "datasette" / "metadata.json"
ARGUMENTS = {"host": "db-1", "word": 'kfree" OR "pc', "fingerprint": "1:nvme_irq"}


def test_shipped_queries_run(tmp_path: Path) -> None:
    """Through Datasette's own application, with parameters from the address; hostile ones are
    data.
    """
    from datasette.app import Datasette

    path = tmp_path / "history.db"
    fill(path)
    metadata = json.loads(METADATA.read_text())
    queries = metadata["databases"]["history"]["queries"]

    async def ask() -> dict[str, list]:
        served = Datasette([str(path)], metadata=metadata, settings={"sql_time_limit_ms": 1_000})
        await served.invoke_startup()
        answers = {}
        for name in queries:
            response = await served.client.get(
                f"/history/{name}.json", params={"_shape": "array", **ARGUMENTS}
            )
            assert response.status_code == 200, (name, response.text)
            answers[name] = response.json()
        assert (
            await served.client.get("/history/incidents.json?_facet=host&_shape=array")
        ).status_code == 200
        for database in served.databases.values():
            database.close()
        return answers

    answers = asyncio.run(ask())
    assert [row["host"] for row in answers["open_incidents"]] == [
        "db-1",
        "web-1",
        "web-2",
        "od[d]*-<b>",
        "db-10",
        "db-2",
    ]
    assert len(answers["incidents_of_host"]) == 2
    assert answers["words"] == []
    assert [row["kernel"] for row in answers["kernels_of_problem"]] == ["5.4.210", "5.5.0-rc3"]
    assert answers["most_hosts"][0]["hosts"] == 2
    assert {row["beside"] for row in answers["together"]} == {
        "kernel.tcp-state",
        "kernel.storage-timeout",
    }
    assert sum(row["incidents"] for row in answers["incidents_by_week"]) == 7


def test_queries_are_bounded() -> None:
    """None returns everything there is, and each says what it shows."""
    for name, query in json.loads(METADATA.read_text())["databases"]["history"]["queries"].items():
        assert query["title"], name
        assert "LIMIT" in query["sql"] or ":fingerprint" in query["sql"], name
