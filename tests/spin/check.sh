#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# check.sh IDMODE-LAB [hold|spoil] [FAULTS CUTS DEEDS] - has SPIN look at every life that device.pml
# allows.
#
#   hold    the machine as it is: all formulas hold
#   spoil   machines with one mistake each: SPIN must find what is wrong, or it sees nothing
set -euo pipefail

LAB=$(readlink -f "$1")
WHAT=${2:-hold}
FAULTS=${3:-1}
CUTS=${4:-1}
DEEDS=${5:-2}
HERE=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
WORK=$(mktemp -d)
trap 'rm -rf -- "$WORK"' EXIT
cd "$WORK"

# build NAME EXTRA-CFLAG...: pan.NAME from device.pml and the machine.pml in place
build() {
    local name=$1
    shift
    spin "-DFAULTS=$FAULTS" "-DCUTS=$CUTS" "-DDEEDS=$DEEDS" -a device.pml >spin.txt 2>&1 || {
        cat spin.txt >&2
        return 1
    }
    gcc -O1 -w -DNOREDUCE -DCOLLAPSE -DVECTORSZ=2048 "$@" -o "pan.$name" pan.c
}

# run NAME FORMULA OPTION...: 0 it holds, 1 it does not
run() {
    local name=$1 formula=$2
    shift 2
    "./pan.$name" -m1000000 -n -N "$formula" "$@" >"$formula.txt" 2>&1 || true
    grep -q 'max search depth too small\|out of memory' "$formula.txt" && {
        echo "spin: $formula: the search was cut off" >&2
        exit 2
    }
    grep -q 'errors: [0-9]' "$formula.txt" || {
        echo "spin: $formula: the search did not come to an end" >&2
        exit 2
    }
    grep -q 'errors: 0' "$formula.txt"
}

states() {
    sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$1.txt"
}

# What went wrong, in the words of the table.
explain() {
    local formula
    for formula in i1_view i2_cause i2_epoch i2_minted i4_fallback i3_proof i6_exposure i7_marker i8_dead \
        i9_settles i10_alarm table_ends table_never; do
        run safe "$formula" || printf 'spin: %s does not hold:\n' "$formula"
        [[ ! -f device.pml.trail ]] || break
    done
    "./pan.safe" -r -n -N "$formula" 2>&1 | awk '
        FNR == NR { if (match($2, /^[EPA]_/) && $1 == "#define") word[substr($2, 1, 2) $3] = substr($2, 3); next }
        /request [0-9]+: event/ { sub(",", "", $6); print "  " word["E_" $6] " -> " word["P_" $8] }
        /^ *action / { print "      " word["A_" int($2 / 10)] ($2 % 10 ? " fails" : "") }
        /^ *off:/ { print }' machine.pml -
}

# spoil NAME SED-PROGRAM: the machine with one mistake in it must be found out.
spoil() {
    "$LAB" diagram --format promela >whole.pml
    sed -E "$2" whole.pml >machine.pml
    if cmp -s whole.pml machine.pml; then
        echo "spin: the mistake \"$1\" changes nothing any more: check.sh no longer fits the table" >&2
        exit 1
    fi
    build spoilt -DSAFETY
    if run spoilt safety; then
        echo "spin: the mistake \"$1\" was not found" >&2
        exit 1
    fi
    echo "spin: found: $1"
}

# number WORD: of a word in the printed machine
number() {
    "$LAB" diagram --format promela | sed -n "s/^#define $1 //p"
}

# exchange PLAN FIRST SECOND: a sed program that exchanges two actions of a plan
exchange() {
    local plan first second
    plan=$(number "P_$1")
    first=$(number "A_$2")
    second=$(number "A_$3")
    printf '/plan == %s /{s/action = %s$/action = X/;s/action = %s$/action = %s/;s/action = X$/action = %s/}' \
        "$plan" "$first" "$second" "$first" "$second"
}

# The rows that the model says nothing about are never raised in it: they are named.
hold() {
    "$LAB" diagram --format promela >machine.pml
    grep -o 'raised_[a-z_]* false' machine.pml | sed 's/^raised_//; s/ false$//' | sort >rows.txt
    while read -r row; do
        grep -q "^#define raised_$row\\b" device.pml || printf '%s\n' "$row"
    done <rows.txt >unmodelled.txt
    build safe -DSAFETY
    run safe safety || {
        explain
        exit 1
    }
    echo "spin: safety holds in $(states safety) states"
    build live
    run live i8_ends -a || {
        echo "spin: i8_ends does not hold: a factory reset may go on for ever" >&2
        exit 1
    }
    echo "spin: every reset ends, in $(states i8_ends) states"
    echo "spin: $(wc -l <rows.txt) rows, $(wc -l <unmodelled.txt) of them outside this model:" \
        "$(tr '\n' ' ' <unmodelled.txt)"
}

spoil_each() {
    spoil 'the increment before the record that stages the switch' \
        "$(exchange provision make_counter record_staged)"
    spoil 'the record of the new state before its increment' \
        "$(exchange activate_alone increment_counter record_next)"
    spoil 'an identity in the chip given up because the chip is away' \
        '/^inline row_tpm_missing/,/^}/s/r_state == 5 -> kind = [0-9]+; next = [0-9]+/r_state == 5 -> kind = 1; next = 2/'
    spoil 'an announced downgrade that leaves the key sealed' \
        '/^inline row_pre_install_legacy/,/^}/s/(r_state == 5 -> kind = 1; next = )[0-9]+; plan = [0-9]+/\15; plan = '"$(number P_open_install)/"
    spoil 'a pair that a legacy image made is overwritten' \
        '/^inline row_legacy_pair_changed/,/^}/s/(r_state == 2 -> kind = 1; next = 2); plan = [0-9]+/\1; plan = '"$(number P_note_deletion)/"
}

cp "$HERE/device.pml" .
case $WHAT in
hold) hold ;;
spoil) spoil_each ;;
*)
    echo "spin: hold or spoil, not $WHAT" >&2
    exit 2
    ;;
esac
