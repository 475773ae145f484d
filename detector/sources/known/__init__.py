"""Sources of facts about fixed kernel bugs (CVE records, kernel checkouts), and the index
file.

Here is the IO alone; what records mean is in `detector.known`.

A source that yields no bug of the kernel is a `SourceError`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from detector.known.quotes import MessageReader
from detector.known.update import Gathered
from detector.sources.errors import SourceError
from detector.sources.known.archive import Progress, documents
from detector.sources.known.kernel_git import commits, is_kernel

_REASONS = 3  # reasons that an error names


def gather(
    paths: Sequence[Path], reader: MessageReader, progress: Progress | None = None
) -> Gathered:
    """The bugs of all sources; records before commits, so that commits add to them."""
    gathered = Gathered()
    for path in sorted(paths, key=is_kernel):
        before, left_out = len(gathered.bugs) + gathered.joined, gathered.left_out.copy()
        if not path.exists():
            raise SourceError(f"{path}: is not there")
        if is_kernel(path):
            gathered.commits(commits(path, progress), reader)
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
