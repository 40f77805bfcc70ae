# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Cases of slow_package_debs.c: see package_script.h. Packages are built once per state of the sources and
# kept below $BUILD/package-test; the root is made with mmdebstrap from Debian's archive.

# What is mounted for a root of its own goes with this process, however it ends: nobody may ever delete
# through a mount.
if [[ -z ${IDM_PRIVATE_MOUNTS:-} ]]; then
    IDM_PRIVATE_MOUNTS=yes exec unshare --mount --propagation private bash -euo pipefail "$0" "$@"
fi

readonly KEPT=$BUILD/package-test

# build DIR: packages of the sources as they are.
build() {
    "$SOURCE/dev" package "$1" >"$WORK/package.log" 2>&1 || { tail -n 60 "$WORK/package.log"; return 1; }
}

# Prints the directory with the packages.
packages() {
    local state
    state=$(cd "$SOURCE" && git -c safe.directory="$SOURCE" ls-files -z --cached --others --exclude-standard --deduplicate |
        xargs -0 sha256sum 2>/dev/null | sha256sum | cut -d ' ' -f 1)
    mkdir -p "$KEPT"
    exec 9>"$KEPT/lock"
    flock 9
    if [[ ! -e $KEPT/$state/done ]]; then
        find "$KEPT" -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
        build "$KEPT/$state" >&2 || return 1
        touch "$KEPT/$state/done"
    fi
    exec 9>&-
    printf '%s' "$KEPT/$state"
}

# Every file of the packages but what says where they were built.
sums() {
    (cd "$1" && sha256sum -- *.deb *.orig.tar.gz *.debian.tar.xz *.dsc)
}

all_packages_are_built() {
    local dir name
    dir=$(packages)
    while read -r name; do
        compgen -G "$dir/${name}_*.deb" || { echo "not built: $name"; return 1; }
    done < <(sed -n 's/^Package: //p' "$SOURCE/packaging/debian/control")
    # Devices get no more than they need: neither the lab nor headers stand in what they install.
    ! dpkg-deb --contents "$dir"/idmode_*.deb | grep -E 'lab|include/|\.h$'
}

# Elsewhere, at another time of another zone, by somebody with other habits.
two_builds_are_the_same_bytes() {
    local dir
    dir=$(packages)
    sums "$dir" >first
    (umask 077 && export TZ=Pacific/Kiritimati LC_ALL=C LANG=C DEB_BUILD_OPTIONS=parallel=1 &&
        build "$WORK/elsewhere/under/a/longer/name")
    sums "$WORK/elsewhere/under/a/longer/name" | diff first -
    [[ $(grep -c '\.deb$' first) -ge 6 ]]
}

# ---- in a root of its own ----

in_root() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive \
        IDMODE_TCTI=swtpm:path=/run/chip/tpm TSS2_LOG=all+none ${http_proxy:+http_proxy="$http_proxy"} \
        chroot "$WORK/root" "$@"
}

end_root() {
    local pid
    for pid in $PIDS; do
        kill "$pid" 2>/dev/null || true
    done
    wait
}

# Debian 12 as small as it gets, with one thing that stands for the hardware: a chip behind a socket.
make_root() {
    PIDS=
    trap end_root EXIT
    mmdebstrap --quiet --variant=minbase --include=systemd,libtss2-tcti-swtpm0 bookworm "$WORK/root" \
        http://deb.debian.org/debian >mmdebstrap.log 2>&1 || { tail -n 20 mmdebstrap.log; return 1; }
    cp /etc/resolv.conf "$WORK/root/etc/resolv.conf"
    mount -t proc proc "$WORK/root/proc"
    in_root apt-get -q update >apt.log 2>&1 || { tail -n 20 apt.log; return 1; }
    mkdir -p "$WORK/root"/{config,persist,debs} "$WORK/root/run/chip" "$WORK/tpm-state"
    setpriv --pdeathsig KILL swtpm socket --tpm2 --tpmstate "dir=$WORK/tpm-state" \
        --server "type=unixio,path=$WORK/root/run/chip/tpm" --ctrl "type=unixio,path=$WORK/root/run/chip/tpm.ctrl" \
        --flags not-need-init,startup-clear >swtpm.log 2>&1 &
    PIDS+=" $!"
}

# install PACKAGE…: ours, with what they depend on from Debian.
install() {
    local dir name files=()
    dir=$(packages)
    for name in "$@"; do
        cp "$dir/${name}"_*.deb "$WORK/root/debs/"
        files+=("/debs/$(cd "$dir" && echo "${name}"_*.deb)")
    done
    in_root apt-get -q -y --no-install-recommends install "${files[@]}" >apt.log 2>&1 ||
        { tail -n 30 apt.log; return 1; }
}

wait_until() {
    local i
    for ((i = 0; i < 300; i++)); do
        "$@" && return 0
        sleep 0.1
    done
    echo "never true: $*"
    return 1
}

device_boots_and_serves_tls_users() {
    make_root
    install idmode idmode-openssl idmode-signd
    [[ -L $WORK/root/etc/systemd/system/sysinit.target.wants/idmode-boot.service ]]
    [[ -L $WORK/root/etc/systemd/system/sockets.target.wants/idmode-signd.socket ]]
    [[ -z $(find "$WORK/root/etc/systemd" -name 'idmode-commit*') ]]
    grep '^idmode:' "$WORK/root/etc/group"
    # Nothing was decided yet.
    [[ -z $(find "$WORK/root/config" "$WORK/root/persist" -mindepth 1) ]]
    in_root idmode boot
    [[ $(in_root idmode mode) == tpm ]]
    in_root idmode status --json | jq -e '.state == "tpm-dual" and .healthy'

    in_root setpriv --pdeathsig KILL idmode-signd >signd.log 2>&1 &
    PIDS+=" $!"
    wait_until test -S "$WORK/root/run/idmode/sign.sock"
    in_root apt-get -q -y --no-install-recommends install openssl >apt.log 2>&1
    echo hello >"$WORK/root/tmp/text"
    # Neither the chip nor a key file is open to this user: the broker signs for the group alone.
    in_root setpriv --reuid 65534 --regid 65534 --groups "$(in_root getent group idmode | cut -d : -f 3)" \
        env OPENSSL_CONF=/usr/share/idmode/openssl.cnf \
        openssl dgst -sha256 -sign idmode:key -out /tmp/signature /tmp/text
    in_root openssl x509 -in /run/idmode/device.cert.pem -pubkey -noout >"$WORK/root/tmp/public"
    in_root openssl dgst -sha256 -verify /tmp/public -signature /tmp/signature /tmp/text
    ! in_root setpriv --reuid 65534 --regid 65534 --clear-groups env OPENSSL_CONF=/usr/share/idmode/openssl.cnf \
        openssl dgst -sha256 -sign idmode:key -out /tmp/other /tmp/text
}

# What a purge leaves of the packages: nothing; of the identity: everything, unless it was told otherwise.
purge_asks_before_it_takes_the_identity() {
    make_root
    (cd "$WORK/root" && find etc usr lib/systemd var/lib/dpkg/info -name '*idmode*') >before
    [[ ! -s before ]]
    install idmode idmode-signd
    in_root idmode boot
    local cert
    cert=$(in_root idmode status --json | jq -r .identity.cert_sha256)
    in_root apt-get -q -y purge idmode idmode-signd >apt.log 2>&1
    (cd "$WORK/root" && find etc usr lib/systemd var/lib/dpkg/info -name '*idmode*') | { ! grep .; }
    [[ -f $WORK/root/persist/idmode/record && -f $WORK/root/config/device.cert.pem ]]

    install idmode
    in_root idmode boot
    [[ $(in_root idmode status --json | jq -r .identity.cert_sha256) == "$cert" ]]
    # It lies where the configuration says.
    mv "$WORK/root/config" "$WORK/root/data"
    printf '[paths]\nconfig-dir = /data\n' >"$WORK/root/etc/idmode/idmode.conf.d/50-data.conf"
    echo 'idmode idmode/purge-identity boolean true' | in_root debconf-set-selections
    in_root apt-get -q -y purge idmode >apt.log 2>&1
    [[ -z $(find "$WORK/root/data" "$WORK/root/persist" ! -type d) ]]
    ! in_root debconf-show idmode | grep purge-identity
}

lab_replays_in_both_worlds() {
    make_root
    install idmode idmode-lab
    in_root apt-get -q -y --no-install-recommends install swtpm libubootenv-tool >apt.log 2>&1
    in_root sh -c 'idmode-lab replay /usr/share/idmode-lab/scenarios/*.yaml' | tail -n 1 | grep ' 0 failed'
    in_root idmode-lab replay --world real /usr/share/idmode-lab/scenarios/rule-5-fallback.yaml | tail -n 1 | grep ' 0 failed'
}

# Prometheus brings a server along: unpacked for its checker only.
metrics_please_prometheus() {
    mkdir -p archive root/{config,persist,run,etc}
    chmod 777 archive
    (cd archive && apt-get download -q prometheus) >apt.log 2>&1 || { cat apt.log; return 1; }
    dpkg-deb -x archive/prometheus_*.deb prometheus
    "$BUILD/bin/idmode" --root root --tcti none boot
    "$BUILD/bin/idmode" --root root status --format prometheus | prometheus/usr/bin/promtool check metrics
}

c_program_is_built_with_what_dev_brings() {
    local dir
    dir=$(packages)
    dpkg-deb -x "$dir"/libidmode0_*.deb "$WORK/root"
    dpkg-deb -x "$dir"/libidmode-dev_*.deb "$WORK/root"
    local flags libraries
    libraries=$(dirname "$(find "$WORK/root" -name libidmode.so)")
    flags=$(PKG_CONFIG_PATH=$libraries/pkgconfig pkg-config --define-variable=libdir="$libraries" \
        --define-variable=includedir="$WORK/root/usr/include" --cflags --libs idmode)
    # shellcheck disable=SC2086 # several words
    gcc "$SOURCE/examples/client.c" -o client $flags -lssl -lcrypto
    { LD_LIBRARY_PATH=$libraries ./client || true; } 2>&1 | grep -i usage
}

"$1"
