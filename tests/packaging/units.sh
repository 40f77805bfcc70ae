# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Cases of package_units.c: see package_script.h.

# What `cmake --install` makes, below $WORK/installed.
install_all() {
    DESTDIR=$WORK/installed cmake --install "$BUILD" --prefix /usr >install.log 2>&1 ||
        { cat install.log; return 1; }
}

units() {
    (cd "$WORK/installed/usr/lib/systemd/system" && ls -- *.service *.socket *.path *.timer)
}

installed_programs_find_each_other() {
    install_all
    local usr=$WORK/installed/usr program
    for program in bin/idmode bin/idmode-signd libexec/idmode/bootenv lib/idmode/hooks/rauc/pre-install; do
        [[ -x $usr/$program ]] || { echo "not installed: $program"; return 1; }
    done
    [[ -f $usr/libexec/idmode/core ]] || { echo "not installed: what idmode loads"; return 1; }
    "$usr/bin/idmode" --version --json | jq -e .record_format
    [[ $("$usr/bin/idmode" mode --root "$WORK") == unknown ]]
    "$usr/bin/idmode-signd" --version
    find "$usr" -name idmode.so -path '*/ossl-modules/*' | grep .
    find "$usr" -name 'libidmode.so.0' | grep .
    [[ -f $usr/include/idmode.h && -f $usr/share/idmode/openssl.cnf ]]
    # Beside the programs, nothing may run or be written by others than root.
    find "$usr" -perm /022 -not -type l | { ! grep .; }
}

# The targets of systemd itself, which our units name.
install_targets() {
    cp /lib/systemd/system/*.target "$WORK/installed/usr/lib/systemd/system/"
}

# verify [UNIT…]: what systemd-analyze complains about; its exit code says too little.
verify() {
    local said
    said=$(cd "$WORK/installed/usr/lib/systemd/system" && systemd-analyze verify --man=no \
        --root="$WORK/installed" "$@" 2>&1) || said+=" (it failed)"
    printf '%s' "$said"
}

systemd_has_nothing_to_say() {
    install_all
    install_targets
    local unit said
    for unit in $(units); do
        said=$(verify "/usr/lib/systemd/system/$unit")
        [[ -z $said ]] || { echo "$unit: $said"; return 1; }
    done
    # Drop-ins for units of others.
    printf '[Service]\nExecStart=/bin/true\n' >"$WORK/installed/usr/lib/systemd/system/rauc-mark-good.service"
    mkdir -p "$WORK/installed/bin" && cp /bin/true "$WORK/installed/bin/"
    said=$(verify /usr/lib/systemd/system/rauc-mark-good.service)
    [[ -z $said ]] || { echo "rauc-mark-good.service: $said"; return 1; }
    [[ $(units | wc -l) -ge 4 ]]
}

systemd_would_have_said_so() {
    install_all
    install_targets
    local unit=$WORK/installed/usr/lib/systemd/system/idmode-boot.service
    sed -i 's/^LockPersonality=/LokPersonality=/' "$unit"
    verify /usr/lib/systemd/system/idmode-boot.service | grep -q LokPersonality
    sed -i '/^LokPersonality=/d' "$unit"
    rm "$WORK/installed/usr/bin/idmode"
    verify /usr/lib/systemd/system/idmode-boot.service | grep -q 'usr/bin/idmode'
}

# The highest exposure level that a unit may have, from 0 to 10 (systemd-analyze security); a new
# service needs a row.
limit_of() {
    case $1 in
    idmode-boot.service) echo 2.7 ;;     # files of root, the chip, read-only file systems that it opens
    idmode-clock.service) echo 2.7 ;;    # the same program
    idmode-commit.service) echo 2.7 ;;   # the same program
    idmode-signd.service) echo 1.5 ;;    # the chip, and nothing else
    idmode-watch.service) echo 3.0 ;;    # starts the first
    idmode-reload.service) echo 2.5 ;;   # signals, and systemctl
    *) echo "$1 has no limit" >&2 && return 1 ;;
    esac
}

each_service_is_exposed_little() {
    install_all
    local unit limit tenths said
    for unit in $(units | grep 'service$'); do
        limit=$(limit_of "$unit")
        tenths=$(tr -d . <<<"$limit")
        said=$(systemd-analyze security --offline=yes --threshold="$tenths" \
            "$WORK/installed/usr/lib/systemd/system/$unit") ||
            { echo "$unit is exposed more than $limit:"; tail -n 1 <<<"$said"; return 1; }
        tail -n 1 <<<"$said"
    done
    # A limit that nothing exceeds is none.
    ! systemd-analyze security --offline=yes --threshold=1 \
        "$WORK/installed/usr/lib/systemd/system/idmode-boot.service" >/dev/null
}

# Services that run the engine: the rules at the top of idmode-boot.service.
engine_units() {
    grep -l -E '^ExecStart=.*/idmode(-watch)?( |$)' "$SOURCE"/packaging/systemd/*.service
}

no_sandbox_makes_a_directory_look_mounted() {
    [[ $(engine_units | wc -l) -ge 2 ]]
    local bad='^(ReadWritePaths|ReadOnlyPaths|BindPaths|BindReadOnlyPaths|StateDirectory|TemporaryFileSystem|InaccessiblePaths|ExecPaths|NoExecPaths|RootDirectory|RootImage|MountImages|ExtensionImages)=|^ProtectSystem=strict'
    engine_units | xargs grep -H -E "$bad" && return 1
    # Devices that the driver brings late, and raw boot environments.
    engine_units | xargs grep -H -E '^(PrivateDevices=y|ProtectClock=y|DevicePolicy=|DeviceAllow=)' && return 1
    # It takes openat2(2) away, by which every path stays below its root.
    engine_units | xargs grep -H -E '^RestrictSUIDSGID=y' && return 1
    return 0
}

no_boot_waits_for_what_may_be_missing() {
    engine_units | xargs grep -H -E '^(Requires|Requisite|BindsTo|RequiresMountsFor)=|dev-tpm.*\.device' && return 1
    grep -q -x 'DefaultDependencies=no' "$SOURCE/packaging/systemd/idmode-boot.service"
    grep -q -x 'SuccessExitStatus=3' "$SOURCE/packaging/systemd/idmode-boot.service"
}

# idmode ends when it has started the hooks: a unit that ends with it must not take them along before they
# have moved out.
no_unit_kills_hooks_as_it_ends() {
    local unit count=0
    for unit in $(engine_units | xargs grep -l -x 'Type=oneshot'); do
        count=$((count + 1))
        grep -q -x -E 'RemainAfterExit=yes|KillMode=process' "$unit" || { echo "kills hooks: $unit"; return 1; }
    done
    [[ $count -ge 3 ]]
}

# Before anything looks at the clock; afterwards nothing that was set would be missed.
clock_that_is_set_later_is_noticed() {
    install_all
    local units=$WORK/installed/usr/lib/systemd/system
    grep -q -x OnClockChange=yes "$units/idmode-clock.timer"
    grep -q -x DefaultDependencies=no "$units/idmode-clock.timer"
    grep -q -x Before=idmode-boot.service "$units/idmode-clock.timer"
    grep -q -x 'ExecStart=/usr/bin/idmode boot' "$units/idmode-clock.service"
    [[ $(grep -c '^RemainAfterExit=' "$units/idmode-clock.service") == 0 ]] # it would run once only
}

# systemd looks a driver's name up in /proc/devices when the unit starts, and never again.
drivers_of_allowed_devices_are_loaded_before() {
    local unit driver word count=0
    for unit in "$SOURCE"/packaging/systemd/*.service; do
        while read -r driver; do
            count=$((count + 1))
            for word in Wants After; do
                grep -q -E "^$word=(.* )?modprobe@$driver\.service( |$)" "$unit" ||
                    { echo "$unit: no $word=modprobe@$driver.service"; return 1; }
            done
        done < <(sed -n 's/^DeviceAllow=char-\([a-z]*\) .*/\1/p' "$unit")
    done
    [[ $count -ge 1 ]]
}

# Whoever signs without the broker asks a socket first that is there.
stopped_socket_is_gone() {
    local unit count=0
    for unit in "$SOURCE"/packaging/systemd/*.socket; do
        grep -q -E '^Listen[A-Za-z]+=/' "$unit" || continue
        count=$((count + 1))
        grep -q -x RemoveOnStop=yes "$unit" || { echo "stays when it is stopped: $unit"; return 1; }
    done
    [[ $count -ge 1 ]]
}

group_and_run_directory_are_made() {
    install_all
    mkdir -p root/etc root/run
    touch root/etc/group root/etc/passwd
    systemd-sysusers --root="$WORK/root" "$WORK/installed/usr/lib/sysusers.d/idmode.conf"
    grep '^idmode:' root/etc/group
    systemd-tmpfiles --root="$WORK/root" --create "$WORK/installed/usr/lib/tmpfiles.d/idmode.conf"
    [[ $(stat -c '%a %u' root/run/idmode) == '755 0' ]]
    [[ $(find root -mindepth 1 -type d | sort | tr '\n' ' ') == 'root/etc root/run root/run/idmode ' ]]
}

"$1"
