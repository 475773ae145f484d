"""The member behind a fault, from a pack of the kernel: at most likely, or nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner

from detector.catalogue import Catalogue
from detector.catalogue.known_issues import StructLayout
from detector.cli import oopswatch
from detector.explain import explain
from tests.member.demo_kernel import ARM64, arm64_demo_image, call, kernel, types, x86_image
from tests.symbols.images import PACKED, bzimage
from tests.symbols.modules import module

X86_OOPS = """\
BUG: unable to handle page fault for address: {cr2:016x}
#PF: supervisor read access in kernel mode
#PF: error_code(0x0000) - not-present page
PGD 0 P4D 0
Oops: 0000 [#1] PREEMPT SMP NOPTI
CPU: 1 PID: 42 Comm: demo Not tainted {release} #1
RIP: 0010:demo_lookup+0x3/0x40
Code: {code}
RSP: 0018:ffffc90000013e48 EFLAGS: 00010246
RAX: {rax:016x} RBX: ffff888100000000 RCX: 0000000000000000
RDX: 0000000000000000 RSI: 0000000000000000 RDI: ffff888100000000
CR2: {cr2:016x} CR3: 0000000002812000 CR4: 0000000000350ee0
Call Trace:
 <TASK>
 demo_caller+0x5/0x40
 </TASK>
---[ end trace 0000000000000000 ]---
"""
CODE = "48 8b 07 <48> 8b 50 30 48 39 72 08 c3"
ARM_OOPS = """\
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000030
Mem abort info:
  ESR = 0x0000000096000004
  EC = 0x25: DABT (current EL), IL = 32 bits
Internal error: Oops: 0000000096000004 [#1] SMP
CPU: 1 PID: 42 Comm: demo Not tainted 6.1.0-demo #1
pc : demo_lookup+0x4/0x40
lr : demo_lookup+0x4/0x40
sp : ffff80000a5f3d50
x2 : 0000000000000000 x1 : 0000000000000000 x0 : ffff000000100000
Call trace:
 demo_lookup+0x4/0x40
Code: {code}
---[ end trace 0000000000000000 ]---
"""


MODULE_CODE = "48 8b 05 11 22 33 44 48 8b 47 08 <48> 8b 40 30 e8 55 66 77 88 c3"


@pytest.fixture
def settings(tmp_path):
    """Settings with packs of the demo kernel for x86-64."""
    path = tmp_path / "own.toml"
    path.write_text(f'[store]\npath = "{tmp_path / "history.db"}"\n')
    image = tmp_path / "vmlinuz"
    image.write_bytes(bzimage(PACKED["lz4"](x86_image())))
    run("symbols", "add", image, "--config", path)
    return path


def run(*arguments):
    """What a command prints."""
    done = CliRunner().invoke(oopswatch, [*map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


def x86(code=CODE, release="6.1.0-demo", rax=0, cr2=0x30):
    """The report of an oops in demo_lookup."""
    return X86_OOPS.format(code=code, release=release, rax=rax, cr2=cr2)


def statements(settings, text):
    """The sentences that speak of the demo's structs, with their confidence."""
    log = settings.with_name("crash.txt")
    log.write_text(text)
    output = run("explain", log, "--json", "--config", settings)
    items = [json.loads(line) for line in output.splitlines()]
    (item,) = [item for item in items if item["type"] == "explanation"]
    diagnosis = item["diagnosis"]
    parts = diagnosis["statements"] if isinstance(diagnosis, dict) else diagnosis
    return [part for part in parts if "struct demo_" in part["text"]]


def test_the_member_is_named_with_its_chain(settings):
    """Which member, of which struct, through which pointer; that this is NULL is said already."""
    (first,) = statements(settings, x86())
    assert first["text"] == (
        "The instruction read member net: 8 bytes at offset 0x30 of struct demo_sock."
    )
    assert first["confidence"] == "likely"
    evidence = " ".join(first["evidence"])
    assert "rax is struct demo_sock *, from: struct demo_table.first <- argument 1" in evidence


@pytest.mark.parametrize(
    ("rax", "meaning"),
    [
        (0x194DB, "an address of user space, or a number"),
        (0x14, "a small number"),
        (0xDEAD000000000100, "near the kernel's poison values"),
        (0xFFFFFFFFFFFFFFF4, "an error code, -12"),
        (0x6B6B6B6B6B6B6B6B, "no canonical address"),
        (0xFFFF888100000000, None),
    ],
)
def test_what_the_pointer_is_is_said(settings, rax, meaning):
    """The start of the object, computed; an address that may be one says nothing."""
    texts = [part["text"] for part in statements(settings, x86(rax=rax, cr2=(rax + 0x30) % 2**64))]
    assert len(texts) == (1 if meaning is None else 2)
    if meaning is not None:
        assert f"would begin at {rax:#x}: " in texts[1]
        assert meaning in texts[1]


@pytest.mark.parametrize(
    ("code", "count"),
    [
        (MODULE_CODE, 1),
        (MODULE_CODE.replace("47 08", "4f 08"), 0),
        (MODULE_CODE.replace("8b 05", "8b 0d"), 0),
    ],
)
def test_a_member_is_named_in_a_module(settings, code, count):
    """What the loader fills in may differ, nothing else."""
    folder = settings.with_name("modules")
    folder.mkdir()
    (folder / "demo-mod.ko").write_bytes(module())
    image = settings.with_name("vmlinuz")
    run("symbols", "add", image, "--modules", folder, "--config", settings)
    run("symbols", "check", "--config", settings)
    report = x86(code).replace("demo_lookup+0x3/0x40", "mod_find+0xb/0x15 [demo_mod]")
    found = statements(settings, report)
    assert len(found) == count
    assert not found or "from: struct mod_priv.sk <- argument 1" in " ".join(found[0]["evidence"])


@pytest.mark.parametrize(
    "text",
    [
        x86("48 8b 07 <48> 8b 50 38 48 39 72 08 c3"),
        x86("48 8b 0f <48> 8b 50 30 48 39 72 08 c3"),
        x86("48 8b 07 48 8b 50 30 48 39 72 08 c3"),
        x86("Bad RIP value."),
        x86(release="6.1.0-other"),
        x86(cr2=0x40),
        x86().replace("+0x3/0x40", "+0x3/0x50"),
        x86().replace("demo_lookup+0x3/0x40", "demo_lookup+0x3/0x40 [demo]"),
    ],
)
def test_what_does_not_agree_says_nothing(settings, text):
    """Other code, another release, another address, another function, a module."""
    assert statements(settings, text) == []


def test_an_arm64_report_is_explained(settings, tmp_path):
    """By the pack of its architecture, of two of one release."""
    image = tmp_path / "Image"
    image.write_bytes(arm64_demo_image())
    run("symbols", "add", image, "--config", settings)
    words = [ARM64["demo_lookup"][at : at + 4][::-1].hex() for at in (0, 4, 8, 12)]
    code = f"{words[0]} ({words[1]}) {words[2]} {words[3]}"
    (first,) = statements(settings, ARM_OOPS.format(code=code))
    assert first["text"].startswith("The instruction read member net: 8 bytes at offset 0x30")


def test_an_object_around_null_has_no_start_of_its_own(settings):
    """container_of(NULL): its start, below NULL, would read as an error code."""
    text = x86("53 48 8b 1f 48 8d 7b 98 e8 00 00 00 00 <48> 8b 43 c8 5b c3", cr2=2**64 - 0x38)
    text = text.replace("demo_lookup+0x3", "demo_walk+0xd").replace(
        "RBX: ffff888100000000", "RBX: 0"
    )
    (first,) = statements(settings, text.replace("RBX: 0 ", f"RBX: {0:016x} "))
    assert "member net: 8 bytes at offset 0x30 of struct demo_sock" in first["text"]


def test_what_faulted_is_named_where_the_title_names_its_caller(settings):
    """The title passes over functions that everybody calls."""
    generic = "__list_add_valid"
    image = settings.with_name("vmlinuz")
    parts = {
        generic: bytes.fromhex("488b4708 c3"),
        "demo_caller": lambda at: call(at, "demo_caller", generic, 0) + b"\xc3",
    }
    image.write_bytes(bzimage(PACKED["lz4"](x86_image(**parts))))
    run("symbols", "add", image, "--config", settings)
    text = x86("<48> 8b 47 08 c3", cr2=8).replace("demo_lookup+0x3", f"{generic}+0x0")
    text = text.replace("RDI: ffff888100000000", f"RDI: {0:016x}")
    (first,) = statements(settings, text)
    assert first["text"].startswith(f"The instruction in {generic} read member mask: 8 bytes")


@pytest.mark.parametrize(
    ("code", "offset", "count"),
    [
        (CODE, "0x3", 1),
        (CODE.replace("48 8b 07 <48>", "<48>"), "0x3", 0),  # the entry is not printed
        (CODE, "0x4", 0),  # what would be the entry is none
    ],
)
def test_types_alone_name_what_the_log_prints_from_the_entry_on(tmp_path, code, offset, count):
    """/sys/kernel/btf/vmlinux and the code of the log: never more than on some paths."""
    path = tmp_path / "own.toml"
    path.write_text(f'[store]\npath = "{tmp_path / "history.db"}"\n')
    (tmp_path / "btf").write_bytes(types())
    run("symbols", "add", tmp_path / "btf", "--release", "6.1.0-demo", "--config", path)
    found = statements(path, x86(code).replace("+0x3/", f"+{offset}/"))
    assert len(found) == count
    if count:
        assert "member net: 8 bytes at offset 0x30 of struct demo_sock" in found[0]["text"]
        assert found[0]["evidence"][0] == (
            "types of 6.1.0-demo, code of the log: by the kernel's declarations, on some of the "
            "paths to it"
        )


def test_a_damaged_pack_is_said_once_and_nothing_is_named(settings, tmp_path):
    """On standard error; the explanation is what it was without the pack."""
    (path,) = (tmp_path / "symbols").iterdir()
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)
    log = tmp_path / "crash.txt"
    log.write_text(x86())
    done = CliRunner().invoke(oopswatch, ["explain", str(log), "--config", str(settings)])
    assert done.exit_code == 0
    assert "struct demo_" not in done.stdout
    assert done.stderr.count(f"{path}: it is damaged") == 1


def test_layouts_by_hand_agree_with_the_types_of_the_kernel():
    """Where both speak they say the same; a layout that a kernel's types contradict is not used."""
    from detector.explain import _agreeing

    layout = StructLayout(
        id="demo",
        name="demo_sock",
        arches=("x86_64",),
        since="6.1",
        members={"net": 0x30, "port": 8},
        source="tests",
    )
    wrong = layout.model_copy(update={"members": {"net": 0x38}})
    other = layout.model_copy(update={"name": "nobody"})
    assert _agreeing((layout, wrong, other), (kernel(),)) == [layout, other]
    assert _agreeing((layout, wrong), ()) == [layout, wrong]


def test_without_packs_nothing_of_it_is_loaded(tmp_path):
    """Nothing is slower where there is no pack: no analysis and no reader of packs is imported."""
    path = tmp_path / "own.toml"
    path.write_text(f'[store]\npath = "{tmp_path / "history.db"}"\n')
    log = tmp_path / "crash.txt"
    log.write_text(x86())
    code = (
        "import sys; from detector.cli import oopswatch\n"
        f"oopswatch(['explain', {str(log)!r}, '--config', {str(path)!r}], standalone_mode=False)\n"
        "parts = ('detector.member', 'detector.symbols', 'detector.explain.members')\n"
        "sys.exit('\\n'.join(name for name in sys.modules if name.startswith(parts)) or None)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "demo_lookup+0x3" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_without_packs_nothing_is_asked():
    """A catalogue of its own knows no kernel."""
    assert Catalogue().kernels("6.1.0-demo") == ()
    assert replace(Catalogue(), kernels=lambda _: (kernel(),)).kernels("x")
    assert explain(None, (), Catalogue()).statements == ()
