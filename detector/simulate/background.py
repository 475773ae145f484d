"""Lines of healthy kernels: those of an ordinary day, and the first lines of a boot.

In: a host's architecture and numbers. Out: texts. Nothing here is a fault, though some lines use a
fault's words. Every template takes exactly two integers, so that one `%` renders any of them.
"""

from __future__ import annotations

from random import Random

from detector.simulate.fleet import Arch, Host

Template = tuple[int, str]

_ANYWHERE: tuple[Template, ...] = (
    (6, ("audit: type=1400 audit(1767230%03d.114:%d): apparmor=STATUS operation=profile_replace "
"name=chronyd comm=apparmor_parser")),
    (5, ("audit: type=1130 audit(1767231%03d.482:%d): pid=1 uid=0 auid=0 msg='unit=logrotate "
"comm=systemd res=success'")),
    (5, ("audit: type=1325 audit(1767232%03d.009:%d): table=filter family=2 entries=114 "
"op=xt_replace pid=1182 comm=iptables-restore")),
    (4, ("audit: audit_lost=%d audit_rate_limit=0 audit_backlog_limit=%d, waiting for the "
"daemon to drain its queue")),
    (6, ("usb 1-1.%d: new high-speed USB device number %d using xhci_hcd, configuration chosen "
"from one choice")),
    (6, ("usb 1-1: New USB device found, idVendor=0b%02x, idProduct=%04x, bcdDevice= 1.10, "
"strings Mfr=1, Product=2, SerialNumber=3")),
    (6, ("usb 1-1.%d: USB disconnect, device number %d, port power cycled by the baseboard "
"management controller")),
    (6, ("mlx5_core 0000:%02x:00.0 enp1s0f0: Link up, 100 Gbps full duplex, FEC: Reed-Solomon "
"RS(528,514), %d link changes since boot")),
    (4, ("mlx5_core 0000:%02x:00.0: health_care: recovery flow ended, health counter at %d, no "
"reset was requested by firmware")),
    (6, ("ixgbe 0000:%02x:00.1 eno1: NIC Link is Up 10 Gbps, Flow Control: RX/TX; MTU 9000, %d "
"carrier changes since boot")),
    (6, ("IPv6: ADDRCONF(NETDEV_CHANGE): veth%08x: link becomes ready on bridge cni0, "
"forwarding for pod network namespace %d")),
    (6, ("IPv6: ADDRCONF(NETDEV_UP): veth%08x: link is not ready, waiting for the peer in "
"network namespace %d")),
    (6, ("cni0: port %d(veth%08x) entered forwarding state after the forward delay timer had "
"expired on the bridge")),
    (6, ("cni0: port %d(veth%08x) entered disabled state because its peer left the network "
"namespace on container exit")),
    (6, "device veth%08x left promiscuous mode, bridge port %d removed"),
    (6, ("EXT4-fs (dm-%d): mounted filesystem with ordered data mode. Opts: "
"errors=remount-ro,stripe=%d. Quota mode: none.")),
    (6,
        ("EXT4-fs (sd%x1): re-mounted. Opts: errors=remount-ro,discard,stripe=%d. Quota mode: "
            "none.")),
    (5, "XFS (dm-%d): Mounting V5 Filesystem 7c1d2f4e-91b0-4f7a-a3f0-5d3c8a2e%04x"),
    (6, "XFS (dm-%d): Ending clean mount, log head and tail agree at cycle %d, nothing to recover"),
    (6, ("IPVS: rr: TCP 10.%d.0.10:443 - no destination available, scheduler keeps 0 of %d real "
"servers above weight zero")),
    (6,
        ("IPVS: Creating netns size=2048 id=%d for container sandbox, connection table of %d "
            "buckets")),
    (4, ("TCP: tcp_parse_options: Illegal window scaling value %d > 14 received from a peer, %d "
"segments of the connection so far.")),
    (6, ("TCP: eth%d: Driver has suspect GRO implementation, TCP performance may be "
"compromised, segment of %d bytes seen.")),
    (4, ("net_ratelimit: %d callbacks suppressed, last of them from the neighbour table of "
"interface number %d")),
    (6, ("nvme nvme%d: %d/0/0 default/read/poll queues, namespace identifier changed, "
"rescanning and keeping the multipath head")),
    (6, ("sd 0:0:%d:0: [sdb] %d 512-byte logical blocks: write cache enabled, read cache "
"enabled, supports DPO and FUA")),
    (4, ("perf: interrupt took too long (25%02d > 2500), lowering "
"kernel.perf_event_max_sample_rate to %d")),
    (6, ("cgroup: disabling cgroup2 socket matching of pod%08x due to net_prio or net_cls "
"activation, hierarchy %d stays")),
    (6, ("overlayfs: upperdir of layer %d is in-use as upperdir of another mount, layer %d "
"mounted read-only")),
    (6, ("device-mapper: thin: 253:%d: reached low water mark for data device: sending event, "
"%d blocks left in the pool")),
    (6, ("md: data-check of RAID array md%d: minimum guaranteed speed: %d KB/sec/disk, using a "
"maximum of 200000 KB/sec")),
    (6, ("bond0: (slave eno%d): link status definitely up, 25000 Mbps full duplex, aggregator "
"%d, LACP rate fast")),
    (6, ("bpf: program %d loaded by the network agent, jited to %d bytes, verified without "
"warnings about unreachable instructions")),
    (6, ("SELinux: policy capability %d network_peer_controls=1, %d classes and permissions "
"known, unknown ones are denied")),
    (6, ("watchdog: watchdog%d: heartbeat set to %d seconds, nowayout is off, pretimeout "
"governor is noop")),
    (5, ("random: crng reseeded on system resumption of guest %d after %d ms, 256 bits of new "
"entropy credited to the pool")),
    (6, ("memory: hot-added block %d is online and movable, zone Normal spans %d pages more "
"than before, watermarks recalculated")),
    (6, ("loop%d: detected capacity change from 0 to %d sectors after the snap was mounted by "
"the image service")),
    (6, ("hrtimer: interrupt took %d ns on the idle loop, broadcast device unchanged, %d events "
"pending")),
    (6, ("libceph: mon%d (1)10.2.0.7:6789 session established, client%d fsid "
"5a0c31de-77f2-4c6b-9b1e-0d81f2a6c4e3")),
    (6, ("CIFS: VFS: share %d reconnected, %d requests replayed after the server had closed the "
"session for idle time")),
    (4, ("sched: real-time budget used up on runqueue %d, %d us of the period were used by "
"real-time tasks")),
    (6, ("runc:[%d:INIT]: memfd_create() called without MFD_EXEC or MFD_NOEXEC_SEAL set, %d "
"such calls before")),
    (6, ("process 'agent[%d]' started with executable stack, page protections widened for %d "
"pages, see execstack")),
)  # fmt: skip
_BY_ARCH: dict[Arch, tuple[Template, ...]] = {
    "arm64": (
        (
            6,
            (
                "arm_spe_pmu arm,spe-v1: probed for CPUs 0-%d [max_record_sz 64, align 1, "
                "features 0x%x], no errata apply"
            ),
        ),
        (
            6,
            (
                "arm-smmu-v3 arm-smmu-v3.%d.auto: event queue drained, %d events since the "
                "last overflow of the ring"
            ),
        ),
        (
            6,
            (
                "hns3 0000:bd:00.%x eth2: link up, 25000 Mbps, auto-negotiation done after %d "
                "ms, pause frames in both directions"
            ),
        ),
    ),
    "x86_64": (
        (
            6,
            (
                "microcode: updated early on core %d: revision 0x%x, loaded from the initial "
                "ramdisk before user space began"
            ),
        ),
        (
            6,
            (
                "x86/PAT: process on core %d mapped %d pages write-combining, memory types "
                "tracked by the kernel agree"
            ),
        ),
        (
            6,
            (
                "kvm_amd: guest %d: dirty ring resized to %d entries, steal time kept, "
                "interrupts posted directly"
            ),
        ),
    ),
    "ppc64le": (
        (
            6,
            (
                "ibmvscsi 3000000%d: host adapter info refreshed, %d commands in flight after "
                "the migration"
            ),
        ),
    ),
    "s390x": (
        (
            6,
            (
                "qeth 0.0.f5f%d: device is up again after recovery, OSA port 0 speaks %d MTU, "
                "layer 2 mode kept"
            ),
        ),
    ),
    "riscv64": (
        (
            6,
            (
                "starfive-eth-plat 16040000.ethernet eth%d: Link is Up - 1Gbps/Full - flow "
                "control rx/tx, %d frames dropped before"
            ),
        ),
    ),
    "arm": (
        (
            6,
            (
                "vc4-drm gpu: [drm] fb%d: display mode kept, scanout of %d lines at the next "
                "vertical blank"
            ),
        ),
    ),
}
_EARLY: tuple[Template, ...] = (
    (6, ("KERNEL supported cpus and their errata table scanned: %d workarounds enabled, %d not "
"needed")),
    (6, ("efi: EFI v2.70 by firmware revision %d: SMBIOS 3.0=0xbf%06x MEMATTR=0xb8b61018 "
"RNG=0xbfdb5b18")),
    (6, "NUMA: NODE_DATA(%d) allocated [mem 0x2fff%06x-0x2fffffffff]"),
    (6, "Zone ranges: DMA 0x%08x, Normal up to 0x%012x"),
    (6, "percpu: Embedded %d pages/cpu s%d r8192 d31632 u262144"),
    (5, ("Kernel command line: BOOT_IMAGE=/vmlinuz root=/dev/mapper/vg%d-root ro "
"crashkernel=%dM console=ttyS0,115200n8 net.ifnames=0")),
    (6, "Dentry cache hash table entries: %d (order: %d, linear)"),
    (6, ("Memory: %dK/%dK available (14336K kernel code, 3112K rwdata, 9020K rodata, 6016K "
"init, 1021K bss)")),
    (6, "SLUB: HWalign=64, Order=0-3, MinObjects=0, CPUs=%d, Nodes=%d"),
    (6, ("rcu: Hierarchical RCU implementation, RCU restricting CPUs from NR_CPUS=%d to "
"nr_cpu_ids=%d.")),
    (6, "NR_IRQS: %d, nr_irqs: %d, preallocated irqs: 0"),
    (6, "pid_max: default: %d minimum: %d"),
    (6, "Mount-cache hash table entries: %d (order: %d, linear)"),
    (6, "smp: Brought up %d nodes, %d CPUs"),
    (6, "NET: Registered PF_NETLINK/PF_ROUTE protocol family (%d of %d)"),
    (6, "TCP established hash table entries: %d (order: %d, linear)"),
    (6, "TCP bind hash table entries: %d (order: %d, linear)"),
    (6, "PCI host bridge to bus 0000:%02x, %d root bus resources claimed"),
    (6, "Freeing unused kernel memory: %dK, %d pages handed back to the buddy allocator"),
    (6, ("EXT4-fs (dm-%d): mounted filesystem with ordered data mode, %d inodes orphaned and "
"cleaned.")),
)  # fmt: skip


def templates(arch: Arch) -> tuple[Template, ...]:
    """The (level, template) pairs that a host of `arch` draws its ordinary lines from."""
    return _ANYWHERE + _BY_ARCH[arch] * 3


def banner(host: Host, random: Random) -> list[tuple[int, int, str]]:
    """The first lines of a boot as (kernel time in µs, level, text); the first few carry 0, as
    before the clock is up.
    """
    kernel = host.kernel
    compiler = (
        "gcc version 11.4.0, GNU ld 2.38"
        if kernel.generation >= (5, 4)
        else "gcc version 4.8.5 20150623"
    )
    lines = [(0, 5, f"Linux version {kernel.release} (build@builder) ({compiler}) {kernel.build}")]
    if kernel.arch == "arm64":
        lines.insert(0, (0, 6, "Booting Linux on physical CPU 0x0000080000 [0x481fd010]"))
    elif kernel.arch == "arm":
        lines.insert(0, (0, 6, "Booting Linux on physical CPU 0x0"))
    moment = 0
    for number, (level, template) in enumerate(_EARLY):
        if number > 6:
            moment += random.randrange(1_000, 60_000)
        lines.append(
            (moment, level, template % (random.randrange(1, 64), random.randrange(2, 65_536)))
        )
    return lines


def goodbye(random: Random) -> list[tuple[int, str]]:
    """Returns what is said when a host goes down in order, as (level, text)."""
    return [
        (
            6,
            (
                f"systemd-shutdown: {random.randrange(3, 40)} processes asked to end, all file "
                "systems unmounted"
            ),
        ),
        (4, "kvm: exiting hardware virtualization"),
        (6, "reboot: Restarting system"),
    ]
