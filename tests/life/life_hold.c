/* SPDX-License-Identifier: BSD-2-Clause */
/* Holds and reasons on the shipped programs and a real TPM emulator. */
#include "tests/life/life_device.h"

LIFE(hold);

#define LEGACY_B "[image]\nother-slot = legacy\n"

Test(hold, a_disk_that_stays_in_another_device_leaves_its_keys_alone)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B, .serial = "SN-1"});
    boot(0);
    struct idm_device_identity before = active();
    /* The other device's keys: what idmode made there. */
    shell(0, "rm -rf kept && cp -a $ROOT kept && rm -r $ROOT/config/* $ROOT/persist/* &&"
             " tpm2_clear -Q");
    boot(0);
    shell(0,
          "tpm2_readpublic -Q -c 0x81020000 -n device.name &&"
          " tpm2_readpublic -Q -c 0x81020001 -n parent.name && tpm2_nvread -C o -s 8 0x01821D01 >"
          " counter && rm -r $ROOT/config/* $ROOT/persist/* && cp -a kept/config/. $ROOT/config/"
          " && cp -a kept/persist/. $ROOT/persist/ && chmod u+w"
          " $ROOT/sys/class/dmi/id/product_serial && echo SN-2 >"
          " $ROOT/sys/class/dmi/id/product_serial");
    boot(3);
    held_for("tpm-dual", "cloned");
    cr_assert_eq(RUN("hold", "clear", "--reason", "cloned", "--to", "new-identity", "--yes"), 0);
    boot(0);
    status_is("software", "software", "");
    cr_assert_str_neq(active().spki_sha256, before.spki_sha256);
    legacy_pair();
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    cr_assert_eq(RUN("migrate", "commit"), 0);
    boot(0);
    status_is("tpm", "tpm-dual", "tpm-owned reset-weak");
    shell(0, "tpm2_readpublic -Q -c 0x81020000 -n now && cmp now device.name &&"
             " tpm2_readpublic -Q -c 0x81020001 -n now && cmp now parent.name &&"
             " tpm2_nvread -C o -s 8 0x01821D01 | cmp - counter");
}

static void certificate_lost_everywhere(const char *conf, const char *state)
{
    open_device(&(struct idm_device_options){.conf = conf});
    boot(0);
    struct idm_device_identity before = active();
    long long epoch = status_epoch();
    shell(0, "rm $ROOT/config/idmode/tpm.cert.pem && : >$ROOT/persist/idmode/tpm.cert.pem");
    if (strcmp(state, "tpm") == 0)
        shell(0, "rm $ROOT/config/device.cert.pem");
    boot(0);
    status_is("tpm", state, "");
    cr_assert_str_eq(active().spki_sha256, before.spki_sha256);
    cr_assert_str_neq(active().cert_sha256, before.cert_sha256);
    cr_assert_eq(status_epoch(), epoch + 1);
    struct idm_device_identity now = active();
    boot(0);
    still(&now);
    close_device();
}

/* Rule 4. */
Test(hold, a_tpm_certificate_that_is_lost_everywhere_is_made_again)
{
    certificate_lost_everywhere(LEGACY_B, "tpm-dual");
    certificate_lost_everywhere(NO_OTHER_SLOT, "tpm");
    certificate_lost_everywhere(LEGACY_B "[tpm]\nkey-storage = tss2\n", "tpm-dual");
}

Test(hold, a_chip_that_lost_all_that_it_kept_is_called_volatile)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    boot(0);
    shell(0, "for h in $(tpm2_getcap handles-persistent | sed 's/^- //'); do"
             " tpm2_evictcontrol -Q -C o -c $h; done; tpm2_nvundefine -C o 0x01821D01");
    boot(3);
    held_for("tpm-dual", "tpm-volatile");
    shell(3, "$IDMODE --root $ROOT --tcti $TCTI doctor >said || rc=$?; grep -q tpm-volatile"
             " said || exit 9; exit $rc");
    cr_assert_eq(RUN("hold", "clear", "--reason", "tpm-volatile", "--to", "legacy", "--yes"), 0);
    boot(0);
    status_is("software", "software", "");
}

Test(hold, a_config_directory_in_memory_is_reported_until_it_is_not)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    if (idm_device_idmode(&device, NULL, "mode", NULL) != 0 ||
        system("unshare -m true 2>/dev/null") != 0)
        cr_skip_test("a tmpfs cannot be mounted here");
    boot(0);
    shell(0, "mount -t tmpfs none $ROOT/config");
    boot(0);
    status_is("tpm", "tpm-dual", "config-dir-corrupt config-dir-volatile");
    boot(0);
    status_is("tpm", "tpm-dual", "config-dir-volatile");
    shell(3, "$IDMODE --root $ROOT --tcti $TCTI doctor >said || rc=$?;"
             " grep -q config-dir-volatile said || exit 9; exit $rc");
    shell(0, "umount $ROOT/config");
    boot(0);
    status_is("tpm", "tpm-dual", "");
}

Test(hold, a_machine_that_was_never_set_up_says_so_in_one_line)
{
    static const char *const commands[] = {"doctor",          "boot",     "hold show", "sign",
                                           "migrate prepare", "cert show"};

    open_device(NULL);
    shell(0, "mkdir empty");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        shell(0,
              "$IDMODE --root $BASE/empty --tcti none %s >said 2>&1 </dev/null || test $? = 3;"
              " cat said; test $(wc -l <said) = 1 && grep -q 'never set up' said",
              commands[i]);
}

Test(hold, epochs_go_on_when_both_records_are_lost)
{
    open_software_device(LEGACY_B, true);
    long long epoch = status_epoch();
    shell(0, "rm $ROOT/config/idmode/record $ROOT/persist/idmode/record");
    boot(0);
    cr_assert_eq(status_epoch(), epoch + 1);
}

/* Looking is not booting: what waits for the next run still waits for it afterwards. */
Test(hold, hold_show_changes_nothing)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    boot(0);
    struct idm_device_identity before = active();
    cr_assert_eq(RUN("factory-reset", "--yes", "--next-boot"), 0);
    shell(0, "cp -a $ROOT kept; $IDMODE --root $ROOT --tcti $TCTI hold show >said;"
             " grep -q -x 'not held' said; diff -r kept $ROOT;"
             " rm -r $ROOT/run/idmode/status.json kept/run/idmode/status.json;"
             " $IDMODE --root $ROOT --tcti $TCTI hold show >said; grep -q -x 'not held' said;"
             " diff -r kept $ROOT");
    still(&before);
    boot(0);
    cr_assert_str_neq(active().spki_sha256, before.spki_sha256);
}

static void hold_shown(const char *wanted)
{
    shell(0, "$IDMODE --root $ROOT --tcti $TCTI hold show >said; grep -q '%s' said", wanted);
    shell(0,
          "$IDMODE --root $ROOT --tcti $TCTI --json hold show >said; jq -r"
          " 'if .held then \"held: \" + .reason else \"not held\" end' said | grep -q '%s'",
          wanted);
}

/* As published in this boot, whatever happened since; where nothing was, as a boot would begin. */
Test(hold, hold_show_says_what_this_boot_published)
{
    open_device(&(struct idm_device_options){.conf = LEGACY_B});
    boot(0);
    hold_shown("not held");
    idm_swtpm_stop(&device.tpm);
    hold_shown("not held");
    cr_assert_eq(RUN("boot"), 3);
    hold_shown("held: tpm-absent");
    cr_assert_eq(idm_swtpm_resume(&device.tpm), 0);
    hold_shown("held: tpm-absent");
    /* another boot's word is none: this disk was mounted with its /run */
    shell(0, "echo 01234567-89ab-cdef-0123-456789abcdef >$ROOT/proc/sys/kernel/random/boot_id");
    hold_shown("not held");
    idm_swtpm_stop(&device.tpm);
    shell(0, "rm -r $ROOT/run/idmode");
    hold_shown("held: tpm-absent");
    /* of two reasons, the one that holds */
    shell(0, "rm -r $ROOT/config/idmode");
    cr_assert_eq(RUN("boot"), 3);
    held_for("tpm-dual", "tpm-absent config-dir-corrupt");
    hold_shown("held: tpm-absent");
    shell(0, "rm $ROOT/run/idmode/status.json; mkdir $ROOT/run/idmode/status.json");
    shell(5, "$IDMODE --root $ROOT --tcti $TCTI hold show 2>said || rc=$?;"
             " grep -q 'status.json: a directory is in its place' said || exit 9; exit $rc");
}

/* "Nothing ever happened" is an answer of its own. */
Test(hold, a_history_that_cannot_be_read_is_no_empty_one)
{
    open_device(&(struct idm_device_options){.without_tpm = true});
    boot(0);
    shell(0, "rm $ROOT/persist/idmode/history; $IDMODE --root $ROOT history >said; [ ! -s said ];"
             " mkdir $ROOT/persist/idmode/history");
    shell(5, "$IDMODE --root $ROOT history >said 2>&1 || rc=$?; cat said;"
             " grep -q 'history: a directory is in its place' said || exit 9; exit $rc");
    shell(5, "$IDMODE --root $ROOT --json history >said || rc=$?; jq -e .error.why said || exit 9;"
             " exit $rc");
}
