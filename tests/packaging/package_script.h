/* SPDX-License-Identifier: BSD-2-Clause */
/* package_script.h - tests in shell: one function of a script of this directory is one case.
 *
 *     CASE(package_units, units, verify)      runs `bash tests/packaging/units.sh verify`
 *
 * Scripts see $BUILD, $SOURCE and a scratch directory $WORK, which is their working directory and goes
 * with them. A case fails with its exit code; what it printed is shown then. */
#ifndef IDM_TESTS_PACKAGE_SCRIPT_H
#define IDM_TESTS_PACKAGE_SCRIPT_H

#include "tests/support/run.h"

#include <criterion/criterion.h>
#include <stddef.h>

static inline void package_script(const char *script, const char *what, unsigned timeout_s)
{
    _cleanup_run_ struct idm_run run = {0};
    static const char *const env[] = {"BUILD=" IDM_TEST_BUILD_DIR, "SOURCE=" IDM_TEST_SOURCE_DIR,
                                      "LC_ALL=C.UTF-8", NULL};
    const struct idm_run_options options = {.env = env, .timeout_s = timeout_s};
    static const char begin[] =
        "WORK=$(mktemp -d /tmp/idm-package-XXXXXX); trap 'rm -rf --one-file-system \"$WORK\"' "
        "EXIT; cd \"$WORK\"; "
        "export WORK; bash -euo pipefail \"$SOURCE/tests/packaging/$1.sh\" \"$2\"";
    cr_assert_eq(idm_run(&run, &options,
                         (const char *const[]){"bash", "-ec", begin, "-", script, what, NULL}),
                 0);
    cr_assert_eq(run.exit_code, 0, "%s.sh %s: exit %d\n%s%s", script, what, run.exit_code, run.out,
                 run.err);
}

#define CASE(suite, script, what)                                                                  \
    Test(suite, what)                                                                              \
    {                                                                                              \
        package_script(#script, #what, 0);                                                         \
    }

#endif
