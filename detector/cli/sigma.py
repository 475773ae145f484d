"""`oopswatch patterns to-sigma` and `from-sigma`: rules of Sigma, out and in."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from detector.app import build
from detector.cli.options import NameParam
from detector.cli.settings_options import config_option, patterns_option, settings_of
from detector.errors import UserError
from detector.render.escape import inert

if TYPE_CHECKING:
    from detector.catalogue import Catalogue
    from detector.sigma.writing import SigmaDocument

_MOST_BYTES = 4_000_000


@click.command(
    "to-sigma",
    epilog="""\b
Examples:
  oopswatch patterns to-sigma > oopswatch.yml
  oopswatch patterns to-sigma tcp-release-and-memory-fault
  oopswatch patterns to-sigma kernel.paging-request kernel.null-pointer
Rules that Sigma cannot express are named on standard error. docs/sigma.md says what is lost.""",
)
@click.argument("names", metavar="[ID]...", type=NameParam(), nargs=-1)
@patterns_option
@config_option
def to_sigma(names: tuple[str, ...], folders: tuple[Path, ...], config_path: Path | None) -> None:
    """Rules and signatures as rules of Sigma, in YAML. Without IDs every rule of the catalogue."""
    yaml = _library("yaml")
    settings, _ = settings_of(config_path, patterns__directories=folders)
    catalogue = build.catalogue_of(settings)
    written: dict[str, SigmaDocument] = {}
    for document in _documents(names, catalogue):
        written.setdefault(document["id"], document)
    click.echo(
        yaml.safe_dump_all(written.values(), sort_keys=False, allow_unicode=True, width=100),
        nl=False,
    )


def _documents(names: Sequence[str], catalogue: Catalogue) -> Iterator[SigmaDocument]:
    from detector.sigma.writing import NotInSigmaError, detection_of, documents_of

    for name in names or [rule.id for rule in catalogue.rules]:
        signature = catalogue.signature(name)
        rule = next((rule for rule in catalogue.rules if rule.id == name), None)
        if signature is not None:
            yield detection_of(signature)
        elif rule is None:
            raise click.UsageError(
                f"no signature or rule is called {name}. `oopswatch patterns list` names all"
            )
        else:
            try:
                yield from documents_of(rule, catalogue)
            except NotInSigmaError as error:
                if names:
                    raise UserError(str(error)) from error
                click.echo(f"left out: {error}", err=True)


@click.command(
    "from-sigma",
    epilog="""\b
Example:
  oopswatch patterns from-sigma linux-rules.yml > our-patterns/sigma.toml
  oopswatch patterns check --patterns our-patterns
Review what it writes: only texts of the kernel's own lines make sense as signatures.""",
)
@click.argument(
    "files", type=click.Path(path_type=Path, exists=True, dir_okay=False), nargs=-1, required=True
)
def from_sigma(files: tuple[Path, ...]) -> None:
    """Rules of Sigma as signatures and rules, in TOML.
    A rule that asks for more than the text of a line, or groups by anything but the host, is
    refused and named.
    """
    _library("sigma")
    from detector.sigma.reading import NotASignatureError, id_of

    refused: list[str] = []
    tables: list[str] = []
    taken: dict[str, str] = {}
    classes: dict[str, str] = {}
    for path, rule in _rules_of(files):
        try:
            tables.append(_table_of(rule, classes, taken))
        except (NotASignatureError, _sigma_error()) as error:
            reason = " ".join(str(error).split())
            refused.append(f"{path}: {rule.title or rule.id}: not read: {reason}")
            continue
        taken[id_of(rule)] = f"{path}: {rule.title or rule.id}"
    click.echo("\n".join(tables), nl=False)
    for line in refused:
        click.echo(inert(line), err=True)
    if refused:
        raise UserError(f"rules that are not read: {len(refused)}, named above; {len(tables)} are")


def _rules_of(files: tuple[Path, ...]) -> Iterator[tuple[Path, Any]]:
    """Each rule of some files, detections before the correlations that name them."""
    from sigma.collection import SigmaCollection
    from sigma.correlations import SigmaCorrelationRule

    for path in files:
        try:
            rules = SigmaCollection.from_dicts(
                _mappings(path), collect_errors=True, resolve_references=False
            ).rules
        except _sigma_error() as error:
            raise _unreadable(path, str(error)) from error
        for rule in sorted(rules, key=lambda rule: isinstance(rule, SigmaCorrelationRule)):
            yield path, rule


def _table_of(rule: Any, classes: dict[str, str], taken: Mapping[str, str]) -> str:
    """The table of a rule; `classes` gets the class of a detection. Raises NotASignatureError, also
    where the id is one of `taken`, and SigmaError.
    """
    from sigma.correlations import SigmaCorrelationRule

    from detector.sigma.reading import NotASignatureError, class_of, id_of, rule_of, signature_of

    if rule.errors:
        raise rule.errors[0]
    if other := taken.get(id_of(rule)):
        raise NotASignatureError(
            f"its id is {id_of(rule)}, as that of {other}: give it a name of its own"
        )
    if isinstance(rule, SigmaCorrelationRule):
        return rule_of(rule, classes)
    table = signature_of(rule)
    classes |= {str(key): class_of(rule) for key in (rule.name, rule.id) if key}
    return table


def _sigma_error() -> type[Exception]:
    from sigma.exceptions import SigmaError

    return SigmaError


def _mappings(path: Path) -> list[dict[str, Any]]:
    """The documents of a YAML file, each a mapping."""
    yaml = _library("yaml")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise _unreadable(path, f"it is larger than {_MOST_BYTES // 1_000_000} MB: split it")
        text = path.read_text(encoding="utf-8")
        # A second `title` without `---` between is a second rule, which replaces the first.
        if doubled := _doubled_key(yaml.compose_all(text, Loader=yaml.SafeLoader)):
            raise _unreadable(path, doubled)
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except RecursionError:
        raise _unreadable(path, "its brackets or indents are too deep") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or str(error)) from error
    if not all(isinstance(document, dict) for document in documents):
        raise _unreadable(path, "a document is no mapping")
    if not documents:
        raise _unreadable(path, "it holds no rule")
    return documents


def _doubled_key(documents: Iterable[Any]) -> str | None:
    """Where a key stands twice at the top of a document, in words; None where none does."""
    for document in documents:
        seen = set()
        for key, _ in document.value if document is not None and document.id == "mapping" else ():
            if key.id == "scalar" and key.value in seen:
                line = key.start_mark.line + 1
                return f"line {line}: {key.value} stands twice: write --- between two rules"
            if key.id == "scalar":
                seen.add(key.value)
    return None


def _unreadable(path: Path, reason: str) -> UserError:
    return UserError(f"{path}: cannot be read as rules of Sigma: {inert(' '.join(reason.split()))}")


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            "Rules of Sigma need pySigma, which is not installed: pip install 'oopswatch[sigma]'"
        ) from error
