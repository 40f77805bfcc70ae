/* SPDX-License-Identifier: BSD-2-Clause */
/* Lives for their power cuts: each plan that the machine carries out is cut after every durable
 * step. First provisioning, the switch for a deleted certificate and the commit of a migration are
 * cut in journey_plans.c. */
#include "tests/life/journey_rows.h"

#define BEFORE_PREPARE                                                                             \
    {.says = "the old image makes its pair", .boots = true, OLD_IMAGE('A')},                       \
        {.says = "updated",                                                                        \
         .act = journey_installs,                                                                  \
         .install = {.aware = true},                                                               \
         .boots = true,                                                                            \
         SOFTWARE('A'),                                                                            \
         .epoch = 1},                                                                              \
    {                                                                                              \
        .says = "committed", .act = journey_commits, SOFTWARE('A'), .epoch = 1                     \
    }

#define MIGRATING(pair) .state = "migrating", .mode = "software", .active = (pair), .legacy = (pair)

static const struct journey_step prepare_and_abort[] = {
    BEFORE_PREPARE,
    {.says = "migrate prepare, cut",
     .act = journey_runs,
     .args = {"migrate", "prepare"},
     .every_cut = 1,
     .may_be_as_above = true,
     MIGRATING('A'),
     .epoch = 1},
    {.says = "migrate prepare",
     .act = journey_runs,
     .args = {"migrate", "prepare"},
     MIGRATING('A'),
     .epoch = 1},
    {.says = "migrate abort, cut",
     .act = journey_runs,
     .args = {"migrate", "abort"},
     .every_cut = 1,
     .may_be_as_above = true,
     SOFTWARE('A'),
     .epoch = 1},
    {.says = "migrate abort",
     .act = journey_runs,
     .args = {"migrate", "abort"},
     SOFTWARE('A'),
     .epoch = 1},
};

static const struct journey_step reset_of_dual[] = {
    {.says = "first power on", .boots = true, DUAL('A', 'B'), .epoch = 1},
    {.says = "factory reset, cut",
     .act = journey_runs,
     .args = {"factory-reset", "--yes"},
     .every_cut = 1,
     .may_be_as_above = true,
     .second_boot = true,
     DUAL('C', 'D'),
     .epoch = 2},
};

static const struct journey_step reset_by_clear[] = {
    {.says = "first power on", .boots = true, DUAL('A', 'B'), .epoch = 1},
    {.says = "factory reset by clearing the chip, cut",
     .act = journey_runs,
     .args = {"factory-reset", "--yes", "--reset", "clear"},
     .every_cut = 3,
     .may_be_as_above = true,
     .second_boot = true,
     DUAL('C', 'D'),
     .epoch = 2},
};

static const struct journey_step reset_of_software[] = {
    {.says = "first power on, cut", .boots = true, .every_cut = 1, SOFTWARE('A'), .epoch = 1},
    {.says = "first power on", .boots = true, SOFTWARE('A'), .epoch = 1},
    {.says = "factory reset, cut",
     .act = journey_runs,
     .args = {"factory-reset", "--yes"},
     .every_cut = 1,
     .may_be_as_above = true,
     SOFTWARE('B'),
     .epoch = 2},
};

/* Sealed after the first boot with a higher reset count; so two boots show one end. */
static const struct journey_step seal_and_unseal[] = {
    {.says = "first power on", .boots = true, DUAL('A', 'B'), .epoch = 1},
    {.says = "updated, hooks and all",
     .act = journey_installs,
     .install = {.aware = true},
     .boots = true,
     DUAL('A', 'B'),
     .epoch = 1},
    {.says = "committed, cut while sealing",
     .act = journey_commits,
     .every_cut = 1,
     .second_boot = true,
     TPM('A'),
     .epoch = 1},
    {.says = "committed", .act = journey_commits, DUAL('A', 'B'), .epoch = 1},
    {.says = "the plain key given up, cut", .boots = true, .every_cut = 1, TPM('A'), .epoch = 1},
    {.says = "the plain key given up", .boots = true, TPM('A'), .epoch = 1},
    {.says = "downgrade announced, cut while unsealing",
     .act = journey_installs,
     .install = {.aware = false, .version = "0.9", .end = IDM_INSTALL_DIES_AFTER_PRE},
     .every_cut = 1,
     .second_boot = true,
     TPM('A'),
     .epoch = 1},
    {.says = "downgrade announced",
     .act = journey_installs,
     .install = {.aware = false, .version = "0.9"},
     DUAL('A', 'B'),
     .epoch = 1},
};

const struct journey_plan journey_cut_plans[] = {
    {.name = "prepare_and_abort_cut", .options = {.legacy = true}, LIVES(prepare_and_abort)},
    {.name = "reset_of_dual_cut", .options = {.scheme = IDM_BOOT_NONE}, LIVES(reset_of_dual)},
    {.name = "reset_by_clear_cut", .options = {.scheme = IDM_BOOT_NONE}, LIVES(reset_by_clear)},
    {.name = "reset_of_software_cut",
     .options = {.without_tpm = true, .scheme = IDM_BOOT_NONE},
     LIVES(reset_of_software)},
    {.name = "seal_and_unseal_cut", .other_slot = "0.9", LIVES(seal_and_unseal)},
};

const size_t journey_cut_plan_count = sizeof(journey_cut_plans) / sizeof(journey_cut_plans[0]);
