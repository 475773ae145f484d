#!/bin/sh
# One kernel image of each release and build of a fleet, for symbols packs (docs/symbols.md).
#
#   kernel-images.sh send TARGET   on each host, at boot: the image of the running kernel goes to TARGET, a folder (a mounted share) or
#                                  what rsync takes (HOST:FOLDER, rsync://HOST/MODULE). One that is there already is not sent again.
#   kernel-images.sh add FOLDER    where the history is: each image that has come into FOLDER since becomes a pack.
#
# BOOT (/boot), RELEASE (that of the running kernel) and OOPSWATCH (oopswatch) can be set in the environment.
set -eu

send() {
    release=${RELEASE:-$(uname -r)}
    for image in "${BOOT:-/boot}/vmlinuz-$release" "/lib/modules/$release/vmlinuz"; do
        if [ -r "$image" ]; then
            # The same name for the same build, and another one for another build of the same release.
            digest=$(sha256sum "$image" | cut -c 1-12)
            exec rsync --ignore-existing --chmod=F644 --timeout=60 "$image" "$1/vmlinuz-$release-$digest"
        fi
    done
    echo "kernel-images.sh: no image of $release that can be read in ${BOOT:-/boot}: set BOOT to its folder" >&2
    exit 1
}

add() {
    failed=0
    for image in "$1"/vmlinuz-*; do
        case $image in *.added | *.refused) continue ;; esac
        if [ ! -e "$image" ] || [ -e "$image.added" ] || [ -e "$image.refused" ]; then continue; fi
        # The image stays, so that hosts do not send it again; one that is refused is asked about once.
        if "${OOPSWATCH:-oopswatch}" symbols add "$image"; then
            touch "$image.added"
        else
            touch "$image.refused"
            failed=1
        fi
    done
    return "$failed"
}

if [ $# -ne 2 ]; then
    echo "usage: kernel-images.sh send TARGET | add FOLDER" >&2
    exit 2
fi
case $1 in
send) send "$2" ;;
add) add "$2" ;;
*)
    echo "kernel-images.sh: $1 is neither send nor add" >&2
    exit 2
    ;;
esac
