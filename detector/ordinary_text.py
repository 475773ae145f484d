"""The text of logs on an ordinary day: invented lines of kernels and services.
They are in the formats in which they travel.

They say which letters stand beside each other in bytes that hold no fault, so that the scan looks
for the rarest part of each literal. Nothing depends on it but speed.
"""

from __future__ import annotations

_KERNEL = """\
Command line: BOOT_IMAGE=/boot/vmlinuz-5.15.0-91-generic root=/dev/mapper/vg0-root ro quiet splash
BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
BIOS-e820: [mem 0x00000000bffe0000-0x00000000bfffffff] reserved
NX (Execute Disable) protection: active
DMI: Dell Inc. PowerEdge R640/0H28RR, BIOS 2.12.2 07/09/2021
tsc: Detected 2394.374 MHz processor
last_pfn = 0x1040000 max_arch_pfn = 0x400000000
ACPI: RSDP 0x00000000000F5AA0 000014 (v00 BOCHS )
ACPI: PM-Timer IO Port: 0x608
ACPI: Added _OSI(Processor Device)
ACPI: PCI Interrupt Link [LNKA] (IRQs 5 *10 11)
smpboot: Allowing 8 CPUs, 0 hotplug CPUs
percpu: Embedded 61 pages/cpu s212992 r8192 d28672 u262144
Kernel/User page tables isolation: enabled
rcu: Hierarchical RCU implementation. RCU calculated value of scheduler-enlistment delay is 25
jiffies
Console: colour VGA+ 80x25, printk: console [tty0] enabled
Calibrating delay loop (skipped), value calculated using timer frequency.. 4788.74 BogoMIPS
Mount-cache hash table entries: 65536 (order: 7, 524288 bytes, linear)
CPU0: Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz (family: 0x6, model: 0x55, stepping: 0x4)
Detected VIPT I-cache on CPU1, GICv3: CPU1: found redistributor 1 region 0:0x00000000080c0000
clocksource: tsc: mask: 0xffffffffffffffff max_cycles: 0x22835cf29f1, max_idle_ns: 440795284131 ns
pci 0000:00:1f.2: reg 0x20: [io  0xc040-0xc05f], PME# supported from D0 D3hot
pci_bus 0000:00: resource 4 [io  0x0000-0x0cf7 window], bridge window [mem 0xfe800000-0xfe9fffff]
pcieport 0000:00:01.0: Signaling PME with IRQ 24, AER: enabled with IRQ 24, DPC: disabled
SCSI subsystem initialized, libata version 3.00 loaded, vgaarb: loaded
NET: Registered PF_INET6 protocol family, IP idents hash table entries: 131072 (order: 8)
Trying to unpack rootfs image as initramfs... Freeing initrd memory: 58916K
Freeing unused kernel image (initmem) memory: 3236K, Write protecting the kernel read-only data:
30720k
Run /init as init process, with environment: HOME=/ TERM=linux
usb 1-1.4: new high-speed USB device number 5 using xhci_hcd
usb 2-1: New USB device found, idVendor=0951, idProduct=1666, bcdDevice= 1.10
usb 2-1: Product: DataTraveler 3.0, Manufacturer: Kingston, SerialNumber: 60A44C413E5AF5B1A9720033
usb-storage 2-1:1.0: USB Mass Storage device detected, usb 2-1: USB disconnect, device number 2
input: AT Translated Set 2 keyboard as /devices/platform/i8042/serio0/input/input0
hid-generic 0003:046D:C31C.0001: input,hidraw0: USB HID v1.10 Keyboard [Logitech] on
usb-0000:00:14.0
scsi host0: ahci, ata1: SATA max UDMA/133 abar m2048@0xfebd4000 port 0xfebd4100 irq 28
ata1: SATA link up 6.0 Gbps (SStatus 133 SControl 300), ata1.00: configured for UDMA/133
sd 0:0:0:0: [sda] 976773168 512-byte logical blocks: (500 GB/466 GiB)
sd 0:0:0:0: [sda] Write Protect is off, Mode Sense: 00 3a 00 00, Attached SCSI disk
nvme nvme0: 8/0/0 default/read/poll queues, pci function 0000:01:00.0, allocated 64 MiB host memory
buffer
md/raid1:md0: active with 2 out of 2 mirrors, md: resync of RAID array md0 done
device-mapper: uevent: version 1.0.3, ioctl: 4.45.0-ioctl (2021-03-22) initialised
EXT4-fs (sda1): mounted filesystem with ordered data mode. Opts: errors=remount-ro. Quota mode:
none.
XFS (dm-0): Mounting V5 Filesystem, Ending clean mount, Unmounting Filesystem
BTRFS info (device sdb1): using crc32c (crc32c-intel) checksum algorithm, disk space caching is
enabled
e1000e 0000:00:19.0 eno1: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx
mlx5_core 0000:5e:00.0: firmware version: 16.32.1010, enp94s0f0: Link up
igb 0000:04:00.0: added PHC on eth0, Intel(R) Gigabit Ethernet Network Connection, MAC: 3, PBA No:
106100-000
virtio_net virtio0 ens3: renamed from eth0, IPv6: ADDRCONF(NETDEV_CHANGE): ens3: link becomes ready
br-4f2c: port 3(veth8a1f2c3) entered blocking state, entered forwarding state, entered disabled
state
device veth8a1f2c3 entered promiscuous mode, docker0: port 1(vetha) entered learning state
bond0: (slave eth1): Enslaving as a backup interface with an up link, 8021q: 802.1Q VLAN Support
v1.8
[UFW BLOCK] IN=eth0 OUT= MAC=52:54:00:12:34:56 SRC=203.0.113.9 DST=198.51.100.7 LEN=40 TTL=244
PROTO=TCP SPT=51234 DPT=23 WINDOW=1024 SYN
iptables-denied: IN=ens3 OUT=ens4 SRC=10.0.3.7 DST=10.0.9.2 LEN=52 PROTO=UDP SPT=5353 DPT=53
nf_conntrack: default automatic helper assignment has been turned off for security reasons
TCP: request_sock_TCP: Possible SYN flooding on port 443. Sending cookies. Check SNMP counters.
audit: type=1400 audit(1700000000.123:456): apparmor="STATUS" operation="profile_load"
profile="unconfined" name="snap.lxd" pid=742 comm="apparmor_parser"
audit: type=1300 audit(1700000001.003:77): arch=c000003e syscall=59 success=yes exit=0 ppid=1
pid=900 auid=0 uid=0 gid=0 ses=4294967295
systemd[1]: Started Journal Service. systemd[1]: Mounted Huge Pages File System. Set hostname to
<node-7>.
systemd-journald[412]: Received client request to flush runtime journal. File is corrupted or
uncleanly shut down, renaming and replacing.
random: crng init done, random: 7 urandom warning(s) missed due to ratelimiting
cfg80211: Loading compiled-in X.509 certificates for regulatory database
wlan0: authenticate with 00:11:22:33:44:55, associated, RX AssocResp from 00:11:22:33:44:55
(capab=0x1411 status=0 aid=3)
Bluetooth: hci0: Firmware revision 0.0 build 10 week 41 2023, snd_hda_intel 0000:00:1f.3: enabling
device (0000 -> 0002)
[drm] Initialized i915 1.6.0 20201103 for 0000:00:02.0 on minor 0, fbcon: Deferring console
take-over
nvidia-nvlink: Nvlink Core is being initialized, major device number 511, NVRM: loading NVIDIA UNIX
x86_64 Kernel Module
CPU4: Core temperature/speed normal, perf: interrupt took too long (2513 > 2500), lowering
kernel.perf_event_max_sample_rate to 79500
cgroup: fork rejected by pids controller in /system.slice, cgroup: Unknown subsys name 'rdma'
overlayfs: unrecognized mount option "userxattr" or missing value, aufs 5.15-20220117
NFS: Registering the id_resolver key type, FS-Cache: Netfs 'nfs' registered for caching, Key type
dns_resolver registered
CIFS: Attempting to mount //nas/share, No dialect specified on mount. Default has changed to a more
secure dialect
kauditd_printk_skb: 14 callbacks suppressed, hrtimer: interrupt took 81421 ns
kvm: disabled by bios, kvm [2211]: vcpu0, guest rIP: 0xffffffff810 ignored rdmsr: 0x1ad, kvm: SMP
vm created on host
lpfc 0000:3b:00.0: 0:1303 Link Up Event x1 received, qla2xxx [0000:3b:00.1]-500a:2: LOOP UP
detected (16 Gbps)
megaraid_sas 0000:18:00.0: waiting for controller to be ready, FW now in Ready state, scanning for
devices
arm-smmu-v3 arm-smmu-v3.1.auto: allocated 65536 entries for cmdq, ias 44-bit, oas 44-bit (features
0x00000fef)
hns3 0000:7d:00.0 eth0: link up, net eth0: link down, hclge is initializing, reset done
IPVS: Registered protocols (TCP, UDP, SCTP, AH, ESP), IPVS: Connection hash table configured
(size=4096)
PM: suspend entry (deep), Filesystems sync: 0.011 seconds, Freezing user space processes (elapsed
0.002 seconds) done.
mmc0: new high speed SDHC card at address aaaa, mmcblk0: mmc0:aaaa SL16G 14.8 GiB
watchdog: watchdog0: heartbeat set to 60 seconds, iTCO_wdt: initialized, softdog initialized
neighbour: arp_cache: entries limited, recovery required on readonly filesystem, recovery complete
libceph: mon0 (1)10.2.0.7:6789 session established, client4123 fsid 5a0c31de, osd12 up, osd12 down
health monitoring of the management controller is enabled, error handler and signal handler
installed
bond0: (slave eth1): link status definitely up, 10000 Mbps full duplex, link status up again after
0 ms
msr: disabled, ipmi_si: disabling automatic start, intel_pstate: disabled by firmware
memory controller, context switch, page table, physical address, kernel thread, process, task, lock
illegal value of option ignored, unexpected packet dropped, disabled by default, disabling, unable
to
"""

_SERVICES = """\
chronyd[644]: System clock wrong by more than 0.5 seconds, adjustment started
nodestat[811]: up 12 days since boot, 4 logins since boot, more than 90 % of /var is used
sshd[2211]: Accepted publickey for deploy from 10.0.0.7 port 51122 ssh2: ED25519 SHA256:qk3v0Tq8Yw
sshd[2213]: Failed password for invalid user admin from 203.0.113.5 port 40022 ssh2
sshd[2213]: pam_unix(sshd:session): session opened for user deploy(uid=1000) by (uid=0)
CRON[8812]: (root) CMD (   cd / && run-parts --report /etc/cron.hourly)
sudo: deploy : TTY=pts/0 ; PWD=/home/deploy ; USER=root ; COMMAND=/usr/bin/systemctl restart nginx
systemd[1]: Starting Daily apt download activities... apt-daily.service: Deactivated successfully.
Consumed 1.2s CPU time.
systemd[1]: nginx.service: Main process exited, code=exited, status=1/FAILURE, Scheduled restart
job, restart counter is at 5.
systemd-logind[801]: New session 41 of user deploy. Session 41 logged out. Waiting for processes to
exit.
systemd-resolved[644]: Server returned error NXDOMAIN, mitigating potential DNS violation
DVE-2018-0001
NetworkManager[755]: <info>  [1700000000.1234] dhcp4 (ens3): state changed bound -> extended,
address=10.0.3.7
dhclient[911]: DHCPREQUEST for 10.0.3.7 on ens3 to 10.0.3.1 port 67 (xid=0x5a1f) bound to 10.0.3.7
-- renewal in 1432 seconds.
chronyd[700]: Selected source 192.0.2.10 (ntp.example.org), System clock wrong by 0.000123 seconds
dockerd[1200]: time="2026-01-02T03:04:05.678901234Z" level=info msg="ignoring event"
container=4f2c8a module=libcontainerd topic=/tasks/delete
kubelet[1522]: E0102 03:04:05.678901    1522 pod_workers.go:965] "Error syncing pod, skipping"
err="failed to StartContainer with CrashLoopBackOff"
containerd[990]: starting signal loop namespace=k8s.io
path=/run/containerd/io.containerd.runtime.v2.task pid=3312
postfix/smtpd[3001]: connect from mail.example.org[198.51.100.9], disconnect from unknown, timeout
after AUTH
nginx: 10.0.0.9 - - [02/Jan/2026:03:04:05 +0000] "GET /api/v1/items?page=2 HTTP/1.1" 200 5123 "-"
"Mozilla/5.0 (X11; Linux x86_64)"
postgres[2100]: [5-1] LOG:  checkpoint complete: wrote 812 buffers (5.0%); duration: 81.2 ms, could
not receive data from client: Connection reset by peer
java[4100]: WARN  [main] o.a.k.clients.NetworkClient - Connection to node -1 could not be
established. Broker may not be available.
mysqld[1900]: InnoDB: page_cleaner: 1000ms intended loop took 4512ms, Aborted connection 812 to db:
'shop' user: 'web'
smartd[700]: Device: /dev/sda [SAT], SMART Usage Attribute: 194 Temperature_Celsius changed from 66
to 65
snapd[811]: storehelpers.go:748: cannot refresh: snap "lxd" has running apps, auto-refresh continues
rsyslogd: [origin software="rsyslogd" swVersion="8.2112.0" x-pid="712"] rsyslogd was HUPed
haproxy[700]: Server be_app/app3 is DOWN, reason: Layer4 timeout, check duration: 2001ms. 3 active
and 0 backup servers left.
"""

_ENVELOPES = (
    "Jan  2 03:04:{0:02d} web-{0} kernel: [{1}.{2:06d}] {3}",
    "<6>1 2026-01-02T03:04:{0:02d}.{2:06d}+00:00 db-{0}.example.org kernel - - - [{1}.{2:06d}] {3}",
    "[{1:5d}.{2:06d}] {3}",
    "6,{1},{1}{2:06d},-;{3}",
    (
        '{{"ts":"2026-01-02T03:04:{0:02d}.{2:06d}+00:00","host":"cache-{0}","syslogtag":"kernel:",'
        '"priority":6,"message":" [{1}.{2:06d}] {3}"}}'
    ),
    (
        '{{"__CURSOR":"s=0b;i={1:x};b=c3d1","__REALTIME_TIMESTAMP":"17{1}{2:06d}",'
        '"__MONOTONIC_TIMESTAMP":"{1}{2:06d}","_BOOT_ID":"8f1d0e2c4b6a4d7e9c3b5a1f2e4d6c8b",'
        '"_HOSTNAME":"node-{0}","_TRANSPORT":"kernel","SYSLOG_IDENTIFIER":"kernel","PRIORITY":"6",'
        '"MESSAGE":"{3}"}}'
    ),
    '{{"@timestamp":17{1}.{2:06d},"priority":6,"facility":0,"sec":{1},"usec":{2},"msg":"{3}"}}',
)


def ordinary_text() -> bytes:
    """The lines, each in one of the formats; some thirty kilobytes."""
    lines = (_KERNEL + _SERVICES).splitlines()
    shaped = (
        _ENVELOPES[number % len(_ENVELOPES)].format(
            number % 60, 61_817 + 7 * number, 7_919 * number % 1_000_000, line
        )
        for number, line in enumerate(lines)
    )
    return "\n".join((*shaped, *lines)).encode()
