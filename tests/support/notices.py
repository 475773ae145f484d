"""Notices for the tests of messages and senders: a usual one, a storm, and texts that want to be
markup.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from detector.alert.notice import Notice
from detector.alert.templates import example_notice

SECOND = 1_000_000
NOW = 1_790_000_000 * SECOND

HOSTILE = (
    "@channel @here <!channel> <!everyone> <@U012AB3CD> <#C0LAN2Q65>",
    "```\n*bold* _it_ ~gone~ `code` [a](javascript:alert(1)) ![x](http://evil.example/x.png)",
    "<script>alert(1)</script><img src=x onerror=alert(1)> &lt;b&gt;",
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil.example\x07link\x1b]8;;\x07 \x9b1m",
    "one\r\nBcc: victim@example.com\r\n\r\n.\r\nMAIL FROM:<x@example.com>\r\n",
    "\u202egnp.exe\u202c \u2066x\u2069 \u200b\u2028\u2029\x85 \udc80 \x00 \U0001f4a9",
    "{{ 7 * 7 }} {% for x in range(9) %} ${HOME} $(id) %s {0} '; DROP TABLE incidents; --",
    "x" * 100_000,
)
# What must be in no text that a person, a terminal or a mail server reads.
FORBIDDEN = (
    "\x1b",
    "\x9b",
    "\r",
    "\x00",
    "\u202e",
    "\u2066",
    "\u200b",
    "\u2028",
    "\u2029",
    "\x85",
    "@channel",
    "@here",
    "<!",
    "<@",
    "<#",
)


def notice(action: Any = "fire", **changes: Any) -> Notice:
    """The example at `NOW`; names of the notice or of its leading incident are changed."""
    made = example_notice(NOW, action)
    own = {name: value for name, value in changes.items() if name in Notice.__slots__}
    lead = {name: value for name, value in changes.items() if name not in own}
    return replace(
        made, **own, **({"subjects": (replace(made.subjects[0], **lead),)} if lead else {})
    )


def hostile(action: Any = "fire") -> Notice:
    """Everything that a log or a fleet can name is hostile."""
    text = " ".join(HOSTILE[:-1])
    return notice(
        action, host=text, boot=text, title=text, kernel=text, function=text, module=text,
        lines=HOSTILE, what_happened=HOSTILE,
        next_steps=HOSTILE, rule_title=text, reason=text, hosts=HOSTILE, host_count=1, runbook=text,
    )  # fmt: skip


def storm(hosts: int = 5_000, shown: int = 50) -> Notice:
    """Many hosts with one fingerprint, of which some are named."""
    lead = notice(host="node-0001").subjects[0]
    subjects = tuple(
        replace(lead, host=f"node-{number:04}", id=f"{number:016x}")
        for number in range(1, shown + 1)
    )
    return notice(
        subjects=subjects, total=hosts, host_count=hosts, hosts=tuple(one.host for one in subjects)
    )
