"""The public interface of oopswatch for programs: kernel logs in, findings and incidents
out.

`Detector.feed(chunks, now_us)` gives findings: values with a JSON form (`to_json`, `from_json`,
`schema`), which every later version reads. `Archive.take(findings)` stores them in a history and
gives the incidents that they raise. Chunks come from `text_chunk`, `FileSource` or whoever has
bytes (`Chunk` says what a chunk is). `open_history` makes or opens the SQLite file. `settings_from`
reads a settings file. The commands `scan`, `run`, `detect` and `archive` stand on the same parts.
docs/fleet.md shows an example. Names that are not in `__all__` may change at any time.
"""

from __future__ import annotations

import json
from pathlib import Path

from detector.app import build
from detector.catalogue import Catalogue
from detector.findings import (
    VERSION,
    CountersFinding,
    Finding,
    FindingError,
    KernelErrorFinding,
    LineFinding,
    MatchFinding,
    NoiseFinding,
    RejectedFinding,
    ReportFinding,
    UnclaimedFinding,
    from_json,
    schema,
    to_json,
)
from detector.hooks import RaisedIncident
from detector.render.objects import incident_item
from detector.scan import Chunk
from detector.settings import Settings, settings_of
from detector.sources import FileSource
from detector.sources.files.framing import FileChunk
from detector.stages.archive import Archive
from detector.stages.detector import Detector, ResumePoint
from detector.store import Journal

__all__ = [
    "VERSION",
    "Archive",
    "Catalogue",
    "Chunk",
    "CountersFinding",
    "Detector",
    "FileSource",
    "Finding",
    "FindingError",
    "Journal",
    "KernelErrorFinding",
    "LineFinding",
    "MatchFinding",
    "NoiseFinding",
    "RaisedIncident",
    "RejectedFinding",
    "ReportFinding",
    "ResumePoint",
    "Settings",
    "UnclaimedFinding",
    "catalogue_of",
    "from_json",
    "incident_json",
    "open_history",
    "schema",
    "settings_from",
    "text_chunk",
    "to_json",
]


def settings_from(path: Path | None = None) -> Settings:
    """The settings of a file (TOML), the environment and the defaults. Raises UserError, a line
    for each mistake.
    """
    return settings_of(path)[0]


def catalogue_of(settings: Settings) -> Catalogue:
    """The checked patterns that the settings name: worth sharing between detectors. Raises
    CatalogueError.
    """
    return build.catalogue_of(settings)


def incident_json(raised: RaisedIncident) -> bytes:
    """The JSON object of an incident, as `scan --json` prints it, without known bugs."""
    item = incident_item(raised.incident, raised.fingerprint, raised.report, raised.diagnosis)
    return json.dumps(item).encode()


def open_history(path: Path | str, settings: Settings | None = None) -> Journal:
    """The history at a path (":memory:" for one that is not kept), for one writer; whoever
    opens it closes it. Raises StoreError.
    """
    return build.journal_of(settings or Settings(), path)


def text_chunk(source: str, text: bytes, number: int = 1) -> Chunk:
    """Whole lines of a log as a chunk; `number` is that of its first line. Positions are line
    numbers.
    """
    data = text if text.endswith(b"\n") or not text else text + b"\n"
    return FileChunk(source, data, number + data.count(b"\n"), number)
