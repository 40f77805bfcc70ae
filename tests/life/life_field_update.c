/* SPDX-License-Identifier: BSD-2-Clause */
/* What happened in updates in the field (field-failures, by row): hooks that lie, come late or
 * never, trials, fallbacks, downgrades, a full or read-only disk. */
#include "tests/life/life_device.h"

#include <sched.h>
#include <sys/mount.h>

LIFE(field_update);

static void install(const struct idm_device_install *install)
{
    cr_assert_eq(idm_device_install(&device, install), 0, "%s%s", device.error, device.said);
}

static void slot_boots(int slot, int exit_code)
{
    boot(exit_code);
    cr_assert_eq(device.slot, slot);
}

/* The old image in the slot that just booted uses the pair that it finds. */
static void legacy_is(const struct idm_device_identity *wanted)
{
    struct idm_device_identity now = legacy_pair();

    cr_assert_not(device.image.aware);
    cr_assert_not(device.minted, "the old image minted a pair of its own");
    cr_assert_eq(device.legacy_view, IDM_LEGACY_VIEW_WORKS);
    cr_assert_str_eq(now.cert_sha256, wanted->cert_sha256);
}

/* Born with a sealed legacy key. */
static void open_sealed_device(const char *conf)
{
    open_device(&(struct idm_device_options){.conf = conf});
    boot(0);
    boot(0);
    status_is("tpm", "tpm", "");
    cr_assert_not(idm_device_exists(&device, CONFIG_KEY));
}

/* ---- row 6: a trial is no time for one-way steps ---- */

Test(field_update, row_6_trial_destroys_nothing_that_the_other_image_needs)
{
    struct idm_device_identity before;

    open_device(&(struct idm_device_options){.legacy = true});
    boot(0);
    before = legacy_pair();
    install(&(struct idm_device_install){.aware = true});
    slot_boots(1, 0);
    status_is("software", "software", "");
    still(&before);
    OK(idm_device_delete(&device, CONFIG_CERT));
    slot_boots(1, 0);
    status_is("software", "software", "");
    still(&before);
    OK(idm_device_fallback(&device));
    slot_boots(0, 0);
    legacy_is(&before);
}

Test(field_update, row_6_deletion_on_trial_takes_effect_at_commit)
{
    struct idm_device_identity before;

    open_device(&(struct idm_device_options){.legacy = true});
    boot(0);
    before = legacy_pair();
    install(&(struct idm_device_install){.aware = true});
    slot_boots(1, 0);
    OK(idm_device_delete(&device, CONFIG_CERT));
    slot_boots(1, 0);
    still(&before);
    OK(idm_device_commit(&device, true));
    status_is("tpm", "tpm-dual", "");
    cr_assert_eq(status_epoch(), 2);
    OK(idm_device_fallback(&device));
    slot_boots(0, 0);
    legacy_is(&before);
}

/* ---- rows 7 and 8: the way back to an image that knows no TPM ---- */

Test(field_update, row_8_old_image_finds_a_whole_pair_and_mints_nothing)
{
    struct idm_device_identity pair, tpm;

    open_device(NULL);
    boot(0);
    tpm = active();
    pair = legacy_pair();
    install(&(struct idm_device_install){
        .aware = false, .skip_pre_install = true, .skip_post_install = true});
    slot_boots(1, 0);
    legacy_is(&pair);
    OK(idm_device_fallback(&device));
    slot_boots(0, 0);
    status_is("tpm", "tpm-dual", "");
    still(&tpm);
}

Test(field_update, row_7_sealed_key_is_back_before_the_old_image_boots)
{
    struct idm_device_identity tpm, pair;
    struct kept record;

    open_sealed_device(NO_OTHER_SLOT);
    tpm = active();
    install(&(struct idm_device_install){.aware = false, .said = "no"});
    pair = legacy_pair();
    status_is("tpm", "tpm-dual", "");
    record = keep(PERSIST_RECORD);
    slot_boots(1, 0);
    legacy_is(&pair);
    exact(&record);
    OK(idm_device_fallback(&device));
    slot_boots(0, 0);
    still(&tpm);
    legacy_pair();
    drop(&record);
}

Test(field_update, row_8_pair_that_an_old_image_minted_is_adopted_and_reported)
{
    struct idm_device_identity tpm, minted;

    open_sealed_device(NO_OTHER_SLOT);
    tpm = active();
    install(&(struct idm_device_install){
        .aware = false, .skip_pre_install = true, .skip_post_install = true});
    slot_boots(1, 0);
    cr_assert(device.minted, "nobody told idmode: the key was sealed");
    minted = legacy_pair();
    OK(idm_device_fallback(&device));
    slot_boots(0, 0);
    status_is("tpm", "tpm-dual", "legacy-changed");
    still(&tpm);
    struct idm_device_identity now = legacy_pair();
    cr_assert_str_eq(now.cert_sha256, minted.cert_sha256);
}

/* ---- row 20: the controller forgot the device ---- */

Test(field_update, row_20_nothing_but_a_reset_makes_another_identity)
{
    static const char *const paths[] = {CONFIG_CERT, CONFIG_KEY,  PERSIST_CERT, PERSIST_KEY,
                                        CONFIG_TSS2, PERSIST_TPM, CONFIG_TPM,   PERSIST_TSS2};
    struct idm_device_identity before;
    struct kept kept[8];

    open_device(NULL);
    boot(0);
    before = active();
    for (size_t i = 0; i < 8; i++)
        kept[i] = keep(paths[i]);
    cr_assert_eq(RUN("migrate", "prepare"), 1);
    cr_assert_eq(RUN("migrate", "commit"), 1);
    cr_assert_eq(RUN("migrate", "abort"), 1);
    cr_assert_eq(RUN("hook", "rollback"), 0);
    cr_assert_eq(RUN("hook", "commit"), 0);
    cr_assert_eq(RUN("factory-reset"), 2);
    cr_assert_eq(RUN("cert", "show"), 0);
    boot(0);
    cr_assert_eq(RUN("boot"), 0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
    cr_assert_eq(status_epoch(), 1);
    for (size_t i = 0; i < 8; i++) {
        exact(&kept[i]);
        drop(&kept[i]);
    }
}

/* ---- rows 21 to 23: hooks ---- */

Test(field_update, row_21_veto_is_given_again_and_only_by_pre_install)
{
    static const char *const hints[] = {"post-install", "install-failed", "commit", "rollback"};
    struct idm_device_identity before;
    const struct idm_device_install old = {.aware = false};

    open_sealed_device(NO_OTHER_SLOT "[identity]\nlegacy-key = none\n");
    before = active();
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(idm_device_install(&device, &old), 1, "%s", device.error);
        cr_assert_eq(device.exit_code, 1);
        cr_assert_not(idm_device_slot(&device, 1).present);
        for (size_t h = 0; h < sizeof(hints) / sizeof(hints[0]); h++) {
            OK(idm_device_hook(&device, hints[h]));
            cr_assert_eq(device.exit_code, 0, "%s", hints[h]);
        }
        boot(0);
        still(&before);
    }
}

Test(field_update, row_21_pending_state_survives_a_failed_run)
{
    struct idm_device_identity pair;

    open_sealed_device(NO_OTHER_SLOT);
    install(&(struct idm_device_install){.aware = false, .end = IDM_INSTALL_WRITE_FAILS});
    pair = legacy_pair();
    slot_boots(0, 0);
    install(&(struct idm_device_install){.aware = false, .version = "0.9"});
    slot_boots(1, 0);
    legacy_is(&pair);
}

Test(field_update, row_22_rejected_bundle_is_undone_when_the_slot_did_not_change)
{
    struct idm_device_identity before;

    open_device(
        &(struct idm_device_options){.conf = OTHER_SLOT_AWARE "[identity]\nlegacy-key = seal\n"});
    OK(idm_device_put_image(&device, 1, true, "0.9"));
    boot(0);
    boot(0);
    status_is("tpm", "tpm", "");
    before = active();
    install(&(struct idm_device_install){.aware = false, .end = IDM_INSTALL_DIES_AFTER_PRE});
    status_is("tpm", "tpm-dual", "");
    legacy_pair();
    for (int i = 0; i < 3; i++)
        slot_boots(0, 0);
    status_is("tpm", "tpm", "");
    cr_assert_not(idm_device_exists(&device, CONFIG_KEY));
    still(&before);
}

Test(field_update, row_22_written_slot_keeps_the_installation_open)
{
    struct idm_device_identity before;

    open_sealed_device(NO_OTHER_SLOT);
    before = active();
    install(&(struct idm_device_install){.aware = false, .end = IDM_INSTALL_DIES_AFTER_WRITE});
    for (int i = 0; i < 3; i++)
        slot_boots(0, 0);
    status_is("tpm", "tpm-dual", "");
    legacy_pair();
    still(&before);
}

Test(field_update, row_23_boot_reconciles_what_no_hook_said)
{
    struct idm_device_identity before, pair;
    json_t *status;

    open_device(NULL);
    boot(0);
    before = active();
    pair = legacy_pair();
    install(&(struct idm_device_install){
        .aware = true, .skip_pre_install = true, .skip_post_install = true});
    slot_boots(1, 0);
    still(&before);
    OK(idm_device_status(&device, &status));
    cr_assert_str_eq(status_text(status, "image", "slot"), "B");
    cr_assert_str_eq(status_text(status, "image", "version"), "2.0");
    cr_assert_str_eq(status_text(status, "image", "trial"), "yes");
    json_decref(status);
    OK(idm_device_commit(&device, false));
    boot(0);
    still(&before);
    /* switched although the update failed: an old image stands where an aware one was */
    OK(idm_device_put_image(&device, 0, false, "0.9"));
    OK(idm_device_fallback(&device));
    slot_boots(0, 0);
    legacy_is(&pair);
}

/* ---- row 24: a boot environment that contradicts itself ---- */

static void environment_is(const char *const assignments[], const char *trial)
{
    json_t *status;

    cr_assert_eq(idm_bootloader_set(&device.bootloader, assignments), 0);
    boot(0);
    OK(idm_device_status(&device, &status));
    cr_assert_str_eq(status_text(status, "image", "trial"), trial);
    json_decref(status);
}

Test(field_update, row_24_contradictory_environment_proves_nothing)
{
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    /* no installation is open: nothing is on trial, whatever counts */
    environment_is((const char *const[]){"upgrade_available=0", "bootcount=9", NULL}, "no");
    environment_is((const char *const[]){"upgrade_available=", "bootcount=4", NULL}, "no");
    environment_is((const char *const[]){"upgrade_available=maybe", NULL}, "no");
    environment_is((const char *const[]){"upgrade_available=0", "ustate=1", NULL}, "no");
    /* one is: whether it is on trial is not known then */
    environment_is((const char *const[]){"ustate=", NULL}, "no");
    install(NULL);
    environment_is((const char *const[]){"ustate=0", NULL}, "unknown");
    cr_assert_eq(device.slot, 1);
    still(&before);
    status_is("tpm", "tpm-dual", "");
    cr_assert_eq(status_epoch(), 1);
}

Test(field_update, row_24_unreadable_environment_is_said_and_decides_nothing)
{
    struct idm_device_identity before;

    open_software_device(NULL, false);
    before = active();
    shell(0, "printf garbage > $ROOT/boot/uboot.env; printf garbage > $ROOT/boot/uboot-redund.env");
    OK(idm_device_delete(&device, CONFIG_CERT));
    boot(0);
    status_is("software", "software", "bootenv-unreadable");
    still(&before);
}

/* ---- row 25: back, and forward again ---- */

Test(field_update, row_25_older_disk_is_held_and_the_newer_one_works_again)
{
    struct idm_device_identity after;

    open_device(NULL);
    boot(0);
    OK(idm_device_snapshot(&device, "old"));
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    boot(0);
    after = active();
    cr_assert_eq(status_epoch(), 2);
    OK(idm_device_snapshot(&device, "new"));
    OK(idm_device_restore(&device, "old"));
    boot(3);
    held_for("tpm-dual", "rolled-back");
    cr_assert_eq(RUN("sign"), 3);
    OK(idm_device_restore(&device, "new"));
    boot(0);
    status_is("tpm", "tpm-dual", "");
    still(&after);
}

Test(field_update, row_25_older_half_of_the_store_does_not_count)
{
    struct idm_device_identity after;

    open_device(NULL);
    boot(0);
    shell(0, "cp -a $ROOT/config/idmode $BASE/old");
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    boot(0);
    after = active();
    shell(0, "rm -r $ROOT/config/idmode; cp -a $BASE/old $ROOT/config/idmode");
    boot(0);
    status_is("tpm", "tpm-dual", "");
    still(&after);
    shell(0, "cmp $ROOT" CONFIG_TSS2 " $ROOT" PERSIST_TSS2 "; cmp $ROOT" CONFIG_TPM
             " $ROOT" PERSIST_TPM "; cmp $ROOT" CONFIG_RECORD " $ROOT" PERSIST_RECORD);
    cr_assert_eq(status_epoch(), 2);
}

/* ---- row 30: no room ---- */

static void unmount(void)
{
    char path[IDM_DEVICE_PATH_SIZE];

    idm_device_path(&device, "/persist", path);
    umount2(path, MNT_DETACH);
    close_device();
}

/* Moves /persist onto a small file system, which goes with this test's process. */
static void small_persist(void)
{
    char path[IDM_DEVICE_PATH_SIZE];

    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        cr_skip_test("no mount namespace here");
    idm_device_path(&device, "/persist", path);
    shell(0, "cp -a $ROOT/persist $BASE/persist");
    if (mount("tmpfs", path, "tmpfs", MS_NOSUID, "size=400k,mode=755") != 0)
        cr_skip_test("no file system can be mounted here");
    shell(0, "cp -a $BASE/persist/. $ROOT/persist/");
}

TestSuite(field_room, .timeout = 60, .fini = unmount);

Test(field_room, row_30_full_disk_degrades_and_the_identity_works)
{
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    small_persist();
    shell(0, "dd if=/dev/zero of=$ROOT/persist/fill bs=4k 2>/dev/null || true");
    boot(0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
    /* what a legacy image needs is repaired where there is room for it */
    OK(idm_device_delete(&device, CONFIG_CERT));
    boot(0);
    status_is("tpm", "tpm-dual", "");
    legacy_pair();
    /* something is due, and there is no room for it */
    OK(idm_device_delete(&device, CONFIG_RECORD));
    boot(0);
    status_is("tpm", "tpm-dual", "storage-full");
    still(&before);
    OK(idm_device_delete(&device, "/persist/fill"));
    boot(0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
    legacy_pair();
}

Test(field_room, row_30_read_only_disk_degrades_and_the_identity_works)
{
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    small_persist();
    OK(idm_device_delete(&device, CONFIG_TSS2));
    shell(0, "mount -o remount,ro $ROOT/persist");
    boot(0);
    status_is("tpm", "tpm-dual", "backup-degraded storage-read-only");
    still(&before);
    shell(0, "mount -o remount,rw $ROOT/persist");
    boot(0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
}

Test(field_room, row_30_full_disk_at_first_use_begins_nothing)
{
    open_device(NULL);
    small_persist();
    shell(0, "dd if=/dev/zero of=$ROOT/persist/fill bs=4k 2>/dev/null || true");
    boot(3);
    status_is("none", "none", "storage-full");
    cr_assert_not(idm_device_exists(&device, CONFIG_CERT));
    OK(idm_device_delete(&device, "/persist/fill"));
    boot(0);
    status_is("tpm", "tpm-dual", "");
}
