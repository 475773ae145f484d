"""Disassembles the code of a report a second time, with programs that the product does not use:
objdump for x86, llvm-mc for arm and arm64.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

NEEDED = ("objdump", "llvm-mc")
_SIZES = (
    r"\b(?:byte|word|dword|fword|qword|tbyte|xword|xmmword|ymmword|zmmword) ptr |(?<= )ptr (?=\[)"
)
_TARGETS = re.compile(r"^(?:call|jmp|j\w\w?\w?|loop\w*|b|bl|cbn?z|tbn?z|adrp?)$")


def missing() -> list[str]:
    """The programs that are not there."""
    return [name for name in NEEDED if shutil.which(name) is None]


@functools.cache
def disassemble(raw: str, family: str) -> str | None:
    """One instruction in a plain form; None where the bytes are none."""
    if family in ("x86_64", "i386"):
        return _objdump(bytes.fromhex(raw), "x86-64" if family == "x86_64" else "i386")
    word = bytes.fromhex(raw)[::-1]
    triple = "aarch64" if family == "arm64" else "thumbv7" if len(word) == 2 else "armv7"
    return _llvm(word, triple)


def plain(text: str) -> str:
    """An instruction as both disassemblers would write it: no blanks, no operand sizes, no targets
    of jumps (they depend on an address that the code line does not hold).
    """
    text = re.sub(r"\s+(?:# |;|<|// |@ ).*$", "", text.strip().lower())
    text = re.sub(_SIZES, "", text)
    name, _, rest = text.partition(" ")
    if name.startswith("rep") or name in ("lock", "notrack", "data16", "bnd", "xacquire"):
        second, _, rest = rest.strip().partition(" ")
        name = f"{name} {second}"
    if (
        name.startswith(("rep", "movs", "stos", "lods", "scas", "cmps", "ins", "outs"))
        and "[" in rest
    ):
        return _string(name, rest)
    if (
        _TARGETS.match(name.split()[-1])
        and "[" not in rest
        and not re.match(r"\s*[er]\w\w\b|\s*r\d", rest)
    ):
        return name
    rest = re.sub(r"\bds:|\bss:", "", rest) if "[" in rest else rest
    rest = re.sub(r"0x0*([0-9a-f]+)", lambda found: str(int(found[1], 16)), rest)
    rest = re.sub(r"[\s#]", "", rest)
    return _synonym(f"{name} {rest}".strip())


def _string(name: str, rest: str) -> str:
    """`rep movsb byte ptr [rdi], byte ptr [rsi]` and `rep movs BYTE PTR es:[rdi],…` alike: the size
    is kept by neither way of writing, so the name without it.
    """
    del rest
    words = name.split()
    words[-1] = re.sub(r"^(movs|stos|lods|scas|cmps|ins|outs)[bwdq]?$", r"\1", words[-1])
    return " ".join(words)


def _synonym(text: str) -> str:
    for old, new in (
        (r"\bfp\b", "x29"), (r"\[sb\b", "[r9"), (r"\[sl\b", "[r10"), (r"\+-", "-"), (r"\*1\b", ""),
        (r"([a-z]\w*)\+0\]", r"\1]"), (r"(?<=,)ds:(\d+)$", r"[\1]"),
        (r"^movabs ", "mov "), (r"^repz ret$", "repz ret"), (r"^ret .*", "ret"), (r"lsl0\b", ""),
    ):  # fmt: skip
        text = re.sub(old, new, text)
    return text


def _objdump(code: bytes, machine: str) -> str | None:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(code)
        command = ["objdump", "-D", "-b", "binary", "-m",
            f"i386:{machine}" if machine != "i386" else "i386",
                   "-M", "intel", "--no-show-raw-insn", file.name]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = re.findall(r"^\s+0:\t(.*)$", run.stdout, re.MULTILINE)
    return lines[0] if lines and "(bad)" not in lines[0] else None


def _llvm(word: bytes, triple: str) -> str | None:
    run = subprocess.run(
        ["llvm-mc", "--disassemble", f"--triple={triple}",
            "--mattr=+v8.5a,+mte" if triple == "aarch64" else "--mattr=+neon"],
        input=" ".join(f"0x{byte:02x}" for byte in word), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    lines = [
        line.strip()
        for line in run.stdout.splitlines()
        if line.strip() and not line.strip().startswith(".")
    ]
    return lines[0].replace("\t", " ") if lines and "invalid" not in run.stderr else None
