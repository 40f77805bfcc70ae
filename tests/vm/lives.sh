#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# lives.sh LAB OUT PLUGS - plays tests/vm/life.yaml again and again, each time with the plug pulled at other
# instants, until it was pulled so often: one machine on each processor. OUT/lives.log has a line for each
# life; those played with the same programs count and are not played again, so that an interrupted run goes
# on where it was.
#
#     OUT/lives/N.txt, N.html    what happened in life N; PROGRAMS in the log: the packages, the life and the lab
set -euo pipefail

LAB=$1
OUT=$2
PLUGS=$3
HERE=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
readonly LAB OUT PLUGS HERE
readonly LIFE=tests/vm/life.yaml LOG=$OUT/lives.log LIVES_MAX=1000
JOBS=$(nproc)
readonly JOBS

cd "$HERE/../.."
mkdir -p "$OUT/lives"
touch "$LOG"
PROGRAMS=$(cat "$OUT"/packages/*.deb "$LIFE" "$LAB" | sha256sum | cut -c 1-16)
readonly PROGRAMS

# plugs WORD: how often the plug was pulled in lives of these programs whose verdict is WORD.
plugs() {
    awk -v programs="$PROGRAMS" -v word="$1" '$1 == programs && $4 == word { n += $3 } END { print n + 0 }' "$LOG"
}

# Its last line: "passed after 8:01: 50 steps, 20 cuts".
play() {
    local life=$1 last cuts
    "$LAB" replay --world vm --seed "$life" --timeline "$OUT/lives/$life.txt" --html "$OUT/lives/$life.html" \
        "$LIFE" >"$OUT/lives/$life.log" 2>&1 || tail -n 20 "$OUT/lives/$life.log"
    last=$(tail -n 1 "$OUT/lives/$life.txt")
    [[ $last == passed\ * || $last == failed\ * ]] || { echo "life $life: no verdict: $last"; return 1; }
    cuts=${last% cuts*}
    printf '%s %s %s %s\n' "$PROGRAMS" "$life" "${cuts##* }" "${last%% *}" >>"$LOG"
    echo "life $life: $last"
}

# Who stops stops the machines too.
# shellcheck disable=SC2046
trap 'kill $(jobs -rp) 2>/dev/null || true' EXIT

for ((life = 1; life <= LIVES_MAX; life++)); do
    while (($(jobs -rp | wc -l) >= JOBS)); do wait -n || exit 1; done
    (($(plugs passed) + $(plugs failed) < PLUGS)) || break
    grep -q "^$PROGRAMS $life " "$LOG" || play "$life" &
done
wait
failed=$(grep -c "^$PROGRAMS .* failed$" "$LOG" || true)
echo "$(($(plugs passed) + $(plugs failed))) plugs pulled in $(grep -c "^$PROGRAMS " "$LOG") lives, $failed of them failed"
((failed == 0))
