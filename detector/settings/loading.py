"""Merges the layers of settings: command line over environment over file over default.

In come a TOML file, the environment (`OOPSWATCH_<GROUP>_<NAME>`) and the command line's overrides;
out go `Settings` and, for each setting, where its value is from. Mistakes are collected and told
all at once, each with its place. No setting is read anywhere else.

A file that cannot be read is a `SettingsError` that names it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from detector.errors import UserError
from detector.lazy_regex import lazy_regex
from detector.render.escape import inert
from detector.settings.declared import NAMES, Settings, declared, shipped_patterns_dir, text
from detector.settings.group import allowed
from detector.toml_tables import BadTomlError, TomlPlaces, parse_toml, suggestion

PREFIX = "OOPSWATCH_"
_FILE = "oopswatch.toml"
_FOLDER = "/etc/oopswatch"
# systemd names a unit's folder of settings by it (ConfigurationDirectory=, systemd.exec(5)).
_FOLDER_VARIABLE = "CONFIGURATION_DIRECTORY"

Origins = Mapping[str, str]
"""Setting ("kafka.topics") → where its value is from ("default", "oopswatch.toml:7",
"OOPSWATCH_KAFKA_TOPICS", "command line")."""


# What Kubernetes and Docker put into a container for each service of the namespace, which may be
# called oopswatch-metrics (kubernetes pkg/kubelet/envvars/envvars.go): no settings.
_SERVICE_LINK = lazy_regex(r"\w+_SERVICE_(HOST|PORT(_\w+)?)|\w+_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?")
_LINK_ADDRESS = lazy_regex(r"(tcp|udp|sctp)://")

_DECLARED = {f"{group}.{name}": declaration for group, name, declaration in declared()}
# Characters of a value that a message shows.
_SHOWN = 80
_VARIABLES = sorted(f"{PREFIX}{full.upper().replace('.', '_')}" for full in NAMES)
_NEAR = 0.9

Given = dict[str, tuple[object, str]]
"""Setting → its value and where that is from."""


class SettingsError(UserError):
    """Every mistake found in the settings, one line each, located; and the form of the log that
    they ask for, as far as they could be read.
    """

    def __init__(self, faults: Sequence[str], log_format: str = "auto") -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)
        self.log_format = log_format


def settings_of(config_path: Path | None, **overrides: object) -> tuple[Settings, Origins]:
    """The settings in force; an override that is None or empty was not given. Names are
    `group__name`.
    """
    given = {
        name.replace("__", "."): value
        for name, value in overrides.items()
        if value not in (None, (), "")
    }
    return load(config_path, given)


def load(
    path: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[Settings, Origins]:
    """The settings in force and where each is from. `overrides` are the command line's
    ("kafka.topics" → value).

    Without `path` the first file of `_places` that exists is read, or none. Raises SettingsError
    with every mistake.
    """
    environment = os.environ if environment is None else environment
    faults: list[str] = []
    layers = (
        _from_file(path or next(filter(Path.is_file, _places()), None), faults),
        _from_environment(environment, faults),
        _known(
            {name: (value, "command line") for name, value in (overrides or {}).items()}, faults
        ),
    )
    merged = {name: given for layer in layers for name, given in layer.items()}
    origins = dict.fromkeys(sorted(NAMES), "default") | {
        name: origin for name, (_, origin) in merged.items()
    }
    _read_password(merged, faults)
    settings = _validate(merged, faults)
    if settings is None or faults:
        form, _ = merged.get("log.format", ("auto", ""))
        raise SettingsError(faults, "json" if form == "json" else "auto")
    return settings, origins


def _places() -> Iterator[Path]:
    """Where a settings file may lie that no option names, the strongest first."""
    yield Path(_FILE)
    folders = os.environ.get(_FOLDER_VARIABLE) or _FOLDER
    yield from (Path(folder) / _FILE for folder in folders.split(":"))


def shown(settings: Settings, origins: Origins) -> list[tuple[str, str, str]]:
    """(setting, value, origin) for people, in the order of declaration. Secrets are stars."""
    return [
        (
            f"{group}.{name}",
            text(getattr(getattr(settings, group), name)),
            origins.get(f"{group}.{name}", "default"),
        )
        for group, name, _ in declared()
    ]


def _from_file(path: Path | None, faults: list[str]) -> Given:
    if path is None:
        return {}
    try:
        content = path.read_bytes().decode()
        tables = parse_toml(content)
    except OSError as error:
        faults.append(f"{path}: cannot be read: {error.strerror}")
        return {}
    except UnicodeDecodeError:
        faults.append(f"{path}: not a TOML file: it is not UTF-8")
        return {}
    except BadTomlError as error:
        faults.append(f"{path}:{error.line}: {error}")
        return {}
    given: Given = {}
    places = TomlPlaces(content)
    for group, table in tables.items():
        if group not in Settings.model_fields:
            what = f"unknown table{suggestion(group, Settings.model_fields)}"
            faults.append(f"{path}:{places.top(group)}: {inert(group)}: {what}")
            continue
        if not isinstance(table, dict):
            what = f"it must be one table: write [{group}], and its settings below"
            faults.append(f"{path}:{places.top(group)}: {group}: {what}")
            continue
        for name, value in table.items():
            given[f"{group}.{name}"] = (value, f"{path}:{places.key(places.table(group, 0), name)}")
    _known(given, faults)
    if "kafka.sasl_password" in given:
        _, place = given.pop("kafka.sasl_password")
        faults.append(
            f"{place}: kafka.sasl_password: a password does not belong here; name a file in "
            "sasl_password_file"
        )
    return given


def _from_environment(environment: Mapping[str, str], faults: list[str]) -> Given:
    given: Given = {}
    for variable, value in environment.items():
        if _SERVICE_LINK.fullmatch(variable) or _LINK_ADDRESS.match(value):
            continue
        group, name = _group_of(variable.removeprefix(PREFIX).lower())
        if not variable.startswith(PREFIX):
            continue
        if not _is_utf8(value):
            faults.append(f"{inert(variable)}: its value is not UTF-8")
            continue
        if name and group:
            given[f"{group}.{name}"] = (value, variable)
        elif near := get_close_matches(variable, _VARIABLES, n=1, cutoff=_NEAR):
            # Other variables with the prefix are somebody else's: a misspelt one is not.
            faults.append(f"{inert(variable)}: no setting: did you mean {near[0]}?")
    return _known(given, faults)


def _group_of(words: str) -> tuple[str, str]:
    """The group and the name in a variable's words; a group's own name may hold a "_"."""
    groups = [group for group in Settings.model_fields if words.startswith(f"{group}_")]
    group = max(groups, key=len, default="")
    return group, words.removeprefix(f"{group}_") if group else ""


def _is_utf8(value: str) -> bool:
    """Whether a variable's value was text: Python keeps other bytes as surrogates (PEP 383)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _known(given: Given, faults: list[str]) -> Given:
    """The same without what is no setting; that is told."""
    for full in sorted(given.keys() - NAMES):
        _, origin = given.pop(full)
        group, _, name = full.partition(".")
        known = {setting.partition(".")[2] for setting in NAMES if setting.startswith(f"{group}.")}
        faults.append(f"{origin}: {inert(full)}: unknown setting{suggestion(name, known)}")
    return given


def _read_password(merged: Given, faults: list[str]) -> None:
    """Put the content of the password's file where the password belongs; the environment's own
    password is stronger than a file.
    """
    path, origin = merged.get("kafka.sasl_password_file", (None, ""))
    if not isinstance(path, str | Path) or "kafka.sasl_password" in merged:
        return
    try:
        merged["kafka.sasl_password"] = (Path(path).read_text().rstrip("\r\n"), origin)
    except (OSError, UnicodeDecodeError) as error:
        faults.append(
            f"{origin}: kafka.sasl_password_file: {path} cannot be read: "
            f"{getattr(error, 'strerror', None) or error}"
        )


def _validate(merged: Given, faults: list[str]) -> Settings | None:
    tables: dict[str, dict[str, object]] = {}
    for full, (value, _) in merged.items():
        group, _, name = full.partition(".")
        tables.setdefault(group, {})[name] = value
    try:
        return Settings.model_validate(tables)
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_context=False)
        # A list may hold many wrong parts: one sentence for each setting.
        faults.extend(dict.fromkeys(_sentence(mistake, merged) for mistake in mistakes))
        return None


def _sentence(mistake: ErrorDetails, merged: Given) -> str:
    """The place, the setting, its value, and what it must be."""
    full = ".".join(str(part) for part in mistake["loc"][:2])
    if full not in merged:
        # Settings that do not agree: the table's first that was given is where to look.
        origin = next((at for name, (_, at) in merged.items() if name.startswith(full)), "settings")
        return f"{origin}: {full}: {mistake['msg'].removeprefix('Value error, ')}"
    value, origin = merged[full]
    shown = "" if full.endswith("password") else f" = {inert(text(value))[:_SHOWN] or chr(34) * 2}"
    return f"{origin}: {full}{shown}: it must be {allowed(_DECLARED[full])}"


def pattern_files(settings: Settings) -> dict[str, str]:
    """Path → text of the pattern files in force."""
    files: dict[str, tuple[Path, str]] = {}
    for folder in (shipped_patterns_dir(), *settings.patterns.directories):
        for path in sorted(folder.rglob("*.toml")):
            try:
                files[str(path.relative_to(folder))] = path, path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or error
                raise SettingsError([f"{path}: cannot be read: {reason}"]) from error
    return {str(path): text for path, text in files.values()}
