/* SPDX-License-Identifier: BSD-2-Clause */
/* Other people's objects at our numbers, and chips that come and go in the middle: what once signed
 * with a stranger's key, or left a device without an identity. */
#include "tests/life/life_device.h"

LIFE(stranger);

#define LEGACY_B  "[image]\nother-slot = legacy\n"
#define REQUESTED "/persist/idmode/reset-requested"

static void stranger_at_the_handle(void)
{
    shell(0, "tpm2_evictcontrol -Q -C o -c 0x81020000 2>/dev/null;"
             " tpm2_createprimary -Q -C o -G ecc256:ecdsa-sha256 -a 'fixedtpm|fixedparent|"
             "sensitivedataorigin|userwithauth|sign|noda' -c stranger.ctx &&"
             " tpm2_evictcontrol -Q -C o -c stranger.ctx 0x81020000 && tpm2_flushcontext -t &&"
             " tpm2_readpublic -Q -c 0x81020000 -n stranger.name");
}

static void stranger_is_untouched(void)
{
    shell(0, "tpm2_readpublic -Q -c 0x81020000 -n now.name && cmp stranger.name now.name");
}

static void without_chip(int exit_code)
{
    char tcti[sizeof device.tcti];

    memcpy(tcti, device.tcti, sizeof tcti);
    snprintf(device.tcti, sizeof device.tcti, "none");
    boot(exit_code);
    memcpy(device.tcti, tcti, sizeof tcti);
}

Test(stranger, at_the_handle_never_signs_for_us)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    boot(0);
    struct idm_device_identity before = active();
    stranger_at_the_handle();
    boot(0);
    status_is("tpm", "tpm-dual", "backup-degraded");
    still(&before);
    stranger_is_untouched();
}

Test(stranger, at_the_handle_does_not_sign_the_record)
{
    open_software_device(LEGACY_B, false);
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    stranger_at_the_handle();
    cr_assert_eq(RUN("migrate", "commit"), 0);
    boot(0);
    status_is("tpm", "tpm-dual", "backup-degraded");
    active();
    stranger_is_untouched();
}

Test(stranger, at_the_handle_does_not_stop_a_reset)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    boot(0);
    struct idm_device_identity before = active();
    stranger_at_the_handle();
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    boot(0);
    status_is("tpm", "tpm-dual", "tpm-owned");
    cr_assert_str_neq(active().spki_sha256, before.spki_sha256);
    stranger_is_untouched();
}

Test(stranger, at_the_counters_number_does_not_stop_a_reset)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    boot(0);
    shell(0, "tpm2_nvundefine -C o 0x01821D01 &&"
             " tpm2_nvdefine -Q -C o -s 8 -a 'ownerread|ownerwrite' 0x01821D01");
    boot(3);
    held_for("tpm-dual", "witness-lost");
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    boot(0);
    status_is("tpm", "tpm-dual", "tpm-owned");
}

Test(stranger, clear_refused_to_an_installers_request_is_done_by_eviction)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B "[tpm]\nreset = clear\n"});
    boot(0);
    struct idm_device_identity before = active();
    shell(0, "tpm2_clearcontrol -C p s");
    cr_assert_eq(RUN("factory-reset", "--yes", "--next-boot"), 0);
    boot(0);
    boot(0);
    status_is("tpm", "tpm-dual", "");
    cr_assert_str_neq(active().spki_sha256, before.spki_sha256);
    cr_assert_not(idm_device_exists(&device, REQUESTED));
}

Test(stranger, a_request_and_a_command_are_one_reset)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    boot(0);
    cr_assert_eq(RUN("factory-reset", "--yes", "--next-boot"), 0);
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    cr_assert_eq(status_epoch(), 2);
}

Test(stranger, a_key_dropped_while_its_chip_was_away_is_evicted_when_it_is_back)
{
    open_software_device(LEGACY_B, false);
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    idm_swtpm_stop(&device.tpm);
    cr_assert_eq(RUN("migrate", "abort"), 0);
    cr_assert_eq(idm_swtpm_resume(&device.tpm), 0);
    boot(0);
    status_is("software", "software", "");
    shell(1, "tpm2_readpublic -Q -c 0x81020000 2>/dev/null");
}

Test(stranger, a_cut_while_a_lost_counter_is_made_anew_is_no_rollback)
{
    static const char *const after[] = {"make_counter", "record_witness", "make_tss2_files",
                                        "make_tpm_cert", "record_tpm_identity"};
    for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
        open_software_device(LEGACY_B, false);
        cr_assert_eq(RUN("migrate", "prepare"), 0);
        cr_assert_eq(RUN("migrate", "abort"), 0);
        shell(0, "tpm2_nvundefine -C o 0x01821D01");
        idm_device_cut_begin(&device, 0, after[i]);
        (void)idm_device_idmode(&device, NULL, "migrate", "prepare", NULL);
        cr_assert(device.was_cut, "no cut after %s", after[i]);
        idm_device_cut_end(&device);
        boot(0);
        cr_assert_str_eq(active().cert_sha256, legacy_pair().cert_sha256);
        close_device();
    }
}

/* Every durable step, the record among them that takes the lost counter off before a new one is there. */
Test(stranger, a_cut_while_a_lost_counter_is_made_anew_costs_no_witness)
{
    bool cut = true;
    for (unsigned long n = 1; cut; n++) {
        open_software_device(LEGACY_B, false);
        cr_assert_eq(RUN("migrate", "prepare"), 0);
        cr_assert_eq(RUN("migrate", "abort"), 0);
        shell(0, "tpm2_nvundefine -C o 0x01821D01");
        idm_device_cut_begin(&device, n, NULL);
        (void)idm_device_idmode(&device, NULL, "migrate", "prepare", NULL);
        cut = device.was_cut;
        idm_device_cut_end(&device);
        boot(0);
        cr_assert_eq(RUN("migrate", "prepare"), 0);
        cr_assert_eq(RUN("migrate", "commit"), 0, "after step %lu", n);
        status_is("tpm", "tpm-dual", "");
        shell(0, "tpm2_nvread -Q -C o 0x01821D01");
        close_device();
    }
}

/* The same by an operator's word: what he said once he can say again. */
Test(stranger, a_cut_while_an_epoch_is_accepted_costs_no_witness)
{
    bool cut = true;
    for (unsigned long n = 1; cut; n++) {
        open_device(&(struct idm_device_options){.conf = LEGACY_B});
        boot(0);
        struct idm_device_identity before = active();
        shell(0, "tpm2_nvundefine -C o 0x01821D01");
        boot(3);
        idm_device_cut_begin(&device, n, NULL);
        (void)RUN("hold", "clear", "--reason", "witness-lost", "--to", "accept-epoch", "--yes");
        cut = device.was_cut;
        idm_device_cut_end(&device);
        OK(idm_device_boot(&device));
        if (device.exit_code == 3) {
            held_for("tpm-dual", "witness-lost");
            cr_assert_eq(
                RUN("hold", "clear", "--reason", "witness-lost", "--to", "accept-epoch", "--yes"),
                0, "after step %lu", n);
        }
        boot(0);
        status_is("tpm", "tpm-dual", "");
        still(&before);
        shell(0, "tpm2_nvread -Q -C o 0x01821D01");
        close_device();
    }
}

Test(stranger, no_key_of_an_interrupted_first_use_locks_a_software_device_out)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    idm_device_cut_begin(&device, 0, "make_tpm_cert");
    OK(idm_device_boot(&device));
    cr_assert(device.was_cut);
    idm_device_cut_end(&device);
    without_chip(0);
    boot(0);
    status_is("software", "software", "");
    OK(idm_device_delete(&device, CONFIG_CERT));
    boot(0);
    status_is("tpm", "tpm-dual", "");
    legacy_pair();
}

Test(stranger, at_the_counters_number_an_operator_goes_on_without_a_witness)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    boot(0);
    struct idm_device_identity before = active();
    shell(0, "tpm2_nvundefine -C o 0x01821D01 &&"
             " tpm2_nvdefine -Q -C o -s 8 -a 'ownerread|ownerwrite' 0x01821D01");
    boot(3);
    held_for("tpm-dual", "witness-lost");
    cr_assert_eq(RUN("hold", "clear", "--reason", "witness-lost", "--to", "accept-epoch", "--yes"),
                 0);
    boot(0);
    status_is("tpm", "tpm-dual", "tpm-owned");
    still(&before);
}
