"""A process chooses its name and its files' names: none of them spells a fault or a boot."""

from __future__ import annotations

import pytest

from detector.catalogue import Catalogue
from detector.match import Matcher
from detector.model import Line, Record
from detector.parse import Parser
from tests.support.shipped import shipped

# Lines that the kernel begins with a process's name: arch/x86/mm/fault.c, mm/oom_kill.c,
# fs/drop_caches.c, kernel/exit.c, mm/page_alloc.c, arch/x86/kernel/signal.c, kernel/signal.c,
# arch/arm64/kernel/traps.c, net/core/sock.c, mm/vmalloc.c.
PRINTED = (
    "{}[77]: segfault at 10 ip 000000000040113a sp 00007ffd1c2b3a40 error 4 in x[400000+1000]",
    "{} invoked oom-killer: gfp_mask=0x100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0",
    "{} (77): drop_caches: 3",
    "{} (77) used greatest stack depth: 11200 bytes left",
    "{}: page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP), nodemask=(null)",
    "{}: page allocation failure. order:4, mode:0x20",
    "{}[77] bad frame in rt_sigreturn frame:00007ffd ip:7f sp:7f orax:ffff in libc.so[7f+1]",
    "{}[77]: bad frame in setup_rt_frame: 0000 nip 0000 lr 0000",
    "{}/77: potentially unexpected fatal signal 11.",
    "{}[77]: unhandled signal 11 code 0x1 at 0x0000000000000010",
    "{}[77]: unhandled level 3 translation fault (11) at 0x00000030, esr 0x92000007",
    "{}[77] vsyscall attempted with vsyscall=none ip:ffffffffff600000",
    "{}(77): Attempt to set a LOCK_MAND lock via flock(2). This support has been removed.",
    "{} uses obsolete (PF_INET,SOCK_PACKET)",
    "{}: vmalloc error: size 4096, page order 0, failed to allocate pages",
)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The shipped one."""
    return shipped()


@pytest.mark.parametrize("printed", PRINTED)
def test_no_name_spells_a_fault(catalogue: Catalogue, printed: str):
    """Whatever fifteen characters of any signature's example a process is called, the line is what
    it is for a process called demo.
    """
    matcher = Matcher(catalogue)

    def claimed(text: str) -> str | None:
        claim = matcher.claim(Line(text, "k", 1, "h", "dmesg", trust="kernel"))
        return claim and claim.signature.id

    honest = claimed(printed.format("demo"))
    names = {
        example[:length]
        for signature in catalogue.signatures
        for example in signature.examples
        for length in (15, 14, 12)
    }
    names |= {"BUG: KASAN: use", "Linux version 5", "Oops: 0000 [#1]", "Kernel panic - "}
    assert {name for name in names if claimed(printed.format(name)) != honest} == set()


@pytest.mark.parametrize(
    "value",
    [
        "6,7,12000034,-;process '/tmp/x\\x0a{}' started with executable stack",
        '{{"_TRANSPORT": "kernel", "MESSAGE": "process \'/tmp/x\\n{}\' started"}}',
        '{{"pri": 4, "time": "12.000034", "msg": "process \'/tmp/x\\n{}\' started"}}',
        "<4>Feb 24 19:21:10 lab-3 kernel: process '/tmp/x\n{}",
        '{{"msg": " process \'/tmp/x\\n[    1.000000] {}", "syslogtag": "kernel:"}}',
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "IPv4: Attempt to release TCP socket in state 10 ffff805624a7b800",
        "Unable to handle kernel paging request at virtual address 0001950b",
        "Linux version 6.1.0 (a@b) #1 SMP",
    ],
)
def test_no_file_name_spells_a_fault(catalogue: Catalogue, value: str, text: str):
    """Text behind a line end within one message begins no signature, not even a boot's."""
    matcher = Matcher(catalogue)
    found = Parser().feed(Record(value.format(text).encode(), "t/0", 1), 0)
    assert len(found) == 2
    assert [matcher.claim(line) for line in found if isinstance(line, Line)] == [None, None]


def test_a_rule_is_no_first_line(catalogue: Catalogue):
    """Reports that begin with a rule of `=====` in the same message are found."""
    matcher = Matcher(catalogue)
    text = "BUG: KASAN: slab-out-of-bounds in demo_read+0x12/0x40"
    value = f"1,7,12000034,-;{'=' * 66}\\x0a{text}"
    found = Parser().feed(Record(value.encode(), "t/0", 1), 0)
    claims = [matcher.claim(line) for line in found if isinstance(line, Line)]
    assert [claim and claim.signature.cls for claim in claims] == [None, "kasan"]
