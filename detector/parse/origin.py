"""Decides who wrote a line by the fields of its envelope, under whatever names a shipper
gave them.

Comes in: an object's field names, then its values, and what the site trusts. Goes out: a trust, and
whether text alone is a process's. Names are compared without underscores, case and separators and
behind any prefix, since shippers rename (Fluent Bit's strip_underscores and lowercase, Promtail's
`__journal__transport`, nested objects). It reads no message.

Sources: systemd.journal-fields(7); OpenTelemetry's semantic conventions (log, k8s, service,
process); rsyslog's property replacer and inputname; Vector's file, exec, docker_logs and
kubernetes_logs sources; Filebeat's exported fields; Fluent Bit's kubernetes filter; Promtail's
labels; CloudWatch Logs' subscriptions; Graylog's GELF.
"""

from __future__ import annotations

import re
from functools import lru_cache

from detector.lazy_regex import lazy_regex
from detector.trust_policy import TrustPolicy

JsonObject = dict[str, object]
Witnesses = tuple[tuple[str, str], ...]
"""The fields of one shape of object that tell who wrote it: (name, what it is)."""


TRANSPORTS = frozenset(("audit", "driver", "syslog", "journal", "stdout"))
"""The ways into a journal that are not the kernel's log."""
_STREAMS = frozenset(("stdout", "stderr"))
_UNITS = (".service", ".scope", ".slice", ".socket", ".mount", ".timer", ".path", ".swap")
_INPUTS = frozenset(
    (
        *("imuxsock", "docker_logs", "kubernetes_logs", "container", "docker"),
        *("local+unix-dgram", "local+unix-stream"),
    )
)
"""What reads from processes: inputs, and /dev/log as syslog-ng's TRANSPORT has it (4.11.0,
modules/afsocket/transport-mapper-unix.c)."""
_SERVICES = ("/aws/", "/ecs/", "/eks/")
_READERS = lazy_regex(r"(?:\S*/)?(?:sudo (?:\S*/)?)?(?:dmesg|journalctl|cat|tail|head)(?= |$)")
_NOTHING = frozenset(("", "-", "0"))


def _kinds() -> dict[str, str]:
    """Returns what a field is, by the end of its name."""
    named = {
        "process": """
            comm exe cmdline uid gid cap_effective audit_session audit_loginuid systemd_cgroup
            systemd_unit systemd_user_unit systemd_user_slice systemd_slice systemd_owner_uid
            systemd_session systemd_invocation_id invocation_id selinux_context code_file code_func
            pod pod_name pod_id pod_uid pod_ip container container_id container_name container_image
            container_image_name container_runtime namespace_name k8s_namespace_name
            deployment_name statefulset_name daemonset_name replicaset_name cronjob_name job_name
            docker kubernetes logger logger_name thread thread_name telemetry_sdk_name
            telemetry_sdk_language process_executable_name process_executable_path process_command
            process_command_line process_runtime_name procid proc_id faas_name""",
        "pid": "pid process_pid process_id",
        "service": "service_name",
        "bare": "service app ddsource",
        "stream": "stream iostream",
        "unit": "unit user_unit",
        "input": "inputname input_name source_type input_type transport",
        "file": "file file_path filepath filename file_name path source logfile",
        "group": "log_group log_group_name",
        "command": "command",
        # These end like some of the above and are something else.
        "none": """record_uid node_uid cluster_uid host_uid machine_uid k8s_node_uid
            cloud_service_name cloud_service scrape_job_name agent_pid""",
    }
    return {name: kind for kind, names in named.items() for name in names.split()}


_KINDS = _kinds()
_CAMEL = lazy_regex(r"(?<=[a-z0-9])(?=[A-Z])")
_MARKS = lazy_regex(r"[^a-z0-9]+")
_ORCHESTRATED = lazy_regex(r"(?:.*_)?(?:k8s|kubernetes)_(?!node|cluster|host|master)")
_NAME_BOUND = 160


@lru_cache(maxsize=16_384)
def canonical(name: str) -> str:
    """A field's name without case, separators and underscores around: `_TRANSPORT`,
    `journald.transport` and `journalTransport` end alike.
    """
    return _MARKS.sub("_", _CAMEL.sub("_", name[-_NAME_BOUND:]).lower()).strip("_")


def ends(name: str) -> list[str]:
    """A canonical name and every end of it that begins a word, longest first."""
    parts = name.split("_")
    return ["_".join(parts[k:]) for k in range(len(parts))]


def witnesses(names: tuple[str, ...]) -> Witnesses:
    """The fields among some names that tell who wrote a line."""
    kinds = ((name, _kind(canonical(name))) for name in names)
    return tuple((name, kind) for name, kind in kinds if kind is not None and kind != "none")


def _kind(name: str) -> str | None:
    if _ORCHESTRATED.match(name):
        return "process"
    return next((_KINDS[end] for end in ends(name) if end in _KINDS), None)


def by_process(held: JsonObject, names: Witnesses, policy: TrustPolicy) -> tuple[bool, bool]:
    """Returns whether the fields say that a process wrote the line; and whether a text without
    a syslog header of its own is a process's then.

    Tags, facilities and a journal's own transport are weighed by `trust_of`.
    """
    bare = False
    for name, kind in names:
        for value in _values(held[name]):
            if kind in ("process", "pid") or _tells(kind, value, policy):
                if kind in ("pid", "stream") and _is_collectors(held, names):
                    continue
                return True, True
            bare = bare or kind in ("bare", "service") or _leaves_bare(kind, value, policy)
    return False, bare


def serves(held: JsonObject, names: Witnesses) -> bool:
    """Returns whether the fields name a service (OpenTelemetry): a process's, unless a journal
    or a facility proves the kernel.
    """
    return any(kind == "service" and any(_values(held[name])) for name, kind in names)


def _tells(kind: str, value: str, policy: TrustPolicy) -> bool:
    """Returns whether a field's value is one that only a process's line has."""
    if kind == "stream":
        return value in _STREAMS
    if kind == "unit":
        return value.endswith(_UNITS)
    if kind == "input":
        return value in _INPUTS
    if kind == "group":
        return value.startswith(_SERVICES)
    return kind == "file" and _is_path(value) and policy.of_file(value) == "user"


def _leaves_bare(kind: str, value: str, policy: TrustPolicy) -> bool:
    """Returns whether a group of logs is not named as one that holds the kernel's."""
    return kind == "group" and policy.of_file(value) == "user"


def _is_path(value: str) -> bool:
    return value.startswith("/") or value.endswith((".log", ".txt", ".out", ".err"))


def _is_collectors(held: JsonObject, names: Witnesses) -> bool:
    """Returns whether the process that the fields name is one that a shipper runs to read the
    kernel's log (Vector's exec source: `command`, `pid`, `stream`).
    """
    command = next((held[name] for name, kind in names if kind == "command"), None)
    if command is None or "exec" not in (
        value for name, kind in names if kind == "input" for value in _values(held[name])
    ):
        return False
    words = " ".join(_values(command))
    if not _READERS.match(words):
        return False
    return (
        "dmesg" in words or "kmsg" in words or bool(re.search(r" -\w*k|_TRANSPORT=kernel", words))
    )


def _values(value: object) -> list[str]:
    """The values of a field as text: one, or each of a list; none of what says nothing."""
    kinds = value if isinstance(value, list) else [value]
    return [
        text
        for item in kinds[:16]
        if item is not None
        and not isinstance(item, (dict, list, bool))
        and (text := str(item).strip()) not in _NOTHING
    ]
