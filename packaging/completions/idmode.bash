# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Completion of idmode(8) in bash, and in zsh (_idmode): what zsh lacks, such as mapfile, is not used.

# The command among the words so far, and how many of its own follow it.
_idmode_command() {
    local i
    command='' depth=0
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --root | --config | --tcti | --lock-timeout | --target-* | --install-id | --format | --digest | --in | --out | \
            --key | --credential | --nonce | --service | --pcrs | --reason | --to | --reset | --without-tpm | -n) ((i++)) ;;
        -*) ;;
        *)
            if [[ -z $command ]]; then
                command=${COMP_WORDS[i]}
            else
                depth=$((depth + 1))
            fi
            ;;
        esac
    done
}

# _idmode_offer OPTION…: what compgen finds for the word so far.
_idmode_offer() {
    local word
    COMPREPLY=()
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(compgen "$@" -- "$current")
}

_idmode_words() {
    _idmode_offer -W "$1"
}

_idmode_files() {
    _idmode_offer "$1"
    compopt -o filenames 2>/dev/null || true # zsh knows them by itself
}

# Words after an option; false: it takes none.
_idmode_value() {
    case $1 in
    --root) _idmode_files -d ;;
    --config | --in | --out | --key | --credential) _idmode_files -f ;;
    --tcti) _idmode_words "device:/dev/tpmrm0 none swtpm: tabrmd:" ;;
    --lock-timeout | -n | --target-version | --target-slot | --install-id | --without-tpm | --nonce | --service | --pcrs) COMPREPLY=() ;;
    --target-aware) _idmode_words "yes no unknown" ;;
    --target-format) _idmode_words "none unknown" ;;
    --format) _idmode_words "text json eve prometheus" ;;
    --digest) _idmode_words "sha256 sha384 sha512" ;;
    --reset) _idmode_words "rekey clear" ;;
    --to) _idmode_words "retry reuse legacy accept-epoch new-identity" ;;
    --reason) _idmode_words "$(idmode status --json 2>/dev/null | sed -n '/"reasons": \[/,/\]/s/.*"\([a-z-]*\)",\{0,1\}$/\1/p')" ;;
    *) return 1 ;;
    esac
}

_idmode_options() {
    local all="--root --config --tcti --lock-timeout --json --quiet --verbose --help --version"
    case $command in
    hook) all+=" --target-aware --target-format --target-version --target-slot --install-id" ;;
    boot) all+=" --strict" ;;
    status) all+=" --format --strict --out" ;;
    sign) all+=" --digest --in --out" ;;
    attest) all+=" --nonce --credential --service --pcrs --prepared --out" ;;
    import) all+=" --key" ;;
    adopt) all+=" --imported" ;;
    csr | cert) all+=" --prepared" ;;
    history) all+=" -n" ;;
    hold) all+=" --reason --to --yes" ;;
    factory-reset) all+=" --yes --reset --next-boot --without-tpm" ;;
    esac
    _idmode_words "$all"
}

_idmode_words_of_command() {
    case ${command}:${depth} in
    :*) _idmode_words "boot mode status hook migrate import adopt csr cert sign history doctor hold attest factory-reset" ;;
    hook:0) _idmode_words "pre-install post-install install-failed commit rollback" ;;
    migrate:0) _idmode_words "prepare commit abort show" ;;
    cert:0) _idmode_words "show install" ;;
    attest:0) _idmode_words "ek ak activate evidence quote certify" ;;
    hold:0) _idmode_words "show clear" ;;
    adopt:0 | cert:1) _idmode_files -f ;;
    *) COMPREPLY=() ;;
    esac
}

_idmode_complete() {
    local current=${COMP_WORDS[COMP_CWORD]} command depth
    COMPREPLY=()
    _idmode_value "${COMP_WORDS[COMP_CWORD - 1]}" && return
    _idmode_command
    if [[ $current == -* ]]; then
        _idmode_options
    else
        _idmode_words_of_command
    fi
}

complete -F _idmode_complete idmode
