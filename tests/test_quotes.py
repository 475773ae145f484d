"""Applications that quote the kernel: no example of any signature, in any form that programs give
it, becomes a kernel match. (One word before a message that begins with a process's name, where
nothing says who wrote it, cannot be told from that name.)
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from detector.model import Boot
from tests.support.feeding import matcher, parsed
from tests.support.shipped import shipped

EXAMPLES = [
    text
    for signature in shipped().signatures
    if signature.origin == "kernel" and not signature.marker
    for text in signature.examples
]
DATE = "Mar  3 04:11:22 web-3"
FORMS: dict[str, Callable[[str], str]] = {
    "a daemon's syslog": lambda text: f"{DATE} monitor[1811]: {text}",
    "a daemon that names the kernel": lambda text: f"{DATE} check[1811]: kernel: [  3.25] {text}",
    "RFC 5424 of user space": lambda text: (
        f"<134>1 2026-03-03T04:11:22.0Z web-3 alertd 9 - - {text}"
    ),
    "journald, a service": lambda text: journal("stdout", "checker", text),
    "journald, logger -t kernel": lambda text: journal("syslog", "kernel", text),
    "a Java log": lambda text: (
        f'2026-03-03 04:11:22,123 ERROR [pool-3] c.e.Health - seen: "{text}"'
    ),
    "glog": lambda text: f"I0303 04:11:22.123456    1811 monitor.go:160] New status: {text}",
    "CRI": lambda text: f"2026-03-03T04:11:22.1Z stderr F level=error msg={json.dumps(text)}",
    "a container's JSON": lambda text: json.dumps({"log": f"dmesg said: {text}\n"}),
    "an application's JSON": lambda text: json.dumps(
        {"level": "warn", "msg": f"matched a line of dmesg: {text}"}
    ),
    "a Python logger": lambda text: f"WARNING:health:{text}",
    "a mail": lambda text: f"> {text}",
    "sudo": lambda text: f"{DATE} sudo:  root : PWD=/root ; COMMAND=/bin/grep '{text}' messages",
    "audit": lambda text: f'type=USER_CMD msg=audit(1767231000.123:9): pid=9 cmd="{text}"',
}


def journal(transport: str, tag: str, text: str) -> str:
    """A journald entry that a process of user space wrote."""
    return json.dumps(
        {
            "_TRANSPORT": transport,
            "_HOSTNAME": "web-3",
            "_UID": "1000",
            "SYSLOG_IDENTIFIER": tag,
            "MESSAGE": text,
            "__REALTIME_TIMESTAMP": "1767231000000000",
        }
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_quoted_fault_is_none(form: str) -> None:
    """Neither as the kernel's, nor as noise of a program that crashed."""
    log = "\n".join(FORMS[form](text) for text in EXAMPLES)
    lines = parsed(log)
    assert len(lines) >= len(EXAMPLES)
    taken = [
        (match.signature, line.text) for line in lines if (match := matcher().match(line, Boot()))
    ]
    assert taken == []


def test_the_examples_themselves_are_taken() -> None:
    """The same lines from the kernel: so the test above can fail."""
    lines = parsed("\n".join(f"[    5.{n:06}] {text}" for n, text in enumerate(EXAMPLES)))
    taken = {line.text for line in lines if matcher().match(line, Boot())}
    assert len(taken & set(EXAMPLES)) > len(EXAMPLES) * 0.9
