"""What collectors put before the kernel's line, and that none of it changes who wrote a line."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.model import Line, Record
from detector.parse import Parser

FAULT = "Unable to handle kernel paging request at virtual address 0001950b"
STAMPED = f"[ 1163.939872] {FAULT}"
US = 1_163_939_872
ISO = "2026-02-24T19:21:10.000012Z"
WALL_US = 1_771_960_870_000_000

# Prefix, the line behind it: what collectors write before a line that has a form of its own.
CLOCKS = {
    "a console logger's date in brackets": "[2026-02-24 19:21:10] ",
    "glued, minicom": "[2026-02-24 19:21:10]",
    "tio": "[19:21:10.123] ",
    "a terminal on Windows": "[19:21:10:123] ",
    "a locale's date": "2026年 02月 24日 星期二 19:21:10 CST ",
    "conserver": "[Tue Feb 24 19:21:10 2026] ",
    "grabserial": "[12.000034 0.000012] ",
    "ts": "19:21:10 ",
    "a relay's columns": "2026-02-24 19:21:10 | 192.0.2.1 | ",
    "columns, IPv6 and semicolons": "2026-02-24T19:21:10Z;2001:db8::1;",
    "a date with slashes": "2026/02/24 19:21:10.5 ",
    "day, month, year": "24/02/2026 19:21:10 ",
    "America": "02/24/2026 07:21:10 PM ",
    "LAVA": "2026-02-24T19:21:10.000012 # ",
    "aws logs tail": "2026-02-24T19:21:10.000012+00:00 i-0123456789abcdef0 ",
    "logcli": f'{ISO} {{filename="/var/log/kern.log", host="lab-3"}} ',
    "a shell's error": "/init: 384: .: ",
    "a start-up line": "[  OK  ] Started Samba",
    "day, month, year with dashes": "24-02-2026 19:21:10 ",
    "a shell's prompt": "[root@lab-3 ~]# ",
    "a daemon's clock without a date": "19:21:10 kernel: ",
    "Xen's mark of a domain": "(d12) ",
    "host and tag without a date": "lab-3 kernel: ",
    "a host that is a word": "lab kernel: ",
    "an address and the tag": "192.0.2.7 kernel: ",
}


@pytest.mark.parametrize("name", CLOCKS)
def test_a_stamped_line_behind_a_clock(line: Callable[..., Line], name: str):
    """Text and kernel time are the kernel's; who wrote it stays open."""
    found = line(CLOCKS[name] + STAMPED)
    assert (found.text, found.kernel_time_us, found.trust) == (FAULT, US, "unknown")


@pytest.mark.parametrize(
    ("text", "host"),
    [
        (f"lab-3 kernel: {STAMPED}", "lab-3"),
        (f"lab-3.example.org kernel: {FAULT}", "lab-3.example.org"),
        (f"192.0.2.7 kernel: {FAULT}", "192.0.2.7"),
        (f"kernel: {FAULT}", "source"),
    ],
)
def test_a_host_before_the_tag(line: Callable[..., Line], text: str, host: str):
    """A daemon's line without its date: the host is read, and nothing is proved."""
    found = line(text, source="source")
    assert (found.text, found.host, found.trust) == (FAULT, host, "unknown")


@pytest.mark.parametrize("word", ["the", "In", "linux", "5.10", "a/b", "my"])
def test_a_word_before_the_tag_is_prose(line: Callable[..., Line], word: str):
    """A sentence on the kernel is none of its lines."""
    text = f"{word} kernel: {FAULT}"
    assert line(text).text == text


@pytest.mark.parametrize(
    ("prefix", "wall_us"),
    [
        ("[2026-02-24 19:21:10.000012] ", WALL_US + 12),
        ("[Tue Feb 24 19:21:10 2026]", WALL_US),
        ("[2026-02-24 19:21:10:123] ", WALL_US + 123_000),
        ("2026年 02月 24日 星期二 19:21:10 ", WALL_US),
        ("2026年2月24日(火) 19:21:10 ", WALL_US),
        ("[2026年02月24日 19:21:10] ", WALL_US),
        ("2026/02/24 19:21:10 ", WALL_US),
        ("02/24/2026 07:21:10 PM ", WALL_US),
        ("24.02.2026 19:21:10 ", WALL_US),
        ("2026-02-24 20:21:10+0100 | 192.0.2.1 | ", WALL_US),
        ("03/04/2026 19:21:10 ", None),
        ("19:21:10 ", None),
    ],
)
def test_the_clock_of_a_prefix(line: Callable[..., Line], prefix: str, wall_us: int | None):
    """Its date is the line's wall time; where day and month cannot be told apart it is left
    open.
    """
    assert line(prefix + STAMPED).wall_time_us == wall_us


@pytest.mark.parametrize(
    ("value", "host", "trust"),
    [
        (f"[ 1163.939872] kernel: {FAULT}", "kern.log", "unknown"),
        (f"2026-02-24T19:21:10Z kern.err lab-3 kernel: {STAMPED}", "lab-3", "kernel"),
        (f"2026-02-24T19:21:10Z kern.err kernel: {STAMPED}", "kern.log", "kernel"),
        (f"kern.alert kernel: {STAMPED}", "kern.log", "unknown"),
        (f"2026年 02月 24日 19:21:10 lab-3 kernel: {STAMPED}", "lab-3", "unknown"),
        (f"kern.alert lab-3 kernel: {STAMPED}", "lab-3", "unknown"),
        (
            f"2026-02-24 19:21:10 | 192.0.2.1 | <1>Feb 24 19:21:09 lab-3 kernel: {STAMPED}",
            "lab-3",
            "kernel",
        ),
        (f"2026-02-24 19:21:10 | 192.0.2.1 | <1>{STAMPED}", "192.0.2.1", "kernel"),
        (f"[2026-02-24 19:21:10] <1>{STAMPED}", "kern.log", "kernel"),
        (f"[2026-02-24 19:21:10] Feb 24 19:21:09 lab-3 kernel: {STAMPED}", "lab-3", "kernel"),
    ],
)
def test_a_line_with_a_header_behind_a_prefix(
    line: Callable[..., Line], value: str, host: str, trust: str
):
    """Host and writer are those of the line behind."""
    found = line(value)
    assert (found.text, found.kernel_time_us, found.host, found.trust) == (FAULT, US, host, trust)


@pytest.mark.parametrize(
    ("prefix", "kernel_us"),
    [
        ("[28650.583496] [2031:01:19 04:43:29]", 28_650_583_496),
        ("[ 4433.467956s][2031:04:13 11:06:41][pid:324,cpu2,lmkd]", 4_433_467_956),
        ("[20310819163739]", None),
        ("[3701:11_see]", None),
        ("[    7.9 ] ", 7_900_000),
        ("[    7.913 ] ", 7_913_000),
        ("[ 1163.939872] [3701:swapper/0]", US),
    ],
)
def test_vendors_stamps(line: Callable[..., Line], prefix: str, kernel_us: int | None):
    """Phones write wall clock, pid and comm into every message."""
    found = line(prefix + FAULT)
    assert (found.text, found.kernel_time_us) == (FAULT, kernel_us)


def test_what_the_kernel_writes_in_brackets_stays(line: Callable[..., Line]):
    """Addresses, PCI devices and tables are no vendor's stamp."""
    for text in ("[0000:00:1f.0] x", "[8086:1234] x", "[ 1234]  1000 x", "[ffff000012345678] pgd"):
        assert line(f"[    1.000000] {text}").text == text


@pytest.mark.parametrize(
    "value",
    [f'      PANIC: "{FAULT}"', f'PANIC: "{FAULT}" (check log for details)', f'PANIC: "{FAULT}'],
)
def test_what_crash_says_at_its_start(line: Callable[..., Line], value: str):
    """crash(8) names the panic in quotation marks."""
    found = line(value)
    assert (found.text, found.trust) == (FAULT, "unknown")


@pytest.mark.parametrize(
    ("value", "host"),
    [
        (f"192.0.2.7:6665 4,1159,{US},-;{FAULT}", "192.0.2.7"),
        (f"192.0.2.7: 6.1.0-28-amd64,4,1159,{US},-,caller=T1;{FAULT}", "192.0.2.7"),
        (f"[2001:db8::7]:6665 4,1159,{US},-;{FAULT}", "2001:db8::7"),
        (f"192.0.2.7 {STAMPED}", "192.0.2.7"),
        (f"Feb 24 19:21:10 192.0.2.7 4,1159,{US},-;{FAULT}", "192.0.2.7"),
        (f"Feb 24 19:21:10 192.0.2.7 {STAMPED}", "192.0.2.7"),
        (f"2026-02-24T19:21:10Z 2001:db8::7 {STAMPED}", "2001:db8::7"),
        (f"19:21:10 lab-3 kernel: {STAMPED}", "lab-3"),
    ],
)
def test_who_sent_a_line_is_its_host(line: Callable[..., Line], value: str, host: str):
    """netconsole's packets name no host: their receiver writes the address before them."""
    found = line(value)
    assert (found.text, found.kernel_time_us, found.host) == (FAULT, US, host)
    assert found.trust != "user"


def test_a_named_host_without_a_tag_is_no_receivers_prefix(line: Callable[..., Line]):
    """Whose datagram had a header may have written anything behind it."""
    for value in (
        f"Feb 24 19:21:10 lab-3 4,1159,{US},-;{FAULT}",
        f"Feb 24 19:21:10 lab-3 {STAMPED}",
        f"<13>Feb 24 19:21:10 192.0.2.7 {STAMPED}",
    ):
        assert line(value).trust == "user"


@pytest.mark.parametrize(
    ("value", "host"),
    [
        (f"Feb 24 19:21:10 lab-3 kernel: : {STAMPED}", "lab-3"),
        (f"Feb 24 19:21:10 lab-3 kernel: kernel: {STAMPED}", "lab-3"),
        (f"Feb 24 19:21:10  kernel: {STAMPED}", "kern.log"),
        (f"2026-02-24T19:21:10Z  kernel: {STAMPED}", "kern.log"),
        (f"2025 Jul  2 06:57:28.475818 lab-3 ERR kernel: {STAMPED}", "lab-3"),
        (f"2026-05-15T17:44:53.172575Z INFO kernel: {STAMPED}", "kern.log"),
        (f"Feb 24 19:21:10 WARNING kernel: {STAMPED}", "kern.log"),
    ],
)
def test_what_daemons_write_around_the_kernels_tag(
    line: Callable[..., Line], value: str, host: str
):
    """A tag twice, no host between date and tag, a level in capitals before the tag."""
    found = line(value)
    assert (found.text, found.kernel_time_us, found.host) == (FAULT, US, host)
    assert found.trust == "kernel"


def test_a_level_before_a_tag_is_the_lines(line: Callable[..., Line]):
    """It is a level and no host, whoever writes it."""
    assert line(f"2026-02-24T19:21:10Z lab-3 ERR kernel: {STAMPED}").level == 3
    assert line(f"2026-02-24T19:21:10Z lab-3 ERR app[7]: {STAMPED}").trust == "user"


def test_a_process_called_like_a_tag_gains_nothing(line: Callable[..., Line]):
    """Only before a stamp is a second tag a relay's: names hold anything."""
    for text in (": BUG[7]: segfault at 0", "kernel: BUG[7]: segfault at 0"):
        assert line(f"Feb 24 19:21:10 lab-3 kernel: {text}").text == text


@pytest.mark.parametrize(
    "value",
    [f"1163.939872] {FAULT}", f" 1163.939872] {FAULT}", f"[\u00a01163.939872]\u00a0{FAULT}"],
)
def test_stamps_that_a_copy_has_changed(line: Callable[..., Line], value: str):
    """A selection that began too late, a page that pads with no-break spaces."""
    found = line(value)
    assert (found.text, found.kernel_time_us, found.trust) == (FAULT, US, "unknown")


def test_no_break_spaces_within_a_message_are_blanks(line: Callable[..., Line]):
    """A page may write every second blank of a run as one."""
    copied = STAMPED.replace("request at", "request\u00a0at")
    assert line(copied).text == FAULT


def test_socat_spells_carriage_returns(line: Callable[..., Line]):
    """`socat -v` writes them as two characters."""
    assert line(f"{STAMPED}\\r").text == FAULT


@pytest.mark.parametrize(
    "value",
    [
        f"{ISO} stdout F {STAMPED}",
        f"{ISO} stderr P <1>{STAMPED}",
        f'{ISO} {{pod="p"}} {STAMPED}',
        f'{ISO} {{transport="stdout"}} {STAMPED}',
        f'{ISO} {{filename="/srv/x.log"}} {STAMPED}',
        f"user.info app: {STAMPED}",
        f"2026-02-24T19:21:10Z user.info lab-3 kernel: {STAMPED}",
        f"2026-02-24 19:21:10 | 192.0.2.1 | <14>Feb 24 19:21:09 lab-3 kernel: {STAMPED}",
        f"2026-02-24 19:21:10 | app | <1>Feb 24 19:21:09 lab-3 kernel: {STAMPED}",
        f"[2026-02-24 19:21:10] Feb 24 19:21:09 lab-3 app: {STAMPED}",
        f"10:00:00.123 INFO app login: {STAMPED}",
        f"[2026-02-24 19:21:10] app: {STAMPED}",
    ],
)
def test_a_prefix_of_user_space_is_user_space(line: Callable[..., Line], value: str):
    """A container's stream, a pod's label, a facility, a word among the columns."""
    assert line(value).trust == "user"


def test_a_programs_date_before_bare_text_proves_no_kernel(line: Callable[..., Line]):
    """Only a stamp of the kernel's own makes such a line a console's."""
    value = f"[2026-02-24 19:21:10] {FAULT}"
    assert line(value).text == value


def test_prefixes_upon_prefixes_end(line: Callable[..., Line]):
    """However many there are, the line is read in bounded depth."""
    assert line("[2026-02-24 19:21:10] " * 700 + STAMPED).source == "kern.log"


def test_the_kernel_prints_into_a_daemons_line_on_a_console(read: Callable[..., list[Line]]):
    """In the log of a console, near its latest stamp; not in a topic, not in a daemon's file."""
    cut = f"Feb 24 19:21:10 gce-node kern[ 1163.939872] {FAULT}"
    _, found = read("[ 1163.839859] eth0: up", cut)
    assert (found.text, found.kernel_time_us, found.trust) == (FAULT, US, "unknown")
    for values, options in (
        (("[    1.839859] eth0: up", cut), {}),
        (("[ 1163.839859] eth0: up", cut), {"key": b"gce-node"}),
        (("Feb 24 19:21:10 gce-node kernel: [ 1163.839859] eth0: up", cut), {}),
        (("[ 1163.839859] eth0: up", f"Feb 24 19:21:10 h app: it said {STAMPED}"), {}),
    ):
        assert read(*values, **options)[-1].trust == "user"


USERS = (
    f"Feb 24 19:21:10 lab-3 app[7]: {STAMPED}",
    f"Feb 24 19:21:10 lab-3 app: Feb 24 19:21:10 lab-3 kernel: {STAMPED}",
    f"<14>Feb 24 19:21:10 lab-3 kernel: {STAMPED}",
    f"<14>1 {ISO} lab-3 kernel - - - {STAMPED}",
    f"<9>{STAMPED}",
    f"{ISO} lab-3 app[7]: {STAMPED}",
    f"{ISO} stdout F {STAMPED}",
    f"9,7,12000034,-;{FAULT}",
    f"user  :alert : {STAMPED}",
    f"user.err lab-3 kernel: {STAMPED}",
    f"> {STAMPED}",
    f"kern.log:12:{STAMPED}",
)
PREFIXES = (
    *CLOCKS.values(),
    "[28650.583496] [2031:01:19 04:43:29]",
    "[20310819163739]",
    "kern.alert ",
    "kernel: ",
    "[    7.9 ] ",
    "lab-3 login: ",
    "** 3 printk messages dropped ** ",
    "  [ 2269s] ",
    "c 1851.721062! ",
    'PANIC: "',
    "",
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(PREFIXES), max_size=3), st.sampled_from(USERS))
def test_no_prefix_makes_a_users_line_the_kernels(prefixes: list[str], value: str):
    """Whatever stands before it, a line that user space wrote begins no signature as the
    kernel's.
    """
    record = Record(("".join(prefixes) + value).encode(), "t/0", 1, b"lab-3")
    found = Parser().feed(record, WALL_US)
    assert not [
        line
        for line in found
        if isinstance(line, Line) and line.trust != "user" and line.text.startswith(FAULT)
    ]
