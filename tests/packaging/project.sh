# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Cases of package_project.c: see package_script.h.

# Files of the project, as git has them.
files() {
    git -C "$SOURCE" -c safe.directory="$SOURCE" ls-files --cached --others --exclude-standard --deduplicate -- "$@"
}

# What cannot say so itself: data whose bytes count, generated pages, formats without comments.
silent() {
    grep -v -E -e '\.(md|html|svg|dot|pem|bin|json|pot|txt)$' -e '(^|/)(LICENSE|POTFILES.in|\.gitignore|\.clang-[a-z]+)$' \
        -e '^tests/(fuzz/)?corpus/' -e '^tests/vm/guest/files/' -e '^packaging/debian/' -e '^packaging/buildroot/external.desc$' \
        -e '^include/idmode.pc.in$'
}

# FILE<tab>LICENCE of each file, from its first five lines; pages that only name another one are left out.
licences() {
    # shellcheck disable=SC2016 # awk's
    (cd "$SOURCE" && xargs -d '\n' awk '
        function finish() { if (file != "" && !link) print file "\t" licence }
        FNR == 1 { finish(); file = FILENAME; licence = ""; link = /^\.so / }
        FNR <= 5 && match($0, /SPDX-License-Identifier: [A-Za-z0-9.-]+/) {
            licence = substr($0, RSTART + 25, RLENGTH - 25)
        }
        END { finish() }')
}

each_source_says_its_licence() {
    files | while IFS= read -r file; do [[ ! -f $SOURCE/$file ]] || echo "$file"; done | silent | licences >said
    [[ $(wc -l <said) -gt 500 ]]
    grep -P '\t$' said && { echo "these do not say their licence"; return 1; }
    diff <(cut -f 2 said | sort -u) - <<<'BSD-2-Clause'
}

versions_agree() {
    local version
    version=$(sed -n 's/^project(idmode VERSION \([0-9.]*\).*/\1/p' "$SOURCE/CMakeLists.txt")
    [[ $("$BUILD/bin/idmode" --version) == "idmode $version "* ]]
    [[ $(sed -n '1s/^idmode (\([0-9.]*\)-.*/\1/p' "$SOURCE/packaging/debian/changelog") == "$version" ]]
    grep -q "^## $version" "$SOURCE/CHANGELOG.md"
    grep -q "\"idmode ${version%.*}\"" "$SOURCE/man/man8/idmode.8"
}

# What debhelper would say after minutes: a field or a package said twice, a file list without a package, a
# file that two packages take.
debian_control_makes_sense() {
    local debian=$SOURCE/packaging/debian file name
    sed -n 's/^Package: //p' "$debian/control" | sort >packages
    uniq -d packages | { ! grep .; }
    sed -n '/^Build-Depends:/,/^$/p' "$debian/control" | grep '^ ' | tr -d ' ,' | sort | uniq -d | { ! grep .; }
    sed -n 's/.*dh_installsystemd -p\([a-z-]*\).*/\1/p' "$debian/rules" | sort -u | comm -23 - packages | { ! grep .; }
    for file in "$debian"/*.install; do
        name=$(basename "$file" .install)
        grep -q -x "$name" packages || { echo "no package: $file"; return 1; }
        if [[ -x $file ]]; then (cd "$SOURCE" && sh "$file"); else cat "$file"; fi
    done | sort | uniq -d | { ! grep .; }
    [[ $(wc -l <packages) -ge 11 ]]
}

# Links between documents lead somewhere.
links_lead_somewhere() {
    local file target bad=0
    while IFS= read -r file; do
        # shellcheck disable=SC2016 # the backticks of a block
        while IFS= read -r target; do
            [[ -e $SOURCE/$(dirname "$file")/${target%%#*} ]] || { echo "$file: $target"; bad=1; }
        done < <(sed '/^```/,/^```/d' "$SOURCE/$file" | grep -o -E '\]\([^)]+\)' | sed 's/^](\(.*\))$/\1/' |
            grep -v -E '^(https?:|#)' || true)
    done < <(files '*.md')
    [[ $bad == 0 ]]
}

# blocks FILE MARK: the code below each line `<!-- MARK … -->`.
block() {
    awk -v mark="<!-- $2 -->" '$0 == mark { on = 1; next } on && /^```/ { if (inside) exit; inside = 1; next }
        inside { print }' "$1"
}

# put_before FILE TEXT CODE-FILE
put_before() {
    awk -v text="$2" -v code="$3" 'index($0, text) == 1 && !done { while ((getline line < code) > 0) print line; done = 1 }
        { print }' "$1" >"$1.new"
    ! cmp -s "$1" "$1.new" || return 1
    mv "$1.new" "$1"
}

# Tests and programs that documents name are there.
tests_that_documents_name_exist() {
    local name
    ctest --test-dir "$BUILD" -N | sed -n 's/^ *Test *#[0-9]*: *//p' >tests
    [[ $(wc -l <tests) -gt 50 ]]
    (cd "$SOURCE" && files '*.md' | xargs -d '\n' grep -h -o -E "ctest .*-R '\^[a-z_]+\\$'|build/tests/test_[a-z_]+") |
        sed -n -e "s/.*'^\(.*\)\\$'/\1/p" -e 's|build/tests/test_||p' | sort -u >named
    [[ $(wc -l <named) -ge 2 ]]
    while IFS= read -r name; do
        grep -q -x "$name" tests || { echo "no such test: $name"; return 1; }
    done <named
}

# The exercise of CONTRIBUTING.md, on a copy.
first_change_works_as_described() {
    local page=$SOURCE/CONTRIBUTING.md
    cp -r "$SOURCE/fsm" .
    block "$page" 'file: my-device.yaml' >my-device.yaml
    "$BUILD/bin/idmode-lab" replay my-device.yaml | tail -n 1 | grep '^1 passed, 0 failed$'
    block "$page" 'before: fsm/table.def: ROW(settled,' >row
    put_before fsm/table.def 'ROW(settled,' row
    compile() { rm -f ./*.o && gcc -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Woverride-init -Werror -fPIC -I. -c fsm/*.c 2>log &&
        gcc -shared -Wl,-z,defs -o whole.so ./*.o 2>log; }
    ! compile || { echo "a row whose event nobody raises compiles"; return 1; }
    grep -q trial_seen log
    block "$page" 'before: fsm/raised_identity.c: RAISED(settled)' >raised
    put_before fsm/raised_identity.c 'RAISED(settled)' raised
    compile || { cat log; return 1; }
    # A cell less.
    sed -i 's/^    RESETTING(IGNORE("a reset only goes forward")))$/    )/' fsm/table.def
    ! compile || { echo "a row without a cell compiles"; return 1; }
}

"$1"
