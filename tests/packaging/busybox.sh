# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Cases of package_units.c: the script for BusyBox's init, run by BusyBox with its own applets.

readonly SCRIPT=$SOURCE/packaging/busybox/S20idmode

# A device without a TPM, and only BusyBox beside our programs.
make_device() {
    mkdir -p applets root/{config,persist,run,etc}
    ln -s "$(command -v busybox)" applets/
    busybox --install -s applets
    export IDMODE_ROOT=$WORK/root IDMODE_TCTI=none PATH=$WORK/programs:$WORK/applets
    mkdir programs
    ln -s "$BUILD/bin/idmode" "$BUILD/bin/idmode-signd" programs/
    trap 'busybox sh "$SCRIPT" stop' EXIT
}

script() {
    busybox sh "$SCRIPT" "$1"
}

# wait_until COMMAND…: for 30 s, an event of another process.
wait_until() {
    local i
    for ((i = 0; i < 300; i++)); do
        "$@" && return 0
        sleep 0.1
    done
    echo "never true: $*"
    return 1
}

ended() {
    [[ ! -e /proc/$1 ]]
}

boots_a_device_and_starts_what_is_installed() {
    make_device
    script start
    [[ $(idmode mode) == software ]]
    wait_until test -S root/run/idmode/sign.sock
    local pid
    pid=$(cat root/run/idmode-signd.pid)
    grep -q idmode-signd "/proc/$pid/cmdline"
    [[ ! -e root/run/idmode-watch.pid ]]
    script restart
    wait_until ended "$pid"
    wait_until test -S root/run/idmode/sign.sock
    pid=$(cat root/run/idmode-signd.pid)
    script stop
    wait_until ended "$pid"
    [[ ! -e root/run/idmode-signd.pid ]]
    script stop
}

# The file system that belongs on /config is missing.
device_that_is_held_still_boots() {
    make_device
    echo "/dev/nothing $WORK/none ext4 defaults 0 0" >root/etc/fstab
    echo "/dev/nothing /config ext4 defaults 0 0" >>root/etc/fstab
    script start 2>said
    grep config-dir-unreadable said
    [[ $(idmode mode) == unknown ]]
    wait_until test -S root/run/idmode/sign.sock
}

failure_is_said() {
    make_device
    rm programs/idmode
    local code=0
    script start 2>said || code=$?
    [[ $code != 0 ]]
    code=0
    script dance 2>said || code=$?
    [[ $code == 2 ]]
    grep usage: said
}

"$1"
