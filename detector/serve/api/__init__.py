"""The API, `/api/v1`: one module for each kind of thing.
Fields and parameters are only ever added.
"""

from __future__ import annotations

from detector.serve.api import (
    events,
    explain,
    faults,
    grafana,
    health,
    hosts,
    incidents,
    patterns,
    problems,
    silences,
    sql,
    stats,
)

# Not one router of routers: each would have all routes made anew.
ROUTERS = (
    health.router,
    incidents.router,
    faults.router,
    hosts.fleet_router,
    problems.router,
    hosts.router,
    stats.noise_router,
    faults.kernel_errors_router,
    stats.router,
    patterns.router,
    silences.router,
    explain.router,
    sql.router,
    incidents.export_router,
    events.router,
    grafana.router,
)
