"""`oopswatch samples`: the files that came beside the code, laid out as in a checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from detector.cli.completion import SHELLS, completion_script
from detector.errors import UserError
from detector.render.units import several

# Where they lie in a folder that was written, as shells name the files (bash-completion's README,
# zsh's fpath, fish's vendor_completions.d).
_COMPLETIONS = {"bash": "oopswatch", "zsh": "_oopswatch", "fish": "oopswatch.fish"}
_SHIPPED = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "docs", "deploy")
# The index of known bugs is read where it lies.
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.zst")


@click.command(
    epilog="""\b
Examples:
  oopswatch samples /usr/local/share/oopswatch
  oopswatch samples files && ls files/deploy/shippers files/docs files/completions"""
)
@click.argument("target", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
def samples(target: Path) -> None:
    """Writes the documentation, the deployment samples, the patterns and the shells'
    completions that came with this version into a new folder.
    """
    from detector.settings.declared import shipped_patterns_dir

    if target.exists() and any(target.iterdir()):
        raise UserError(f"{target}: it is not empty: name a folder that is new")
    try:
        target.mkdir(parents=True, exist_ok=True)
        for source in [shipped_file(name) for name in _SHIPPED]:
            _copy(source, target / source.name)
        _copy(shipped_patterns_dir(), target / "patterns")
        folder = target / "completions"
        folder.mkdir()
        for shell in SHELLS:
            (folder / _COMPLETIONS[shell]).write_text(completion_script(shell), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{error.filename or target}: {error.strerror}") from error
    count = sum(path.is_file() for path in target.rglob("*"))
    click.echo(f"{target}: {several(count, 'file')}: docs, deploy, patterns, completions")


def shipped_file(name: str) -> Path:
    """A file or folder that came with this package.

    It lies inside the package when that was installed, beside it in a checkout.
    """
    package = Path(__file__).parent.parent
    installed = package / "_shipped"
    return (installed if installed.is_dir() else package.parent) / name


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=_LEFT_OUT)
    else:
        shutil.copyfile(source, target)
