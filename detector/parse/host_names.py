"""Brings the names of a host into one form, and finds the name in the path of a crash file.

In: a name as a transport wrote it, or the path of a file. Out: the name by which the host is
known: lower case (RFC 4343), no dot at the end, without the domains that a site cuts off, and by
the alias that a site gave. Reads no settings: who makes a `HostForm` hands them over.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import lru_cache

# Hosts of which the spellings in their records are kept.
SPELLINGS_BOUND = 20_000
SPELLINGS_OF_ONE = 8
_PLACE = "{host}"


class HostForm:
    """The one form of host names at a site.

    `domains` are cut off, the longest that fits; `aliases` are other names → names; `paths` say
    where a file's path names the host, as `/var/crash/{host}/`, where `*` is anything within one
    folder's name. Raises ValueError for a path without `{host}`.
    """

    def __init__(
        self,
        domains: Iterable[str] = (),
        aliases: Mapping[str, str] | None = None,
        paths: Iterable[str] = (),
    ) -> None:
        self._domains = tuple(
            sorted((f".{_plain(domain).lstrip('.')}" for domain in domains), key=len, reverse=True)
        )
        self._aliases = {
            self._cut(_plain(other)): self._cut(_plain(name))
            for other, name in (aliases or {}).items()
        }
        self._paths = tuple(_pattern(path) for path in paths)
        self.name = lru_cache(maxsize=65_536)(self._name)
        self.of_path = lru_cache(maxsize=4_096)(self._of_path)

    def _name(self, written: str) -> str:
        """A host's name in the one form."""
        name = self._cut(_plain(written))
        return self._aliases.get(name, name) or written

    def _of_path(self, path: str) -> str | None:
        """The host that a file's path names, if it does."""
        for pattern in self._paths:
            if matched := pattern.search(path):
                return self.name(matched["host"])
        return None

    def _cut(self, name: str) -> str:
        """A name without a site's domain; the bare domain is a name itself."""
        for domain in self._domains:
            if name.endswith(domain) and len(name) > len(domain):
                return name[: -len(domain)]
        return name


class Spellings:
    """Spellings of host names in records, where they differ from the one form: who follows a
    host through raw bytes looks for these. Keeps the hosts that were met last.
    """

    def __init__(self) -> None:
        self._of: OrderedDict[str, frozenset[str]] = OrderedDict()
        self.version = 0

    def note(self, name: str, written: str) -> None:
        """A host was met under another spelling, or by its source alone."""
        known = self._of.get(name, frozenset())
        if written not in known:
            self._of[name] = frozenset((*list(known)[: SPELLINGS_OF_ONE - 1], written))
            self.version += 1
            if len(self._of) > SPELLINGS_BOUND:
                self._of.popitem(last=False)
        self._of.move_to_end(name)

    def of(self, names: Iterable[str]) -> frozenset[str]:
        """Some names, and all their spellings."""
        names_of = set(names)
        for name in tuple(names_of):
            names_of |= self._of.get(name, frozenset())
        return frozenset(names_of)


def _plain(name: str) -> str:
    return name.strip().rstrip(".").lower()


def _pattern(path: str) -> re.Pattern[str]:
    """A path with `{host}` and `*` as an expression; one that begins with no slash begins at
    any folder.
    """
    before, host, after = path.partition(_PLACE)
    if not host or _PLACE in after:
        raise ValueError(f"{path!r} does not name {_PLACE} once")
    start = "^" if path.startswith("/") else "(?:^|/)"
    # A name begins with a letter: kdump's own folders are dates and addresses.
    named = r"(?P<host>[A-Za-z][\w.-]{0,254})"
    return re.compile(f"{start}{_glob(before)}{named}{_glob(after)}", re.ASCII)


def _glob(text: str) -> str:
    return "[^/]*?".join(re.escape(part) for part in text.split("*"))
