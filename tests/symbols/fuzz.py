"""Hostile images: `make symbols-fuzz`, or python -m tests.symbols.fuzz [ROUNDS [IMAGE …]].

Small images, modules, types and packs are damaged (bytes changed, cut, doubled, words of all ones
and zeros, numbers of a header), then read, packed, opened and used to name every access. With
images of real size each is damaged some times too, packed and unpacked, in a process of its own, as
`symbols add` reads it. Whatever happens, it is a pack or one line, within SECONDS and MEGABYTES.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from multiprocessing import Pool
from pathlib import Path

from detector.app.symbols import kernel_of_pack
from detector.member.matching import LoggedCode, locate
from detector.member.naming import name_access
from detector.symbols import UnreadableImageError, UnreadablePackError
from detector.symbols.image import read_image, read_types
from detector.symbols.module import read_module
from detector.symbols.pack import encode_pack, open_pack
from detector.symbols.unpack import unpack
from tests.member.demo_kernel import arm64_demo_image, types, x86_image
from tests.symbols.images import PACKED, bzimage
from tests.symbols.modules import module

SECONDS, MEGABYTES = 5, 200
REAL_ROUNDS = 20  # damages of each image of real size
_REFUSED = (UnreadableImageError, UnreadablePackError)
_BATCH = 500


def sources():
    """(how it is read, bytes) of what is damaged; the uncompressed ones oftener, as a change there
    reaches what is inside.
    """
    plain = x86_image()
    arm = arm64_demo_image()
    pack = encode_pack(read_image(plain), [read_module(module())])
    packed = [("image", bzimage(PACKED[name](plain))) for name in PACKED]
    return [
        *[("image", plain), ("image", arm), ("module", module()), ("types", types())] * 3,
        *[("pack", pack)] * 2,
        *packed,
    ]


def damage(data, draw):
    """The bytes, as a hostile hand leaves them."""
    data = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4, 16, 64))):
        at = draw.randrange(len(data))
        kind = draw.randrange(6)
        if kind == 0:
            data[at] = draw.randrange(256)
        elif kind == 1:
            data[at : at + 4] = draw.choice((b"\xff" * 4, bytes(4), b"\1\0\0\0", b"\0\0\0\x80"))
        elif kind == 2:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 3:
            size = draw.randrange(1, 64)
            data[at : at + size] = data[(other := draw.randrange(len(data))) : other + size]
        elif kind == 4 and draw.random() < 0.2:
            del data[at:]
        else:
            data[at : at + 8] = draw.randrange(1 << 64).to_bytes(8, "little")
        if not data:
            return b"\0"
    return bytes(data)


def use(kind, data):
    """Reads the bytes and names what they hold; errors that may come are those of `_REFUSED`."""
    if kind == "module":
        whole = encode_pack(read_image(x86_image()), [read_module(data)])
    elif kind == "types":
        whole = encode_pack(read_types(data, "6.1.0-demo"))
    else:
        whole = data if kind == "pack" else encode_pack(read_image(data))
    kernel = kernel_of_pack(Path("fuzz"), open_pack(whole))
    for build in (kernel, kernel.module("demo_mod")) if kernel is not None else ():
        if build is None:
            continue
        for address in sorted(set(build.symbols.addresses))[:12]:
            name_access(build, address)
            name = build.symbols.names_at(address)[0]
            locate(build, name, 0, 64, LoggedCode(build.bytes_at(address, 32), 0))


def batch(seed):
    """Some rounds; (outcomes, slowest, faults)."""
    draw = random.Random(seed)
    outcomes, slowest, faults = Counter(), 0.0, []
    given = sources()
    for number in range(_BATCH):
        kind, data = draw.choice(given)
        hostile = damage(data, draw)
        began = time.process_time()
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                use(kind, hostile)
            outcomes[kind, "read"] += 1
        except _REFUSED as error:
            outcomes[kind, "refused"] += 1
            if "\n" in str(error) or len(str(error)) > 300:
                faults.append(f"seed {seed} round {number}: {str(error)!r}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault
            faults.append(f"seed {seed} round {number} {kind}: {error!r}")
        slowest = max(slowest, time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return outcomes, slowest, peak, faults


def real(image, seed):
    """(exit code, CPU seconds, MB, lines of errors) of `symbols add` with a damaged image."""
    draw = random.Random(seed)
    data = image.read_bytes()
    data = damage(unpack(data) if seed % 2 else data, draw)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vmlinuz"
        path.write_bytes(data)
        command = [Path(sys.executable).with_name("oopswatch"), "symbols", "add", path]
        started = subprocess.Popen(
            [*command, "--to", folder], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        errors = started.stderr.read().decode()
        _, status, usage = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
    spent = usage.ru_utime + usage.ru_stime
    return started.returncode, spent, usage.ru_maxrss // 1024, errors


def main():
    """Prints what came of it; 1 where anything but a pack or a line did."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    outcomes, slowest, peak, faults = Counter(), 0.0, 0, []
    with Pool(2) as pool:
        for done in pool.imap_unordered(batch, range(-(-rounds // _BATCH))):
            outcomes += done[0]
            slowest, peak = max(slowest, done[1]), max(peak, done[2])
            faults += done[3]
            if outcomes.total() % 10_000 == 0:
                print(f"{outcomes.total():,} rounds, {len(faults)} faults", flush=True)
    for (kind, outcome), count in sorted(outcomes.items()):
        print(f"{kind}: {outcome} {count:,}")
    print(f"slowest {slowest:.2f} s of CPU time, {peak} MB")
    for image in map(Path, sys.argv[2:]):
        results = [real(image, seed) for seed in range(REAL_ROUNDS)]
        codes = Counter(code for code, _, _, _ in results)
        time_, memory = max(spent for _, spent, _, _ in results), max(mb for _, _, mb, _ in results)
        print(f"{image}: exit codes {dict(codes)}, at most {time_:.1f} s of CPU time, {memory} MB")
        for code, spent, megabytes, errors in results:
            is_quiet = errors.count("\n") == (1 if code else 0)
            if code not in (0, 2) or not is_quiet or spent > SECONDS or megabytes > MEGABYTES:
                faults.append(f"{image}: {code}, {spent:.1f} s, {megabytes} MB: {errors[-300:]}")
    print("\n".join(faults) or "no fault")
    sys.exit(bool(faults) or slowest > SECONDS or peak > MEGABYTES)


if __name__ == "__main__":
    main()
