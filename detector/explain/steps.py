"""What to do next: the commands to run on a dump and on the host, made of what a report names.

In: the report, the sockets of the evidence, the issue named. Out: lines of text. Names from the log
are put into a command only if they are plain symbols, so that nothing that a crash wrote can be a
shell's input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from detector.explain.issues import Recognised
from detector.model import CrashReport

_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_.$]{0,127}")
_MODULE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RAW_POINTER = re.compile(r"[0-9a-f]{8,16}")


def next_steps(
    report: CrashReport | None, sockets: Iterable[str], named: Recognised | None
) -> tuple[str, ...]:
    """Commands, those for a dump first, then those for the host, then what the known issue adds."""
    steps = [*_on_dump(report, sockets), *_on_host(report)]
    if named is not None:
        steps += named.issue.next_steps
        if named.status in ("vendor", "vendor-fixed", "unknown") and named.issue.vendor_check:
            steps.append(named.issue.vendor_check)
        if named.issue.mitigation:
            steps.append(f"mitigation: {named.issue.mitigation}")
    return tuple(dict.fromkeys(steps))


def _on_dump(report: CrashReport | None, sockets: Iterable[str]) -> Iterator[str]:
    sockets = tuple(sockets)
    if report is not None:
        yield from ("crash: bt", "crash: log")
        if report.module and _MODULE.fullmatch(report.module):
            yield f"crash: mod -s {report.module}"
        if location := location_of(report):
            yield f"crash: dis -l {location}"
    if sockets:
        yield "crash: struct sock_common -o"
        # Up to 4.14 the line prints the address itself; later kernels print a hash of it, which no
        # dump knows.
        yield from (
            f"crash: struct sock {socket}" for socket in dict.fromkeys(sockets) if _is_raw(socket)
        )
        if not any(map(_is_raw, sockets)):
            yield (
                "crash: struct sock <socket address> (the log shows a hash of it; take the "
                "address from a register or from a list)"
            )


def _on_host(report: CrashReport | None) -> Iterator[str]:
    if report is not None:
        yield "host: ls -l /var/crash (is there a dump of this time?)"
        yield "host: uname -r (is the running kernel still the one that crashed?)"


def location_of(report: CrashReport) -> str | None:
    """function+0xoffset, where the function is a plain symbol."""
    name = report.display_function or report.function
    if not name or not _SYMBOL.fullmatch(name):
        return None
    return name if report.offset is None else f"{name}+{report.offset:#x}"


def _is_raw(socket: str) -> bool:
    """A kernel address, not a hash: hashes of 64-bit kernels begin with eight zeros."""
    return bool(_RAW_POINTER.fullmatch(socket)) and not socket.startswith("00000000")
