/* SPDX-License-Identifier: BSD-2-Clause */
/* lives.h - what happens to a device with any updater; each file updaters_*.c lives them all:
 *
 *     UPDATER_LIVES(rauc_uboot, &rauc_with_uboot)
 *
 * A life ends with a boot after each thing that happened; the invariants are judged all the way. */
#ifndef IDM_TESTS_UPDATERS_LIVES_H
#define IDM_TESTS_UPDATERS_LIVES_H

#include "tests/updaters/life.h"

#include <criterion/criterion.h>

#define LIVES(X)                                                                                   \
    X(success)                                                                                     \
    X(veto_in_pre_install)                                                                         \
    X(failure_while_writing)                                                                       \
    X(post_install_fails)                                                                          \
    X(killed_in_mid_install)                                                                       \
    X(handler_orphaned_and_late)                                                                   \
    X(hooks_never_run)                                                                             \
    X(two_installs_in_a_row)                                                                       \
    X(downgrade)                                                                                   \
    X(downgrade_unsaid)                                                                            \
    X(upgrade_of_a_legacy_image)                                                                   \
    X(fallback_by_the_bootloader)                                                                  \
    X(both_slots_bad)                                                                              \
    X(spurious_post)

#define LIFE_DECLARE(name) void live_##name(struct life *life, const struct updater *updater);
LIVES(LIFE_DECLARE)
#undef LIFE_DECLARE

/* All kinds of images, ends and devices together: minutes. The programs *_slow live nothing else. */
void live_everything(struct life *life, const struct updater *updater);

#define UPDATER_TEST(suite, name, updater)                                                         \
    Test(suite, name)                                                                              \
    {                                                                                              \
        live_##name(&suite##_life, updater);                                                       \
    }

#ifdef UPDATERS_SLOW
#define UPDATER_TESTS(suite, updater) UPDATER_TEST(suite, everything, updater)
#define UPDATER_TIMEOUT_S             1700
#else
/* As LIVES, by hand: a macro cannot be given two more arguments through it. */
#define UPDATER_TESTS(suite, updater)                                                              \
    UPDATER_TEST(suite, success, updater)                                                          \
    UPDATER_TEST(suite, veto_in_pre_install, updater)                                              \
    UPDATER_TEST(suite, failure_while_writing, updater)                                            \
    UPDATER_TEST(suite, post_install_fails, updater)                                               \
    UPDATER_TEST(suite, killed_in_mid_install, updater)                                            \
    UPDATER_TEST(suite, handler_orphaned_and_late, updater)                                        \
    UPDATER_TEST(suite, hooks_never_run, updater)                                                  \
    UPDATER_TEST(suite, two_installs_in_a_row, updater)                                            \
    UPDATER_TEST(suite, downgrade, updater)                                                        \
    UPDATER_TEST(suite, downgrade_unsaid, updater)                                                 \
    UPDATER_TEST(suite, upgrade_of_a_legacy_image, updater)                                        \
    UPDATER_TEST(suite, fallback_by_the_bootloader, updater)                                       \
    UPDATER_TEST(suite, both_slots_bad, updater)                                                   \
    UPDATER_TEST(suite, spurious_post, updater)
#define UPDATER_TIMEOUT_S 240
#endif

#define UPDATER_LIVES(suite, updater)                                                              \
    static struct life suite##_life;                                                               \
    static void suite##_end(void)                                                                  \
    {                                                                                              \
        life_close(&suite##_life);                                                                 \
    }                                                                                              \
    TestSuite(suite, .timeout = UPDATER_TIMEOUT_S, .fini = suite##_end);                           \
    UPDATER_TESTS(suite, updater)

#endif
