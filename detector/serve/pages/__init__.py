"""The pages of the history, rendered on the server.

`router` holds them all, each also as JSON and CSV.
"""

from __future__ import annotations

from fastapi import APIRouter

from detector.serve.pages import (
    actions,
    compare,
    explain,
    faults,
    files,
    hosts,
    incident,
    incidents,
    noise,
    overview,
    patterns,
    problems,
    silences,
)
from detector.serve.pages.rendering import serve

router = APIRouter(include_in_schema=False)
router.include_router(files.router)
router.include_router(actions.router)
router.include_router(explain.router)
for _path, _make in (
    ("/", overview.overview),
    ("/incidents", incidents.incidents),
    ("/incidents/{identity}", incident.incident),
    ("/compare", compare.compare),
    ("/faults", faults.faults),
    ("/faults/{identity}", faults.fault),
    ("/fleet", hosts.fleet),
    ("/problems", problems.problems),
    ("/problems/{fingerprint:path}", problems.problem),
    ("/hosts", hosts.hosts),
    ("/hosts/{name:path}", hosts.host),
    ("/noise", noise.noise),
    ("/kernel-errors", faults.kernel_errors),
    ("/kernel-errors/{identity}", faults.kernel_error),
    ("/rules", patterns.rules),
    ("/signatures", patterns.signatures),
    ("/signatures/{identity}", patterns.signature),
    ("/silences", silences.silences),
):
    serve(router, _path, _make)
