"""How many memory faults their registers and code explain: `python -m tests.explain.registers
CASES.jsonl`, an object with `log` a line.

Prints the share of reports whose decoded operand (or program counter) is the fault address, and
every other one. Not a test: a measure.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from detector import crash
from detector.explain import decode_fault
from detector.explain.decode.machine import machine_of
from detector.model import CrashReport
from tests.support.feeding import blocks
from tests.support.shipped import shipped


def outcome(report: CrashReport) -> str | None:
    """Empty where the fault is explained, else why it is not; None for a report that is not of a
    memory fault with registers and code.
    """
    if report.kind != "memory-fault" or not report.registers or not report.code:
        return None
    machine = machine_of(report)
    if machine is None:
        return f"{report.arch} is not decoded"
    decoded = decode_fault(report, machine, shipped().structs)
    if decoded.operand is not None or decoded.jumped:
        return ""
    code = decoded.instruction.text if decoded.instruction else "no instruction"
    address = "no address" if report.fault_address is None else f"{report.fault_address:#x}"
    return f"{code}; {address}"


def main(paths: list[str]) -> None:
    """Reads the cases and prints the share and the rest."""
    explained = total = 0
    for path in paths:
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            for block in blocks(case["log"]):
                why = outcome(crash.read(block, shipped().lists["generic-functions"]))
                total += why is not None
                explained += why == ""
                if why:
                    print(f"{case['name']}: {why}")
    print(
        f"{explained} of {total} memory faults with registers and code: the decoded operand "
        "explains the address"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
