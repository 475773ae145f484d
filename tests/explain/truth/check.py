"""Holds every statement of an explanation against its log: numbers, sums, instructions, codes,
names.

In: the log's text and the statements. Out: differences in words. Nothing of the product decodes
here: instructions come from other disassemblers, codes from `codes`, sums from `arithmetic`, the
rest is looked up in the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.explain.truth import codes
from tests.explain.truth.arithmetic import false_sums, log_numbers, numbers, sums_shown
from tests.explain.truth.counted import COUNTED, false_counts
from tests.explain.truth.disassembly import disassemble, plain

_CODE = re.compile(r"Code: (?P<raw>[0-9a-f]+) is `(?P<text>[^`]+)`")
_REGISTER = re.compile(r"(?<![\w+])(?P<name>[a-z][a-z0-9]{0,6}(?::eax)?) = (?P<value>0x[0-9a-f]+)")
_SYMBOL = re.compile(r"\b([A-Za-z_$][\w$.]*)\+0x([0-9a-f]+)")
_TASK = re.compile(r"(?P<comm>\S+) \(pid (?P<pid>\d+)\)")
_ESR = re.compile(
    r"(?:ESR|Oops code, which is the ESR) (?P<esr>0x[0-9a-f]+): EC = (?P<ec>0x[0-9a-f]+), "
    r"(?P<name>.+)"
)
_STATUS = re.compile(r"status 0x(?P<code>[0-9a-f]{2}): (?P<name>.+)")
_OOPS = re.compile(r"Oops code (?P<code>0x[0-9a-f]{4,8})$")
_BIT = re.compile(r"bit (?P<bit>\d+) (?P<state>set|clear): ")
_MCE = re.compile(
    r"status (?P<status>0x[0-9a-f]{16}): error code (?P<low>0x[0-9a-f]{4}).*model-specific code "
    r"(?P<high>0x[0-9a-f]{4})"
)
_FLAG = re.compile(r"bit (?P<bit>\d+), (?P<name>[A-Z]+): ")
# Numbers that belong to the sentence, not to the log: limits, versions, widths of the architecture.
_CONSTANT = re.compile(
    r"10 s unless it was changed|from \d\.\d+ on|bit \d+|bits \d+ to \d+|Process 1 \(init\)"
    r"|\(order \d+|depth \d+|"
    r"count \d+\)|multiple of \d+|level -?\d|EL\d|error code \d+|RFC \d+|\b64-bit\b|`[^`]*`|Fix: "
    r".*|"
    r"bytes below|spell \"[^\"]*\"|/\d+ with|entry \d+ of"
)
_ALIASES = {
    "x29": ("x29", "fp"),
    "x30": ("x30", "lr"),
    "r9": ("r9",),
    "fp": ("fp", "r11"),
    "ip": ("ip", "r12"),
}

# Marks of initialised locks: include/linux/spinlock_types_raw.h, rwlock_types.h.
_MAGIC = {0xDEAD4EAD, 0xDEAF1EED}


@dataclass
class Counts:
    """How much was recomputed."""

    explanations: int = 0
    statements: int = 0
    numbers: int = 0
    sums: int = 0
    instructions: int = 0
    codes: int = 0
    symbols: int = 0
    differences: list[str] = field(default_factory=list)


def check(log: str, family: str | None, statements: list[dict], counts: Counts) -> None:
    """Adds what is wrong with the statements about one report; those of known issues, which speak
    of the bug and not of the log, only have their sums checked.
    """
    counts.explanations += 1
    known = log_numbers(log)
    for statement in statements:
        counts.statements += 1
        if statement["text"].startswith("Known issue: "):
            break
        for difference in _statement(log, family, statement, known, counts):
            counts.differences.append(f"{statement['text']}\n    {difference}")


def _statement(
    log: str, family: str | None, statement: dict, known: set[int], counts: Counts
) -> Iterator[str]:
    texts = (statement["text"], *statement["evidence"])
    for text in texts:
        counts.sums += text.count(" = ")
        yield from (f"the sum is wrong: {wrong}" for wrong in false_sums(text))
        yield from _instruction(log, family, text, counts)
        yield from _registers(log, text)
        yield from _symbols(log, text, counts)
    yield from _operand(family, texts)
    yield from _codes(texts, known, counts)
    yield from _numbers(texts, known, counts)
    yield from _tasks(log, statement["text"])
    yield from _spelt(texts)
    yield from false_counts(log, statement["text"])


def _instruction(log: str, family: str | None, text: str, counts: Counts) -> Iterator[str]:
    for found in _CODE.finditer(text):
        counts.instructions += 1
        code = re.sub(
            r"[<>() \n]",
            "",
            "".join(re.findall(r"Code: ?(.*(?:\n(?:.*\] )?[0-9a-f<>() ]+$)*)", log, re.MULTILINE)),
        )
        if found["raw"] not in code.lower():
            yield f"the code line does not hold {found['raw']}"
        if family is None:
            continue
        other = disassemble(found["raw"], family)
        if other is None or plain(other) != plain(found["text"]):
            yield (
                f"{found['raw']} is `{other}` elsewhere: {plain(other or '')} / "
                f"{plain(found['text'])}"
            )


def _operand(family: str | None, texts: tuple[str, ...]) -> Iterator[str]:
    """The registers and the displacement of the operand are those of the sum that is shown."""
    code = next(filter(None, map(_CODE.match, texts[1:])), None)
    if code is None or family is None or "operand is the fault address" not in texts[0]:
        return
    other, sums = disassemble(code["raw"], family) or "", texts[-1]
    bracket = re.search(r"\[([^\]]*)\]", plain(other))
    if bracket is None or "rip" in bracket[1] or "s:[" in plain(other):
        return
    shown = {name for name, _ in _REGISTER.findall(sums)}
    wanted = {
        name if family == "i386" else _whole(name)
        for name in re.findall(r"[a-z]\w*", bracket[1])
        if not name.startswith(("lsl", "sxt", "uxt"))
    }
    if not shown or wanted != shown:
        yield f"`{other}` reads through {sorted(wanted)}, the sum shows {sorted(shown)}"
    displacement = re.search(r"(?<![*\w])(-?\d+)$", bracket[1])
    value = abs(int(displacement[1])) if displacement is not None else 0
    if value and f"{value:#x} = " not in sums and f"{value:#x}, " not in sums:
        yield f"`{other}` has the displacement {value:#x}, which the sum does not show"


def _whole(name: str) -> str:
    """The register that a narrow name is the low half of."""
    if re.fullmatch(r"e[a-ds]\w|e[bi]p", name):
        return "r" + name[1:]
    return re.sub(r"^w(\d+)$", r"x\1", re.sub(r"^(r\d+)d$", r"\1", name))


def _registers(log: str, text: str) -> Iterator[str]:
    for found in _REGISTER.finditer(text):
        name, value = found["name"], int(found["value"], 16)
        if name in ("pc", "ecx", "edx:eax", "index") or name.upper() in ("EC", "DFSC", "AET"):
            continue
        if name in ("wzr", "xzr", "eiz", "riz") and value == 0:
            continue
        names = _ALIASES.get(name, (name,))
        printed = [
            int(value, 16)
            for one in names
            for value in re.findall(
                rf"(?i)\b{_padded(one)} ?: ?(?:[0-9a-f]{{4}}:)?\[?<?(?:0x)?([0-9a-f]{{8,16}})\b",
                log,
            )
        ]
        wide = [
            int(one, 16)
            for one in re.findall(rf"(?i)\b{name.split()[0]} ?:? ?([0-9a-f]{{8,16}})", log)
        ]
        if name in ("rip", "eip", "pc") or not printed:
            continue
        if not any(
            one == value or one & 0xFFFFFFFF == value or _signed(one) == value
            for one in (*printed, *wide)
        ):
            yield f"{name} is not {value:#x} in the log, but {', '.join(map(hex, printed))}"


def _padded(name: str) -> str:
    """x86 prints R08 for r8."""
    return re.sub(r"^r(\d)$", r"r0?\1", name)


def _signed(value: int) -> int:
    """A 32-bit value as the sign-extended 64-bit one that an index register counts as."""
    low = value & 0xFFFF_FFFF
    return low | (0xFFFF_FFFF_0000_0000 if low >> 31 else 0)


def _symbols(log: str, text: str, counts: Counts) -> Iterator[str]:
    for name, offset in _SYMBOL.findall(text):
        counts.symbols += 1
        if not re.search(rf"{re.escape(name)}\+0x0*{offset}\b", log):
            yield f"{name}+0x{offset} does not stand in the log"


def _codes(texts: tuple[str, ...], known: set[int], counts: Counts) -> Iterator[str]:
    joined = "\n".join(texts)
    for text in texts:
        if (found := _ESR.match(text)) is not None:
            counts.codes += 1
            yield from _esr(
                int(found["esr"], 16), int(found["ec"], 16), found["name"], joined, known
            )
        if (found := _OOPS.match(text)) is not None:
            counts.codes += 1
            yield from _page_fault(int(found["code"], 16), joined, known)
        if (found := _MCE.match(text)) is not None:
            counts.codes += 1
            yield from _machine_check(int(found["status"], 16), found, joined, known)


def _esr(esr: int, ec: int, name: str, joined: str, known: set[int]) -> Iterator[str]:
    if esr not in known:
        yield f"the log holds no {esr:#x}"
    number, words = codes.esr_class(esr)
    if number != ec or (words is not None and "IDS = " not in name and words not in name):
        yield f"EC of {esr:#x} is {number:#x}, {words}"
    status = codes.esr_status(esr)
    if number in (0x20, 0x21, 0x24, 0x25) and status is not None and status not in joined:
        yield f"the status of {esr:#x} is {status}"
    if number in (0x24, 0x25) and ("A write" if codes.is_write(esr) else "A read") not in joined:
        yield f"WnR of {esr:#x} says otherwise"


def _page_fault(code: int, joined: str, known: set[int]) -> Iterator[str]:
    if code not in known:
        yield f"the log holds no {code:#x}"
    access, reason = codes.page_fault(code)
    first = joined.split(".", maxsplit=1)[0].lower()
    if not joined.startswith("A ") and not joined.startswith("An "):
        return
    if access not in first or (reason not in first and not code & 0x20 and not code >> 31):
        yield f"the code {code:#x} means: {access}, {reason}"
    for bit, state in _BIT.findall(joined):
        if (code >> int(bit) & 1) != (state == "set"):
            yield f"bit {bit} of {code:#x} is not {state}"


def _machine_check(
    status: int, found: re.Match[str], joined: str, known: set[int]
) -> Iterator[str]:
    if status not in known:
        yield f"the log holds no {status:#x}"
    if int(found["low"], 16) != status & 0xFFFF or int(found["high"], 16) != status >> 16 & 0xFFFF:
        yield f"the codes of {status:#x} are wrong"
    yield from (
        f"{words!r} is not said" for words in codes.machine_check(status) if words not in joined
    )
    said = {int(bit) for bit, _ in _FLAG.findall(joined) if int(bit) > 50}
    if said != codes.flag_bits(status):
        yield (
            f"the flags of {status:#x} are {sorted(codes.flag_bits(status))}, said were "
            f"{sorted(said)}"
        )


def _numbers(texts: tuple[str, ...], known: set[int], counts: Counts) -> Iterator[str]:
    """Every number of the sentence is in the log, or comes out of the sums of its evidence."""
    computed = {value for text in texts[1:] for _, value in numbers(text)} | _MAGIC
    computed |= _derived(texts) | set(sums_shown(texts[0]))
    for word, value in numbers(COUNTED.sub("", _CONSTANT.sub("", texts[0]))):
        counts.numbers += 1
        if value not in known and value not in computed:
            yield f"where does {word} come from?"


def _derived(texts: tuple[str, ...]) -> set[int]:
    """Numbers that follow from the evidence in ways of their own, computed again: the end of what a
    shadow byte stands for, the byte that a poison repeats, the exit code of a wait status.
    """
    joined = "\n".join(texts[1:])
    found: set[int] = set()
    for shift, value in re.findall(r"<< (\d) = (0x[0-9a-f]+)", joined):
        found.add(int(value, 16) + (1 << int(shift)) - 1)
    for byte in re.findall(r"0x([0-9a-f]{2})\1{3,7}\b", joined):
        found.add(int(byte, 16))
    for status in re.findall(r"exitcode=0x([0-9a-f]{8})", joined):
        found.add(int(status, 16) & 127 or int(status, 16) >> 8 & 255)
    return found


def _spelt(texts: tuple[str, ...]) -> Iterator[str]:
    """Bytes that are said to spell a text do."""
    found = re.search(r'spell "([^"]*)"', texts[0])
    if found is not None:
        value = int(texts[1], 16)
        if value.to_bytes(8, "little").rstrip(b"\0") != found[1].encode():
            yield f"{value:#x} does not spell {found[1]!r}"


def _tasks(log: str, text: str) -> Iterator[str]:
    """A task and its pid stand on one line of the log."""
    for found in _TASK.finditer(text):
        comm = found["comm"].strip("(").rsplit(": ", 1)[-1]
        if not any(comm in line and found["pid"] in line for line in log.splitlines()):
            yield f"{comm} with pid {found['pid']} stands on no line"
