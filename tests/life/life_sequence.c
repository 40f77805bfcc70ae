/* SPDX-License-Identifier: BSD-2-Clause */
/* Sequences that once lost, replaced or locked out an identity, found by reading the table against
 * what updaters, chips and people do. */
#include "tests/life/life_device.h"

#include <sched.h>
#include <sys/mount.h>

LIFE(sequence);

#define SEAL      "[identity]\nlegacy-key = seal\n"
#define LEGACY_B  "[image]\nother-slot = legacy\n"
#define REQUESTED "/persist/idmode/reset-requested"

static void install_aware(const char *version)
{
    OK(idm_device_install(&device,
                          &(struct idm_device_install){.aware = true, .version = version}));
}

static void without_chip(int exit_code)
{
    char tcti[sizeof device.tcti];

    memcpy(tcti, device.tcti, sizeof tcti);
    snprintf(device.tcti, sizeof device.tcti, "none");
    boot(exit_code);
    memcpy(device.tcti, tcti, sizeof tcti);
}

/* ---- hooks ---- */

Test(sequence, hooks_of_another_installation_change_nothing)
{
    struct idm_device_identity pair;

    open_device(&(struct idm_device_options){.conf = SEAL});
    boot(0);
    pair = legacy_pair();
    OK(idm_device_install(&device, &(struct idm_device_install){.aware = false, .version = "0.9"}));
    boot(0);
    cr_assert_not(device.minted);
    OK(idm_device_fallback(&device));
    boot(0);
    cr_assert_eq(RUN("hook", "post-install", "--target-aware", "yes", "--install-id", "other"), 0);
    boot(0);
    boot(0);
    status_is("tpm", "tpm-dual", "");
    OK(idm_device_fallback(&device));
    boot(0);
    cr_assert_not(device.minted, "an orphaned hook cost the old image its pair");
    cr_assert_str_eq(legacy_pair().cert_sha256, pair.cert_sha256);
}

Test(sequence, an_update_into_an_empty_slot_proves_the_hooks)
{
    open_device(NULL);
    boot(0);
    status_is("tpm", "tpm-dual", "");
    install_aware("2.0");
    boot(0);
    OK(idm_device_commit(&device, true));
    boot(0);
    boot(0);
    status_is("tpm", "tpm", "");
}

Test(sequence, an_aware_update_never_exposes_the_sealed_key)
{
    open_device(&(struct idm_device_options){.conf = OTHER_SLOT_AWARE SEAL});
    boot(0);
    status_is("tpm", "tpm", "");
    install_aware("2.0");
    cr_assert_not(idm_device_exists(&device, CONFIG_KEY));
    boot(0);
    status_is("tpm", "tpm", "");
    cr_assert_not(idm_device_exists(&device, CONFIG_KEY));
}

Test(sequence, an_image_that_appears_unannounced_outranks_the_configuration)
{
    open_device(&(struct idm_device_options){.conf = NO_OTHER_SLOT SEAL});
    boot(0);
    boot(0);
    status_is("tpm", "tpm", "");
    OK(idm_device_put_image(&device, 1, false, "0.9"));
    boot(0);
    status_is("tpm", "tpm-dual", "");
    OK(idm_device_fallback(&device));
    boot(0);
    cr_assert_not(device.minted);
}

Test(sequence, unreadable_records_veto_an_old_image_and_can_be_reset)
{
    open_device(&(struct idm_device_options){.conf = OTHER_SLOT_AWARE SEAL});
    boot(0);
    OK(idm_device_tear(&device, PERSIST_RECORD));
    OK(idm_device_tear(&device, CONFIG_RECORD));
    boot(3);
    held_for("none", "record-corrupt");
    cr_assert_eq(RUN("hook", "pre-install", "--target-aware", "no"), 1);
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    boot(0);
    status_is("tpm", "tpm", "");
}

/* ---- chips ---- */

Test(sequence, provisioning_cut_and_then_a_boot_without_the_chip)
{
    static const char *const after[] = {"record_witness", "make_tss2_files", "make_tpm_cert",
                                        "make_legacy_cert"};
    for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
        open_device(&(struct idm_device_options){.conf = LEGACY_B});
        idm_device_cut_begin(&device, 0, after[i]);
        OK(idm_device_boot(&device));
        cr_assert(device.was_cut, "no cut after %s", after[i]);
        idm_device_cut_end(&device);
        without_chip(0);
        status_is("software", "software", "");
        struct idm_device_identity before = active();
        boot(0);
        status_is("software", "software", "");
        still(&before);
        close_device();
    }
}

/* A switch that was staged only goes forward, and without the counter it cannot. */
Test(sequence, a_migration_is_not_committed_without_its_counter)
{
    open_software_device(LEGACY_B, false);
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    shell(0, "tpm2_nvundefine -C o 0x01821D01");
    cr_assert_eq(RUN("migrate", "commit"), 1);
    status_is("software", "migrating", "witness-lost");
    cr_assert_eq(RUN("migrate", "abort"), 0);
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    cr_assert_eq(RUN("migrate", "commit"), 0);
    status_is("tpm", "tpm-dual", "");
}

Test(sequence, a_lost_counter_is_recorded_anew)
{
    open_software_device(LEGACY_B, false);
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    cr_assert_eq(RUN("migrate", "abort"), 0);
    shell(0, "tpm2_nvundefine -C o 0x01821D01");
    boot(0);
    status_is("software", "software", "witness-lost");
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    boot(0);
    status_is("software", "migrating", "");
    cr_assert_eq(RUN("migrate", "commit"), 0);
    boot(0);
    status_is("tpm", "tpm-dual", "");
}

Test(sequence, a_replaced_chip_does_not_make_a_device_unresettable)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    boot(0);
    OK(idm_device_chip_swap(&device));
    boot(3);
    held_for("tpm-dual", "tpm-replaced");
    cr_assert_eq(RUN("factory-reset", "--yes"), 1);
    cr_assert_eq(RUN("factory-reset", "--yes", "--without-tpm", "the board was swapped"), 0);
    boot(0);
    status_is("software", "software", "");
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    cr_assert_eq(RUN("migrate", "commit"), 0);
    boot(0);
    status_is("tpm", "tpm-dual", "");
}

Test(sequence, a_staged_switch_is_held_when_the_chip_is_another)
{
    open_software_device(LEGACY_B, false);
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    idm_device_cut_begin(&device, 0, "record_staged");
    (void)idm_device_idmode(&device, NULL, "migrate", "commit", NULL);
    cr_assert(device.was_cut);
    idm_device_cut_end(&device);
    OK(idm_device_chip_swap(&device));
    boot(3);
    held_for("migrating", "tpm-replaced");
}

Test(sequence, a_chip_that_refuses_clear_keeps_the_identity)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    boot(0);
    struct idm_device_identity before = active();
    shell(0, "tpm2_clearcontrol -C p s");
    cr_assert_eq(RUN("factory-reset", "--yes", "--reset", "clear"), 1);
    still(&before);
    legacy_pair();
    cr_assert_eq(RUN("factory-reset", "--yes", "--reset", "rekey"), 0);
    boot(0);
    status_is("tpm", "tpm-dual", "");
}

Test(sequence, a_reset_ends_an_old_copy_of_the_disk)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    boot(0);
    OK(idm_device_snapshot(&device, "old"));
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    boot(0);
    OK(idm_device_restore(&device, "old"));
    boot(3);
    held_for("tpm-dual", "rolled-back");
    cr_assert_eq(RUN("hold", "clear", "--reason", "rolled-back", "--to", "accept-epoch", "--yes"),
                 1);
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    boot(0);
    status_is("tpm", "tpm-dual", "");
}

Test(sequence, an_edited_record_is_not_acted_on)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    boot(0);
    /* epoch, after the 17 bytes of the header, sequence, time, state, intent and stage */
    shell(0, "for f in $ROOT/persist/idmode/record $ROOT/config/idmode/record; do"
             " printf '\\007' | dd of=$f bs=1 seek=36 conv=notrunc 2>/dev/null;"
             " size=$(stat -c %%s $f);"
             " head -c $((size - 32)) $f | openssl dgst -sha256 -binary |"
             " dd of=$f bs=1 seek=$((size - 32)) conv=notrunc 2>/dev/null; done");
    boot(3);
    held_for("tpm-dual", "record-corrupt");
}

/* ---- disks ---- */

Test(sequence, an_installers_request_waits_for_the_clock)
{
    open_device(&(struct idm_device_options){.legacy = true});
    boot(0);
    struct idm_device_identity old = legacy_pair();
    OK(idm_device_put_image(&device, 0, true, "2.0"));
    OK(idm_device_write_text(&device, REQUESTED, "x\n"));
    idm_device_clock(&device, 1000000);
    boot(3);
    status_is("none", "none", "clock");
    idm_device_clock_real(&device);
    boot(0);
    cr_assert_not(idm_device_exists(&device, REQUESTED));
    cr_assert_str_neq(active().spki_sha256, old.spki_sha256);
    cr_assert_str_neq(legacy_pair().spki_sha256, old.spki_sha256);
}

Test(sequence, lost_envelopes_are_sealed_again)
{
    open_device(NULL);
    boot(0);
    install_aware("2.0");
    boot(0);
    OK(idm_device_commit(&device, true));
    OK(idm_device_delete(&device, "/persist/idmode/legacy.sealed"));
    OK(idm_device_delete(&device, "/config/idmode/legacy.sealed"));
    boot(0);
    boot(0);
    status_is("tpm", "tpm", "");
    cr_assert_eq(RUN("hook", "pre-install", "--target-aware", "no"), 0);
    legacy_pair();
}

static void unmount(void)
{
    char path[IDM_DEVICE_PATH_SIZE];

    idm_device_path(&device, "/persist", path);
    (void)umount2(path, MNT_DETACH);
    close_device();
}

TestSuite(sequence_room, .timeout = 60, .fini = unmount);

Test(sequence_room, an_upgrade_onto_a_full_disk_keeps_the_pair_in_use)
{
    char path[IDM_DEVICE_PATH_SIZE];

    open_device(&(struct idm_device_options){.legacy = true});
    boot(0);
    struct idm_device_identity before = legacy_pair();
    OK(idm_device_put_image(&device, 0, true, "2.0"));
    idm_device_path(&device, "/persist", path);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", path, "tmpfs", MS_NOSUID, "size=400k,mode=755") != 0)
        cr_skip_test("no file system can be mounted here");
    shell(0, "dd if=/dev/zero of=$ROOT/persist/fill bs=4k 2>/dev/null || true");
    boot(0);
    status_is("software", "none", "storage-full");
    still(&before);
    OK(idm_device_delete(&device, "/persist/fill"));
    boot(0);
    status_is("software", "software", "");
    still(&before);
}

/* ---- without a boot environment the record alone knows of a trial ---- */

static void trial_is(const char *trial)
{
    json_t *status;

    OK(idm_device_status(&device, &status));
    cr_assert_str_eq(status_text(status, "image", "trial"), trial);
    json_decref(status);
}

Test(sequence, an_installation_that_comes_to_nothing_leaves_the_trial_as_it_was)
{
    open_device(&(struct idm_device_options){.scheme = IDM_BOOT_NONE, .conf = SEAL});
    boot(0);
    trial_is("no");
    install_aware("2.0");
    boot(0);
    trial_is("unknown");

    /* begun, and nothing written: over at the next boot */
    OK(idm_device_install(&device,
                          &(struct idm_device_install){
                              .aware = true, .version = "3.0", .end = IDM_INSTALL_DIES_AFTER_PRE}));
    trial_is("unknown");
    boot(0);
    trial_is("unknown");
    boot(0);
    trial_is("unknown");

    /* failed, and said so */
    OK(idm_device_install(&device, &(struct idm_device_install){.aware = true,
                                                                .version = "4.0",
                                                                .end = IDM_INSTALL_WRITE_FAILS}));
    trial_is("unknown");
    boot(0);
    trial_is("unknown");
    /* nothing was sealed that the image before might need */
    status_is("tpm", "tpm-dual", "");
    cr_assert_eq(RUN("hook", "commit"), 0);
    trial_is("no");
    boot(0);
    trial_is("no");
}

/* The commit of the running image comes when the next installation has begun: under another id. */
Test(sequence, a_commit_ends_the_trial_under_an_installation_that_has_begun)
{
    open_device(&(struct idm_device_options){.scheme = IDM_BOOT_NONE});
    boot(0);
    install_aware("2.0");
    boot(0);
    cr_assert_eq(RUN("hook", "pre-install", "--target-aware", "yes", "--install-id", "next"), 0);
    trial_is("unknown");
    cr_assert_eq(RUN("hook", "commit", "--install-id", "first"), 0);
    trial_is("no");
    boot(0);
    trial_is("no");
}
