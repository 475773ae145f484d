"""The API, `/api/v1`: one module for each kind of thing.
Fields and parameters are only ever added.
"""

from __future__ import annotations

from detector.serve.api import (
    events,
    explain,
    export,
    faults,
    fleet,
    grafana,
    health,
    hosts,
    incidents,
    kernel_errors,
    noise,
    patterns,
    problems,
    silences,
    sql,
    stats,
)

# Not one router of routers: each would have all routes made anew.
ROUTERS = tuple(
    part.router
    for part in (
        health,
        incidents,
        faults,
        fleet,
        problems,
        hosts,
        noise,
        kernel_errors,
        stats,
        patterns,
        silences,
        explain,
        sql,
        export,
        events,
        grafana,
    )
)
