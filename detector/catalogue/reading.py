"""Pattern files in, a checked `Catalogue` out, or every fault of all files at once.

In: a mapping of path → TOML text (a later layer that replaces a file of the same path is the
caller's `{**shipped, **own}`).
Out: `Catalogue`, its entries in the order of their paths and of the tables in them. Nothing is
opened, logged or half-accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from detector.catalogue.checks import (
    Complaint,
    double_claims,
    list_complaints,
    signature_complaints,
)
from detector.catalogue.documents import Document, documents
from detector.catalogue.entries import (
    Catalogue,
    CatalogueError,
    NameList,
    Rule,
    RuleTest,
    Signature,
)
from detector.catalogue.known_issues import KnownIssueTable, StructTable
from detector.catalogue.tables import TABLES, ListTable, RuleTable, SignatureTable, timespan_us
from detector.kept_bytes import KeptBytes
from detector.toml_tables import (
    LocatedFault,
    TomlPlaces,
    key_fault,
    suggestion,
    tables_by_kind,
)

_TableT = TypeVar("_TableT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class _ValidatedTable(Generic[_TableT]):
    """One validated table and where it stands."""

    table: _TableT
    kind: str
    path: str
    index: int
    line: int
    places: TomlPlaces

    def fault(self, complaint: Complaint) -> LocatedFault:
        """The complaint at the line of its key, or of the array's value that it is about."""
        line = self.places.key(self.line, complaint.key)
        if complaint.value is not None:
            line = self.places.value(line, complaint.value)
        return LocatedFault(self.path, line, f"{self.name}: {complaint.message}")

    @property
    def name(self) -> str:
        """Returns what messages call this table."""
        return f'{self.kind} "{getattr(self.table, "id", "")}"'


def read(
    files: Mapping[str, str], *, prove: bool = True, kept: KeptBytes | None = None
) -> Catalogue:
    """The catalogue of these pattern files (path → TOML text); raises CatalogueError with every
    fault of all of them.

    Without `prove` the regexes are taken at their word: for files whose examples and times on
    hostile lines have been tried before. `kept` keeps the parsed documents.
    """
    faults: list[LocatedFault] = []
    tables: list[_ValidatedTable[Any]] = []
    for path, document in documents(files, kept, faults).items():
        tables += _tables(path, document, faults)
    faults += _duplicates(tables)
    if prove:
        faults += _unproved(tables)
    faults += _unknown_names(tables)
    if faults:
        raise CatalogueError(tuple(sorted(set(faults))))
    return Catalogue(
        signatures=tuple(map(_signature, _of(tables, SignatureTable))),
        rules=tuple(map(_rule, _of(tables, RuleTable))),
        known_issues=tuple(item.table.build() for item in _of(tables, KnownIssueTable)),
        structs=tuple(item.table.build() for item in _of(tables, StructTable)),
        lists={item.table.id: _name_list(item.table) for item in _of(tables, ListTable)},
    )


def _unproved(tables: list[_ValidatedTable[Any]]) -> Iterator[LocatedFault]:
    """Yields what the examples and hostile lines find wrong with signatures and lists."""
    signatures = _of(tables, SignatureTable)
    for signature in signatures:
        yield from map(signature.fault, signature_complaints(_signature(signature)))
    by_id = {signature.table.id: signature for signature in signatures}
    for name, complaint in double_claims([_signature(signature) for signature in signatures]):
        yield by_id[name].fault(complaint)
    for listed in _of(tables, ListTable):
        yield from map(listed.fault, list_complaints(listed.table.regexes))


def _of(tables: list[_ValidatedTable[Any]], model: type[_TableT]) -> list[_ValidatedTable[_TableT]]:
    return [item for item in tables if type(item.table) is model]


def _tables(
    path: str, located: Document, faults: list[LocatedFault]
) -> Iterator[_ValidatedTable[Any]]:
    """The valid tables of one file; what is wrong with the others is added to `faults`."""
    document, places = located

    def fault(kind: str, message: str) -> None:
        faults.append(LocatedFault(path, places.top(kind), message))

    for kind, tables in tables_by_kind(document, TABLES, fault):
        for index, table in enumerate(tables):
            line = places.table(kind, index)
            try:
                yield _ValidatedTable(
                    TABLES[kind].model_validate(table), kind, path, index, line, places
                )
            except ValidationError as error:
                faults += _shape_faults(error, kind, path, index, table, places)


def _shape_faults(
    error: ValidationError,
    kind: str,
    path: str,
    index: int,
    table: Mapping[str, Any],
    places: TomlPlaces,
) -> Iterator[LocatedFault]:
    """One located fault for each thing that pydantic refuses."""
    name = f'{kind} "{table.get("id", f"number {index + 1}")}"'
    for problem in error.errors():
        where, start, model = problem["loc"], places.table(kind, index), TABLES[kind]
        if (
            len(where) > 1
            and isinstance(where[1], int)
            and (inner := _inner_model(model, str(where[0])))
        ):
            start, model, where = (
                places.child(kind, index, str(where[0]), where[1]),
                inner,
                where[2:],
            )
        key = str(where[0]) if where else ""
        yield LocatedFault(
            path,
            places.key(start, key),
            f"{name}: {_shape_message(problem, key, where, model)}",
        )


def _inner_model(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    """The model of the tables `[[….key]]` inside a table of `model`, if it has such tables."""
    for name, field in model.model_fields.items():
        if key == (field.alias or name):
            inner = get_args(field.annotation)
            return next(
                (each for each in inner if isinstance(each, type) and issubclass(each, BaseModel)),
                None,
            )
    return None


def _shape_message(
    problem: ErrorDetails, key: str, where: tuple[int | str, ...], model: type[BaseModel]
) -> str:
    if problem["type"] == "missing" and len(where) > 1:  # of a table inside, which has no line
        return f'key "{key}": {problem["msg"][:1].lower()}{problem["msg"][1:]}'
    keys = [field.alias or name for name, field in model.model_fields.items()]
    return key_fault(problem["type"], problem["msg"], key, keys)


def _duplicates(tables: list[_ValidatedTable[Any]]) -> Iterator[LocatedFault]:
    first: dict[tuple[str, str], _ValidatedTable[Any]] = {}
    for item in tables:
        earlier = first.setdefault((item.kind, item.table.id), item)
        if earlier is not item:
            yield item.fault(
                Complaint("id", f"this id stands already at {earlier.path}:{earlier.line}")
            )


def _unknown_names(tables: list[_ValidatedTable[Any]]) -> Iterator[LocatedFault]:
    """Rules, their tests and known issues that name a signature or class that no file has."""
    ids = {item.table.id for item in _of(tables, SignatureTable)}
    classes = {item.table.cls for item in _of(tables, SignatureTable)}
    for signature in _of(tables, SignatureTable):
        alone = signature.table.alone
        if alone is not None and alone not in classes:
            fault = f'unknown class "{alone}"{suggestion(alone, sorted(classes))}'
            yield signature.fault(Complaint("alone", fault))
    for rule in _of(tables, RuleTable):
        for key, names, known in (
            ("classes", rule.table.classes, classes),
            ("signatures", rule.table.signatures, ids),
        ):
            word = "class" if key == "classes" else "signature"
            for name in names:
                if name not in known:
                    yield rule.fault(
                        Complaint(key, f'unknown {word} "{name}"{suggestion(name, sorted(known))}')
                    )
        for index, test in enumerate(rule.table.test):
            if rule.table.type == "value_count":  # its values are no names of the catalogue
                break
            line = rule.places.key(rule.places.child("rule", rule.index, "test", index), "given")
            for name, _, _ in test.given:
                if name not in ids | classes:
                    fault = (
                        f'test "{test.name}": unknown signature or class '
                        f'"{name}"{suggestion(name, sorted(ids | classes))}'
                    )
                    yield LocatedFault(
                        rule.path, rule.places.value(line, name), f"{rule.name}: {fault}"
                    )
    for item in tables:
        if isinstance(item.table, KnownIssueTable | StructTable):
            for key, name in item.table.references():
                if name not in ids | classes:
                    yield item.fault(
                        Complaint(
                            key,
                            (
                                "unknown signature or class "
                                f'"{name}"{suggestion(name, sorted(ids | classes))}'
                            ),
                        )
                    )


def _signature(item: _ValidatedTable[SignatureTable]) -> Signature:
    table = item.table
    return Signature(
        id=table.id,
        cls=table.cls,
        origin=table.origin,
        severity=table.severity,
        title=table.title,
        literals=tuple(table.literal),
        regex=table.regex,
        opens=table.opens,
        alone=table.alone,
        alone_when=table.alone_when,
        marker=table.marker,
        fallback=table.fallback,
        source=table.source,
        meaning=_folded(table.meaning),
        runbook=table.runbook,
        examples=tuple(table.match),
        rejects=tuple(table.reject),
        path=item.path,
        line=item.line,
    )


def _folded(prose: str) -> str:
    """Prose on one line, however a file breaks it."""
    return " ".join(prose.split())


def _rule(item: _ValidatedTable[RuleTable]) -> Rule:
    table = item.table
    return Rule(
        id=table.id,
        title=table.title,
        type=table.type,
        classes=tuple(table.classes),
        signatures=tuple(table.signatures),
        anchor=_anchor(table),
        group_by=tuple(table.group_by),
        timespan_us=timespan_us(table.timespan),
        severity=table.severity,
        reasoning=_folded(table.reasoning),
        resolve_on_reboot=table.resolve_on_reboot,
        gte=table.condition.gte if table.condition else 1,
        times_usual=(table.condition.times_usual or 0) if table.condition else 0,
        switch=table.setting,
        tests=tuple(
            RuleTest(
                test.name,
                tuple(test.given),
                test.expect,
                item.places.child("rule", item.index, "test", index),
            )
            for index, test in enumerate(table.test)
        ),
        path=item.path,
        line=item.line,
    )


def _anchor(table: RuleTable) -> str:
    if table.type in ("event_count", "value_count"):
        return ""
    return table.anchor or (table.classes or table.signatures)[-1]


def _name_list(table: ListTable) -> NameList:
    return NameList(table.id, table.title, frozenset(table.entries), tuple(table.regexes))
