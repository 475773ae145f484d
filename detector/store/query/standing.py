"""Standing of an incident's problem: how often it was seen, where, since when. Reads only.

In: an open history, an incident, the time. Out: a `ProblemStanding`. Times are µs since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass

from detector.clock import HOUR_US
from detector.store.errors import explained
from detector.store.query.advice import Advice, advice_of
from detector.store.query.history import History

_OTHER_HOSTS = 20
_STANDING = """
SELECT p.fingerprint, p.incidents, p.reports, p.hosts, p.first_us, p.last_us, p.fixed_in, i.host,
  i.regression,
  NOT EXISTS (SELECT 1 FROM incidents o WHERE o.fingerprint = i.fingerprint
    AND o.joined_into IS NULL AND o.id <> i.id
              AND (o.found_us < i.found_us OR (o.found_us = i.found_us AND o.rowid < i.rowid)))
  AND NOT EXISTS (SELECT 1 FROM faults f INDEXED BY faults_problem
    WHERE f.fingerprint = i.fingerprint AND f.at_us > 0
                  AND f.at_us < (SELECT at_us FROM faults WHERE id = i.anchor_id)) AS new
FROM incidents i JOIN problems p ON p.fingerprint = i.fingerprint WHERE i.id = :id
"""
_HOSTS_SINCE = """
SELECT host FROM problem_hosts WHERE fingerprint = (SELECT fingerprint FROM incidents
  WHERE id = :id)
  AND host <> :host AND last_us >= :since ORDER BY last_us DESC, host LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class ProblemStanding:
    """The history of the same problem.

    `count` of incidents and `hosts` include this one; `new` where it is the first, and no
    earlier report had the problem; `advice` is what people know.

    `regression_of` is the kernel release that was said to hold the fix ("" where none was named),
    None where it is no regression. `hosts_last_hour` names other hosts, the latest first.
    """

    count: int
    hosts: int
    first_us: int
    last_us: int
    new: bool
    regression_of: str | None = None
    hosts_last_hour: tuple[str, ...] = ()
    reports: int = 0
    advice: tuple[Advice, ...] = ()


def standing_of(history: History, incident_id: str, now_us: int) -> ProblemStanding | None:
    """Returns how the problem of an incident stands; None where its report has no fingerprint,
    so that it cannot be told from others. Raises `StoreError`.
    """
    with explained(history.path):
        row = history.db.execute(_STANDING, {"id": incident_id}).fetchone()
        if row is None:
            return None
        others = history.db.execute(
            _HOSTS_SINCE,
            {
                "id": incident_id,
                "host": row["host"],
                "since": now_us - HOUR_US,
                "limit": _OTHER_HOSTS,
            },
        )
        return ProblemStanding(
            count=row["incidents"],
            hosts=row["hosts"],
            first_us=row["first_us"],
            last_us=row["last_us"],
            new=bool(row["new"]),
            regression_of=(row["fixed_in"] or "") if row["regression"] else None,
            hosts_last_hour=tuple(other["host"] for other in others),
            reports=row["reports"],
            advice=tuple(advice_of(history.db, row["fingerprint"])),
        )
