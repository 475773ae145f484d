"""Explains memory that ran out: the OOM killer and failed allocations.

In: a report of class `oom` or `memory-pressure`, or lone matches of an OOM kill. Out: statements;
sizes as printed, in kB. Formats: mm/oom_kill.c dump_header(), dump_oom_summary() (from 4.20 on),
__oom_kill_process(), mm/memcontrol.c mem_cgroup_print_oom_meminfo(), mm/page_alloc.c warn_alloc()
(3.x to 6.x).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence

from detector.explain.block_text import every, first, head_of, quoted
from detector.explain.kinds.consumers import explain_consumers
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Match, Statement

_INVOKED = lazy_regex(
    r"(?P<comm>.{0,16}?) invoked oom-killer: gfp_mask=(?P<gfp>0x[0-9a-f]+)(?:\((?P<flags>[^)]*)\))?"
    r".*?order=(?P<order>-?\d+)"
)
_SUMMARY = lazy_regex(
    r"oom-kill:constraint=(?P<constraint>CONSTRAINT_\w+),(?:nodemask=(?P<nodes>[^,(]*"
    r"|\(null\)),)?.*?"
    r"(?:oom_memcg=(?P<memcg>[^,]*),)?(?:global_oom,)?task_memcg=(?P<task_memcg>[^,]*),"
    r"task=(?P<task>.*),pid=(?P<pid>\d+),uid=(?P<uid>\d+)"
)
_KILLED = lazy_regex(
    r"(?P<what>(?:Memory cgroup o|O)ut of memory(?: \([a-z_]+\))?): Kill(?:ed)? process "
    r"(?P<pid>\d+) "
    r"\((?P<comm>.{0,15})\)(?:,)?(?: (?:total-vm:(?P<vm>\d+)kB, anon-rss:(?P<anon>\d+)kB|"
    r"score (?P<score>\d+)))?"
)
_KILLED_OLD = lazy_regex(
    r"Killed process (?P<pid>\d+) \((?P<comm>.{0,16}?)\),?(?: UID \d+,)? total-vm:(?P<vm>\d+)kB, "
    r"anon-rss:(?P<anon>\d+)kB"
)
_LIMIT = lazy_regex(
    r"memory: usage (?P<usage>\d+)kB, limit (?P<limit>\d+)kB, failcnt (?P<count>\d+)"
)
_TASK_IN = lazy_regex(r"Task in (?P<task>\S+) killed as a result of limit of (?P<limit>\S+)")
_SWAP = lazy_regex(r"Free swap +=? ?(?P<free>\d+)kB")
_SWAP_TOTAL = lazy_regex(r"Total swap +=? ?(?P<total>\d+)kB")
_CONSTRAINTS = {
    "CONSTRAINT_NONE": "the whole host was out of memory",
    "CONSTRAINT_MEMCG": "a memory cgroup was at its limit; the host need not be short of memory",
    "CONSTRAINT_CPUSET": "the memory nodes that its cpuset allows were exhausted, not the whole "
    "host",
    "CONSTRAINT_MEMORY_POLICY": "the memory nodes that its NUMA policy allows were exhausted, not "
    "the whole host",
}
_FAILED = lazy_regex(
    r"(?P<comm>.{0,16}?): page allocation failure[:.] order:(?P<order>\d+), "
    r"mode:(?P<gfp>0x[0-9a-f]+)(?:\((?P<flags>[^)]*)\))?"
)
_VMALLOC = lazy_regex(
    r"(?P<comm>.{0,16}?): vmalloc(?:: allocation failure: (?P<bytes>\d+) bytes| error: size "
    r"(?P<size>\d+))"
)

_SELDOM_MEANT = 4 << 30  # bytes
_NEAR = 4096  # bytes
_PERCPU = lazy_regex(
    r"percpu: allocation failed, size=(?P<bytes>\d+) align=\d+ atomic=[01], (?P<why>.{4,80}?)\.?$"
)


def explain_oom(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """Returns who asked, what was exhausted, who was killed."""
    del skip
    statements: list[Statement] = []
    if (matched := first(report.lines, _INVOKED)) is not None:
        statements.append(Statement(_request(report, matched), "certain", (quoted(matched),)))
    statements += _exhausted(report)
    statements += explain_consumers(report.lines)
    statements += explain_kills(report.lines)
    if not statements:
        statements.append(Statement("Memory ran out.", "certain", (head_of(report),)))
    return statements


def _request(report: CrashReport, matched: re.Match[str]) -> str:
    """Returns who asked for how much, and what stood against it; -1 is the order of SysRq f."""
    order = int(matched["order"])
    if order == -1:
        return "The OOM killer was called by hand (SysRq f), not for want of memory."
    size = f"{1 << order} page{'s' if order else ''}" if 0 <= order < 20 else "memory"
    return (
        f"{matched['comm']} asked for {size} (order {matched['order']}, flags "
        f"{matched['flags'] or matched['gfp']}) and {_refused(report)}: the OOM killer was called."
    )


def _refused(report: CrashReport) -> str:
    """Returns why the request was not met: a cgroup's limit, or no memory where the task may
    look.
    """
    summary = first(report.lines, _SUMMARY)
    constraint = summary["constraint"] if summary is not None else ""
    if (
        constraint == "CONSTRAINT_MEMCG"
        or first(report.lines, _TASK_IN) is not None
        or any(text.startswith("Memory cgroup out of memory") for text in report.lines)
    ):
        return "a memory cgroup was at its limit"
    return "there was none to be had" if constraint == "CONSTRAINT_NONE" else "did not get it"


def _exhausted(report: CrashReport) -> Iterator[Statement]:
    summary, limit = first(report.lines, _SUMMARY), first(report.lines, _LIMIT)
    old = first(report.lines, _TASK_IN)
    if summary is not None and summary["constraint"] in _CONSTRAINTS:
        group = f" (cgroup {summary['memcg']})" if summary["memcg"] else ""
        text = f"What was exhausted: {_CONSTRAINTS[summary['constraint']]}{group}."
        yield Statement(text, "certain", (quoted(summary),))
    elif old is not None:
        text = (
            f"A memory cgroup was at its limit: {old['limit']}; the host need not be short of "
            f"memory."
        )
        yield Statement(text, "certain", (quoted(old),))
    if limit is not None:
        yield Statement(
            f"The cgroup used {limit['usage']} kB of the {limit['limit']} kB that it may use, and "
            f"had failed to get more {limit['count']} times.",
            "certain",
            (quoted(limit),),
        )
    free = next(iter(every(report.lines, _SWAP)), None)
    total = next(iter(every(report.lines, _SWAP_TOTAL)), None)
    if total is not None and int(total["total"]) == 0:
        yield Statement("The host has no swap.", "certain", (quoted(total),))
    elif free is not None and total is not None and int(free["free"]) == 0:
        text = f"All of the swap, {total['total']} kB, was in use."
        yield Statement(text, "certain", (quoted(free), quoted(total)))


def explain_kills(lines: Sequence[str]) -> Iterator[Statement]:
    """The victims named in lines of text, the first three."""
    kills = [
        matched
        for text in lines
        if (matched := _KILLED.match(text) or _KILLED_OLD.match(text)) is not None
    ]
    seen: set[str] = set()
    for matched in kills:
        groups = matched.groupdict()
        if matched["pid"] in seen and groups.get("anon") is None:
            continue
        seen.add(matched["pid"])
        if len(seen) > 3:
            return
        size = (
            f", which held {groups['anon']} kB of anonymous memory (of {groups['vm']} kB virtual)"
            if groups.get("anon")
            else f" with the score {groups['score']}"
            if groups.get("score")
            else ""
        )
        chosen = (
            "It was the one that asked (vm.oom_kill_allocating_task)."
            if "(oom_kill_allocating_task)" in matched[0]
            else "Victims are chosen by size and oom_score_adj, not by fault."
        )
        text = f"{matched['comm']} (pid {matched['pid']}) was killed{size}. {chosen}"
        yield Statement(text, "certain", (quoted(matched),))


def explain_kill_matches(evidence: Sequence[Match]) -> list[Statement]:
    """The same of matches that stand in no report."""
    kills = [match for match in evidence if match.cls in ("oom-kill", "oom-kill-cgroup")]
    return list(explain_kills([match.text for match in kills]))


def _unchecked(size: int) -> Iterator[Statement]:
    """Yields what a size says that no caller is likely to mean: a length that nobody checked."""
    if size < _SELDOM_MEANT:
        return
    text = "So large an area is seldom meant: look where the length comes from, and who checks it."
    evidence = f"{size} >> 30 = {size >> 30} (GiB)"
    below = (1 << size.bit_length()) - size
    if below <= _NEAR:
        evidence = f"{size} = 2^{size.bit_length()} - {below}"
        text += " It is just below a power of two, as a sum or a product is that wrapped."
    yield Statement(text, "likely", (evidence,))


def explain_allocation(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """An allocation that failed: how much, and whether memory is short or in splinters."""
    del skip
    if (matched := first(report.lines, _FAILED)) is not None:
        order = int(matched["order"])
        pages = f"{1 << order} adjoining pages" if order else "one page"
        why = (
            "an order above 0 fails when free memory is in splinters, also where much is free"
            if order
            else "for a single page that means that memory was short at that moment"
        )
        text = (
            f"{matched['comm']} got no memory: {pages} (order {order}, flags "
            f"{matched['flags'] or matched['gfp']}); {why}. The caller may have coped."
        )
        return [Statement(text, "certain", (quoted(matched),))]
    if (area := first(report.lines, _VMALLOC)) is not None:
        size = int(area["bytes"] or area["size"])
        text = f"{area['comm']} got no area of {size} bytes from vmalloc."
        return [Statement(text, "certain", (quoted(area),)), *_unchecked(size)]
    if (shared := first(report.lines, _PERCPU)) is not None:
        text = f"{shared['bytes']} bytes for each CPU were not to be had: {shared['why']}."
        return [Statement(text, "certain", (quoted(shared),))]
    return [Statement("An allocation failed.", "certain", (head_of(report),))]
