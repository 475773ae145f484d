"""One notice that is made up: what `notify --test` sends, what templates are tried with,
what the documentation shows.

In: a time, and what the notice is to be. Out: a notice. Nothing in it is from a log.
"""

from __future__ import annotations

from dataclasses import replace

from detector.alert.notice import Action, Notice, Subject
from detector.clock import SECOND_US
from detector.store.query.standing import ProblemStanding

_SUBJECT = Subject(
    id="0123456789abcdef",
    rule="tcp-release-and-memory-fault",
    host="db-17",
    boot="example",
    severity="critical",
    title="BUG: unable to handle kernel paging request in __inet_lookup_listener",
    fingerprint="1:00112233445566aa",
    started_us=0,
    found_us=0,
    gap_us=492_317,
    time_basis="kernel",
    uptime_us=61_817_741_312_094,
    kernel="4.19.90-example",
    function="__inet_lookup_listener",
    module=None,
    lines=(
        (
            "[61817740.819777] IPv4: Attempt to release TCP socket in state 10 "
            "ffff805624a7b800   kernel-logs/3:41"
        ),
        (
            "[61817741.312094] Unable to handle kernel paging request at virtual address "
            "0001950b00000030   kernel-logs/3:44"
        ),
    ),
    what_happened=("TCP socket released while listening", "paging fault in __inet_lookup_listener"),
    known_issue="tcp-listener-race",
    known_issue_confidence="likely",
    next_steps=(
        "oopswatch incidents show 0123456789abcdef",
        "Look at the other hosts with this kernel.",
    ),
    state="open",
    rule_title="A TCP socket was released, then the kernel faulted",
    runbook="https://runbooks.example.com/tcp-listener-race",
)


def example_notice(
    at_us: int, action: Action = "fire", reason: str = "this is a test, nothing has happened"
) -> Notice:
    """One incident that began 90 s before `at_us`."""
    subject = replace(_SUBJECT, started_us=at_us - 90 * SECOND_US, found_us=at_us - 89 * SECOND_US)
    standing = ProblemStanding(
        14,
        9,
        at_us - 30 * 86_400 * SECOND_US,
        at_us - 90 * SECOND_US,
        False,
        "4.19.93",
        ("db-3", "db-9"),
    )
    link = "https://oopswatch.example.com/incidents/0123456789abcdef"
    return Notice(
        action,
        "oopswatch/test",
        (subject,),
        1,
        ("db-17",),
        1,
        standing,
        reason,
        at_us,
        "kernel",
        link,
    )
