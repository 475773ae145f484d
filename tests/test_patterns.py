"""The pattern files that ship: sound, complete, honest, and quick to match."""

from __future__ import annotations

import timeit
from textwrap import dedent

import pytest
import regex

from detector.catalogue import read
from detector.cli.rule_tests import failing
from detector.match import Matcher
from detector.model import Boot, Line
from tests.support.shipped import ROOT, shipped, shipped_files

MATCHER = Matcher(shipped())
BOOT = Boot()


def ask(text):
    """(class, origin, fields) of what claims a kernel line within a report, or None."""
    claim = MATCHER.claim(Line(text, "a.log", 1, "h1", "dmesg"))
    if claim is None or claim.signature.opens == "rest":
        return None
    found = claim.match(Line(text, "a.log", 1, "h1", "dmesg"), BOOT)
    return found.cls, found.origin, dict(found.fields)


@pytest.mark.parametrize("path", sorted(shipped_files()))
def test_every_file_reads_with_all_others(path):
    """No fault in any of them, and none is empty."""
    catalogue = shipped()
    kinds = (
        catalogue.signatures,
        catalogue.rules,
        catalogue.known_issues,
        catalogue.structs,
        catalogue.lists,
    )
    assert sum(map(len, kinds)) == sum(
        text.count("\n[[") + text.startswith("[[") for text in without_children()
    )
    assert shipped_files()[path].strip()


def without_children():
    """The texts, their `[[kind.child]]` headers taken out: one header is one entry."""
    return [
        regex.sub(r"(?m)^\[\[[\w-]+\.[\w.-]+\]\]", "", text) for text in shipped_files().values()
    ]


def test_the_classes_that_rules_and_people_count_on_are_there():
    """Names are an interface: a class that vanishes breaks somebody's rule."""
    expected = {
        "user-fault",
        "tcp-state",
        "memory-fault",
        "boot",
        "machine-check",
        "io-error",
        "storage-timeout",
        "filesystem-error",
    }
    expected |= {
        "netdev-watchdog",
        "nic-failure",
        "oom-kill",
        "hardware-corrected",
        "pcie-uncorrected",
        "panic",
        "soft-lockup",
        "hung-task",
    }
    assert expected <= shipped().classes


def test_only_banners_and_requests_are_markers():
    """Everything else that the catalogue knows reports a fault, is noise, or a line from within a
    report; traces that somebody asked for report none.
    """
    markers = [one for one in shipped().signatures if one.marker]
    assert {one.cls for one in markers} == {"boot", "report-within", "trace-requested"}
    assert all(one.opens == "rest" for one in markers if one.cls != "boot")


def test_noise_opens_no_report_and_is_never_grave():
    """A user's process that crashes is nobody's incident."""
    noise = [one for one in shipped().signatures if one.origin == "user"]
    assert all(one.opens is None for one in noise)
    assert all(one.severity in {"info", "warning"} for one in noise)


def test_every_memory_fault_is_critical_and_opens_its_report():
    """The kernel did what it must never do; the block after the head says where."""
    faults = [one for one in shipped().signatures if one.cls == "memory-fault"]
    assert faults
    assert all(one.severity == "critical" and one.opens in {"report", "rest"} for one in faults)


def test_ids_say_their_origin():
    """`kernel.` and `user.` in front, so that a list of ids reads by itself."""
    assert [one.id for one in shipped().signatures if not one.id.startswith(f"{one.origin}.")] == []


def test_sentences_are_for_people():
    """Title, meaning and source are there and are no stubs."""
    short = [
        one.id
        for one in shipped().signatures
        if min(len(one.title), len(one.meaning), len(one.source)) < 10
    ]
    assert short == []


def test_every_rule_gives_its_reasons_and_shows_both_sides():
    """A rule has a reason longer than a line, a test that raises and one that does not."""
    for rule in shipped().rules:
        assert len(rule.reasoning) > 100, rule.id
        assert {bool(one.expect) for one in rule.tests} == {True, False}, rule.id


def test_the_rule_of_the_founding_case():
    """Class and class, ten seconds, any order, anchored at the memory fault."""
    [rule] = [one for one in shipped().rules if one.id == "tcp-release-and-memory-fault"]
    assert (rule.type, rule.classes, rule.anchor) == (
        "temporal",
        ("tcp-state", "memory-fault"),
        "memory-fault",
    )
    assert (rule.timespan_us, rule.severity, rule.group_by) == (10_000_000, "critical", ("host",))


ARM64 = [
    "paging request",
    "NULL pointer dereference",
    "read from unreadable memory",
    "write to read-only memory",
]
ARM64 += [
    "execute from non-executable memory",
    "execution of user memory",
    "access to user memory outside uaccess routines",
]
ARM64 += [
    "access to user memory with fs=KERNEL_DS",
    "synchronous external abort",
    "level 2 permission fault",
    "ttbr address size fault",
]


@pytest.mark.parametrize("what", ARM64)
@pytest.mark.parametrize("address", ["0001950b", "ffff00000e240840", "dead000000000110"])
def test_arm64_memory_faults(what, address):
    """Every text that __do_kernel_fault and die_kernel_fault print, with addresses of 8 and of 16
    digits.
    """
    assert ask(f"Unable to handle kernel {what} at virtual address {address}") in [
        ("memory-fault", "kernel", {"fault_address": address}),
        ("memory-fault", "kernel", {"fault_address": address, "access": what}),
    ]


@pytest.mark.parametrize("device", ["loop0", "loop17p2", "nbd3", "sr0", "fd0", "ublkb1"])
def test_what_hangs_on_user_space_is_noise(device):
    """An image, a network block device or a CD that fails says nothing of the machine."""
    assert (
        ask(f"I/O error, dev {device}, sector 16 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2")[
            1
        ]
        == "user"
    )
    assert ask(f"Buffer I/O error on dev {device}, logical block 2, async page read")[1] == "user"


@pytest.mark.parametrize("device", ["sda", "nvme0n1", "dm-3", "mmcblk0p1", "vdb", "md127"])
def test_what_hangs_on_the_machine_is_a_fault(device):
    """Disks, partitions and what is made of them."""
    assert ask(
        f"I/O error, dev {device}, sector 16 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2"
    )[:2] == ("io-error", "kernel")
    assert ask(f"Buffer I/O error on dev {device}, logical block 2, async page read")[:2] == (
        "io-error",
        "kernel",
    )


QUIET = """
IPv4: martian source 10.0.0.1 from 10.0.0.2, on dev eth0
TCP: cubic registered
DMAR: IOMMU enabled
DMAR: [Firmware Bug]: No firmware reserved region can cover this RMRR
AMD-Vi: Interrupt remapping enabled
AMD-Vi: Extended features (0x58f77ef22294a5a): PPR NX GT IA PC GA_vAPIC
arm-smmu-v3 arm-smmu-v3.0.auto: option mask 0x0
arm-smmu-v3 arm-smmu-v3.0.auto: msi_domain absent - falling back to wired irqs
pcieport 0000:64:02.0: DPC: error containment capabilities: Int Msg #0, RPExt+ PoisonedTLP+
pcieport 0000:64:02.0: pciehp: Slot #3 AttnBtn- PwrCtrl- MRL- AttnInd+ PwrInd+ HotPlug+ Surprise+
pcieport 0000:64:02.0: pciehp: Slot(3): Link Up
acpi PNP0A08:00: _OSC: platform does not support [PCIeHotplug PME AER LTR DPC]
NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023
amdgpu 0000:03:00.0: amdgpu: ring gfx_0.0.0 uses VM inv eng 0 on hub 0
megaraid_sas 0000:18:00.0: FW now in Ready state
megaraid_sas 0000:18:00.0: firmware crash dump	: no
mpt3sas_cm0: log_info(0x30030101): originator(IOP), code(0x03), sub_code(0x0101)
ata1: SATA link down (SStatus 0 SControl 300)
ata5: link is slow to respond, please be patient (ready=0)
ata3.00: LPM support broken, forcing max_power
sd 0:0:0:0: [sda] tag#0 Sense Key : Illegal Request [current]
sd 0:0:0:0: [sda] tag#0 Add. Sense: Invalid command operation code
sd 0:0:0:0: Power-on or device reset occurred
nvme0: Admin Cmd(0x6), Invalid Field in Command (sct 0x0 / sc 0x2) DNR
md/raid1:md0: active with 2 out of 2 mirrors
md/raid1:md0: read error corrected (8 sectors at 2048 on sda1)
device-mapper: thin: 253:4: reached low water mark for data device: sending event.
device-mapper: verity: sha256 using implementation sha256-avx2
hns3 0000:7d:00.0: The firmware version is 1.9.38.12
bond0: (slave eth1): link status definitely up, 10000 Mbps full duplex
igb 0000:02:00.0 enp2s0: igb: enp2s0 NIC Link is Down
clocksource: Switched to clocksource tsc
clocksource: timekeeping watchdog on CPU3: hpet retried 2 times before success
BERT: Boot Error Record Table support is disabled. Enable it by using bert_enable as kernel \
parameter.
INFO: NMI handler (perf_event_nmi_handler) took too long to run: 1.234 msecs
NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.
mce: CPU3: Core temperature/speed normal (total events = 1)
watchdog: watchdog0: watchdog did not stop!
libceph: osd12 (1)192.0.2.7:6801 socket closed (con state OPEN)
software IO TLB: mapped [mem 0x00000000bbfdf000-0x00000000bffdf000] (64MB)
Adding 8388604k swap on /dev/sda2.  Priority:-2 extents:1 across:8388604k
WARNING: Pool 'tank' has checksum errors
lpfc 0000:04:00.0: 0:1303 Link Up Event x1 received Data: x1 x0 x20 x0 x0 x0 0
qla2xxx [0000:3b:00.0]-500a:1: LOOP UP detected (16 Gbps).
libceph: mon0 (1)192.0.2.7:6789 session established
ceph: mds0 caps renewed
virtio_blk virtio1: [vda] 209715200 512-byte logical blocks (107 GB/100 GiB)
xhci_hcd 0000:00:14.0: xHCI Host Controller
mmc0: new high speed SDHC card at address aaaa
audit: type=1400 audit(1767230000.114:12): apparmor=STATUS
SLUB: HWalign=64, Order=0-3, MinObjects=0, CPUs=8, Nodes=1
md: data-check of RAID array md0
BTRFS info (device sdb1): using crc32c (crc32c-intel) checksum algorithm
XFS (dm-0): Ending recovery (logdev: internal)
NFS: Registering the id_resolver key type
br0: port 1(eth0) entered forwarding state
iwlwifi 0000:00:14.3: loaded firmware version 77.2df8986f.0 so-a0-gf-a0-77.ucode op_mode iwlmvm
softdog: initialized. soft_noboot=0 soft_margin=60 sec soft_panic=0 (nowayout=0)
SMP: stopping secondary CPUs
tsc: Refined TSC clocksource calibration: 2095.078 MHz
EXT4-fs (sda1): mounted filesystem with ordered data mode. Opts: errors=remount-ro
EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro
XFS (dm-0): Ending clean mount
BTRFS info (device sdb1): disk space caching is enabled
nvme nvme0: 32/0/0 default/read/poll queues
ata3: SATA link up 6.0 Gbps (SStatus 133 SControl 300)
sd 2:0:0:0: [sdb] Attached SCSI disk
mlx5_core 0000:3b:00.0: firmware version: 16.35.2000
pcieport 0000:3a:00.0: AER: enabled with IRQ 34
EDAC MC0: Giving out device to module demo_edac controller Demo: DEV 0000:00:18.3 (INTERRUPT)
mce: CPU supports 20 MCE banks
MCE: In-kernel MCE decoding enabled.
Memory: 16226568K/16777216K available
x86/fault: user mode page faults are counted
Kernel command line: BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro quiet panic=30 oops=panic
random: crng init done
CPU1: Booted secondary processor 0x0000000001 [0x481fd010]
audit: type=1701 audit(1700000000.123:45): auid=1000 uid=1000 pid=4711 comm="demo" \
exe="/usr/bin/demo" sig=11 res=1
perf: interrupt took too long (2502 > 2500), lowering kernel.perf_event_max_sample_rate to 79750
hid-generic 0003:046D:C31C.0001: input,hidraw0: USB HID v1.10 Keyboard on usb-0000:00:14.0-1/input0
Code: f9400a63 b4000083 (f9400063)
  FSC = 0x07: level 3 translation fault
Mem abort info:
Hardware name: Demo Server/Board, BIOS 1.0 01/01/2020
""".strip().split("\n")


@pytest.mark.parametrize("text", QUIET)
def test_ordinary_lines_are_left_alone(text):
    """What healthy hosts print all day, and the inside of reports."""
    assert ask(text) is None


def test_a_line_without_a_hit_costs_little():
    """Measured as the best of several rounds; the bound leaves room for a busy machine, the figure
    itself is some 6 µs.
    """
    text = (
        "mlx5_core 0000:3b:00.0 enp59s0f0: Link up, speed 25 Gbps, autonegotiation on, flow "
        "control off, lanes 1, width x8"
    )
    line = Line(text, "a.log", 1, "h1", "dmesg")
    assert min(timeit.repeat(lambda: MATCHER.match(line, BOOT), number=500, repeat=9)) / 500 < 60e-6


def test_a_replaced_file_is_read_with_the_rest():
    """A user's own version of a shipped file, in its place."""
    files = dict(shipped_files())
    files["kernel/tcp.toml"] = files["kernel/tcp.toml"].replace(
        'severity = "error"', 'severity = "critical"'
    )
    severities = {one.severity for one in read(files).signatures if one.cls == "tcp-state"}
    assert severities == {"critical"}


def test_the_readme_shows_sound_patterns():
    """The examples that pattern writers copy pass the checks that their own files must pass."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = [dedent(block) for block in regex.findall(r"(?m)(?:^    .*\n|^\n)+", text)]
    [signature] = [block for block in blocks if "[[signature]]" in block]
    rules = [block for block in blocks if "[[rule]]" in block]
    [listed] = [block for block in blocks if "[[list]]" in block]
    catalogue = read(
        {
            "pump.toml": signature,
            "valve.toml": signature.replace("pump", "valve"),
            "rule.toml": "".join(rules),
            "list.toml": listed,
        }
    )
    assert catalogue.rules[0].tests[0].given == (
        ("pump-fault", "h1", 100_000_000),
        ("kernel.valve", "h1", 100_500_000),
    )
    assert "memset_orig" in catalogue.lists["generic-functions"]
    assert len(rules) == len(catalogue.rules)
    assert [line for rule in catalogue.rules for line in failing(catalogue, rule)] == []


def test_what_is_not_proved_again_is_the_same() -> None:
    """A start that takes the shipped files at their word has the same catalogue."""
    assert read(shipped_files(), prove=False) == shipped()
