#!/bin/sh
# Builds build/oopswatch_VERSION_ARCH.deb: /opt/oopswatch (an environment of its own, packages by the lock file), the units, the settings.
# Run from the root of the checkout on the release of Debian or Ubuntu that it is for: the package depends on that Python.
# Needs python3-venv and dpkg-dev's dpkg-deb.
set -eu
cd "$(dirname "$0")/../.."
python=/usr/bin/python3
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' detector/__init__.py)
arch=$(dpkg --print-architecture)
minor=$($python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
next=$($python -c 'import sys; print("%d.%d" % (sys.version_info[0], sys.version_info[1] + 1))')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
prefix=$root/opt/oopswatch

$python -m venv "$work/build"
"$work/build/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
"$work/build/bin/python" -m hatchling build -t wheel -d "$work/dist" >/dev/null 2>&1
mkdir -p "$root/opt"
$python -m venv "$prefix"
"$prefix/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
"$prefix/bin/pip" install --quiet --disable-pip-version-check --no-deps "$work"/dist/*.whl
completion=$("$prefix/bin/oopswatch" completion bash)
find "$prefix" -name __pycache__ -prune -exec rm -rf {} +
rm -rf "$prefix"/lib/python*/site-packages/pip "$prefix"/lib/python*/site-packages/pip-* "$prefix"/bin/pip*
rm -f "$prefix"/lib/python*/site-packages/oopswatch-*/direct_url.json
# Commands of the environment name the path that they were made at.
grep -rlI "$prefix" "$prefix/bin" "$prefix/pyvenv.cfg" | xargs sed -i "s|$prefix|/opt/oopswatch|g"
grep -rlI "$prefix" "$prefix/lib" | xargs -r sed -i "s|$prefix|/opt/oopswatch|g"

install -D -m 644 -t "$root/usr/lib/systemd/system" deploy/systemd/*.service
install -m 755 deploy/images/kernel-images.sh "$prefix/kernel-images.sh"
install -D -m 644 deploy/oopswatch.toml "$root/etc/oopswatch/oopswatch.toml"
install -D -m 644 deploy/notify.toml "$root/usr/share/doc/oopswatch/examples/notify.toml"
cp -r deploy/shippers deploy/prometheus deploy/grafana "$root/usr/share/doc/oopswatch/examples/"
install -D -m 644 README.md "$root/usr/share/doc/oopswatch/README.md"
{
  printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: 2026 the oopswatch authors\nLicense: Apache-2.0\n'
  printf ' On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.\n Packages below /opt/oopswatch/lib have their licenses beside them.\n'
} >"$root/usr/share/doc/oopswatch/copyright"
gzip -9n <CHANGELOG.md >"$root/usr/share/doc/oopswatch/CHANGELOG.md.gz"
install -D -m 644 deploy/debian/lintian-overrides "$root/usr/share/lintian/overrides/oopswatch"
install -d "$root/usr/share/bash-completion/completions" "$root/usr/bin" "$root/DEBIAN"
printf '%s\n' "$completion" >"$root/usr/share/bash-completion/completions/oopswatch"
ln -s /opt/oopswatch/bin/oopswatch "$root/usr/bin/oopswatch"

cat >"$root/DEBIAN/control" <<END
Package: oopswatch
Version: $version
Section: admin
Priority: optional
Architecture: $arch
Maintainer: the oopswatch authors <oopswatch@localhost>
Depends: python3 (>= $minor), python3 (<< $next), libc6
Recommends: systemd
Installed-Size: $(du -sk "$root/opt" | cut -f1)
Description: kernel log anomaly detector for fleets of Linux servers
 Reads the kernel logs of many hosts from Kafka or files, sets the crashes of
 user programs apart, recognises kernel faults, and raises one incident with
 its explanation where faults that belong together meet on one host.
END
printf '/etc/oopswatch/oopswatch.toml\n' >"$root/DEBIAN/conffiles"
install -m 755 deploy/debian/postinst deploy/debian/prerm deploy/debian/postrm "$root/DEBIAN"
chmod -R u=rwX,go=rX "$root"
mkdir -p build
rm -f build/oopswatch_*.deb
dpkg-deb --root-owner-group --build "$root" "build/oopswatch_${version}_$arch.deb"
