/* SPDX-License-Identifier: BSD-2-Clause */
/* A chip that takes a command and never answers (its emulator, stopped): nobody waits for ever, nothing is made
 * instead, who needs no chip goes on, and all is well once it answers. */
#include "tests/life/life_device.h"

#include <signal.h>
#include <time.h>

LIFE(silent);

/* The limit is 10 seconds for a first answer; the rest is a busy machine's. */
#define AT_MOST_S 60

static time_t began;

static void falls_silent(void)
{
    cr_assert_eq(kill(device.tpm.pid, SIGSTOP), 0);
    began = time(NULL);
}

static void speaks_again(void)
{
    cr_assert_lt(time(NULL) - began, AT_MOST_S);
    cr_assert_eq(kill(device.tpm.pid, SIGCONT), 0);
}

Test(silent, an_identity_in_the_chip_is_held)
{
    open_device(NULL);
    boot(0);
    falls_silent();
    cr_assert_eq(RUN("boot"), 3);
    status_is("unknown", "tpm-dual", "tpm-busy");
    cr_assert(idm_device_exists(&device, MARKER));
    speaks_again();
    cr_assert_eq(RUN("boot"), 0);
    status_is("tpm", "tpm-dual", "");
}

Test(silent, nothing_is_made_at_first_use)
{
    open_device(NULL);
    falls_silent();
    cr_assert_eq(RUN("boot"), 3);
    status_is("unknown", "none", "tpm-busy");
    cr_assert_not(idm_device_exists(&device, CONFIG_KEY));
    speaks_again();
    cr_assert_eq(RUN("boot"), 0);
    status_is("tpm", "tpm-dual", "");
}

Test(silent, a_software_identity_is_used)
{
    open_software_device(NULL, false);
    falls_silent();
    cr_assert_eq(RUN("boot"), 0);
    status_is("software", "software", "");
    cr_assert_eq(RUN("sign"), 0);
    speaks_again();
}

/* Its own limit, as `timeout` idioms set it before they exec, is not lost to ours. */
Test(silent, a_callers_alarm_is_the_callers)
{
    open_device(NULL);
    boot(0);
    falls_silent();
    shell(142, "perl -e 'alarm 1; exec @ARGV' $IDMODE --root $ROOT --tcti $TCTI boot");
    speaks_again();
    cr_assert_eq(RUN("boot"), 0);
    status_is("tpm", "tpm-dual", "");
}

/* In the middle of a plan it is a power cut. */
Test(silent, a_migration_is_left_where_it_is)
{
    open_software_device(NULL, false);
    falls_silent();
    int exit_code = RUN("migrate", "prepare");
    cr_assert(exit_code == 1 || exit_code == 5, "exit %d", exit_code);
    speaks_again();
    cr_assert_eq(RUN("boot"), 0);
    status_is("software", "software", "");
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    cr_assert_eq(RUN("migrate", "commit"), 0);
    status_is("tpm", "tpm-dual", "");
}
