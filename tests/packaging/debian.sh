# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Cases of package_debian.c: see package_script.h. Maintainer scripts are run as dpkg runs them, by this
# system's shell, debconf and deb-systemd-invoke at their own paths, in a root that is this one with a layer
# above it.

# What is mounted goes with this process, however it ends: nobody may ever delete through a mount.
if [[ -z ${IDM_PRIVATE_MOUNTS:-} ]]; then
    IDM_PRIVATE_MOUNTS=yes exec unshare --mount --propagation private bash -euo pipefail "$0" "$@"
fi

readonly ROOT=$WORK/root
readonly SCRIPTS=/var/lib/dpkg/info

make_root() {
    mkdir layer root
    mount -t tmpfs none layer
    mkdir layer/upper layer/work
    mount -t overlay none -o "lowerdir=/,upperdir=$WORK/layer/upper,workdir=$WORK/layer/work" root
    mount --bind /dev root/dev
    mount -t proc none root/proc
    mount -t tmpfs none root/run
    rm -f root/usr/sbin/policy-rc.d # a build machine's word that nothing is started or stopped
    local file
    for file in "$SOURCE"/packaging/debian/*.p{ost,re}{inst,rm}; do
        [[ ! -e $file ]] || install -m 755 "$file" "$ROOT$SCRIPTS/"
    done
    sed 's/^_//' "$SOURCE/packaging/debian/idmode.templates" >"$ROOT$SCRIPTS/idmode.templates"
}

in_root() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot root "$@"
}

# calls SCRIPT WORD…: how it calls systemctl. There is no manager in this root: nor may that be an error.
calls() {
    mkdir -p root/run/systemd/system
    in_root strace -f -qq -s 200 -e trace=execve -o /run/trace "$SCRIPTS/$1" "${@:2}" >/dev/null 2>&1 ||
        { echo "$* failed"; return 1; }
    sed -n 's/.*execve("[^"]*\/systemctl", \[\(.*\)\], .*) = 0$/\1/p' root/run/trace | tr -d '",'
}

# Units that may run when their package goes, started by nobody's installation: those of --no-start but the
# one that has ended by then.
removal_ends_what_the_package_started() {
    make_root
    local package unit units
    for package in idmode idmode-watch; do
        units=$(sed -e ':a' -e '/\\$/N; s/\\\n//; ta' "$SOURCE/packaging/debian/rules" |
            grep -E "dh_installsystemd -p$package .*--no-start" | grep -o -E 'idmode-[a-z]+\.[a-z]+' || true)
        [[ -n $units ]] || units=$package.service
        calls "$package.prerm" remove >said
        for unit in $units; do
            grep -q '^\[Install\]' "$SOURCE/packaging/systemd/$unit" || continue
            [[ $unit != idmode-boot.service ]] || continue
            grep -q -E "^systemctl stop (.* )?$unit( |$)" said || { echo "goes on: $unit"; return 1; }
        done
        calls "$package.prerm" upgrade 1.0 | { ! grep .; }
    done
}

installation_tells_systemd_of_units() {
    make_root
    local package
    for package in idmode idmode-watch; do
        calls "$package.postinst" configure '' | grep -x 'systemctl --system daemon-reload'
    done
}

"$1"
