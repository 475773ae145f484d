"""`oopswatch symbols`: makes, lists, checks and removes the symbols packs of kernels."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from detector.cli import terminal
from detector.cli.options import NameParam
from detector.cli.settings_options import config_option, settings_of, store_option
from detector.render.escape import inert
from detector.render.units import several

if TYPE_CHECKING:
    from detector.sources.symbols.folder import PackFile, SymbolsFolder

_FAULTS = 1
_REFUSED = 2


def _folder_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--to DIR`, `--store FILE` and `--config FILE`."""
    path = click.Path(path_type=Path, file_okay=False)
    text = "Folder of the packs; default from the settings (symbols.directory)."
    return click.option("--to", "directory", type=path, help=text)(
        store_option(config_option(command))
    )


@click.group(
    epilog="""\b
Examples:
  oopswatch symbols add /boot/vmlinuz-6.1.0-28-amd64
  oopswatch symbols list
Exit: 0, 1 a pack is damaged, 2 usage or input that cannot be read."""
)
def symbols() -> None:
    """Symbols packs of kernels: code, symbols and types, read out of their images."""


@symbols.command(
    epilog="""\b
Images: /boot/vmlinuz-RELEASE of x86-64 and arm64, plain or packed by gzip, xz, zstd or lz4.
Examples:
  oopswatch symbols add /boot/vmlinuz-6.1.0-28-amd64
  oopswatch symbols add /boot/vmlinuz-6.1.0-28-amd64 --modules /lib/modules/6.1.0-28-amd64
  oopswatch symbols add /sys/kernel/btf/vmlinux --release 6.1.0-28-amd64"""
)
@click.argument(
    "images",
    metavar="IMAGE...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@click.option(
    "--release",
    help="The kernel release of types alone (/sys/kernel/btf/vmlinux): layouts of structs without "
    "code.",
)
@click.option(
    "--modules",
    "modules",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder whose modules go into the pack, such as /lib/modules/RELEASE/kernel/net.",
)
@click.option(
    "--module",
    "names",
    metavar="NAME",
    multiple=True,
    help="With --modules: this module alone; may be given again.",
)
@_folder_options
def add(
    images: tuple[Path, ...],
    release: str | None,
    modules: Path | None,
    names: tuple[str, ...],
    directory: Path | None,
    store_path: Path | None,
    config_path: Path | None,
) -> None:
    """Reads kernel images and writes one pack for each: its code, its symbols, its types.

    An image that cannot be read keeps none of the others from being added.
    """
    from detector.sources.errors import SourceError
    from detector.sources.symbols.modules import find_modules

    folder = _folder(directory, store_path, config_path)
    if names and modules is None:
        raise click.UsageError("--module names modules of a folder: give --modules DIR too")
    if modules is not None and (len(images) > 1 or release is not None):
        raise click.UsageError("--modules goes with one image: modules are of one build")
    files = find_modules(modules, names) if modules is not None else []
    refused = False
    for image in images:
        try:
            _say(folder.add(image, release, files))
        except SourceError as error:
            terminal.say_fault(str(error))
            refused = True
    if refused:
        sys.exit(_REFUSED)


@symbols.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="NDJSON: one object a pack.")
@_folder_options
def list_packs(
    as_json: bool, directory: Path | None, store_path: Path | None, config_path: Path | None
) -> None:
    """The packs that are there."""
    folder = _folder(directory, store_path, config_path)
    files = folder.files(terminal.say_fault)
    for file in files:
        if as_json:
            click.echo(json.dumps(_item(file)))
        else:
            _say(file)
    if not files and not as_json:
        click.echo(f"{folder.path}: no packs; `oopswatch symbols add /boot/vmlinuz-RELEASE`")


@symbols.command()
@_folder_options
def check(directory: Path | None, store_path: Path | None, config_path: Path | None) -> None:
    """Reads every pack wholly and compares it with its digests."""
    from detector.sources.errors import SourceError
    from detector.sources.symbols.folder import check_pack

    folder = _folder(directory, store_path, config_path)
    faults: list[str] = []
    files = folder.files(faults.append)
    for file in files:
        try:
            check_pack(file.path)
        except SourceError as error:
            faults.append(str(error))
        else:
            click.echo(f"{file.path}: sound")
    for fault in faults:
        terminal.say_fault(fault)
    if faults:
        sys.exit(_FAULTS)
    if not files:
        click.echo(f"{folder.path}: no packs")


@symbols.command()
@click.argument("name", metavar="RELEASE|FILE", type=NameParam())
@_folder_options
def remove(
    name: str, directory: Path | None, store_path: Path | None, config_path: Path | None
) -> None:
    """Deletes the packs of a release, or one pack by the name of its file."""
    from detector.sources.errors import SourceError
    from detector.sources.symbols.folder import remove_pack

    folder = _folder(directory, store_path, config_path)
    paths = folder.named(name)
    if not paths:
        raise SourceError(f"{folder.path}: no pack of {inert(name)}: `oopswatch symbols list`")
    for path in paths:
        remove_pack(path)
        click.echo(inert(f"{path}: removed"))


def _folder(
    directory: Path | None, store_path: Path | None, config_path: Path | None
) -> SymbolsFolder:
    from detector.app.symbols import symbols_folder

    settings, _ = settings_of(config_path, store__path=store_path, symbols__directory=directory)
    return symbols_folder(settings)


def _say(file: PackFile) -> None:
    header = file.header
    code = sum(size for _, size in header.code)
    held = f"{header.symbols:,} symbols, {code / 1e6:.1f} MB of code" if code else "types alone"
    types = next(size for name, _, size, _ in header.parts if name == "types")
    without = "" if types else ", no types (BTF): no member is named"
    arch = f" {header.arch}" if header.arch else ""
    held += f", {several(len(header.modules), 'module')}" if header.modules else ""
    click.echo(
        inert(f"{file.path}: {header.release}{arch}, {held}{without}; {file.size / 1e6:.2f} MB")
    )


def _item(file: PackFile) -> dict[str, object]:
    header = file.header
    return {
        "type": "symbols",
        "path": str(file.path),
        "release": header.release,
        "arch": header.arch or None,
        "build": header.build or None,
        "digest": header.digest,
        "symbols": header.symbols,
        "code_bytes": sum(size for _, size in header.code),
        "modules": header.modules,
        "bytes": file.size,
    }
