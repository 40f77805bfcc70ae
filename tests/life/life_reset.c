/* SPDX-License-Identifier: BSD-2-Clause */
/* After a factory reset: is the old key dead for other programs too, wherever somebody kept a copy? And
 * the installer's way, from another system, into a mounted target. */
#include "tests/life/life_device.h"

LIFE_IN_MEMORY(reset);

#define REQUESTED "/persist/idmode/reset-requested"

/* ---- copies of the old key ---- */

/* What an attacker with root may have kept: the file, the key at handles of his own, a saved context. */
static void keep_copies(void)
{
    shell(0, "cp $ROOT" PERSIST_TSS2 " old.pem; printf message > m;"
             "openssl x509 -in $ROOT" PERSIST_TPM " -noout -pubkey > old.pub;"
             "tpm2_load -Q -r old.pem -c loaded.ctx;"
             "tpm2_evictcontrol -Q -C o -c loaded.ctx 0x81010077;"
             "tpm2_evictcontrol -Q -C o -c loaded.ctx 0x8102FFFF;"
             "tpm2_flushcontext -t; cp loaded.ctx saved.ctx");
}

#define VERIFY "openssl dgst -sha256 -verify old.pub -signature s m > /dev/null; rm s"

static void sign_all(void)
{
    shell(0,
          "for k in 0x81010077 0x8102FFFF saved.ctx; do"
          "  tpm2_sign -Q -c $k -g sha256 -f plain -o s m; tpm2_flushcontext -t; " VERIFY "; done;"
          "openssl pkeyutl -provider tpm2 -provider default -sign -rawin -digest sha256"
          "  -inkey old.pem -in m -out s; tpm2_flushcontext -t;" VERIFY);
}

static void sign_not(const char *what)
{
    shell(0,
          "for k in %s; do if tpm2_sign -Q -c $k -g sha256 -f plain -o s m 2> /dev/null; then"
          "  echo $k signs; exit 1; fi; tpm2_flushcontext -t; done;"
          "if tpm2_load -Q -r old.pem -c again.ctx 2> /dev/null; then echo it loads; exit 1; fi;"
          "if openssl pkeyutl -provider tpm2 -provider default -sign -rawin -digest sha256"
          "  -inkey old.pem -in m -out s 2> /dev/null; then echo openssl signs; exit 1; fi;"
          "tpm2_flushcontext -t; rm -f s",
          what);
}

static void dead_after(const char *conf, const char *const reset[])
{
    open_device(&(struct idm_device_options){.conf = conf});
    boot(0);
    struct idm_device_identity before = active();
    keep_copies();
    sign_all();
    OK(idm_device_run(&device, NULL, NULL, 0, reset));
    cr_assert_eq(device.exit_code, 0, "%s", device.said);
    cr_assert_str_neq(active().spki_sha256, before.spki_sha256);
    sign_not("0x81010077 0x8102FFFF");
    boot(0);
    status_is("tpm", "tpm-dual", "");
    sign_not("0x81010077 0x8102FFFF saved.ctx");
    close_device();
}

Test(reset, every_copy_of_the_old_key_is_dead_for_other_programs)
{
    static const char *const rekey[] = {"factory-reset", "--yes", NULL};
    static const char *const clear[] = {"factory-reset", "--yes", "--reset", "clear", NULL};

    dead_after(NULL, rekey);
    dead_after(NULL, clear);
}

Test(reset, a_saved_context_lives_until_the_tpm_reset_and_the_device_says_so)
{
    open_device(NULL);
    boot(0);
    keep_copies();
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    status_is("tpm", "tpm-dual", "reset-incomplete");
    shell(0, "tpm2_sign -Q -c saved.ctx -g sha256 -f plain -o s m; tpm2_flushcontext -t;" VERIFY);
    cr_assert_eq(RUN("boot"), 0); /* again, without a TPM reset */
    status_is("tpm", "tpm-dual", "reset-incomplete");
    boot(0);
    status_is("tpm", "tpm-dual", "");
    sign_not("saved.ctx");
}

Test(reset, an_old_copy_of_the_disk_is_held_and_its_key_is_dead)
{
    open_device(NULL);
    boot(0);
    keep_copies();
    OK(idm_device_snapshot(&device, "old"));
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    boot(0);
    struct idm_device_identity after = active();
    OK(idm_device_snapshot(&device, "new"));
    OK(idm_device_restore(&device, "old"));
    for (int i = 0; i < 2; i++) {
        boot(3);
        held_for("tpm-dual", "rolled-back");
        cr_assert_eq(RUN("sign"), 3);
        sign_not("0x81010077 0x8102FFFF saved.ctx");
    }
    OK(idm_device_restore(&device, "new"));
    boot(0);
    still(&after);
}

/* ---- an installer's request ---- */

/* The installer's own system reaches no TPM, or does not care. */
static void ask_from_outside(void)
{
    char tcti[sizeof(device.tcti)];

    memcpy(tcti, device.tcti, sizeof(tcti));
    snprintf(device.tcti, sizeof(device.tcti), "none");
    shell(0, "rm -rf $ROOT/run/*"); /* the target is mounted; its /run is empty */
    cr_assert_eq(RUN("factory-reset", "--yes", "--next-boot"), 0, "%s", device.said);
    memcpy(device.tcti, tcti, sizeof(tcti));
    cr_assert(idm_device_exists(&device, REQUESTED));
}

static void first_boot_makes_another(const struct idm_device_identity *before, long long epoch)
{
    boot(0);
    cr_assert_not(idm_device_exists(&device, REQUESTED));
    cr_assert_str_neq(active().spki_sha256, before->spki_sha256);
    cr_assert_eq(status_epoch(), epoch);
    sign_not("0x81010077 0x8102FFFF");
    boot(0);
    status_is("tpm", "tpm-dual", "");
    sign_not("saved.ctx");
    cr_assert_eq(status_epoch(), epoch);
}

Test(reset, an_installers_request_into_a_target_is_carried_out_by_the_first_boot)
{
    open_device(NULL);
    boot(0);
    struct idm_device_identity before = active();
    keep_copies();
    struct kept key = keep(PERSIST_TSS2);
    ask_from_outside();
    ask_from_outside(); /* once more is once */
    exact(&key);        /* nothing but the request is written from outside */
    drop(&key);
    first_boot_makes_another(&before, 2);
}

/* The disk was formatted, the chip was not: without the request that is held. */
Test(reset, an_installers_request_into_an_empty_target_leaves_no_old_key)
{
    open_device(NULL);
    boot(0);
    struct idm_device_identity before = active();
    keep_copies();
    shell(0, "rm -r $ROOT/config/* $ROOT/persist/*");
    ask_from_outside();
    first_boot_makes_another(&before, 1);
}

/* The power goes in the first boot, at some of its durable steps. */
Test(reset, an_installers_request_survives_cuts_of_the_first_boot)
{
    open_device(&(struct idm_device_options){.scheme = IDM_BOOT_NONE});
    boot(0);
    struct idm_device_identity before = active();
    keep_copies();
    ask_from_outside();
    OK(idm_device_freeze(&device, "asked"));
    for (unsigned long cut = 1;; cut += 5) {
        OK(idm_device_thaw(&device, "asked"));
        idm_device_cut_at(&device, cut);
        OK(idm_device_boot(&device));
        if (!device.was_cut) {
            cr_assert_gt(cut, 30, "only %lu steps", cut);
            break;
        }
        first_boot_makes_another(&before, 2);
    }
}
