/* SPDX-License-Identifier: BSD-2-Clause */
/* examples/control-plane/drive.sh: emulated chips, the shipped programs, and what the controller says. */
#include "tests/support/run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BIN IDM_TEST_BUILD_DIR "/bin"

static unsigned int count(const char *text, const char *word)
{
    unsigned int found = 0;
    for (const char *at = text; (at = strstr(at, word)); at++)
        found++;
    return found;
}

Test(attest_control_plane, friends_and_foes, .timeout = 280)
{
    char dir[] = "/tmp/idmode-fleet-XXXXXX";
    char command[96];
    _cleanup_run_ struct idm_run run = {0};
    const struct idm_run_options options = {.timeout_s = 270};
    if (access(BIN "/control-plane", X_OK) != 0)
        cr_skip_test("control-plane is not built: libmicrohttpd or SQLite is not installed");
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(
        idm_run(&run, &options,
                (const char *const[]){IDM_TEST_SOURCE_DIR "/examples/control-plane/drive.sh", BIN,
                                      dir, BIN "/idm-forge", NULL}),
        0);
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(run.exit_code, 0, "%s%s", run.out, run.err);
    cr_assert_eq(count(run.out, "accepted "), 6, "%s", run.out);
    cr_assert_eq(count(run.out, "refused "), 9, "%s", run.out);
}
