#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# image.sh OUT - what the machine of tests/vm is made of, from Debian's packages and ours:
#
#   OUT/vmlinux, initrd     Debian's kernel; mounts slot over base and goes on there
#   OUT/base.img            minimal Debian: systemd, udev, D-Bus, RAUC, OpenSSL, libraries. Both images need it
#   OUT/aware.img           what an image with idmode adds: our packages, units enabled
#   OUT/legacy.img          what one without adds: a program that makes a pair when either file is missing
#
# Kernel and base are made once, our packages again when something changed. As root.
set -euo pipefail

mkdir -p "$1"
OUT=$(readlink -f "$1")
HERE=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
readonly MODULES=(virtio_pci virtio_blk virtio_console ext4 crc32c_generic vfat nls_cp437 nls_ascii
    loop squashfs overlay tpm_tis)
readonly PACKAGES=(systemd-sysv udev dbus kmod rauc rauc-service libubootenv-tool openssl libtss2-esys-3.0.2-0
    libtss2-sys1 libtss2-mu0 libtss2-tctildr0 libtss2-tcti-device0 libjansson4
    libinotifytools0 libubootenv0.1)

# What a device without people, swap and network file systems does not start. The processor is emulated:
# each program costs a tenth of a second.
readonly NOT_STARTED=(e2scrub_reap.service systemd-logind.service systemd-sysctl.service dev-hugepages.mount
    dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount
    sys-kernel-config.mount modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service
    modprobe@efi_pstore.service modprobe@fuse.service modprobe@loop.service kmod-static-nodes.service
    systemd-tmpfiles-setup-dev.service systemd-random-seed.service systemd-update-utmp.service
    systemd-update-utmp-runlevel.service systemd-user-sessions.service systemd-journal-flush.service
    systemd-modules-load.service systemd-remount-fs.service systemd-pstore.service getty.target
    systemd-ask-password-console.path systemd-ask-password-wall.path systemd-initctl.socket
    proc-sys-fs-binfmt_misc.automount apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
    e2scrub_all.timer fstrim.timer systemd-tmpfiles-clean.timer systemd-networkd-wait-online.service)
readonly GENERATOR=systemd-fstab-generator # the only one that is needed

WORK=$(mktemp -d)
trap 'rm -rf -- "$WORK"' EXIT

# Mounted by nobody: files of a tree into an ext4 image of so many MiB.
make_ext4() {
    local tree=$1 image=$2 mib=$3 label=$4
    rm -f "$image"
    mkfs.ext4 -q -F -L "$label" -O ^has_journal -E root_owner=0:0 -d "$tree" "$image" "${mib}M" >/dev/null 2>&1
}

kernel_package() {
    apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\).*/\1/p' |
        head -n 1
}

# Not installed: it would take the place of the other busybox.
make_busybox() {
    (cd "$WORK" && apt-get -q download busybox-static >/dev/null 2>&1 && dpkg -x busybox-static_*.deb static)
    cp "$WORK/static/bin/busybox" "$OUT/busybox"
}

make_kernel() {
    local package release
    package=$(kernel_package)
    [[ -n $package ]] || { echo "image.sh: apt knows no linux-image-amd64: apt-get update" >&2; exit 1; }
    (cd "$WORK" && apt-get -q download "$package" >/dev/null 2>&1 && dpkg -x "$package"_*.deb kernel)
    release=${package#linux-image-}
    depmod -b "$WORK/kernel" "$release"
    rm -rf "$OUT/modules"
    mkdir -p "$OUT/modules"
    # With what each needs before it, in the order in which they are loaded.
    for module in "${MODULES[@]}"; do
        modprobe -d "$WORK/kernel" -S "$release" --show-depends "$module"
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' |
        while IFS= read -r file; do
            cp "$file" "$OUT/modules/"
            basename "$file"
        done >"$OUT/modules/order"
    unpack_kernel "$WORK/kernel/boot/vmlinuz-$release" "$OUT/vmlinux"
}

# The emulated processor would take as long to unpack it as to boot it. QEMU starts it by its PVH entry.
unpack_kernel() {
    local at
    at=$(LC_ALL=C grep -a -b -o -m 1 -P '\xFD7zXZ\x00' "$1" | head -n 1 | cut -d : -f 1)
    [[ -n $at ]] || { echo "image.sh: $1 is not compressed by xz" >&2; exit 1; }
    xz -d -c --single-stream < <(tail -c "+$((at + 1))" "$1") >"$2.new"
    mv "$2.new" "$2"
}

make_initrd() {
    local tree=$WORK/initrd
    mkdir -p "$tree"/{bin,dev,proc,sys,modules,base,slot,over,root}
    cp "$OUT/busybox" "$tree/bin/busybox"
    cp "$OUT"/modules/* "$tree/modules/"
    install -m 755 "$HERE/guest/init" "$tree/init"
    (cd "$tree" && find . -print0 | cpio -0 -o -H newc --quiet) >"$OUT/initrd"
}

leave_out() {
    local tree=$1 name
    for name in "${NOT_STARTED[@]}"; do
        ln -sf /dev/null "$tree/etc/systemd/system/$name"
    done
    mkdir -p "$tree/etc/systemd/system-generators"
    for name in "$tree"/usr/lib/systemd/system-generators/* "$tree"/lib/systemd/system-generators/*; do
        name=$(basename "$name")
        [[ $name == "$GENERATOR" ]] || ln -sf /dev/null "$tree/etc/systemd/system-generators/$name"
    done
}

make_base() {
    local tree=$WORK/base
    mmdebstrap --quiet --variant=minbase --include="$(IFS=,; echo "${PACKAGES[*]}")" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$tree" >"$OUT/base.log" 2>&1 ||
        { tail -n 20 "$OUT/base.log" >&2; exit 1; }
    rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/* "$tree/etc/machine-id"
    cp -a "$HERE/guest/files/." "$tree/"
    mkdir -p "$tree"/{config,persist,media}
    echo 5f0c1c8bd1c94d0f9d2c7f3b1a2e4d60 >"$tree/etc/machine-id" # not a first boot each time
    leave_out "$tree"
    cp "$tree/etc/group" "$tree/etc/gshadow" "$OUT/"
    chroot "$tree" systemctl -q enable idm-vm-begin.service idm-vm-agent.service
    make_ext4 "$tree" "$OUT/base.img" 600 base
}

os_release() {
    mkdir -p "$1/usr/lib" "$1/etc"
    printf 'ID=gateway\nNAME=Gateway\nVERSION_ID=@VERSION@\n' >"$1/usr/lib/os-release"
    ln -sf ../usr/lib/os-release "$1/etc/os-release"
}

# Our own Debian packages, made again when something was changed since.
make_packages() {
    local top=$HERE/../..
    [[ ! -e $OUT/packages/made || $(cd "$top" && find fsm engine backends cli include share hooks \
        packaging cmake CMakeLists.txt -newer "$OUT/packages/made" | head -n 1) ]] || return 0
    "$top/dev" package "$OUT/packages" >"$OUT/packages.log" 2>&1 ||
        { tail -n 20 "$OUT/packages.log" >&2; exit 1; }
    touch "$OUT/packages/made"
}

make_aware() {
    local tree=$WORK/aware package unit
    make_packages
    for package in idmode libidmode0 idmode-openssl idmode-signd idmode-watch idmode-rauc; do
        for file in "$OUT/packages/${package}_"*.deb; do
            [[ ! -f $file ]] || dpkg -x "$file" "$tree"
        done
    done
    # dpkg follows the link /lib of a merged /usr; an overlay would replace it.
    cp -a "$tree/lib/." "$tree/usr/lib/"
    rm -rf "${tree:?}/lib"
    rm -rf "$tree"/usr/share/{doc,man,locale,lintian,bash-completion,zsh}
    # As the package's postinst does.
    mkdir -p "$tree/etc"
    cp "$OUT/group" "$OUT/gshadow" "$tree/etc/"
    systemd-sysusers --root="$tree" "$tree/usr/lib/sysusers.d/idmode.conf"
    for unit in idmode-boot.service idmode-clock.timer idmode-signd.socket idmode-watch.service; do
        [[ ! -f $tree/usr/lib/systemd/system/$unit && ! -f $tree/lib/systemd/system/$unit ]] ||
            systemctl -q --root="$tree" enable "$unit"
    done
    os_release "$tree"
    make_ext4 "$tree" "$OUT/aware.img" 8 aware
}

make_legacy() {
    local tree=$WORK/legacy
    mkdir -p "$tree/etc/systemd/system/multi-user.target.wants" "$tree/usr/bin"
    install -m 755 "$HERE/guest/legacy-identity" "$tree/usr/bin/legacy-identity"
    install -m 644 "$HERE/guest/legacy-identity.service" "$tree/etc/systemd/system/"
    ln -s ../legacy-identity.service "$tree/etc/systemd/system/multi-user.target.wants/"
    os_release "$tree"
    make_ext4 "$tree" "$OUT/legacy.img" 8 legacy
}

[[ -s $OUT/vmlinux && -s $OUT/modules/order ]] || make_kernel
[[ -s $OUT/busybox ]] || make_busybox
make_initrd
sum=$(find "$HERE/guest" "$HERE/image.sh" -type f -print0 | sort -z | xargs -0 cat | sha256sum)
if [[ ! -s $OUT/base.img || $(cat "$OUT/base.sum" 2>/dev/null) != "$sum" ]]; then
    make_base
    printf '%s\n' "$sum" >"$OUT/base.sum"
fi
make_aware
make_legacy
