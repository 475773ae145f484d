"""Receives netconsole's datagrams, and names their senders.

In: a UDP socket's datagrams, a file of names. Out: batches of (address, bytes). Nothing is parsed
here: the topic holds what the kernel sent (drivers/net/netconsole.c), its key is the host.
"""

from __future__ import annotations

import ipaddress
import os
import select
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from detector.sources.errors import SourceError

# What one look at the socket takes at most, before what waits elsewhere has its turn.
_BATCH = 1_000
_DATAGRAM_BYTES = 65_535
# The kernel keeps this much of what is not taken yet; net.core.rmem_max bounds it for all but root.
RECEIVE_BYTES = 64 * 1024 * 1024
_SO_RCVBUFFORCE = 33  # include/uapi/asm-generic/socket.h

Datagram = tuple[str, bytes]
"""The sender's address, and what it sent."""


class DatagramSocket:
    """A bound UDP socket. Raises SourceError where the address cannot be used."""

    def __init__(self, address: str, port: int) -> None:
        try:
            family = ipaddress.ip_address(address).version
        except ValueError as error:
            raise SourceError(f"netconsole.address: {address} is no IP address") from error
        self._socket = socket.socket(
            socket.AF_INET6 if family == 6 else socket.AF_INET, socket.SOCK_DGRAM
        )
        try:
            if address == "::":
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self._enlarge()
            self._socket.bind((address, port))
        except OSError as error:
            self._socket.close()
            raise SourceError(
                f"netconsole.port: {address}:{port} cannot be used: {error.strerror}"
            ) from error
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]

    def receive(self, timeout_s: float) -> list[Datagram]:
        """Returns what came, `_BATCH` at most; nothing where none comes within `timeout_s`."""
        ready, _, _ = select.select([self._socket], [], [], timeout_s)
        taken: list[Datagram] = []
        with suppress(BlockingIOError):
            while ready and len(taken) < _BATCH:
                content, sender = self._socket.recvfrom(_DATAGRAM_BYTES)
                taken.append((sender[0].removeprefix("::ffff:"), content))
        return taken

    def dropped(self) -> int:
        """Datagrams that the kernel dropped because its buffer was full, since the socket was
        opened; the last column of /proc/net/udp (net/ipv4/udp.c). 0 where that cannot be read.
        """
        inode = str(os.fstat(self._socket.fileno()).st_ino)
        for table in ("/proc/net/udp", "/proc/net/udp6"):
            with suppress(OSError):
                for row in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                    columns = row.split()
                    if columns[9] == inode:
                        return int(columns[12])
        return 0

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def _enlarge(self) -> None:
        """Asks for a large receive buffer: a panic of a thousand hosts comes within a second."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        with suppress(OSError):  # CAP_NET_ADMIN alone may pass the system's bound
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BYTES)


def sender_names(path: Path | None, aliases: Mapping[str, str]) -> dict[str, str]:
    """Address → host name, of a file in the format of /etc/hosts and of `hosts.aliases`, which
    come first. Raises SourceError with file and line.
    """
    names: dict[str, str] = {}
    if path is not None:
        try:
            rows = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SourceError(f"netconsole.hosts_file: {path} cannot be read: {reason}") from error
        for number, row in enumerate(rows, 1):
            words = row.partition("#")[0].split()
            if words:
                names.setdefault(_address(words, f"{path}:{number}"), words[1])
    return names | dict(aliases)


def _address(words: list[str], place: str) -> str:
    """The address of a row, in the form in which sockets give it."""
    try:
        address = ipaddress.ip_address(words[0])
    except ValueError as error:
        raise SourceError(f"{place}: {words[0]!r} is no IP address") from error
    if len(words) < 2:
        raise SourceError(f"{place}: {words[0]} has no name")
    return str(address)
