/* SPDX-License-Identifier: BSD-2-Clause */
/* What happened with chips in the field (field-failures, by row): chips that fail, appear, are
 * cleared, swapped, owned by somebody else, or full of another device's keys. */
#include "tests/life/life_proxy.h"

LIFE(field_chip);

static void chip_appears(void)
{
    cr_assert_eq(idm_swtpm_start(&device.tpm, NULL), 0);
    device.has_tpm = true;
    chip_true();
}

/* ---- row 1: a second copy cannot be made ---- */

Test(field_chip, row_1_failed_backup_degrades_and_never_replaces)
{
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    shell(0, "rm $ROOT" PERSIST_TPM "; mkdir -p $ROOT/persist/idmode/.tpm.cert.pem.tmp/in-the-way");
    for (int i = 0; i < 2; i++) {
        boot(0);
        status_is("tpm", "tpm-dual", "backup-degraded");
        still(&before);
    }
    shell(0, "rm -r $ROOT/persist/idmode/.tpm.cert.pem.tmp");
    boot(0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
    shell(0, "cmp $ROOT" PERSIST_TPM " $ROOT" CONFIG_TPM);
}

/* ---- row 2: little NV ---- */

Test(field_chip, row_2_nothing_but_the_counter_is_in_nv)
{
    open_device(NULL);
    boot(0);
    shell(0, "test \"$(tpm2_getcap handles-nv-index)\" = '- 0x1821D01'");
    shell(0, "tpm2_nvreadpublic 0x01821D01 | grep -qx '  size: 8'");
}

/* ---- row 3: a half-working chip at first use ---- */

Test(field_chip, row_3_broken_chip_at_first_use_gives_software_and_says_so)
{
    struct idm_device_identity before;

    open_device(NULL);
    chip_lies("0x173:0x101:99,0x169:0x101:99,0x17c:0x101:99");
    boot(0);
    status_is("software", "software", "tpm-malfunction");
    before = active();
    legacy_pair();
    chip_true();
    for (int i = 0; i < 2; i++) {
        boot(0);
        status_is("software", "software", "tpm-malfunction");
        still(&before);
    }
    cr_assert_eq(status_epoch(), 1);
}

Test(field_chip, row_3_odd_answer_of_a_sound_chip_is_no_reason_for_a_software_identity)
{
    open_device(NULL);
    chip_lies("0x173:0x155:99"); /* TPM2_ReadPublic: TPM_RC_SENSITIVE; GetTestResult: all is well */
    OK(idm_device_boot(&device));
    cr_assert_neq(device.exit_code, 0);
    cr_assert_not(idm_device_exists(&device, CONFIG_CERT));
    chip_true();
    boot(0);
    status_is("tpm", "tpm-dual", "");
}

/* ---- row 10: a new disk, the old chip ---- */

Test(field_chip, row_10_reinstallation_does_not_reuse_the_key)
{
    struct idm_device_identity before, after;
    struct kept old;
    bool signs;

    open_device(NULL);
    boot(0);
    before = active();
    old = keep(PERSIST_TSS2);
    shell(0, "rm -r $ROOT/config/* $ROOT/persist/*");
    boot(3);
    held_for("none", "record-corrupt");
    cr_assert_not(idm_device_exists(&device, CONFIG_CERT));
    cr_assert_not(idm_device_exists(&device, MARKER));

    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    after = active();
    cr_assert_str_neq(after.spki_sha256, before.spki_sha256);
    boot(0);
    status_is("tpm", "tpm-dual", "");
    still(&after);
    OK(idm_device_chip_signs(&device, old.data, old.size, &signs));
    cr_assert_not(signs, "the old key file still works");
    drop(&old);
}

/* ---- row 11: the chip comes later ---- */

Test(field_chip, row_11_chip_that_appears_changes_nothing_until_migrated)
{
    struct idm_device_identity before, prepared, after;

    open_device(&(struct idm_device_options){.without_tpm = true});
    boot(0);
    status_is("software", "software", "");
    before = active();
    chip_appears();
    for (int i = 0; i < 2; i++) {
        boot(0);
        status_is("software", "software", "");
        still(&before);
        cr_assert_not(idm_device_exists(&device, MARKER));
    }
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    status_is("software", "migrating", "");
    prepared = active();
    cr_assert_str_eq(prepared.cert_sha256, before.cert_sha256);
    boot(0);
    still(&before);
    cr_assert_eq(RUN("migrate", "commit"), 0);
    status_is("tpm", "tpm-dual", "");
    after = active();
    cr_assert_str_neq(after.spki_sha256, before.spki_sha256);
    cr_assert_eq(status_epoch(), 2);
    boot(0);
    still(&after);
    prepared = legacy_pair();
    cr_assert_str_eq(prepared.cert_sha256, before.cert_sha256);
}

Test(field_chip, row_11_aborted_migration_leaves_the_software_identity)
{
    struct idm_device_identity before;

    open_software_device(NULL, false);
    before = active();
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    cr_assert_eq(RUN("migrate", "abort"), 0);
    boot(0);
    status_is("software", "software", "");
    still(&before);
    cr_assert_not(idm_device_exists(&device, CONFIG_TSS2));
    cr_assert_not(idm_device_exists(&device, MARKER));
    shell(0, "! tpm2_readpublic -Q -c 0x81020000 2>/dev/null");
}

/* ---- row 13: one operation fails; no check where there is no chip ---- */

Test(field_chip, row_13_failing_chip_is_held_with_its_reason_and_returns)
{
    static const struct {
        const char *plan, *reason;
    } faults[] = {
        {"0x15d:0x101:99,0x17c:0x101:99", "tpm-failed"},
        {"0x15d:0x921:99", "tpm-locked"},
        {"0x15d:0x922:9999", "tpm-busy"},
    };
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        chip_lies(faults[i].plan);
        boot(3);
        held_for("tpm-dual", faults[i].reason);
        cr_assert(idm_device_exists(&device, MARKER));
        legacy_pair();
        cr_assert_eq(RUN("sign"), 3);
        chip_true();
        boot(0);
        status_is("tpm", "tpm-dual", "");
        still(&before);
    }
    chip_nobody();
    boot(3);
    held_for("tpm-dual", "tpm-absent");
    chip_true();
    boot(0);
    still(&before);
    cr_assert_eq(status_epoch(), 1);
}

Test(field_chip, row_13_software_device_does_not_care)
{
    struct idm_device_identity before;

    open_device(&(struct idm_device_options){.without_tpm = true});
    boot(0);
    status_is("software", "software", "");
    close_device();

    open_software_device(NULL, false);
    before = active();
    chip_lies("0x15d:0x101:99,0x17a:0x101:99,0x173:0x101:99,0x169:0x101:99,0x144:0x101:9");
    boot(0);
    status_is("software", "software", "");
    still(&before);
    chip_nobody();
    boot(0);
    status_is("software", "software", "");
    still(&before);
}

/* ---- row 17: the key is gone ---- */

Test(field_chip, row_17_cleared_chip_is_held_and_nothing_takes_its_place)
{
    struct kept cert;

    open_device(NULL);
    boot(0);
    cert = keep(CONFIG_CERT);
    OK(idm_device_chip_clear(&device));
    for (int i = 0; i < 2; i++) {
        boot(3);
        held_for("tpm-dual", "tpm-cleared");
        cr_assert(idm_device_exists(&device, MARKER));
        exact(&cert);
        legacy_pair();
    }
    drop(&cert);
}

Test(field_chip, row_17_replaced_chip_is_held_until_its_own_is_back)
{
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    OK(idm_device_chip_swap(&device));
    boot(3);
    held_for("tpm-dual", "tpm-replaced");
    cr_assert_eq(RUN("sign"), 3);
    legacy_pair();
    OK(idm_device_chip_swap(&device));
    boot(0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
}

Test(field_chip, row_17_lost_key_is_held)
{
    open_device(NULL);
    boot(0);
    shell(0, "tpm2_evictcontrol -Q -C o -c 0x81020000; tpm2_evictcontrol -Q -C o -c 0x81020001");
    boot(3);
    held_for("tpm-dual", "tpm-key-lost");
    cr_assert(idm_device_exists(&device, MARKER));
    legacy_pair();
}

/* ---- row 18: one disk image on many devices ---- */

static void in_another_case(void)
{
    OK(idm_device_write_text(&device, "/sys/class/dmi/id/product_serial", "SOMEBODY-ELSE\n"));
}

Test(field_chip, row_18_cloned_disk_is_held)
{
    struct kept record, serial;

    open_device(NULL);
    boot(0);
    serial = keep("/sys/class/dmi/id/product_serial");
    in_another_case();
    OK(idm_device_chip_swap(&device));
    record = keep(PERSIST_RECORD);
    boot(3);
    held_for("tpm-dual", "cloned");
    exact(&record);
    cr_assert_eq(RUN("sign"), 3);
    OK(idm_device_chip_swap(&device));
    OK(idm_device_write(&device, serial.path, serial.data, serial.size));
    boot(0);
    status_is("tpm", "tpm-dual", "");
    drop(&record);
    drop(&serial);
    close_device();

    open_software_device(NULL, true);
    in_another_case();
    boot(3);
    held_for("software", "cloned");
}

/* ---- row 27: dictionary attack logic ---- */

Test(field_chip, row_27_unclean_power_offs_do_not_lock_the_chip)
{
    open_device(NULL);
    boot(0);
    shell(0, "for h in 0x81020000 0x81020001 0x81000001;"
             "do tpm2_readpublic -c $h | grep -q 'value:.*noda'; done");
    for (int i = 0; i < 5; i++) {
        active();
        boot(0); /* the power goes without TPM2_Shutdown */
    }
    status_is("tpm", "tpm-dual", "");
    shell(0, "tpm2_getcap properties-variable | grep -qx 'TPM2_PT_LOCKOUT_COUNTER: 0x0'");
    shell(0, "tpm2_getcap properties-variable | grep -q 'inLockout: *0'");
}

/* ---- row 28: the owner is somebody else ---- */

Test(field_chip, row_28_owner_authorisation_of_a_stranger_stops_nothing_in_use)
{
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    shell(0, "tpm2_changeauth -c owner secret");
    boot(0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
    OK(idm_device_delete(&device, CONFIG_TSS2));
    boot(0);
    status_is("tpm", "tpm-dual", "");
    cr_assert(idm_device_exists(&device, CONFIG_TSS2));
}

Test(field_chip, row_28_owned_chip_at_first_use_makes_no_software_identity)
{
    open_device(NULL);
    shell(0, "tpm2_changeauth -c owner secret");
    for (int i = 0; i < 2; i++) {
        OK(idm_device_boot(&device));
        cr_assert(device.exit_code == 3 || device.exit_code == 5, "%d", device.exit_code);
        cr_assert_not(idm_device_exists(&device, CONFIG_CERT));
        cr_assert_not(idm_device_exists(&device, MARKER));
    }
    shell(0, "tpm2_changeauth -c owner -p secret");
    boot(0);
    status_is("tpm", "tpm-dual", "");
}

/* ---- row 29: saved contexts ---- */

Test(field_chip, row_29_key_files_survive_resets_and_no_context_is_kept)
{
    struct idm_device_identity before;

    open_device(&(struct idm_device_options){.conf = TPM_CONF("key-storage = tss2")});
    boot(0);
    before = active();
    shell(0, "test -z \"$(grep -rl 'CONTEXT' $ROOT/config $ROOT/persist)\"");
    shell(0, "head -1 $ROOT" PERSIST_TSS2 " | grep -qx -e '-----BEGIN TSS2 PRIVATE KEY-----'");
    for (int i = 0; i < 2; i++) {
        boot(0);
        status_is("tpm", "tpm-dual", "");
        still(&before);
    }
}
