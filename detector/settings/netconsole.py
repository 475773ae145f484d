"""The settings of `oopswatch listen`: where netconsole's datagrams come in, and whose they
are.
"""

from __future__ import annotations

from pydantic import FilePath

from detector.settings.group import Group, Networks, Topic, setting


class NetconsoleSettings(Group):
    """The address at which `oopswatch listen` takes netconsole's datagrams into Kafka."""

    address: str = setting("0.0.0.0", "address to listen at; :: is IPv6 and IPv4")  # noqa: S104
    port: int = setting(6_666, "UDP port to listen at; 0 takes a free one", ge=0, le=65_535)
    allowed: Networks = setting(
        (),
        "networks that datagrams are taken from; without them any. UDP proves no sender: keep the "
        "port inside the management network",
    )
    hosts_file: FilePath | None = setting(
        None,
        "names of senders, in the format of /etc/hosts; hosts.aliases come first. A sender without "
        "a name is known by its address",
    )
    topic: Topic | None = setting(
        None, "topic that the datagrams go to; without it the first of kafka.topics"
    )
    buffer_mib: int = setting(
        256,
        "what may wait while Kafka is away; datagrams beyond it are dropped, and counted",
        unit="MiB",
        ge=1,
        le=65_536,
    )
