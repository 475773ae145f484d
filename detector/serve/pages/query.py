"""Query of a page: the parameters of an address as a filter, and addresses that ask a
little more or less.

In: a request. Out: a filter, and links. The address is the query: what is not in it is not asked
for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from fastapi import Request

from detector.render.objects import moment
from detector.serve.pages import formatting
from detector.store.query import filters
from detector.store.query.filters import Filter, FilterError
from detector.store.query.results import Facet

# What a refused filter is shown with again.
_SHOWN_VALUES = 20
_SHOWN_CHARACTERS = 200
_EXAMPLES = {
    "host": "db-*",
    "since": "7d or 2026-11-01",
    "until": "24h",
    "kernel": "5.4.. or 4.19..5.4",
    "text": "inet_* listener",
    "signature": "kernel.paging-request",
    "class": "memory-fault",
    "known": "any or CVE-2024-50126",
    "process": "nginx",
}
# Pages that "Previous page" leads back through.
LONGEST_TRAIL = 100
# What an address says of an act that led to it: no part of the query.
_SAID = ("done", "count", "left")


@dataclass(frozen=True, slots=True)
class PageQuery:
    """The query of an address: a filter (an empty one where it is wrong), the parameters as
    they were, where the page begins.
    """

    path: str
    params: Mapping[str, list[str]]
    filter: Filter
    after: str | None
    wrong: FilterError | None = None
    trail: tuple[str, ...] = ()

    def checked(self) -> Filter:
        """The filter; raises `FilterError` where it could not be understood."""
        if self.wrong is not None:
            raise self.wrong
        return self.filter

    def link(self, **changed: str | None) -> str:
        """The address with some parameters replaced, or taken away by None; it begins at the first
        page again.
        """
        params: dict[str, list[str]] = {
            name: values for name, values in self.params.items() if name not in changed
        }
        params |= {name: [value] for name, value in changed.items() if value is not None}
        return _address(self.path, params)

    def toggled(self, name: str, value: str) -> tuple[str, bool]:
        """The address with one value more, or less where it is asked for already; and whether it
        is.
        """
        chosen = list(self.params.get(name, ()))
        there = value in chosen
        kept = [item for item in chosen if item != value] if there else [*chosen, value]
        return _address(self.path, {**self.params, name: kept}), there

    def neighbours(self, after: str | None) -> dict[str, str | None]:
        """The addresses of the pages before this one and after it, which begins after a row.

        A page knows only where the next begins: the way back is the trail that an address keeps.
        """
        back = {"after": list(self.trail[-1:]), "trail": list(self.trail[:-1])}
        trail = (*self.trail, self.after) if self.after else ()
        ahead = {"after": [after], "trail": list(trail[-LONGEST_TRAIL:])} if after else None
        return {
            "previous": _address(self.path, {**self.params, **back}) if self.after else None,
            "next": _address(self.path, {**self.params, **ahead}) if ahead else None,
        }


def page_query(request: Request, now_us: int, names: Iterable[str] | None = None) -> PageQuery:
    """Returns what a request asks for.

    Of a filter that cannot be understood the error is kept, for the page to say it.
    """
    given: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if value.strip():
            given.setdefault(name, []).append(value.strip())
    path = request.url.path
    for ending in (".json", ".csv", ".html"):
        path = path.removesuffix(ending)
    after = next(iter(given.pop("after", [])), None)
    trail = tuple(given.pop("trail", ())[-LONGEST_TRAIL:]) if after else ()
    for name in ("trail", *_SAID):
        given.pop(name, None)
    allowed = set(filters.FIELDS if names is None else names)
    try:
        for name in given:
            if name not in allowed:
                raise FilterError(
                    name[:100],
                    f"there is no such filter here: there are {', '.join(sorted(allowed))}",
                )
        known = {name: values for name, values in given.items() if name in filters.FIELDS}
        return PageQuery(path, given, filters.parse(known, now_us), after, trail=trail)
    except FilterError as error:
        return PageQuery(
            path,
            {
                name: [value[:_SHOWN_CHARACTERS] for value in values[:_SHOWN_VALUES]]
                for name, values in given.items()
                if name in allowed
            },
            Filter(),
            None,
            error,
        )


def form(
    what: PageQuery,
    names: Sequence[str],
    choices: Mapping[str, Sequence[str]] = MappingProxyType({}),
    always: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """The fields of a search form, filled with what is asked for; those `always` asked for have
    no empty choice.
    """
    return [
        {
            "name": name,
            "label": name.replace("_", " ").capitalize(),
            "value": (what.params.get(name) or [""])[0],
            "choices": choices.get(name, ()),
            "optional": name not in always,
            "example": _EXAMPLES.get(name, ""),
        }
        for name in names
    ]


def chips(what: PageQuery) -> list[dict[str, str]]:
    """Every condition, with the address that is without it."""
    return [
        {"name": name.replace("_", " "), "value": value, "href": what.toggled(name, value)[0]}
        for name, values in what.params.items()
        for value in values
    ]


def facets(what: PageQuery, counts: Mapping[str, Sequence[Facet]]) -> list[dict[str, Any]]:
    """Groups of values with their counts, each a link that asks for it, or no longer."""
    groups = []
    for name, values in counts.items():
        rows = []
        for value in values:
            href, chosen = what.toggled(
                name, formatting.pattern(value.value) if name == "host" else value.value
            )
            rows.append(
                {"value": value.value, "count": value.count, "href": href, "chosen": chosen}
            )
        groups.append({"title": name.replace("_", " ").capitalize(), "found": rows})
    return groups


def spelled(wall_us: int) -> str:
    """A wall time as a filter has it."""
    return (moment(wall_us) or "").replace(".000000Z", "Z")


def _address(path: str, params: Mapping[str, Sequence[str]]) -> str:
    query = urlencode(
        [(name, value) for name, values in params.items() for value in values], safe="*.:~"
    )
    return f"{path}?{query}" if query else path
