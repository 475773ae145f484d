"""Gathers the bugs of one or more sources: CVE records in files, a kernel checkout.

In: paths, a reader of quoted reports. Out: bugs, and what was left out by reason. A source that
yields no bug of the kernel is a `SourceError`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from detector.known.message import MessageReader
from detector.known.update import Gathered
from detector.sources.errors import SourceError
from detector.sources.known import kernel_git
from detector.sources.known.archive import Progress, documents

_REASONS = 3  # reasons that an error names


def gather(
    paths: Sequence[Path], reader: MessageReader, progress: Progress | None = None
) -> Gathered:
    """The bugs of all sources; records before commits, so that commits add to them."""
    gathered = Gathered()
    for path in sorted(paths, key=kernel_git.is_kernel):
        before, left_out = len(gathered.bugs) + gathered.joined, gathered.left_out.copy()
        if not path.exists():
            raise SourceError(f"{path}: is not there")
        if kernel_git.is_kernel(path):
            gathered.commits(kernel_git.commits(path, progress), reader)
        else:
            for document in documents(path, progress):
                gathered.document(document.name, document.data, reader)
        if len(gathered.bugs) + gathered.joined == before:
            raise SourceError(f"{path}: {_nothing(gathered.left_out - left_out)}")
    return gathered


def _nothing(left_out: Counter[str]) -> str:
    if not left_out:
        return (
            "holds neither CVE records (JSON files) nor a kernel checkout with its tags: hand over "
            "a copy of the kernel's vulns.git, of cvelistV5, or of a kernel repository"
        )
    reasons = ", ".join(f"{count:,} × {reason}" for reason, count in left_out.most_common(_REASONS))
    return f"holds no record of a bug of the Linux kernel ({reasons})"
