/* SPDX-License-Identifier: BSD-2-Clause */
/* The manual: a page for everything that the library exports, with its prototype as idmode.h has it, and
 * none that man complains about. */
#include "tests/support/run.h"

#include <criterion/criterion.h>
#include <stddef.h>

static void script(const char *text)
{
    _cleanup_run_ struct idm_run run = {0};
    static const char *const env[] = {"MAN=" IDM_TEST_SOURCE_DIR "/man",
                                      "HEADER=" IDM_TEST_SOURCE_DIR "/include/idmode.h",
                                      "LIB=" IDM_TEST_BUILD_DIR "/lib/libidmode.so.0",
                                      "MAP=" IDM_TEST_SOURCE_DIR "/backends/library/libidmode.map",
                                      "MODULE=" IDM_TEST_BUILD_DIR "/ossl-modules/idmode.so",
                                      "MANWIDTH=200",
                                      "MANROFFOPT=",
                                      "LC_ALL=C",
                                      NULL};
    const struct idm_run_options options = {.env = env};
    cr_assert_eq(idm_run(&run, &options, (const char *const[]){"bash", "-ec", text, NULL}), 0);
    cr_assert_eq(run.exit_code, 0, "%s%s", run.out, run.err);
}

Test(tls_man, everything_exported_has_a_page_with_its_prototype)
{
    script(
        "cd $MAN; symbols=$(nm -D --defined-only $LIB | sed -n 's/.* T \\([a-z_]*\\)@@.*/\\1/p');"
        "[ $(echo \"$symbols\" | wc -l) -ge 12 ];"
        "squeezed() { tr -d ' \\n' | sed 's/structssl_ctx_st/SSL_CTX/g'; };"
        "for s in $symbols; do [ -e man3/$s.3 ] || { echo \"no page for $s\"; exit 1; };"
        "want=$(awk -v s=\"[ *]$s[(]\" '/^[a-z]/ && $0 ~ s { on = 1 } on { print } on && /;/ { "
        "exit }' $HEADER | squeezed); [ -n \"$want\" ];"
        "man -l man3/$s.3 | col -bx | squeezed | grep -qF \"$want\" || "
        "{ echo \"$s: the page does not have: $want\"; exit 1; }; done");
}

/* What programs may link against has a version and stands in libidmode.map; the provider shows one name. */
Test(tls_man, nothing_else_is_exported)
{
    script(
        "shown() { nm -D --defined-only $1 | sed 's/.* [A-Z] //' | grep -v '^IDMODE_0.1' | sort; };"
        "diff <(shown $LIB) <(sed -n 's/^    \\(idmode_[a-z_]*\\);/\\1@@IDMODE_0.1/p' $MAP | sort);"
        "[ \"$(shown $MODULE)\" = OSSL_provider_init ]");
}

Test(tls_man, man_has_nothing_to_complain_about)
{
    script(
        "cd $MAN; said=$(for f in man*/*.[0-9]; do man --warnings -l $f 2>&1 > /dev/null |"
        " sed \"s,^,$f: ,\"; [ $(man -l $f 2> /dev/null | wc -l) -gt 10 ] || echo \"$f is empty\";"
        "done); echo \"$said\"; [ -z \"$said\" ]");
}

/* Examples on the pages compile and link. */
Test(tls_man, examples_on_pages_are_c)
{
    script("d=$(mktemp -d); trap 'rm -r $d' EXIT; cd $MAN/man3; n=0; for f in $(grep -l '^[.]EX' "
           "*.3); do"
           " { printf '#include <idmode.h>\n#include <openssl/ssl.h>\n#include <stdio.h>\n"
           "int main(void)\n{\n'; sed -n '/^[.]EX/,/^[.]EE/{/^[.]E/!p}' $f | sed 's/\\\\e/\\\\/g';"
           " printf 'return 0;\n}\n'; } > $d/x.c; n=$((n+1));"
           " cc -Wall -Wextra -Werror -I ${HEADER%/*} -o $d/x $d/x.c $LIB -lssl -lcrypto ||"
           " { cat $d/x.c; exit 1; }; done; [ $n -ge 1 ]");
}

/* Pages name only pages of ours that exist. */
Test(tls_man, pages_that_are_named_exist)
{
    script("cd $MAN; grep -hoE '(lib)?idmode[a-z_\\\\-]* ?\\([378]\\)' man*/* | tr -d ' \\\\()' |"
           "sort -u | sed 's/\\(.\\)$/ \\1/' | while read -r name section; do "
           "[ -e man$section/$name.$section ] || { echo \"$name($section)\"; exit 1; }; done");
}
