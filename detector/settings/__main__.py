"""`python -m detector.settings` prints docs/settings.md."""

from __future__ import annotations

import inspect
import sys
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from detector.settings.declared import Settings, declared, text

PAGE_HEAD = """# Settings

Made from `detector/settings/` by `make docs`. Stronger wins: command line, then environment, then \
file, then default.

- **File:** `--config FILE`, else `oopswatch.toml` in the working directory, else \
`/etc/oopswatch/oopswatch.toml` (`$CONFIGURATION_DIRECTORY/oopswatch.toml` where that is set). \
TOML, one table a group.
- **Environment:** `OOPSWATCH_<GROUP>_<NAME>`, as `OOPSWATCH_KAFKA_TOPICS`. A list is written with \
commas.
- `oopswatch config show` prints each value in force and where it is from. Secrets are never \
printed.
"""


def page() -> str:
    """docs/settings.md, made from the declarations."""
    lines = [PAGE_HEAD]
    for group, field in Settings.model_fields.items():
        table = field.annotation
        assert isinstance(table, type)
        lines += [
            f"## [{group}]",
            "",
            inspect.cleandoc(table.__doc__ or ""),
            "",
            "| setting | default | meaning |",
            "| --- | --- | --- |",
        ]
        lines += [
            _row(name, declaration) for owner, name, declaration in declared() if owner == group
        ] + [""]
    return "\n".join(lines)


def _row(name: str, declaration: FieldInfo) -> str:
    extra = declaration.json_schema_extra
    unit = f" {extra['unit']}" if isinstance(extra, dict) and extra["unit"] else ""
    default = text(declaration.default)
    choices = [
        str(choice)
        for part in _parts(declaration.annotation)
        if get_origin(part) is Literal
        for choice in get_args(part)
    ]
    bounds = [
        f"{sign} {getattr(bound, key)}"
        for bound in declaration.metadata
        for key, sign in (("ge", "≥"), ("le", "≤"))
        if hasattr(bound, key)
    ]
    notes = "".join(f" ({note})" for note in (", ".join(choices), ", ".join(bounds)) if note)
    return (
        f"| `{name}` | {f'`{default}`{unit}' if default else ''} | "
        f"{declaration.description}{notes} |"
    )


def _parts(annotation: object) -> tuple[object, ...]:
    return (annotation,) if get_origin(annotation) is Literal else get_args(annotation)


sys.stdout.write(page())
