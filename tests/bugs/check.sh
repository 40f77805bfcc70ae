#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# check.sh - does the scenario library see the bugs that were seen in the field?
#
#   tests/bugs/field-NN-….patch   one deliberate bug each: `Row:` in the field's list, `Bug:` in a
#                                 sentence, `Fails:` a scenario that must fail, a line for each
#
#   sources ──copy──► scratch ──patch──► build idmode-lab ──► replay the library, simulated world
#
# Every named scenario must fail with the bug and pass without it; more may fail. Exit code 0: all do.
# Arguments name the patches to try; without any, all of them. `--applies` only looks whether each still
# fits the sources: they change, and the bugs must change with them.
set -euo pipefail

HERE=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
ROOT=$(readlink -f "$HERE/../..")
readonly HERE ROOT
readonly JOBS=2

SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT
readonly COPY=$SCRATCH/idmode
export GIT_CEILING_DIRECTORIES=$SCRATCH # no repository around it: `git apply` works on plain files

bad=0

complain() {
    printf 'not ok: %s\n' "$*"
    bad=$((bad + 1))
}

copy_sources() {
    mkdir "$COPY"
    tar -C "$ROOT" --exclude=./build --exclude='./build-*' --exclude=./.git -cf - . | tar -C "$COPY" -xf -
}

# Says nothing when it works; else the compiler's words. An error is a failure, not a found bug.
build() {
    (cd "$COPY" && cmake --preset dev && cmake --build build --target idmode-lab -j "$JOBS") \
        >"$SCRATCH/build.log" 2>&1 && return
    grep -E 'error|FAILED' "$SCRATCH/build.log" | head -n 10
    return 1
}

# The names of the scenarios that fail, one a line. A replay that ends in another way than passed (0)
# or failed (1) is none.
failing() {
    local rc=0
    "$COPY/build/bin/idmode-lab" replay --world sim --tap "$COPY/tests/scenarios" >"$SCRATCH/tap" 2>&1 || rc=$?
    if ((rc > 1)) || ! grep -q '^ok ' "$SCRATCH/tap"; then
        printf 'check.sh: the replay ended with %d\n' "$rc" >&2
        tail -n 5 "$SCRATCH/tap" >&2
        return 1
    fi
    sed -n 's/^not ok [0-9]* - \([^ ]*\) .*/\1/p' "$SCRATCH/tap"
}

# Before anything is built: a patch that does not apply is no bug that was found.
check_applies() {
    local patch
    for patch in "$@"; do
        (cd "$COPY" && git apply --check "$patch") >"$SCRATCH/apply.log" 2>&1 && continue
        complain "$(basename "$patch" .patch): the patch does not apply any more (make the same bug in the" \
            "sources as they are now): $(head -n 1 "$SCRATCH/apply.log")"
    done
    ((bad == 0))
}

header() {
    sed -n "/^diff /q; s/^$2: //p" "$1"
}

check_patch() {
    local patch=$1 name scenario count
    name=$(basename "$patch" .patch)
    (cd "$COPY" && git apply "$patch")
    if ! build; then
        complain "$name: the sources do not build with the bug"
    elif failing >"$SCRATCH/failing"; then
        count=$(wc -l <"$SCRATCH/failing")
        [[ -n $(header "$patch" Fails) ]] || complain "$name: it names no scenario that must fail"
        while read -r scenario; do
            if ! [[ -f $COPY/tests/scenarios/$scenario.yaml ]]; then
                complain "$name: there is no scenario $scenario"
            elif ! grep -qxF "$scenario" "$SCRATCH/failing"; then
                complain "$name: $scenario passes with the bug in the sources"
            fi
        done < <(header "$patch" Fails)
        printf '%s: %s: %d scenarios fail\n' "$name" "$(header "$patch" Bug)" "$count"
    else
        complain "$name: the library could not be replayed"
    fi
    (cd "$COPY" && git apply -R "$patch")
}

main() {
    local only_apply='' patches patch
    if [[ ${1:-} == --applies ]]; then
        only_apply=yes
        shift
    fi
    patches=("$@")
    ((${#patches[@]})) || patches=("$HERE"/*.patch)
    for patch in "${!patches[@]}"; do
        patches[patch]=$(readlink -f "${patches[patch]}")
    done
    copy_sources
    check_applies "${patches[@]}" || exit 1
    [[ -z $only_apply ]] || exit 0
    build || {
        complain "the sources do not build"
        exit 1
    }
    failing >"$SCRATCH/failing" || exit 1
    if [[ -s $SCRATCH/failing ]]; then
        complain "scenarios fail without any bug:" "$(tr '\n' ' ' <"$SCRATCH/failing")"
        exit 1
    fi
    for patch in "${patches[@]}"; do
        check_patch "$patch"
    done
    printf '%d bugs, %d complaints\n' "${#patches[@]}" "$bad"
    ((bad == 0))
}

main "$@"
