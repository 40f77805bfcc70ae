#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# drive.sh BIN DIR [FORGE] - devices with chips of their own against the control plane: what it accepts, what it
# refuses and with which word. BIN: where idmode, idmode-verify and control-plane are; DIR: an empty directory.
# FORGE: a program that plays a chip in software (tests/attest/idm_forge.c). Prints a line for each step; exit 1 at
# the first that goes another way.
set -euo pipefail

bin=$1 dir=$2 forge=${3:-}
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
tests=$here/../../tests/attest
pids=()

stop() {
    kill "${pids[@]}" 2>/dev/null || true
}
trap stop EXIT

fail() {
    printf 'drive: %s\n' "$*" >&2
    exit 1
}

# ---- chips and devices ---------------------------------------------------------------------------

# wait_for FILE [TEXT]: until it is there (and holds the text).
wait_for() {
    local i
    for ((i = 0; i < 600; i++)); do
        if [[ -e $1 ]] && { [[ -z ${2:-} ]] || grep -q "$2" "$1"; }; then
            return
        fi
        sleep 0.1
    done
    fail "$1 did not come"
}

# chip NAME MAKER: a chip from that maker, switched on.
chip() {
    mkdir "$dir/$1.state"
    swtpm_setup --tpm2 --tpmstate "$dir/$1.state" --create-ek-cert --config "$dir/$2/setup.conf" \
        >/dev/null 2>&1 || fail "no chip from $2"
    switch_on "$1"
}

switch_on() {
    rm -f "$dir/$1.tpm" "$dir/$1.tpm.ctrl"
    swtpm socket --tpm2 --tpmstate "dir=$dir/$1.state" --server "type=unixio,path=$dir/$1.tpm" \
        --ctrl "type=unixio,path=$dir/$1.tpm.ctrl" --flags not-need-init,startup-clear >/dev/null 2>&1 &
    pids+=($!)
    wait_for "$dir/$1.tpm"
}

# device NAME: a disk.
device() {
    mkdir -p "$dir/$1".disk/{config,persist,run,etc/idmode}
}

# on DISK CHIP COMMAND…: idmode of that disk on that chip.
on() {
    local disk=$1 chip=$2
    shift 2
    IDMODE_ROOT=$dir/$disk.disk IDMODE_TCTI=swtpm:path=$dir/$chip.tpm "$bin/idmode" "$@"
}

# ---- the protocol --------------------------------------------------------------------------------

# request METHOD PATH FILE: the answer in $dir/answer, its status on stdout.
request() {
    curl -s -o "$dir/answer" -w '%{http_code}' -X "$1" --data-binary "@$3" \
        -H 'Content-Type: application/json' "http://127.0.0.1:$port$2"
}

# enrol NAME EK AK: the first round. Leaves $dir/session, nonce, credential.
enrol() {
    jq -n --arg device "$1" --slurpfile ek "$2" --slurpfile ak "$3" \
        '{device: $device, ek: $ek[0], ak: $ak[0]}' >"$dir/request"
    [[ $(request POST /enrol "$dir/request") == 200 ]] || return 1
    jq -r .session "$dir/answer" >"$dir/session"
    jq -r .nonce "$dir/answer" >"$dir/nonce"
    jq -r .credential "$dir/answer" | base64 -d >"$dir/credential"
}

# answer FILE: the second round.
answer() {
    [[ $(request POST "/evidence/$(cat "$dir/session")" "$1") == 200 ]]
}

# attest NAME DISK CHIP [OPTION…]: both rounds.
attest() {
    local name=$1 disk=$2 chip=$3
    shift 3
    on "$disk" "$chip" attest ek >"$dir/ek.json"
    on "$disk" "$chip" attest ak >"$dir/ak.json"
    enrol "$name" "$dir/ek.json" "$dir/ak.json" || return 1
    on "$disk" "$chip" attest evidence --nonce "$(cat "$dir/nonce")" \
        --credential "$dir/credential" "$@" >"$dir/evidence.json"
    answer "$dir/evidence.json"
}

accepted() { # WHAT RESULT
    [[ $(jq -r .result "$dir/answer") == "$2" ]] || fail "$1: $(cat "$dir/answer")"
    printf 'accepted  %-58s %s\n' "$1" "$2"
}

refused() { # WHAT WORD
    [[ $(jq -r .refused "$dir/answer") == "$2" ]] || fail "$1: $(cat "$dir/answer")"
    printf 'refused   %-58s %s\n' "$1" "$2"
}

# ---- what happens --------------------------------------------------------------------------------

"$tests/ca.sh" "$dir/maker"
"$tests/ca.sh" "$dir/stranger"
"$bin/control-plane" "$dir/maker/both.pem" "$dir/fleet.db" >"$dir/server.out" &
pids+=($!)
wait_for "$dir/server.out" listening
port=$(sed -n 's/^listening on //p' "$dir/server.out")

chip a maker && device a && on a a boot -q
chip b maker && device b && on b b boot -q
attest gateway-a a a || true
accepted "a new device, by its chip's certificate" enrolled
cp "$dir/evidence.json" "$dir/old-evidence.json"
cp "$dir/ek.json" "$dir/a-ek.json"
cp "$dir/session" "$dir/old-session"
attest gateway-a a a || true
accepted "the same device again" proven
attest gateway-b b b || true
accepted "a second device" enrolled

# Replays.
cp "$dir/old-session" "$dir/session"
! answer "$dir/old-evidence.json" || fail "a replay was taken"
refused "the first answer again, to its own challenge" nonce
enrol gateway-a "$dir/a-ek.json" <(on a a attest ak) || fail "no challenge: $(cat "$dir/answer")"
! answer "$dir/old-evidence.json" || fail "a replay was taken"
refused "the first answer again, to a new challenge" nonce

# A cloned disk.
cp -a "$dir/a.disk" "$dir/clone.disk"
on clone b boot -q 2>/dev/null && fail "a clone boots"
! attest gateway-a clone b 2>/dev/null || fail "a clone was taken"
printf 'refused   %-58s %s\n' "a copy of the disk on another chip, by idmode itself" held
enrol gateway-a "$dir/a-ek.json" <(on b b attest ak) || fail "no challenge: $(cat "$dir/answer")"
! on b b attest evidence --nonce "$(cat "$dir/nonce")" --credential "$dir/credential" \
    >"$dir/evidence.json" 2>/dev/null || fail "the wrong chip opened a credential"
on b b attest evidence --nonce "$(cat "$dir/nonce")" >"$dir/evidence.json"
! answer "$dir/evidence.json" || fail "a clone was taken"
refused "another chip that shows this one's certificate" nonce

# A swapped chip.
on b b attest ek >"$dir/ek.json"
on b b attest ak >"$dir/ak.json"
! enrol gateway-a "$dir/ek.json" "$dir/ak.json" || fail "a swapped chip was taken"
refused "a good chip in the place of the one that is known" ek

# Makers.
chip c stranger && device c && on c c boot -q
! attest gateway-c c c || fail "a stranger's chip was taken"
refused "a chip of a maker that is not trusted" ek
mkdir "$dir/d.state" && switch_on d && device d && on d d boot -q
! attest gateway-d d d || fail "a chip without a certificate was taken"
refused "a chip without a certificate" no-certificate

# Software in place of a chip.
if [[ -n $forge ]]; then
    "$forge" ak "$dir/forged" >"$dir/ak.json"
    enrol gateway-a "$dir/a-ek.json" "$dir/ak.json" || fail "no challenge: $(cat "$dir/answer")"
    "$forge" evidence "$dir/forged" "$(cat "$dir/nonce")" >"$dir/evidence.json"
    ! answer "$dir/evidence.json" || fail "a software AK was taken"
    refused "a software AK beside a copied EK certificate" nonce
fi

# A migration: an old device, known by its software key's certificate.
chip e maker && device e
openssl ecparam -name prime256v1 -genkey -out "$dir/e.disk/config/device.key.pem" 2>/dev/null
openssl req -x509 -new -key "$dir/e.disk/config/device.key.pem" -subj /CN=old-device -days 365 \
    -out "$dir/e.disk/config/device.cert.pem" 2>/dev/null
on e e boot -q
[[ $(request PUT /devices/gateway-e "$dir/e.disk/config/device.cert.pem") == 201 ]] ||
    fail "not registered: $(cat "$dir/answer")"
on e e migrate prepare -q
attest gateway-e e e --prepared || true
accepted "an old device that moves to its chip" migrated
on e e migrate commit -q
attest gateway-e e e || true
accepted "the same after the move" proven

# A new identity in a chip that is known: nobody vouches for it.
on a a factory-reset --yes -q 2>/dev/null
! attest gateway-a a a || fail "a stranger's identity was taken"
refused "a new identity after a factory reset" successor
curl -s -X DELETE "http://127.0.0.1:$port/devices/gateway-a" >/dev/null
attest gateway-a a a || true
accepted "the same, once an operator forgot the old one" enrolled
