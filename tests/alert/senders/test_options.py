"""The tables of receivers: every mistake is one line that names the option, and no secret is ever
shown.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from detector.alert.senders import SENDERS, sender_of
from detector.alert.senders.alertmanager import AlertmanagerOptions
from detector.alert.senders.apprise import AppriseOptions
from detector.alert.senders.kafka import KafkaOptions
from detector.alert.senders.mail import MailOptions
from detector.alert.senders.options import Options, option_names, read
from detector.alert.senders.pagerduty import PagerDutyOptions
from detector.alert.senders.slack import SlackOptions
from detector.alert.senders.webhook import WebhookOptions

PAGE = Path(__file__).parents[3] / "docs" / "receivers.md"
TOKEN = "xoxb-not-to-be-shown-0123456789"  # (a made-up token)
DECLARED: dict[str, type[Options]] = {
    "alertmanager": AlertmanagerOptions, "apprise": AppriseOptions, "email": MailOptions,
    "kafka": KafkaOptions,
    "pagerduty": PagerDutyOptions, "slack": SlackOptions, "webhook": WebhookOptions,
}  # fmt: skip


@pytest.fixture
def token(tmp_path: Path) -> str:
    """A file that holds a secret."""
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return str(path)


def fault(table: dict[str, Any]) -> str:
    """What is said of a table that cannot be used."""
    with pytest.raises(ValueError) as caught:
        sender_of(table, "alerts.toml:7")
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, ("kind: missing; there are alertmanager, apprise, email, kafka, pagerduty, slack, "
"webhook")),
        ({"kind": "pagerdty"}, "kind: no such receiver: 'pagerdty', did you mean \"pagerduty\"?"),
        ({"kind": ["x"]}, "kind: no such receiver"),
        ({"kind": "slack"}, "url_file or url_env is missing"),
        ({"kind": "slack", "url": TOKEN},
            ("url: a secret does not belong here; name a file in url_file or a variable in "
"url_env")),
        ({"kind": "slack", "url_file": "/nowhere/at/all"},
            "url_file: /nowhere/at/all cannot be read: No such file or directory"),
        ({"kind": "slack", "url_env": "NOT_SET_AT_ALL"},
            "url_env: the environment has no NOT_SET_AT_ALL, or it is empty"),
        ({"kind": "slack", "url_env": 7}, "url_env: a text is wanted"),
        ({"kind": "slack", "url_env": "A", "url_file": "b"},
            "url_file and url_env say the same thing twice"),
        ({"kind": "webhook", "url": "ftp://x/y"},
            "url: not an address that begins with https:// or http://"),
        ({"kind": "webhook", "url": "http://["}, "url: not an address"),
        ({"kind": "webhook", "url": "http://x", "timeout": 3},
            "timeout: unknown option, did you mean \"timeout_s\"?"),
        ({"kind": "webhook", "url": "http://x", "timeout_s": 0},
            "timeout_s: input should be greater than or equal to 0.05"),
        ({"kind": "webhook", "url": "http://x", "ca_file": __file__},
            "holds no certificates that can be used"),
        ({"kind": "webhook", "url": "http://x", "body_template": "/no/such.j2"},
            "body_template: path does not point to a file"),
        ({"kind": "alertmanager", "urls": []}, "urls: tuple should have at least 1 item"),
        ({"kind": "alertmanager", "urls": ["http://a"], "hold_s": 100},
            "hold_s is 100, which is less than twice repeat_s"),
        ({"kind": "email", "host": "mx", "sender": "a@b.c", "to": ["x@y\r\nBcc: z@z.z"]},
            "to.0: string should match pattern"),
        ({"kind": "email", "host": "mx", "to": ["x@y.z"]},
            "sender: field required (address that the message is from)"),
        ({"kind": "email", "host": "mx", "sender": "a@b.c", "to": ["x@y.z"], "username": "u"},
            "belong together"),
        ({"kind": "kafka", "bootstrap_servers": ["a:1"], "security_protocol": "SASL_SSL"},
            "SASL_SSL needs sasl_mechanism"),
        ({"kind": "kafka", "bootstrap_servers": ["a:1"], "topic": "a b"},
            "topic: string should match pattern"),
        ({"kind": "kafka", "bootstrap_servers": ["a:1"], "title_template": __file__},
            "a topic carries data, not words"),
    ],
)  # fmt: skip
def test_mistakes_are_one_clear_line(table: dict[str, Any], said: str) -> None:
    """Each begins with its place and names what to mend."""
    assert fault(table).startswith("alerts.toml:7: ")
    assert said in fault(table)


def test_a_file_of_templates_with_a_fault_is_refused(tmp_path: Path) -> None:
    """With file and line, when the receiver is read and not when it is needed."""
    path = tmp_path / "body.j2"
    path.write_text("\n{{ nothing }}")
    said = fault({"kind": "webhook", "url": "http://x", "body_template": str(path)})
    assert said == f"alerts.toml:7: {path}:2: 'nothing' is undefined"


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff", "tök".encode(), b"a\x1bb"])
def test_what_is_no_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    """A header or a URL of more than one line would be another header."""
    path = tmp_path / "secret"
    path.write_bytes(content)
    said = fault({"kind": "slack", "url_file": str(path)})
    assert said.startswith(
        (
            f"alerts.toml:7: url_file: {path} ",
            f"alerts.toml:7: url_file: what {path} holds is not one line",
        )
    )


def test_secrets_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of the variable."""
    monkeypatch.setenv("PD_KEY", TOKEN)
    assert (
        read(
            PagerDutyOptions, {"kind": "pagerduty", "routing_key_env": "PD_KEY"}, "w"
        ).routing_key.get_secret_value()
        == TOKEN
    )


def test_no_text_of_options_shows_a_secret(token: str) -> None:
    """Neither repr nor str, of the options or of a sender."""
    options = read(
        WebhookOptions,
        {"url": f"https://x.example/{TOKEN}", "token_file": token, "secret_file": token},
        "w",
    )
    sender = sender_of(
        {"kind": "webhook", "url": f"https://x.example/{TOKEN}", "token_file": token}, "w"
    )
    for shown in (
        repr(options),
        str(options),
        options.model_dump_json(),
        repr(sender),
        repr(vars(sender)["_options"]),
    ):
        assert TOKEN not in shown


@pytest.mark.parametrize("kind", sorted(SENDERS))
def test_every_option_is_documented(kind: str) -> None:
    """The page names each option of each receiver, and no other."""
    page = PAGE.read_text()
    shared = set(
        re.findall(
            r"^\| `([a-z_]+)` \|",
            page.partition("## Options of every receiver")[2].partition("\n## ")[0],
            re.MULTILINE,
        )
    )
    own = set(
        re.findall(
            r"^\| `([a-z_]+)` \|",
            page.partition(f"\n## {kind}\n")[2].partition("\n## ")[0],
            re.MULTILINE,
        )
    )
    http = {"ca_file", "proxy"} if "proxy" in DECLARED[kind].model_fields else set()
    assert own | {name for name in shared if name in http or name in Options.model_fields} == set(
        option_names(DECLARED[kind])
    )
