#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# check.sh - are all lines and all decisions of fsm/ reached by the unit tests and the simulated scenarios?
#
#   check.sh PROGRAM OBJECT…     PROGRAM: idm-cover, the checks of tests/mutate on an fsm/ with counters
#
# A decision is reached when each condition in it was true once and false once (gcov's branches). What
# cannot be reached by construction is marked in the source, with its reason, on its line:
#
#     … /* unreached: WHY */
#
# A mark on a line that is reached is a complaint too. Prints file:line of what is not reached.
set -euo pipefail

PROGRAM=$1
shift
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT

say() {
    printf 'coverage: %s\n' "$*"
}

# FILE LINE what, for each line and branch that was never taken.
unreached() {
    jq -r '.files[] | select(.file | test("/fsm/")) | .file as $file | .lines[] | . as $line |
        (if .count == 0 then "\($file) \(.line_number) line" else empty end),
        (.branches // [] | to_entries[] | select(.value.count == 0 and $line.count > 0) |
            "\($file) \($line.line_number) decision")' "$1"
}

totals() {
    jq -r -s '[.[].files[] | select(.file | test("/fsm/")) | .lines[]] |
        "\(length) lines, \([.[].branches // [] | length] | add) outcomes of conditions"' "$@"
}

complain() {
    local file line what text bad=0
    while read -r file line what; do
        text=$(sed -n "${line}p" "$file")
        [[ $text != *'/* unreached: '* ]] || continue
        printf '%s:%s: %s not reached: %s\n' "$file" "$line" "$what" "${text#"${text%%[! ]*}"}"
        bad=$((bad + 1))
    done <"$SCRATCH/unreached"
    # Marks that are no longer true.
    while IFS=: read -r file line _; do
        grep -q "^$file $line " "$SCRATCH/unreached" && continue
        printf '%s:%s: marked as unreached, and reached\n' "$file" "$line"
        bad=$((bad + 1))
    done < <(cut -d ' ' -f 1 "$SCRATCH/files" | sort -u | xargs -r grep -n -H '/\* unreached: ' || true)
    ((bad == 0))
}

main() {
    local object i=0
    for object in "$@"; do
        rm -f "${object%.o}.gcda"
    done
    "$PROGRAM" --plain >"$SCRATCH/log" 2>&1 || {
        cat "$SCRATCH/log"
        exit 1
    }
    for object in "$@"; do
        i=$((i + 1))
        gcov --json-format --branch-probabilities --branch-counts --stdout "$object" >"$SCRATCH/$i.json"
        unreached "$SCRATCH/$i.json"
        jq -r '.files[].file | select(test("/fsm/"))' "$SCRATCH/$i.json" >>"$SCRATCH/files"
    done | sort -u >"$SCRATCH/unreached"
    say "$(totals "$SCRATCH"/*.json); $(grep -c . "$SCRATCH/unreached" || true) places unreached"
    complain
}

main "$@"
