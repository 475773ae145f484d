"""Finds the hosts whose lines are spread over several partitions of one topic.

That is so in a topic without keys, or with keys and several partitioners.

In: hosts with the sources that their lines came from. Out: whether a partition holds a host's log
whole. Where it does not, a boot banner in one partition says nothing to a count of boots in another
one, so the count is left out and banners and clocks part boots. What was seen of a host is asked of
the history where it is not held.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

# Hosts that are held in memory.
HOSTS = 50_000


class SpreadHosts:
    """Hosts by their source; `seen` gives the sources that the history knows of a host."""

    def __init__(self, seen: Callable[[str], Iterable[str]], limit: int = HOSTS) -> None:
        self._seen = seen
        self._limit = limit
        self._sources: OrderedDict[str, set[str]] = OrderedDict()

    def note(self, host: str, source: str) -> bool:
        """A line of a host came from a source; says whether other partitions of its topic hold
        lines of it too.
        """
        sources = self._sources.get(host)
        if sources is None:
            sources = self._sources[host] = set(self._seen(host))
            if len(self._sources) > self._limit:
                self._sources.popitem(last=False)
        sources.add(source)
        topic, slash, partition = source.rpartition("/")
        if len(sources) < 2 or not slash or not partition.isdigit():
            return False
        return any(other != source and other.rpartition("/")[0] == topic for other in sources)
