# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Cases of package_manual.c: see package_script.h.

readonly MAN=$SOURCE/man

# page NAME SECTION: its text, on lines that are long.
page() {
    MANWIDTH=500 MANROFFOPT='' man -l "$MAN/man$2/$1.$2" 2>/dev/null | col -bx | sed "s/‐/-/g; s/−/-/g"
}

# has NAME SECTION WORD…: each word stands in the page.
has() {
    local name=$1 section=$2 word text
    shift 2
    text=$(page "$name" "$section")
    for word in "$@"; do
        grep -q -w -F -e "$word" <<<"$text" || { echo "$name($section) does not have: $word"; return 1; }
    done
}

formatters_have_nothing_to_say() {
    local file said
    cd "$MAN" || return # pages that stand for others name them from here
    while IFS= read -r file; do
        said=$(man --warnings -l "$file" 2>&1 >/dev/null)
        [[ $(head -c 4 "$file") == .so\  ]] || said+=$(mandoc -T lint -W warning "$file" 2>&1) || true
        [[ -z $said ]] || { echo "$file: $said"; return 1; }
    done < <(find . -name '*.[1-8]')
    # They would.
    cd "$WORK" || return
    printf '.TH x 8\n.SH NAME\n.NoSuchMacro\n' >x.8
    [[ -n $(mandoc -T lint -W warning x.8 2>&1) ]]
}

everything_installed_has_a_page() {
    DESTDIR=$WORK/installed cmake --install "$BUILD" --prefix /usr >/dev/null
    local path name
    for path in "$WORK"/installed/usr/bin/* "$BUILD/bin/idmode-lab" "$WORK"/installed/usr/lib/systemd/system/*.*; do
        name=$(basename "$path")
        [[ ! -d $path ]] || continue
        case $name in
        idmode-lab | idmode-verify) [[ -e $MAN/man1/$name.1 || -e $MAN/man8/$name.8 ]] ;;
        idmode-signd.s* | idmode-watch.s*) [[ -e $MAN/man8/${name%.*}.8 ]] ;;
        *.path | *.timer) [[ -e $MAN/man8/${name%.*}.service.8 ]] ;;
        *) [[ -e $MAN/man8/$name.8 ]] ;;
        esac || { echo "no page: $name"; return 1; }
    done
    for name in idmode.conf idmode-status; do
        [[ -e $MAN/man5/$name.5 ]]
    done
}

commands_and_options_are_those_of_the_program() {
    local words
    mapfile -t words < <("$BUILD/bin/idmode" --help | grep -o -E -e '--[a-z-]+' | sort -u)
    [[ ${#words[@]} -gt 15 ]]
    has idmode 8 "${words[@]}"
    mapfile -t words < <("$BUILD/bin/idmode" --help | sed -n 's/^  \([a-z-]*\).*/\1/p' | sort -u)
    [[ ${#words[@]} -gt 10 ]]
    has idmode 8 "${words[@]}"
    mapfile -t words < <(for verb in replay verify diagram; do
        "$BUILD/bin/idmode-lab" $verb --help | grep -o -E -e '--[a-z-]+'
    done | sort -u)
    has idmode-lab 1 "${words[@]}"
    mapfile -t words < <("$BUILD/bin/idmode-verify" --help | grep -o -E -e '--[a-z-]+' | sort -u)
    [[ ${#words[@]} -gt 15 ]]
    has idmode-verify 1 "${words[@]}"
}

# "key = default" of each row, in the order in which idmode knows them.
configuration_is_that_of_the_program() {
    local text key standard count=0
    text=$(page idmode.conf 5)
    while IFS=$'\t' read -r key standard; do
        count=$((count + 1))
        grep -q -x -F -e "       $key = $standard" -e "       $key =$standard" <<<"$text" ||
            { echo "idmode.conf(5) does not have: $key = $standard"; return 1; }
    done < <(tr '\n' ' ' <"$SOURCE/backends/platform/settings_rows.c" | grep -o -E \
        '(PATH|BOOL)\("[a-z]+", "[a-z-]+", [a-z_]+, "[^"]*"|WORD\("[a-z]+", "[a-z-]+", [a-z_]+, "[^"]*"|HANDLE\("[a-z-]+", [a-z_]+, "[^"]*"|\.key = "[a-z-]+", +\.kind = [A-Z_]+, +FIELD\([a-z_]+\), +\.standard = "[^"]*"' |
        sed -E 's/^(PATH|BOOL|WORD)\("[a-z]+", //; s/^HANDLE\(//; s/^\.key = //; s/^"([a-z-]+)".*"([^"]*)"$/\1\t\2/')
    [[ $count -ge 30 ]] || { echo "only $count keys found"; return 1; }
}

reasons_are_those_of_the_program() {
    local words
    mapfile -t words < <(jq -r '."$defs".reason.enum[]' "$SOURCE/share/idmode/status.schema.json")
    [[ ${#words[@]} -ge 30 ]]
    has idmode-status 5 "${words[@]}"
    # The schema's are the state machine's.
    # shellcheck disable=SC2016 # the backticks are the page's
    diff <(printf '%s\n' "${words[@]}" | sort) \
        <("$BUILD/bin/idmode-lab" diagram --format markdown | sed -n '/^## Reasons/,/^## /s/^| `\([a-z-]*\)` |.*/\1/p' | sort)
}

# Sections 3, 7 and 8: tests/tls/tls_man.c.
pages_that_are_named_exist() {
    local name section
    while read -r name section; do
        [[ -e $MAN/man$section/$name.$section ]] || { echo "$name($section)"; return 1; }
    done < <(grep -hoE '(lib)?idmode[a-z_.\\-]* ?\([15]\)' "$MAN"/man*/* | tr -d ' \\()' | sort -u | sed 's/\(.\)$/ \1/')
    while read -r name section; do
        [[ -e $MAN/man$section/$name.$section ]] || { echo "in a unit: $name($section)"; return 1; }
    done < <(grep -hoE 'man:[a-z.-]+\([1-8]\)' "$SOURCE"/packaging/systemd/* | sed 's/man:\(.*\)(\(.\))/\1 \2/' | sort -u)
}

# ---- completion ----

# completes LINE: the words that bash offers after it.
completes() {
    bash --norc -c '
        . "$1"
        PATH=$2:$PATH
        read -r -a COMP_WORDS <<<"$3"
        [[ $3 != *" " ]] || COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _idmode_complete
        printf "%s\n" "${COMPREPLY[@]}"' - "$SOURCE/packaging/completions/idmode.bash" "$BUILD/bin" "$1" | sort
}

bash_completes_commands_and_options() {
    diff <(completes 'idmode ') <("$BUILD/bin/idmode" --help | sed -n 's/^  \([a-z-]\{2,\}\) *.*/\1/p' | grep -v '^-' | sort -u)
    local command option
    # Each option that the program takes with a command is offered there.
    while read -r command option; do
        [[ $command != watch ]] || continue # a program of its own
        completes "idmode $command -" | grep -q -x -e "$option" || { echo "not offered: $command $option"; return 1; }
    done < <(sed -n 's/.*{"\([a-z-]*\)", [^,]*, [A-Z]*, AT([a-z_]*), "\([a-z -]*\)"},/\1 \2/p' "$SOURCE/cli/options.c" |
        while read -r option commands; do
            for command in ${commands:-boot}; do
                [[ $option == lines ]] && echo "$command -n" || echo "$command --$option"
            done
        done)
    diff <(completes 'idmode hook ') <(printf '%s\n' commit install-failed post-install pre-install rollback)
    diff <(completes 'idmode --root / hold clear --to ne') <(echo new-identity)
    diff <(completes 'idmode -q status --format ') <(printf '%s\n' eve json prometheus text)
    touch one.pem
    diff <(completes 'idmode cert install one') <(echo one.pem)
}

# What stands on the line after TAB, for each line of the input, in one shell that somebody seems to sit at.
zsh_completes() {
    cat >script.zsh <<'ZSH'
zmodload zsh/zpty
zpty shell "HOME=$WORK TERM=dumb zsh -f -i"
zpty -w shell 'fpath=($SOURCE/packaging/completions $fpath); autoload -U compinit && compinit -u -D'
zpty -w shell 'put-down() { print -r -- "$BUFFER" >>line; BUFFER= }; zle -N put-down; bindkey "^X" put-down'
zpty -w shell 'print ready >line'
integer wanted=1 tries
await() {
    for ((tries = 0; tries < 600; tries++)); do
        [[ -e line && $(wc -l <line) == $wanted ]] && return
        zpty -r -t shell said '*' # nobody else reads what it shows
        sleep 0.1
    done
    print -u 2 "never came: ${typed:-a prompt}"
    exit 1
}
await
while IFS= read -r typed; do
    wanted+=1
    zpty -n -w shell "$typed"$'\t\x18'
    await
done
ZSH
    IDMODE_BASH_COMPLETION=$SOURCE/packaging/completions/idmode.bash PATH=$BUILD/bin:$PATH zsh -f script.zsh
    tail -n +2 line | sed 's/ *$//'
}

zsh_completes_too() {
    mkdir directory
    touch one.pem
    zsh_completes >said <<'LINES'
idmode hook pre
idmode hook post
idmode fact
idmode -q status --format pro
idmode --root / hold clear --to ne
idmode attest activate --cred
idmode cert install one
idmode --root dir
LINES
    diff said - <<'LINES'
idmode hook pre-install
idmode hook post-install
idmode factory-reset
idmode -q status --format prometheus
idmode --root / hold clear --to new-identity
idmode attest activate --credential
idmode cert install one.pem
idmode --root directory
LINES
}

"$1"
