"""`oopswatch symbols`: packs are made, listed, checked and removed; errors are one line."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner, Result

from detector.cli import oopswatch
from tests.support.kernel_image import CODE, OWN, types
from tests.symbols.images import bzimage, vmlinux
from tests.symbols.modules import module


def symbols(*arguments: object) -> Result:
    """What the command does."""
    return CliRunner().invoke(oopswatch, ["symbols", *map(str, arguments)])


@pytest.fixture
def image(tmp_path):
    """A small bzImage."""
    from tests.symbols.images import PACKED

    path = tmp_path / "vmlinuz-6.1.0-demo"
    path.write_bytes(bzimage(PACKED["zstd"](vmlinux(CODE, OWN, types()))))
    return path


@pytest.fixture
def settings(tmp_path):
    """Settings whose history, and so whose packs, are their own."""
    path = tmp_path / "own.toml"
    path.write_text(f'[store]\npath = "{tmp_path / "history.db"}"\n')
    return path


def test_a_pack_is_made_listed_checked_and_removed(image, settings, tmp_path):
    """It lies beside the history, under the release and a digest of its content."""
    done = symbols("add", image, "--config", settings)
    assert done.exit_code == 0, done.output
    (path,) = (tmp_path / "symbols").iterdir()
    assert path.name.startswith("6.1.0-demo-")
    assert path.suffix == ".symbols"
    assert f"{path}: 6.1.0-demo x86_64, 905 symbols, 0.0 MB of code" in done.output
    listed = symbols("list", "--json", "--config", settings)
    item = json.loads(listed.output)
    assert (item["release"], item["bytes"]) == ("6.1.0-demo", path.stat().st_size)
    assert symbols("check", "--config", settings).output == f"{path}: sound\n"
    assert symbols("remove", "6.1.0-demo", "--config", settings).exit_code == 0
    assert not path.exists()
    again = symbols("remove", "6.1.0-demo", "--config", settings)
    assert (again.exit_code, again.output.count("\n")) == (2, 1)
    assert "no packs" in symbols("list", "--config", settings).output


def test_the_folder_is_a_setting(image, tmp_path):
    """`symbols.directory`, and `--to` over it."""
    path = tmp_path / "own.toml"
    path.write_text(f'[symbols]\ndirectory = "{tmp_path / "a"}"\n')
    assert symbols("add", image, "--config", path).exit_code == 0
    assert symbols("add", image, "--config", path, "--to", tmp_path / "b").exit_code == 0
    assert len(list((tmp_path / "a").iterdir())) == len(list((tmp_path / "b").iterdir())) == 1


def test_types_of_a_running_kernel_need_their_release(settings, tmp_path):
    """/sys/kernel/btf/vmlinux does not say of which kernel it is."""
    path = tmp_path / "btf"
    path.write_bytes(types())
    refused = symbols("add", path, "--config", settings)
    assert (refused.exit_code, "--release says" in refused.output) == (2, True)
    bad = symbols("add", path, "--release", "../../x", "--config", settings)
    assert (bad.exit_code, "is no kernel release" in bad.output) == (2, True)
    done = symbols("add", path, "--release", "6.1.0-demo", "--config", settings)
    assert (done.exit_code, "types alone" in done.output) == (0, True)


def test_what_is_no_image_is_one_line_and_leaves_nothing(settings, tmp_path):
    """A text, a folder, a pipe without a writer, a missing file, a sparse file of a terabyte."""
    (tmp_path / "text").write_text("no kernel")
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    for name in ("text", "pipe", "missing", "sparse", ""):
        done = symbols("add", tmp_path / name, "--config", settings)
        assert done.exit_code == 2, name
        assert done.output.count("\n") == 1
        assert str(tmp_path / name) in done.output
    assert not (tmp_path / "symbols").exists()


def test_a_damaged_pack_is_said_and_the_others_are_checked(image, settings, tmp_path):
    """Exit code 1; the line names the file and what to do."""
    symbols("add", image, "--config", settings)
    (path,) = (tmp_path / "symbols").iterdir()
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    damaged = path.with_name("6.1.0-demo-000000000000.symbols")
    damaged.write_bytes(data)
    done = symbols("check", "--config", settings)
    assert done.exit_code == 1
    assert f"{path}: sound" in done.output
    assert f"{damaged}: it is damaged" in done.output
    assert "`oopswatch symbols add IMAGE` makes a new one" in done.output


def test_an_image_that_is_none_keeps_no_other_from_being_added(image, settings, tmp_path):
    """As in `symbols add /boot/vmlinuz-*`: each that is refused is one line."""
    (tmp_path / "text").write_text("no kernel")
    done = symbols("add", tmp_path / "text", image, tmp_path / "missing", "--config", settings)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 2
    assert done.stdout.count("\n") == 1
    assert len(list((tmp_path / "symbols").iterdir())) == 1


def test_a_damaged_pack_is_removed_by_its_file(image, settings, tmp_path):
    """`check` names it, so `remove` takes that name, and no file outside the folder."""
    assert symbols("add", image, "--config", settings).exit_code == 0
    (path,) = (tmp_path / "symbols").iterdir()
    path.write_bytes(b"text")
    (tmp_path / "outside.symbols").write_bytes(b"text")
    assert path.name in symbols("check", "--config", settings).output
    assert symbols("remove", "../outside", "--config", settings).exit_code == 2
    done = symbols("remove", path.name, "--config", settings)
    assert (done.exit_code, path.exists()) == (0, False)
    assert (tmp_path / "outside.symbols").exists()


def test_modules_are_added_by_folder_and_name(image, settings, tmp_path):
    """One line where one is missing, of another release, or where nothing says which."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "demo-mod.ko").write_bytes(module(b""))
    (folder / "later.ko").write_bytes(module(b"", "6.2.0-demo", "later"))
    done = symbols("add", image, "--modules", folder, "--module", "demo_mod", "--config", settings)
    assert (done.exit_code, "1 module;" in done.output) == (0, True), done.output
    for words, text in (
        (("--modules", folder, "--module", "absent"), "no module absent"),
        (("--modules", folder), "is a module of 6.2.0-demo, the image is 6.1.0-demo"),
        (("--module", "demo_mod"), "give --modules DIR"),
        (("--modules", folder, image), "goes with one image"),
    ):
        refused = symbols("add", image, *words, "--config", settings)
        assert refused.exit_code == 2
        assert text in refused.output
