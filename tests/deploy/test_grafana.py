"""The shipped Grafana data source: the plugin's requests to its address are answered."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import yaml

from tests.support import queries
from tests.support.visiting import READ, client_of, tokens_file


def test_the_data_source_is_answered(deploy: Path, tmp_path: Path) -> None:
    """Save & test, targets and annotations, at the address and with the header that the file
    gives.
    """
    (source,) = yaml.safe_load((deploy / "grafana" / "datasource.yaml").read_text())["datasources"]
    token = source["secureJsonData"]["httpHeaderValue1"].replace("$OOPSWATCH_TOKEN", READ)
    headers = {source["jsonData"]["httpHeaderName1"]: token}
    queries.fill(tmp_path / "history.db")
    client = client_of(tmp_path / "history.db", tokens_file=str(tokens_file(tmp_path)))
    path = urlsplit(source["url"]).path
    span = {"from": "2020-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z"}
    assert client.get(f"{path}/").status_code == 401
    assert client.get(f"{path}/", headers=headers).status_code == 200
    assert client.post(f"{path}/search", headers=headers, json={"target": ""}).json() == [
        "incidents",
        "noise",
    ]
    chart = client.post(
        f"{path}/query",
        headers=headers,
        json={"range": span, "targets": [{"target": "incidents"}], "maxDataPoints": 10},
    ).json()
    marks = client.post(
        f"{path}/annotations",
        headers=headers,
        json={"range": span, "annotation": {"query": "state=open"}},
    ).json()
    assert sum(count for count, _ in chart[0]["datapoints"]) >= len(marks) > 0
