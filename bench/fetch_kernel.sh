#!/bin/sh
# fetch_kernel.sh RELEASE ARCH DIR: a Debian kernel's image, modules and debug information into
# DIR/RELEASE-ARCH, by Debian's own packages. ARCH is Debian's (amd64, arm64); one that is not this
# machine's needs `dpkg --add-architecture ARCH && apt-get update`. Some 2 GB of disk each.
set -eu
release=$1 arch=$2 target=$3/$1-$2
[ -e "$target/done" ] && exit 0
mkdir -p "$target/debs"
cd "$target/debs"
apt-get -qq download "linux-image-$release-$arch-unsigned:$arch" "linux-image-$release-$arch-dbg:$arch"
dpkg-deb --fsys-tarfile linux-image-*-unsigned_*.deb | tar -x -C .. ./boot ./lib/modules
dpkg-deb --fsys-tarfile linux-image-*-dbg_*.deb | tar -x -C .. ./usr/lib/debug/boot
cd "$target"
rm -r debs
mv boot/vmlinuz-* vmlinuz
mv usr/lib/debug/boot/vmlinux-* vmlinux
rm -r usr boot
touch "$target/done"
