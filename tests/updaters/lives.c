/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/updaters/lives.h"

#include <string.h>

#define PRE  "-q hook pre-install"
#define POST "-q hook post-install"

static const struct lab_device NEW = {.aware = true};
static const struct lab_device OLD = {.aware = false};

/* Born with its legacy key sealed: nothing in the other slot, by the manufacturer's word. */
static const struct lab_device SEALED = {
    .aware = true,
    .settings = {{"identity", "legacy-key", "seal"}, {"image", "other-slot", "none"}},
    .settings_count = 2,
};

static void open_booted(struct life *life, const struct updater *updater,
                        const struct lab_device *device)
{
    life_open(life, updater, device);
    life_boot(life);
}

static void open_sealed(struct life *life, const struct updater *updater)
{
    open_booted(life, updater, &SEALED);
    life_boot(life);
    life_is(life, "tpm", "tpm");
    cr_assert_str_eq(life->sight.legacy_key, "sealed");
}

static void install(struct life *life, const struct updater *updater, struct update update)
{
    cr_assert_eq(life_install(life, updater, &update), 0, "%s%s", life->run.out, life->run.err);
}

static void install_fails(struct life *life, const struct updater *updater, struct update update)
{
    cr_assert_neq(life_install(life, updater, &update), 0, "the updater says that it succeeded");
}

static void same_identity(const struct life *life, const struct lab_identity *before)
{
    cr_assert(life->sight.active.works);
    cr_assert_str_eq(life->sight.active.cert, before->cert);
}

/* The old image that just booted uses the pair that was there for it. */
static void legacy_uses(const struct life *life, const struct lab_identity *pair)
{
    cr_assert_not(life->sight.aware);
    cr_assert_not(life->world->device.minted, "the old image made a pair of its own");
    cr_assert_str_eq(life->sight.legacy_view, "works");
    cr_assert_str_eq(life->sight.legacy.cert, pair->cert);
}

/* ---- as it should be ---- */

void live_success(struct life *life, const struct updater *updater)
{
    open_booted(life, updater, &NEW);
    const struct lab_identity before = life->sight.active;
    life_is(life, "tpm", "tpm-dual");
    install(life, updater, (struct update){0});
    cr_assert(life_heard(life, PRE) > 0 && life_heard(life, POST) > 0);
    life_boot(life);
    life_runs(life, 1, "2.0");
    life_is(life, "tpm", "tpm-dual");
    same_identity(life, &before);
    life_commit(life, updater, true);
    cr_assert_eq(life_heard(life, "-q hook commit"), 1);
    life_boot(life);
    life_runs(life, 1, "2.0");
    /* Hooks are proven, no old image is left: the updater's word is what allows it. */
    life_is(life, "tpm", "tpm");
    same_identity(life, &before);
}

void live_upgrade_of_a_legacy_image(struct life *life, const struct updater *updater)
{
    open_booted(life, updater, &OLD);
    const struct lab_identity before = life->sight.active;
    install(life, updater, (struct update){0});
    cr_assert_eq(life_heard(life, ""), 0, "there is no idmode in an old image");
    life_boot(life);
    life_runs(life, 1, "2.0");
    life_is(life, "software", "software");
    same_identity(life, &before);
    life_commit(life, updater, true);
    life_boot(life);
    life_is(life, "software", "software");
    same_identity(life, &before);
}

void live_two_installs_in_a_row(struct life *life, const struct updater *updater)
{
    open_booted(life, updater, &NEW);
    const struct lab_identity before = life->sight.active;
    install(life, updater, (struct update){0});
    install(life, updater, (struct update){.version = "3.0"});
    life_boot(life);
    life_runs(life, 1, "3.0");
    same_identity(life, &before);
    /* On trial, and the updater does not wait for its end. */
    install(life, updater, (struct update){.version = "0.9", .legacy = true});
    life_boot(life);
    life_runs(life, 0, "0.9");
    cr_assert_not(life->world->device.minted);
}

/* ---- no ---- */

void live_veto_in_pre_install(struct life *life, const struct updater *updater)
{
    const struct update old = {.legacy = true, .version = "0.9"};

    open_sealed(life, updater);
    const struct lab_identity before = life->sight.active;
    LIFE_ACT(life, tpm, .tpm = LAB_TPM_ABSENT);
    life_boot(life);
    cr_assert(life->sight.held && life_has(life, IDM_R_tpm_absent));
    install_fails(life, updater, old);
    cr_assert_not(life->sight.slots[1].present, "it was written all the same");
    cr_assert_eq(life->sight.next_slot, 0);
    cr_assert_eq(life_heard(life, POST), 0);
    life_boot(life);
    install_fails(life, updater, old);
    LIFE_ACT(life, tpm, .tpm = LAB_TPM_USABLE);
    life_boot(life);
    life_is(life, "tpm", "tpm");
    same_identity(life, &before);
    install(life, updater, old);
    life_is(life, "tpm", "tpm-dual");
    life_boot(life);
    life_runs(life, 1, "0.9");
    cr_assert_not(life->world->device.minted);
}

void live_failure_while_writing(struct life *life, const struct updater *updater)
{
    open_booted(life, updater, &NEW);
    const struct lab_identity before = life->sight.active;
    install_fails(life, updater, (struct update){.end = UPDATE_write_fails});
    cr_assert_not(life->sight.slots[1].present);
    cr_assert_eq(life->sight.next_slot, 0);
    life_boot(life);
    life_runs(life, 0, "1.0");
    life_is(life, "tpm", "tpm-dual");
    install(life, updater, (struct update){.version = "2.1"});
    life_boot(life);
    life_runs(life, 1, "2.1");
    same_identity(life, &before);
}

void live_post_install_fails(struct life *life, const struct updater *updater)
{
    open_booted(life, updater, &NEW);
    const struct lab_identity before = life->sight.active;
    install_fails(life, updater, (struct update){.end = UPDATE_post_fails});
    cr_assert_eq(life->sight.next_slot, updater->armed_before_post ? 1 : 0);
    life_boot(life);
    life_runs(life, updater->armed_before_post ? 1 : 0, updater->armed_before_post ? "2.0" : "1.0");
    life_is(life, "tpm", "tpm-dual");
    same_identity(life, &before);
}

/* ---- the updater dies ---- */

void live_killed_in_mid_install(struct life *life, const struct updater *updater)
{
    static const enum update_end deaths[] = {UPDATE_killed_before_write, UPDATE_killed_writing,
                                             UPDATE_killed_written};

    open_sealed(life, updater);
    const struct lab_identity before = life->sight.active;
    for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++) {
        install_fails(life, updater, (struct update){.legacy = i == 1, .end = deaths[i]});
        cr_assert_eq(life->sight.slots[1].present, deaths[i] == UPDATE_killed_written, "%s",
                     life_end_word(deaths[i]));
        life_boot(life);
        life_runs(life, 0, "1.0");
        same_identity(life, &before);
    }
    install(life, updater, (struct update){.version = "2.1"});
    life_boot(life);
    life_runs(life, 1, "2.1");
    same_identity(life, &before);
}

void live_handler_orphaned_and_late(struct life *life, const struct updater *updater)
{
    open_booted(life, updater, &NEW);
    const struct lab_identity before = life->sight.active;
    (void)life_install(life, updater, &(struct update){.end = UPDATE_orphaned});
    cr_assert(life_waits(life) && life_heard(life, POST) == 0);
    install(life, updater, (struct update){.legacy = true, .version = "0.9"});
    unsigned int heard = life_heard(life, POST);
    life_release(life);
    cr_assert_eq(life_heard(life, POST), heard + 1);
    /* It says of an aware image that it was written: that is not what the slot holds. */
    cr_assert_not_null(strstr(life->sight.trace, "hook_late"), "%s", life->sight.trace);
    life_boot(life);
    life_runs(life, 1, "0.9");
    cr_assert_not(life->world->device.minted);
    LIFE_ACT(life, fallback);
    life_boot(life);
    life_is(life, "tpm", "tpm-dual");
    same_identity(life, &before);
}

/* ---- nobody says anything ---- */

void live_hooks_never_run(struct life *life, const struct updater *updater)
{
    open_booted(life, updater, &NEW);
    const struct lab_identity before = life->sight.active, pair = life->sight.legacy;
    install(life, updater, (struct update){.without_hooks = true});
    life_boot(life);
    life_runs(life, 1, "2.0");
    same_identity(life, &before);
    life_commit(life, updater, false);
    life_boot(life);
    life_is(life, "tpm", "tpm-dual");
    install(life, updater,
            (struct update){.legacy = true, .version = "0.9", .without_hooks = true});
    cr_assert_eq(life_heard(life, ""), 0);
    life_boot(life);
    life_runs(life, 0, "0.9");
    legacy_uses(life, &pair);
    LIFE_ACT(life, fallback);
    life_boot(life);
    life_is(life, "tpm", "tpm-dual");
    same_identity(life, &before);
}

void live_spurious_post(struct life *life, const struct updater *updater)
{
    open_sealed(life, updater);
    const struct lab_identity before = life->sight.active;
    life_spurious(life, updater);
    cr_assert_eq(life_heard(life, POST), 1);
    cr_assert_not_null(strstr(life->sight.trace, "hook_late"), "%s", life->sight.trace);
    life_boot(life);
    life_is(life, "tpm", "tpm");
    same_identity(life, &before);
    install(life, updater, (struct update){.version = "2.0"});
    life_boot(life);
    life_spurious(life, updater);
    life_commit(life, updater, true);
    life_spurious(life, updater);
    life_boot(life);
    life_runs(life, 1, "2.0");
    same_identity(life, &before);
}

/* ---- back ---- */

static void go_down(struct life *life, const struct updater *updater, bool unsaid)
{
    open_sealed(life, updater);
    const struct lab_identity before = life->sight.active;
    install(life, updater, (struct update){.legacy = true, .version = "0.9", .unsaid = unsaid});
    life_is(life, "tpm", "tpm-dual");
    cr_assert_str_eq(life->sight.legacy_key, "plain");
    const struct lab_identity pair = life->sight.legacy;
    life_boot(life);
    life_runs(life, 1, "0.9");
    legacy_uses(life, &pair);
    LIFE_ACT(life, fallback);
    life_boot(life);
    life_is(life, "tpm", "tpm-dual");
    same_identity(life, &before);
}

void live_downgrade(struct life *life, const struct updater *updater)
{
    go_down(life, updater, false);
}

void live_downgrade_unsaid(struct life *life, const struct updater *updater)
{
    go_down(life, updater, true);
}

void live_fallback_by_the_bootloader(struct life *life, const struct updater *updater)
{
    open_booted(life, updater, &NEW);
    const struct lab_identity before = life->sight.active;
    install(life, updater, (struct update){0});
    life_boot(life);
    life_runs(life, 1, "2.0");
    LIFE_ACT(life, fallback);
    life_boot(life);
    life_runs(life, 0, "1.0");
    life_is(life, "tpm", "tpm-dual");
    same_identity(life, &before);
    install(life, updater, (struct update){.version = "2.1"});
    life_boot(life);
    life_runs(life, 1, "2.1");
    life_commit(life, updater, true);
    life_boot(life);
    same_identity(life, &before);
}

void live_both_slots_bad(struct life *life, const struct updater *updater)
{
    open_booted(life, updater, &NEW);
    const struct lab_identity before = life->sight.active;
    install(life, updater, (struct update){0});
    life_boot(life);
    life_runs(life, 1, "2.0");
    life_condemn(life, updater);
    life_boot(life);
    cr_assert_str_eq(life->sight.mode, "tpm");
    same_identity(life, &before);
    install(life, updater, (struct update){.version = "2.1"});
    life_boot(life);
    life_commit(life, updater, true);
    life_boot(life);
    same_identity(life, &before);
}

/* ---- all of it ---- */

static void go_through(struct life *life, const struct updater *updater,
                       const struct lab_device *device, const struct update *update)
{
    open_booted(life, updater, device);
    life_boot(life);
    (void)life_install(life, updater, update);
    life_boot(life);
    if (life->sight.aware && life->sight.slot == 1)
        life_commit(life, updater, true);
    life_boot(life);
    if (life_waits(life)) /* in an image without idmode there may be nothing to wait */
        life_release(life);
    life_boot(life);
    (void)life_install(life, updater, &(struct update){.version = "3.0"});
    life_boot(life);
    if (life->sight.slots[1 - life->sight.slot].present)
        LIFE_ACT(life, fallback);
    life_boot(life);
    life_close(life);
}

void live_everything(struct life *life, const struct updater *updater)
{
    static const struct lab_device *const devices[] = {&NEW, &OLD, &SEALED};

    for (size_t d = 0; d < sizeof(devices) / sizeof(devices[0]); d++)
        for (unsigned int end = 0; end < UPDATE_END_COUNT; end++)
            for (unsigned int kind = 0; kind < 3; kind++) {
                const struct update update = {.end = (enum update_end)end,
                                              .legacy = kind == 1,
                                              .unsaid = kind == 2,
                                              .version = "2.5"};

                cr_log_info("device %zu, %s, kind %u", d, life_end_word(update.end), kind);
                go_through(life, updater, devices[d], &update);
            }
}
