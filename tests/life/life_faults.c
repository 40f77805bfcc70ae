/* SPDX-License-Identifier: BSD-2-Clause */
/* Chips that fail, stall, answer nonsense or lose their connection (tests/tools/tcti_shim.c), and
 * chips that somebody else used, cleared or replaced: the device says why, never takes another
 * identity, and leads out again by itself. */
#include "tests/life/life_shim.h"

#include <time.h>

LIFE(faults);

#define WAIT_MS    1000.0 /* [tpm] wait of the device in tests/support/device.c */
#define DEVICE_KEY "0x81020000"
#define COUNTER    "0x01821D01"

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- verdicts ---- */

static bool is_held(void)
{
    json_t *status;

    OK(idm_device_status(&device, &status));
    bool held = json_is_true(json_object_get(status, "held")) &&
                strcmp(status_text(status, NULL, "mode"), "unknown") == 0;
    json_decref(status);
    return held;
}

static bool is_state(const char *state)
{
    json_t *status;

    OK(idm_device_status(&device, &status));
    bool same = strcmp(status_text(status, NULL, "state"), state) == 0;
    json_decref(status);
    return same;
}

/* Nothing was made and nothing was decided. */
static void still_new(void)
{
    cr_assert_not(idm_device_exists(&device, CONFIG_CERT));
    cr_assert_not(idm_device_exists(&device, CONFIG_KEY));
    cr_assert_not(idm_device_exists(&device, PERSIST_KEY));
    cr_assert_not(idm_device_exists(&device, MARKER));
}

/* Held or failed with the TPM identity as recorded: no key of software is in use, the old image's
 * pair and the marker stay. */
static void holds_on(const char *fault)
{
    cr_assert(device.exit_code == 3 || device.exit_code == 5, "%s: exit %d", fault,
              device.exit_code);
    cr_assert(is_held(), "%s: not held", fault);
    cr_assert(is_state("tpm-dual"), "%s: another state", fault);
    cr_assert(idm_device_exists(&device, MARKER), "%s: no marker", fault);
    legacy_pair();
    cr_assert_eq(RUN("sign"), 3, "%s: it signs", fault);
}

static void leads_out(const struct idm_device_identity *before)
{
    honest();
    boot(0);
    status_is("tpm", "tpm-dual", "");
    still(before);
}

/* ---- the whole chip ---- */

Test(faults, failure_mode_at_first_use_gives_software_and_says_so)
{
    struct idm_device_identity before;

    open_device(NULL);
    spoil("mode=failure");
    boot(0);
    status_is("software", "software", "tpm-malfunction");
    cr_assert_leq(commands(NULL), 4u, "a broken chip is asked no more than it takes");
    before = active();
    legacy_pair();
    cr_assert_not(idm_device_exists(&device, MARKER));
    honest();
    boot(0);
    status_is("software", "software", "tpm-malfunction");
    still(&before);
}

Test(faults, failure_that_the_chip_does_not_confirm_makes_no_software_identity)
{
    open_device(NULL);
    spoil("cc=ReadPublic,do=answer:0x101");
    boot(3);
    held_for("none", "tpm-failed");
    still_new();
    honest();
    boot(0);
    status_is("tpm", "tpm-dual", "");
}

Test(faults, failure_mode_later_is_held_and_leads_out)
{
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    spoil("mode=failure");
    boot(3);
    held_for("tpm-dual", "tpm-failed");
    holds_on("failure mode");
    leads_out(&before);
    cr_assert_eq(status_epoch(), 1);
}

Test(faults, lockout_is_held_and_leads_out)
{
    struct idm_device_identity before;

    open_device(NULL);
    spoil("do=answer:0x921");
    boot(3);
    held_for("none", "tpm-locked");
    still_new();
    honest();
    boot(0);
    status_is("tpm", "tpm-dual", "");
    before = active();
    spoil("do=answer:0x921");
    boot(3);
    held_for("tpm-dual", "tpm-locked");
    holds_on("lockout");
    leads_out(&before);
}

Test(faults, nobody_answers_is_held_and_leads_out)
{
    struct idm_device_identity before;

    open_device(NULL);
    nobody();
    boot(3);
    held_for("none", "tpm-absent");
    still_new();
    honest();
    boot(0);
    status_is("tpm", "tpm-dual", "");
    before = active();
    nobody();
    boot(3);
    held_for("tpm-dual", "tpm-absent");
    holds_on("no socket");
    leads_out(&before);
}

/* ---- busy ---- */

/* Six at once, then pauses that double from 5 ms to half a second: 8 fill one second. */
#define BUSY_COMMANDS_MAX 20u

static double timed_boot(int exit_code)
{
    double before = now_ms();

    boot(exit_code);
    return now_ms() - before;
}

Test(faults, busy_for_ever_is_held_after_the_wait_without_hammering)
{
    struct idm_device_identity before;

    open_device(NULL);
    spoil("mode=busy");
    cr_assert_geq(timed_boot(3), WAIT_MS);
    held_for("none", "tpm-busy");
    still_new();
    cr_assert_leq(commands(NULL), BUSY_COMMANDS_MAX);
    honest();
    boot(0);
    status_is("tpm", "tpm-dual", "");
    before = active();

    spoil("mode=busy");
    double took = timed_boot(3);
    cr_assert_geq(took, WAIT_MS);
    cr_assert_lt(took, 3 * WAIT_MS, "the wait is the process's, not each command's: %.0f ms", took);
    held_for("tpm-dual", "tpm-busy");
    cr_assert_leq(commands(NULL), BUSY_COMMANDS_MAX);
    holds_on("busy");
    leads_out(&before);
}

Test(faults, busy_for_a_while_works)
{
    struct idm_device_identity before;

    open_device(NULL);
    spoil("mode=busy:10");
    boot(0);
    status_is("tpm", "tpm-dual", "");
    before = active();
    spoil("mode=busy:10");
    boot(0);
    status_is("tpm", "tpm-dual", "");
    cr_assert_eq(commands(NULL), 13u, "ten refusals, then a steady boot");
    still(&before);
    /* Slow is not busy: nothing is asked twice. */
    spoil("do=delay:100");
    boot(0);
    cr_assert_eq(commands(NULL), 3u);
    still(&before);
}

/* ---- single answers ---- */

static const char *const NONSENSE[] = {
    "truncate:0",        "truncate:6",        "truncate:10",       "truncate:19",
    "garble:0",          "garble:10",         "garble:14",         "answer:0x101",
    "answer:0x80280400", "disconnect-before", "answer:0xffffffff", "answer:0xfff0",
    "disconnect-after",
};
#define NONSENSES (sizeof(NONSENSE) / sizeof(NONSENSE[0]))

Test(faults, nonsense_to_a_tpm_device_is_held_and_leads_out)
{
    struct idm_device_identity before;
    char all[64];

    open_device(&(struct idm_device_options){.conf = TPM_CONF("wait = 0s")});
    boot(0);
    before = active();
    for (size_t i = 0; i < NONSENSES; i++) {
        snprintf(all, sizeof(all), "do=%s", NONSENSE[i]);
        spoil(all);
        OK(idm_device_boot(&device));
        holds_on(NONSENSE[i]);
        /* One bad answer: the file, or another attempt, may carry on with the same identity. */
        for (unsigned n = 1; n <= 3; n++) {
            spoil_at(NONSENSE[i], n);
            OK(idm_device_boot(&device));
            if (device.exit_code != 0)
                holds_on(NONSENSE[i]);
            else
                still(&before);
        }
    }
    leads_out(&before);
    cr_assert_eq(status_epoch(), 1);
}

Test(faults, nonsense_at_first_use_makes_no_software_identity)
{
    unsigned n;

    open_device(&(struct idm_device_options){.conf = TPM_CONF("wait = 0s")});
    OK(idm_device_freeze(&device, "new"));
    for (n = 1;; n += n < 12 ? 1 : 3) { /* the first ones decide, the others make */
        const char *fault = NONSENSE[n % NONSENSES];

        OK(idm_device_thaw(&device, "new"));
        spoil_at(fault, n);
        OK(idm_device_boot(&device));
        if (commands(NULL) < n)
            break;
        if (device.exit_code != 0) {
            cr_assert(device.exit_code == 3 || device.exit_code == 5, "%s at %u: exit %d", fault, n,
                      device.exit_code);
            cr_assert_not(is_state("software"), "%s at %u", fault, n);
            honest();
            boot(0);
        }
        status_is("tpm", "tpm-dual", "");
        cr_assert_eq(status_epoch(), 1, "%s at %u", fault, n);
    }
    cr_assert_gt(n, 30u, "all of provisioning was tried");
}

Test(faults, full_slots_are_emptied_and_the_command_repeated)
{
    struct idm_device_identity before;

    open_device(&(struct idm_device_options){.conf = TPM_CONF("key-storage = tss2")});
    boot(0);
    before = active();
    spoil("cc=Load,times=1,do=answer:0x902");
    boot(0);
    status_is("tpm", "tpm-dual", "");
    cr_assert_leq(commands(NULL), 5u + 2u, "a steady boot, the list of leftovers, Load once more");
    still(&before);
    spoil("cc=Load,do=answer:0x902");
    boot(3);
    held_for("tpm-dual", "tpm-busy");
    holds_on("no slot");
    leads_out(&before);
    /* Somebody's leftovers, for real; this run comes without a TPM reset. */
    shell(0, "cd $BASE; for i in 1 2 3; do tpm2_createprimary -Q -c $i.ctx; done;"
             "test $(tpm2_getcap handles-transient | wc -l) -eq 3");
    cr_assert_eq(RUN("boot"), 0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
}

/* ---- somebody else's chip ---- */

Test(faults, stranger_at_the_handle_of_a_new_device_is_left_alone)
{
    open_device(NULL);
    shell(0, "cd $BASE; tpm2_createprimary -Q -c p.ctx;"
             "tpm2_evictcontrol -Q -c p.ctx " DEVICE_KEY "; tpm2_flushcontext -t;"
             "tpm2_readpublic -c " DEVICE_KEY " > before");
    for (int i = 0; i < 2; i++) {
        boot(3);
        held_for("none", "tpm-owned");
        still_new();
    }
    shell(0, "cd $BASE; tpm2_readpublic -c " DEVICE_KEY " | cmp - before;"
             "tpm2_evictcontrol -Q -c " DEVICE_KEY);
    boot(0);
    status_is("tpm", "tpm-dual", "");
}

Test(faults, stranger_at_the_counter_of_a_new_device_is_left_alone)
{
    open_device(NULL);
    shell(0, "cd $BASE; tpm2_nvdefine -Q -s 8 -a 'ownerread|ownerwrite' " COUNTER ";"
             "echo -n somebody | tpm2_nvwrite -Q -C o -i - " COUNTER);
    for (int i = 0; i < 2; i++) {
        boot(3);
        held_for("none", "tpm-owned");
        still_new();
    }
    shell(0, "test $(tpm2_nvread -C o " COUNTER ") = somebody; tpm2_nvundefine -Q " COUNTER);
    boot(0);
    status_is("tpm", "tpm-dual", "");
}

Test(faults, stranger_at_the_handle_of_a_tpm_device_is_left_alone)
{
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    shell(0, "cd $BASE; tpm2_evictcontrol -Q -c " DEVICE_KEY "; tpm2_createprimary -Q -c p.ctx;"
             "tpm2_evictcontrol -Q -c p.ctx " DEVICE_KEY "; tpm2_flushcontext -t;"
             "tpm2_readpublic -c " DEVICE_KEY " > before");
    for (int i = 0; i < 2; i++) {
        boot(0);
        status_is("tpm", "tpm-dual", "backup-degraded");
        still(&before);
    }
    shell(0, "cd $BASE; tpm2_readpublic -c " DEVICE_KEY " | cmp - before;"
             "tpm2_evictcontrol -Q -c " DEVICE_KEY);
    leads_out(&before);
    shell(0, "tpm2_readpublic -Q -c " DEVICE_KEY);
}

Test(faults, stranger_at_the_counter_of_a_tpm_device_is_left_alone)
{
    open_device(NULL);
    boot(0);
    shell(0, "tpm2_nvundefine -Q " COUNTER ";"
             "tpm2_nvdefine -Q -s 8 -a 'ownerread|ownerwrite|authread|authwrite' " COUNTER ";"
             "echo -n somebody | tpm2_nvwrite -Q -C o -i - " COUNTER);
    boot(3);
    held_for("tpm-dual", "witness-lost");
    holds_on("another index");
    shell(0, "test $(tpm2_nvread -C o " COUNTER ") = somebody");
}

/* ---- the chip's memory ---- */

/* What the chip remembers, as files beside it; between power cycles, as a soldered chip never is. */
static void chip_memory(const char *from, const char *to)
{
    idm_swtpm_stop(&device.tpm);
    shell(0, "rm -rf '%s'; cp -a '%s' '%s'", to, from, to);
    cr_assert_eq(idm_swtpm_resume(&device.tpm), 0);
}

static void chip_returns(const char *reason, void (*harm)(void))
{
    struct idm_device_identity before;
    char aside[600];

    open_device(NULL);
    boot(0);
    before = active();
    snprintf(aside, sizeof(aside), "%s.kept", device.tpm.state_dir);
    chip_memory(device.tpm.state_dir, aside);
    harm();
    for (int i = 0; i < 2; i++) {
        boot(3);
        held_for("tpm-dual", reason);
        holds_on(reason);
    }
    chip_memory(aside, device.tpm.state_dir);
    leads_out(&before);
    cr_assert_eq(status_epoch(), 1);
}

static void clear_chip(void)
{
    shell(0, "tpm2_clear");
}

static void replace_chip(void)
{
    cr_assert_eq(idm_swtpm_replace(&device.tpm), 0);
}

Test(faults, cleared_chip_is_held_until_its_memory_is_back)
{
    chip_returns("tpm-cleared", clear_chip);
}

Test(faults, replaced_chip_is_held_until_it_is_back)
{
    chip_returns("tpm-replaced", replace_chip);
}

/* Done is what is in use: a move that the chip left half done is not exit 0. */
Test(faults, a_chip_that_dies_in_the_switch_is_not_a_move_that_is_done)
{
    struct idm_device_identity before;
    unsigned n, held = 0;
    char dies[64];

    open_software_device(TPM_CONF("wait = 0s"), false);
    before = active();
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    OK(idm_device_freeze(&device, "prepared"));
    for (n = 1;; n++) {
        OK(idm_device_thaw(&device, "prepared"));
        snprintf(dies, sizeof(dies), "from=%u,do=disconnect-before", n);
        spoil(dies);
        int code = RUN("migrate", "commit");
        if (commands(NULL) < n)
            break;
        cr_assert_neq(code, 2);
        cr_assert_eq(code == 0, !is_held() && is_state("tpm-dual"), "from %u: exit %d", n, code);
        held += code == 3;
        honest();
        boot(0);
        if (is_state("migrating"))
            still(&before);
        else
            status_is("tpm", "tpm-dual", "");
    }
    cr_assert_gt(held, 0u, "in no place the switch was left open");
}
