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

# ---- purge ----

# What idmode knows of the paths: three places, the later wins.
configure() {
    mkdir -p root/usr/lib/idmode root/etc/idmode/idmode.conf.d
    printf '[paths]\nconfig-dir = /image/config\npersist-dir = /image/persist\n' >root/usr/lib/idmode/idmode.conf
    printf '%s\n' '; config-dir = /comment' '[paths] # where it lies' $' persist-dir\t= "/data/per sist" ; quoted\r' \
        '[elsewhere]' 'persist-dir = /not-in-paths' >root/etc/idmode/idmode.conf
    printf '[paths]\nconfig-dir = /data/first\n' >root/etc/idmode/idmode.conf.d/10-first.conf
    printf '[paths]\nconfig-dir=/data/config/\n' >root/etc/idmode/idmode.conf.d/9-last.conf
    printf '[paths]\nconfig-dir = /not-a-fragment\n' >root/etc/idmode/idmode.conf.d/no-fragment
    mkdir -p root/data/{first,config,'per sist'} root/{config,persist,image}/idmode
    touch root/data/config/of-others root/data/first/device.key.pem root/config/device.key.pem
    "$BUILD/bin/idmode" --root "$ROOT" --tcti none boot
    [[ -f root/data/config/device.key.pem && -f "root/data/per sist/idmode/record" ]]
}

# Files that are there but for the configuration.
identity() {
    find root/data root/config root/persist root/image -type f | sort
}

answer() {
    echo "idmode idmode/purge-identity boolean $1" | in_root debconf-set-selections
}

purge() {
    in_root $SCRIPTS/idmode.postrm purge 2>said
}

purge_takes_what_the_configuration_names() {
    make_root
    configure
    touch root/data/config/.device.key.pem.tmp
    identity >before
    answer false
    purge
    identity | diff before -
    answer true
    purge
    diff <(identity) <(printf 'root/%s\n' config/device.key.pem data/config/of-others data/first/device.key.pem)
    [[ ! -e root/run/idmode && ! -e "root/data/per sist/idmode" && -d root/persist/idmode ]]
}

purge_takes_the_usual_places_where_nothing_is_said() {
    make_root
    mkdir -p root/config root/persist
    "$BUILD/bin/idmode" --root "$ROOT" --tcti none boot
    [[ -f root/config/device.key.pem && -f root/persist/idmode/record ]]
    mkdir -p root/persist/config
    touch root/persist/config/tpm_in_use # there is no TPM here
    answer true
    purge
    [[ -z $(find root/config root/persist -type f) ]]
}

purge_says_what_it_left() {
    make_root
    configure
    answer true
    mkdir -p "root/data/per sist/config/tpm_in_use"
    ! purge
    grep -F 'idmode: purge: /data/per sist/config/tpm_in_use: it is still there' said
    [[ ! -e "root/data/per sist/idmode" && ! -e root/data/config/device.key.pem && ! -e root/run/idmode ]]
    rmdir "root/data/per sist/config/tpm_in_use"
    purge
}

purge_takes_nothing_by_a_path_that_idmode_refuses() {
    make_root
    configure
    answer true
    local path
    for path in data/config /data/config/../config / ''; do
        printf '[paths]\nconfig-dir = %s\n' "$path" >root/etc/idmode/idmode.conf.d/a.conf
        ! purge
        grep -F "idmode: purge: [paths] config-dir = $path: no absolute path" said
        [[ -f root/data/config/device.key.pem && ! -e "root/data/per sist/idmode" ]]
    done
    # Neither through a link that idmode would not follow.
    mkdir root/elsewhere
    touch root/elsewhere/tpm_in_use
    rm root/etc/idmode/idmode.conf.d/a.conf
    ln -s /elsewhere "root/data/per sist/config"
    ln -s /elsewhere "root/data/per sist/idmode"
    purge
    [[ -f root/elsewhere/tpm_in_use && ! -e root/data/config/device.key.pem ]]
}

# ---- systemd ----

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
