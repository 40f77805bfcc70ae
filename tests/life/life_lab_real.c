/* SPDX-License-Identifier: BSD-2-Clause */
/* The real world of `idmode-lab replay`, where the scenarios themselves do not prove it: that a cut
 * falls where it was asked for, that a copy is independent, that surroundings are what they claim. */
#include "tests/lab/real.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct lab_world_ops *const ops = &lab_real_world;
static struct lab_world *world;
static struct lab_result result;
static struct lab_sight sight;
static char error[LAB_SENTENCE_SIZE];

static const struct lab_device DEVICE = {.aware = true, .version = "1.0"};

static void close_world(void)
{
    ops->close(world);
}

TestSuite(lab_real, .timeout = 120, .fini = close_world);

static void open_world(const struct lab_device *device)
{
    cr_assert_eq(ops->open(&world, device, error), 0, "%s", error);
}

static void look(struct lab_world *at)
{
    cr_assert_eq(ops->see(at, &sight, error), 0, "%s", error);
}

static void act_at(struct lab_world *at, struct lab_step step, const struct lab_cut *cut)
{
    cr_assert_eq(ops->act(at, &step, cut, &result), 0, "%s", result.error);
    look(at);
}

#define ACT(what, ...)                                                                             \
    act_at(world, (struct lab_step){.action = LAB_DO_##what, ##__VA_ARGS__}, NULL)

static void shows(const char *mode, const char *state)
{
    cr_assert_str_eq(sight.mode, mode);
    cr_assert_str_eq(sight.state, state);
}

static bool has(enum idm_reason reason)
{
    return (sight.reasons >> reason & 1) != 0;
}

Test(lab_real, a_life)
{
    struct lab_device device = DEVICE;
    struct lab_identity onboarded, tpm;

    device.aware = false;
    open_world(&device);
    look(world);
    cr_assert_not(sight.powered);
    ACT(boot);
    cr_assert(result.minted && !result.judged_exit && sight.active.works);
    onboarded = sight.active;
    ACT(install, .install = {.image = LAB_SLOT_AWARE, .version = "2.0", .post_install = true});
    cr_assert_eq(sight.next_slot, 1);
    cr_assert_eq(sight.trial, IDM_NO, "the image that runs is not on trial");
    ACT(boot);
    shows("software", "software");
    cr_assert(result.judged_exit && result.exit_code == 0);
    cr_assert_eq(sight.trial, IDM_YES);
    cr_assert_str_eq(sight.active.cert, onboarded.cert);
    cr_assert_str_eq(sight.legacy_key, "plain");
    ACT(fallback);
    cr_assert_eq(sight.next_slot, 0);
    ACT(boot);
    cr_assert_not(sight.aware);
    cr_assert_str_eq(sight.legacy_view, "works");
    cr_assert_str_eq(sight.active.spki, onboarded.spki);
    ACT(install, .install = {.image = LAB_SLOT_AWARE, .version = "2.0", .post_install = true});
    ACT(boot);
    ACT(commit, .hooks = true);
    ACT(delete, .what = LAB_CERT);
    cr_assert_str_eq(sight.legacy_view, "absent");
    ACT(boot);
    shows("tpm", "tpm-dual");
    tpm = sight.active;
    cr_assert(tpm.works && sight.marker && sight.own_chip);
    cr_assert_str_neq(tpm.spki, onboarded.spki);
    cr_assert_gt(ops->writes(world), 0ul);
    ACT(boot);
    cr_assert_eq(ops->writes(world), 0ul, "a steady boot writes nothing but the marker");
    cr_assert_neq(strstr(sight.trace, "settled"), NULL, "%s", sight.trace);
}

static bool lives(const char *spki, bool snapshots)
{
    bool alive;

    cr_assert_eq(ops->key_lives(world, spki, snapshots, &alive, error), 0, "%s", error);
    return alive;
}

Test(lab_real, a_reset_ends_keys_also_in_snapshots)
{
    struct lab_identity tpm, legacy;

    open_world(&DEVICE);
    ACT(boot);
    tpm = sight.active;
    legacy = sight.legacy;
    cr_assert(lives(tpm.spki, false) && lives(legacy.spki, false));
    ACT(snapshot, .word = "before");
    ACT(factory_reset);
    cr_assert_eq(result.exit_code, 0);
    ACT(boot);
    cr_assert_not(lives(tpm.spki, false));
    cr_assert_not(lives(tpm.spki, true), "the old key file loads no more");
    cr_assert_not(lives(legacy.spki, false));
    cr_assert(lives(legacy.spki, true), "a copied software key works for ever");
    cr_assert(lives(sight.active.spki, false));
}

Test(lab_real, a_cut_falls_after_the_named_action)
{
    const struct lab_cut cut = {.kind = LAB_CUT_AFTER_NAMED, .name = "make_tss2_files"};

    open_world(&DEVICE);
    act_at(world, (struct lab_step){.action = LAB_DO_boot}, &cut);
    cr_assert(result.was_cut && !result.judged_exit && !sight.powered);
    cr_assert_neq(strstr(sight.trace, ": make_tss2_files done\n"), NULL, "%s", sight.trace);
    cr_assert_eq(strstr(sight.trace, ": make_handle done\n"), NULL);
    struct lab_step hook = {.action = LAB_DO_hook, .phase = LAB_COMMIT};
    cr_assert_eq(ops->act(world, &hook, NULL, &result), -1, "there is no power");
    ACT(boot);
    shows("tpm", "tpm-dual");
}

Test(lab_real, durable_steps_are_counted_over_both_hooks)
{
    const struct lab_step install = {
        .action = LAB_DO_install,
        .install = {
            .image = LAB_SLOT_LEGACY, .version = "2.0", .pre_install = true, .post_install = true}};
    struct lab_world *copy;
    unsigned long all;

    open_world(&DEVICE);
    ACT(boot);
    cr_assert_eq(ops->fork(&copy, world, error), 0, "%s", error);
    act_at(copy, install, NULL);
    all = result.durable;
    ops->close(copy);
    for (unsigned long at = all; at + 12 > all && at > 0; at -= 7) {
        const struct lab_cut cut = {.kind = LAB_CUT_AT, .at = at};

        cr_assert_eq(ops->fork(&copy, world, error), 0, "%s", error);
        act_at(copy, install, &cut);
        cr_assert(result.was_cut);
        cr_assert_eq(result.durable, at);
        ops->close(copy);
    }
}

Test(lab_real, a_copy_goes_its_own_way)
{
    struct lab_identity before;
    struct lab_world *copy;

    open_world(&DEVICE);
    ACT(boot);
    before = sight.active;
    cr_assert_eq(ops->fork(&copy, world, error), 0, "%s", error);
    look(copy);
    cr_assert(sight.active.works, "the copy's chip signs");
    cr_assert_str_eq(sight.active.cert, before.cert);
    act_at(copy, (struct lab_step){.action = LAB_DO_factory_reset}, NULL);
    cr_assert_str_neq(sight.active.spki, before.spki);
    ops->close(copy);
    ACT(boot);
    shows("tpm", "tpm-dual");
    cr_assert_str_eq(sight.active.cert, before.cert);
    cr_assert(sight.active.works);
}

Test(lab_real, a_copy_is_in_the_same_power_cycle)
{
    struct lab_device device = DEVICE;
    struct lab_world *copy;

    strcpy(device.settings[0].section, "image");
    strcpy(device.settings[0].key, "other-slot");
    strcpy(device.settings[0].value, "none");
    device.settings_count = 1;
    open_world(&device);
    ACT(boot);
    ACT(factory_reset);
    cr_assert(has(IDM_R_reset_incomplete), "the TPM was not reset since");
    cr_assert_eq(ops->fork(&copy, world, error), 0, "%s", error);
    struct lab_step boot_again = {.action = LAB_DO_command, .words = {"boot"}, .words_count = 1};
    act_at(copy, boot_again, NULL);
    cr_assert_str_eq(sight.mode, "tpm", "the copy's chip answers");
    cr_assert(has(IDM_R_reset_incomplete), "nor was that of the copy reset");
    act_at(copy, (struct lab_step){.action = LAB_DO_boot}, NULL);
    cr_assert_not(has(IDM_R_reset_incomplete));
    ops->close(copy);
}

Test(lab_real, disks_refuse)
{
    open_world(&DEVICE);
    ACT(disk, .disk = LAB_DISK_FULL);
    ACT(boot);
    cr_assert(has(IDM_R_storage_full));
    cr_assert_not(sight.recorded);
    ACT(disk, .disk = LAB_DISK_READ_ONLY);
    ACT(boot);
    cr_assert(has(IDM_R_storage_read_only));
    ACT(disk, .disk = LAB_DISK_OK);
    ACT(boot);
    shows("tpm", "tpm-dual");
    ACT(disk, .disk = LAB_DISK_READ_ONLY);
    ACT(delete, .what = LAB_MARKER);
    ACT(boot);
    shows("tpm", "tpm-dual");
    cr_assert_not(sight.marker);
    cr_assert(sight.active.works);
}

Test(lab_real, fat_has_no_permissions)
{
    struct lab_device device = DEVICE;
    char key[IDM_DEVICE_PATH_SIZE];
    struct stat st;

    device.filesystem = LAB_FAT;
    open_world(&device);
    ACT(boot);
    shows("tpm", "tpm-dual");
    cr_assert_eq(sight.reasons, 0u);
    idm_device_path(&world->device, "/config/device.key.pem", key);
    cr_assert_eq(stat(key, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0755u, "config is on FAT");
}

Test(lab_real, what_is_not_mounted_comes_back)
{
    struct lab_identity before;

    open_world(&DEVICE);
    ACT(boot);
    before = sight.active;
    ACT(mount, .mount_config = 0, .mount_persist = -1);
    ACT(boot);
    cr_assert(sight.held && has(IDM_R_config_dir_unreadable));
    ACT(mount, .mount_config = -1, .mount_persist = 0);
    ACT(boot);
    cr_assert(sight.held && sight.recorded, "the record is on the disk, mounted or not");
    ACT(mount, .mount_config = 1, .mount_persist = 1);
    ACT(boot);
    shows("tpm", "tpm-dual");
    cr_assert_str_eq(sight.active.cert, before.cert);
}

static void chip(enum lab_tpm tpm, unsigned int busy)
{
    ACT(tpm, .tpm = tpm, .busy_commands = busy);
    ACT(boot);
}

Test(lab_real, chips)
{
    static const struct {
        enum lab_tpm tpm;
        enum idm_reason reason;
    } holds[] = {
        {LAB_TPM_LATE, IDM_R_tpm_absent},
        {LAB_TPM_ABSENT, IDM_R_tpm_absent},
        {LAB_TPM_FAILED, IDM_R_tpm_failed},
        {LAB_TPM_LOCKED, IDM_R_tpm_locked},
    };
    open_world(&DEVICE);
    chip(LAB_TPM_OWNED, 0);
    cr_assert_not(sight.recorded && sight.epoch > 0, "no identity in somebody's chip");
    chip(LAB_TPM_USABLE, 0);
    shows("tpm", "tpm-dual");
    chip(LAB_TPM_BUSY, 8);
    shows("tpm", "tpm-dual");
    for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
        chip(holds[i].tpm, 0);
        cr_assert(sight.held && has(holds[i].reason), "%zu: %llx", i,
                  (unsigned long long)sight.reasons);
        chip(LAB_TPM_USABLE, 0);
        shows("tpm", "tpm-dual");
    }
    cr_assert(sight.own_chip);
    chip(LAB_TPM_CLEARED, 0);
    cr_assert(sight.held && has(IDM_R_tpm_cleared) && !sight.own_chip);
    chip(LAB_TPM_REPLACED, 0);
    cr_assert(sight.held && has(IDM_R_tpm_replaced));
}
