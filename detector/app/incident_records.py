"""Incidents of a history as records for other systems' logs: OpenTelemetry's and Elastic's.

In: a history and settings. Out: what makes the object of a row. It reads the catalogue once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from detector.alert.ecs import ecs_document
from detector.alert.otlp import log_record, logs_request
from detector.alert.subject import subject_of
from detector.app import build
from detector.render.objects import Item
from detector.settings import Settings
from detector.store import History, IncidentRow

RecordKind = Literal["otlp", "ecs"]


def record_maker(
    kind: RecordKind, history: History, settings: Settings
) -> Callable[[IncidentRow], Item | None]:
    """Returns what makes the record of a row, or None where retention has removed it.

    A record's uid is another once the incident has changed.
    """
    catalogue = build.catalogue_of(settings)
    base = settings.alert.base_url.rstrip("/")

    def record(row: IncidentRow) -> Item | None:
        subject = subject_of(history, catalogue, row.id)
        if subject is None:
            return None
        link = f"{base}/incidents/{row.id}" if base else None
        uid = f"{row.id}.{row.found_us if row.changed_us is None else row.changed_us}"
        if kind == "ecs":
            return ecs_document(subject, created_us=row.found_us, uid=uid, action=None, link=link)
        made = log_record(subject, observed_us=row.found_us, uid=uid, action=None, link=link)
        return logs_request(subject, made)

    return record
