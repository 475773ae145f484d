"""Log entries as each transport ships them: one function a format, from an `LogEntry` to a
record's bytes.

In: an `LogEntry`. Out: the value of one record, without a line end; /dev/kmsg and netconsole carry
no wall clock and no host. What user space wrote is marked as the transport marks it: facility 1,
its own tag, `_TRANSPORT`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted

from detector.simulate.fleet import LogEntry

Render = Callable[[LogEntry], bytes]
_USER = 8
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=64)
def _second(second: int) -> str:
    """`2026-01-31T10:11:12`."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=64)
def _second_3164(second: int) -> str:
    """`Jan 3 10:11:12`, as RFC 3164 has it: a day of one digit stands behind two blanks, and
    there is no year.
    """
    moment = datetime.fromtimestamp(second, UTC)
    return f"{_MONTHS[moment.month - 1]} {moment.day:2d} {moment:%H:%M:%S}"


def _iso(wall_us: int) -> str:
    second = wall_us // 1_000_000
    return f"{_second(second)}.{wall_us - second * 1_000_000:06d}"


def _stamp(entry: LogEntry) -> str:
    """The kernel's own stamp: seconds padded to five places, six digits of fraction."""
    second = entry.kernel_us // 1_000_000
    return f"[{second:5d}.{entry.kernel_us - second * 1_000_000:06d}]"


def _priority(entry: LogEntry) -> int:
    """Facility and level in one number: kern is 0, what user space writes is user, 1."""
    return entry.level if entry.program is None else _USER + entry.level


def _tag(entry: LogEntry) -> str:
    return "kernel" if entry.program is None else entry.program


def _stamped(entry: LogEntry) -> str:
    """The text behind its kernel stamp; user space writes through syslog without one."""
    return (
        f"{_stamp(entry)} {entry.text}"
        if entry.program is None or entry.via == "kmsg"
        else entry.text
    )


def journald(entry: LogEntry) -> bytes:
    """`journalctl -o json` and what journald shippers send: all values are strings; a line in
    /dev/kmsg is of transport kernel.
    """
    if entry.program is not None:
        return _journald_user(entry)
    name, boot = entry.host.name, entry.boot.id
    return (
        f'{{"__CURSOR":"s=0b;i={entry.kernel_us:x};b={boot}",'
        f'"__REALTIME_TIMESTAMP":"{entry.wall_us + 214}",'
        f'"__MONOTONIC_TIMESTAMP":"{entry.kernel_us + 214}","_BOOT_ID":"{boot}",'
        f'"_HOSTNAME":"{name}","_TRANSPORT":"kernel",'
        '"SYSLOG_FACILITY":"0","SYSLOG_IDENTIFIER":"kernel",'
        f'"_SOURCE_MONOTONIC_TIMESTAMP":"{entry.kernel_us}",'
        f'"PRIORITY":"{entry.level}","MESSAGE":{quoted(entry.text)}}}'
    ).encode()


def _journald_user(entry: LogEntry) -> bytes:
    """Returns what user space wrote, as journald stores it: its transport is that of the
    socket, or kernel with a facility that is not 0.
    """
    program, _, pid = _tag(entry).partition("[")
    through_kmsg = entry.via == "kmsg"
    source = (
        f'"_SOURCE_MONOTONIC_TIMESTAMP":"{entry.kernel_us}",'
        if through_kmsg
        else f'"_SOURCE_REALTIME_TIMESTAMP":"{entry.wall_us}",'
    )
    return (
        f'{{"__REALTIME_TIMESTAMP":"{entry.wall_us + 214}",'
        f'"__MONOTONIC_TIMESTAMP":"{entry.kernel_us + 214}",'
        f'"_BOOT_ID":"{entry.boot.id}","_HOSTNAME":"{entry.host.name}",'
        f'"_TRANSPORT":"{"kernel" if through_kmsg else "syslog"}",'
        f'"SYSLOG_FACILITY":"1","SYSLOG_IDENTIFIER":{quoted(program)},'
        f'"SYSLOG_PID":"{pid.rstrip("]")}",{source}'
        f'"PRIORITY":"{entry.level}","MESSAGE":{quoted(entry.text)}}}'
    ).encode()


def rsyslog(entry: LogEntry) -> bytes:
    """Rsyslog's omkafka with a JSON template: its property names, the kernel's stamp still in
    the message.
    """
    return (
        f'{{"ts":"{_iso(entry.wall_us)}+00:00","host":"{entry.host.name}",'
        f'"syslogtag":"{_tag(entry)}:",'
        f'"priority":{_priority(entry)},"message":{quoted(" " + _stamped(entry))}}}'
    ).encode()


def rfc3164(entry: LogEntry) -> bytes:
    """Rsyslog's traditional file format with the kernel's stamp, as in kern.log."""
    return (
        f"{_second_3164(entry.wall_us // 1_000_000)} {entry.host.name} {_tag(entry)}: "
        f"{_stamped(entry)}"
    ).encode()


def rfc3164_wall(entry: LogEntry) -> bytes:
    """The same without the kernel's stamp: whole seconds of wall time are all there is."""
    return (
        f"{_second_3164(entry.wall_us // 1_000_000)} {entry.host.name} {_tag(entry)}: {entry.text}"
    ).encode()


def rfc5424(entry: LogEntry) -> bytes:
    """The syslog protocol of RFC 5424 with the kernel's stamp in the message."""
    program, _, pid = _tag(entry).partition("[")
    header = (
        f"<{_priority(entry)}>1 {_iso(entry.wall_us)}+00:00 {entry.host.name} {program} "
        f"{pid.rstrip(']') or '-'}"
    )
    return f"{header} - - {_stamped(entry)}".encode()


def kmsg(entry: LogEntry) -> bytes:
    """A record of /dev/kmsg: `prefix,sequence,microseconds,flags;text`.

    The sequence number is made from the time.
    """
    text = entry.text.replace("\\", "\\x5c")
    return (
        f"{_priority(entry)},{entry.kernel_us >> 4},{entry.kernel_us},-;{_by(entry)}{text}".encode()
    )


def netconsole(entry: LogEntry) -> bytes:
    """Extended netconsole with the release in front (`release_prepend`), otherwise as
    /dev/kmsg.
    """
    return entry.host.kernel.release.encode() + b"," + kmsg(entry)


def dmesg(entry: LogEntry) -> bytes:
    """Returns what `dmesg` prints: the kernel's clock and nothing else.

    What user space wrote names itself, as nothing else would tell.
    """
    return f"{_stamp(entry)} {_by(entry)}{entry.text}".encode()


def _by(entry: LogEntry) -> str:
    """The name that a careful program puts before its text in /dev/kmsg."""
    return "" if entry.program is None else f"{entry.program}: "


def fluent_bit(entry: LogEntry) -> bytes:
    """Fluent Bit's in_kmsg through its Kafka output in JSON, with the host that a filter added."""
    second, micros = divmod(entry.kernel_us, 1_000_000)
    wall = f"{entry.wall_us // 1_000_000}.{entry.wall_us % 1_000_000:06d}"
    return (
        f'{{"@timestamp":{wall},"priority":{entry.level},"facility":{_priority(entry) >> 3},'
        f'"sequence":{entry.kernel_us >> 4},'
        f'"sec":{second},"usec":{micros},"msg":{quoted(_by(entry) + entry.text)},'
        f'"host":"{entry.host.name}"}}'
    ).encode()


def vector(entry: LogEntry) -> bytes:
    """Vector's journald source in JSON: the journal's fields, with message, host and timestamp
    under Vector's own names.
    """
    transport = "kernel" if entry.program is None or entry.via == "kmsg" else "syslog"
    program, _, _ = _tag(entry).partition("[")
    return (
        f'{{"PRIORITY":"{entry.level}","SYSLOG_FACILITY":"{_priority(entry) >> 3}",'
        f'"SYSLOG_IDENTIFIER":{quoted(program)},'
        f'"_BOOT_ID":"{entry.boot.id}","_TRANSPORT":"{transport}",'
        f'"_SOURCE_MONOTONIC_TIMESTAMP":"{entry.kernel_us}",'
        f'"__REALTIME_TIMESTAMP":"{entry.wall_us + 214}","host":"{entry.host.name}",'
        f'"message":{quoted(entry.text)},'
        f'"source_type":"journald","timestamp":"{_iso(entry.wall_us)}Z"}}'
    ).encode()


FORMATS: Mapping[str, Render] = {
    "journald": journald, "rsyslog": rsyslog, "rfc3164": rfc3164, "rfc3164-wall": rfc3164_wall,
    "rfc5424": rfc5424, "kmsg": kmsg,
    "netconsole": netconsole, "dmesg": dmesg, "fluent-bit": fluent_bit, "vector": vector,
}  # fmt: skip
NO_HOST = frozenset({"kmsg", "netconsole", "dmesg"})
NO_WALL_CLOCK = NO_HOST
