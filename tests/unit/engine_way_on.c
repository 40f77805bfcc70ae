/* SPDX-License-Identifier: BSD-2-Clause */
/* No device comes to stand where nothing leads on: not for a clock that once was wrong, not for a key that a
 * cut left unfinished, not for an old image that was installed and then forgotten. */
#include "tests/sim/sim.h"

#include <criterion/criterion.h>
#include <string.h>

static struct idm_sim sim;
static struct idm_outcome outcome;

static void new_device(void)
{
    idm_sim_init(&sim);
}

static void free_device(void)
{
    idm_sim_free(&sim);
}

TestSuite(engine_way_on, .init = new_device, .fini = free_device);

static void boots(enum idm_exit exit)
{
    cr_assert_eq(idm_sim_boot(&sim, &outcome), exit, "%s, held for %s, %s: %s",
                 idm_event_name(outcome.last_event), idm_reason_word(outcome.held_for),
                 outcome.error.what, outcome.error.why);
}

static void held(enum idm_reason reason)
{
    boots(IDM_EXIT_HELD);
    cr_assert_eq(outcome.held_for, reason, "held for %s", idm_reason_word(outcome.held_for));
}

static enum idm_exit ask(enum idm_request_kind kind)
{
    return idm_sim_run(&sim, &(struct idm_ask){.kind = kind}, &outcome);
}

static enum idm_exit hook(enum idm_request_kind kind, enum idm_slot_kind image)
{
    struct idm_target target = {.kind = image, .format = image == IDM_SLOT_AWARE};
    return idm_sim_run(&sim, &(struct idm_ask){.kind = kind, .target = &target}, &outcome);
}

/* The request, cut right after that action. */
static void cut(enum idm_request_kind kind, const char *action)
{
    idm_sim_arm(&sim, IDM_SIM_CUT_NAMED, 0);
    sim.fault_name = action;
    (void)ask(kind);
    cr_assert(sim.fault_hit, "%s did not run", action);
    idm_sim_power_cycle(&sim);
}

/* ---- the clock ---- */

#define YEAR INT64_C(31556952)

/* One boot under a clock that stands far in the future, in which the record is written. */
static void a_boot_in_the_future(void)
{
    struct idm_record record = {0};
    int64_t now = sim.platform.now;
    sim.platform.now += 14 * YEAR;
    sim.slot_content[1]++;
    boots(IDM_EXIT_DONE);
    cr_assert(idm_sim_record(&sim, &record));
    cr_assert_geq(record.written_at, now + 14 * YEAR);
    sim.platform.now = now + 600;
}

Test(engine_way_on, a_clock_that_once_stood_in_the_future_forbids_no_reset)
{
    struct idm_record record = {0};
    boots(IDM_EXIT_DONE);
    a_boot_in_the_future();
    boots(IDM_EXIT_DONE);
    cr_assert_eq(ask(IDM_REQ_RESET), IDM_EXIT_DONE, "%s", outcome.refused);
    cr_assert_eq(outcome.mode, IDM_MODE_TPM);
    cr_assert_eq(outcome.epoch, 2);
    cr_assert(idm_sim_record(&sim, &record));
    cr_assert_lt(record.written_at, sim.platform.now + YEAR, "the new identity starts anew");
    idm_sim_delete(&sim, IDM_F_CONFIG_TPM_CERT);
    idm_sim_delete(&sim, IDM_F_PERSIST_TPM_CERT);
    boots(IDM_EXIT_DONE); /* a certificate can be issued again */
}

Test(engine_way_on, nor_one_that_an_installer_asks_for_at_any_cut)
{
    bool hit = true;
    for (unsigned long at = 1; hit; at++) {
        idm_sim_free(&sim);
        idm_sim_init(&sim);
        boots(IDM_EXIT_DONE);
        a_boot_in_the_future();
        idm_sim_put(&sim, IDM_F_RESET_REQUESTED, "");
        idm_sim_power_cycle(&sim);
        idm_sim_arm(&sim, IDM_SIM_CUT_AFTER, at);
        (void)idm_sim_run(&sim, NULL, &outcome);
        hit = sim.fault_hit;
        boots(IDM_EXIT_DONE);
        cr_assert_eq(outcome.epoch, 2, "cut %lu", at);
    }
}

Test(engine_way_on, a_clock_before_the_build_still_forbids_it)
{
    boots(IDM_EXIT_DONE);
    sim.platform.now = 1000;
    cr_assert_eq(ask(IDM_REQ_RESET), IDM_EXIT_REFUSED);
    cr_assert(strstr(outcome.refused, "clock"), "%s", outcome.refused);
}

/* ---- a key that a cut left unfinished ---- */

Test(engine_way_on, an_unfinished_key_without_a_counter_is_no_older_disk)
{
    static const char *const actions[] = {"make_handle", "make_tpm_cert", "sign_statement"};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        idm_sim_free(&sim);
        idm_sim_init(&sim);
        idm_sim_mint(&sim);
        sim.chip.nv_full = true;
        boots(IDM_EXIT_DONE);
        cr_assert_eq(outcome.mode, IDM_MODE_SOFTWARE);
        cut(IDM_REQ_PREPARE, actions[i]);
        boots(IDM_EXIT_DONE);
        cr_assert_eq(ask(IDM_REQ_PREPARE), IDM_EXIT_DONE, "%s: held for %s", actions[i],
                     idm_reason_word(outcome.held_for));
        cr_assert_eq(outcome.state, IDM_S_migrating);
        cr_assert_eq(ask(IDM_REQ_COMMIT), IDM_EXIT_DONE);
        cr_assert_eq(outcome.mode, IDM_MODE_TPM);
    }
}

Test(engine_way_on, an_older_disk_without_a_counter_is_one)
{
    struct idm_sim old;
    idm_sim_mint(&sim);
    sim.chip.nv_full = true;
    boots(IDM_EXIT_DONE);
    idm_sim_copy(&old, &sim);
    cr_assert_eq(ask(IDM_REQ_PREPARE), IDM_EXIT_DONE);
    cr_assert_eq(ask(IDM_REQ_COMMIT), IDM_EXIT_DONE);
    idm_sim_restore_disk(&sim, &old);
    idm_sim_free(&old);
    boots(IDM_EXIT_DONE); /* nothing is asked of the chip */
    cr_assert_eq(ask(IDM_REQ_PREPARE), IDM_EXIT_FAILED);
    cr_assert_eq(outcome.held_for, IDM_R_rolled_back);
}

/* ---- a switch that is staged ---- */

static void staged_and_the_chip_gone(void)
{
    idm_sim_mint(&sim);
    boots(IDM_EXIT_DONE);
    cr_assert_eq(ask(IDM_REQ_PREPARE), IDM_EXIT_DONE);
    cut(IDM_REQ_COMMIT, "increment_counter");
    sim.chip.answers = IDM_E_TPM_BUSY;
}

Test(engine_way_on, an_old_image_does_not_wait_for_the_chip_of_a_staged_switch)
{
    static const enum idm_file files[] = {IDM_F_CONFIG_CERT, IDM_F_CONFIG_KEY};
    for (size_t i = 0; i < 4; i++) {
        idm_sim_free(&sim);
        idm_sim_init(&sim);
        staged_and_the_chip_gone();
        uint32_t key = idm_sim_key_of(&sim, IDM_F_CONFIG_KEY);
        uint32_t cert = idm_sim_cert_of(&sim, IDM_F_CONFIG_CERT);
        if (i < 2)
            idm_sim_delete(&sim, files[i]);
        else
            idm_sim_put(&sim, files[i - 2], "torn");
        held(IDM_R_tpm_busy);
        cr_assert_eq(idm_sim_key_of(&sim, IDM_F_CONFIG_KEY), key);
        cr_assert_eq(idm_sim_cert_of(&sim, IDM_F_CONFIG_CERT), cert);
        sim.chip.answers = 0;
        boots(IDM_EXIT_DONE);
        cr_assert_eq(outcome.mode, IDM_MODE_TPM);
        cr_assert_eq(idm_sim_cert_of(&sim, IDM_F_CONFIG_CERT), cert);
    }
}

/* Held for what forbids every repair: no old image may come to a pair that is not whole. */
Test(engine_way_on, no_old_image_is_let_in_where_its_pair_may_not_be_restored)
{
    boots(IDM_EXIT_DONE);
    cr_assert_eq(hook(IDM_REQ_PRE_INSTALL, IDM_SLOT_LEGACY), IDM_EXIT_DONE);
    (void)snprintf(sim.platform.serial, sizeof sim.platform.serial, "SN-2");
    idm_sim_chip_replace(&sim);
    held(IDM_R_cloned);
    cr_assert_eq(hook(IDM_REQ_PRE_INSTALL, IDM_SLOT_LEGACY), IDM_EXIT_DONE, "it is whole");
    idm_sim_delete(&sim, IDM_F_CONFIG_CERT);
    held(IDM_R_cloned);
    cr_assert_eq(hook(IDM_REQ_PRE_INSTALL, IDM_SLOT_LEGACY), IDM_EXIT_REFUSED);
    cr_assert_eq(hook(IDM_REQ_PRE_INSTALL, IDM_SLOT_AWARE), IDM_EXIT_DONE);
}

/* ---- a key that cannot be made ---- */

static int issues_nothing(void *self, const struct idm_cert_profile *profile,
                          const struct idm_signer *signer, struct idm_bytes *ret_pem,
                          struct idm_error *err)
{
    (void)self;
    (void)profile;
    (void)signer;
    (void)ret_pem;
    return idm_fail(err, IDM_E_CRYPTO, "make a certificate", "never");
}

/* The update may be what mends it. What an old image needs there is not. */
Test(engine_way_on, a_device_that_cannot_make_its_first_identity_can_be_updated)
{
    sim.backends.cert_issue = issues_nothing;
    boots(IDM_EXIT_FAILED);
    cr_assert_eq(hook(IDM_REQ_PRE_INSTALL, IDM_SLOT_AWARE), IDM_EXIT_DONE);
    cr_assert_eq(hook(IDM_REQ_PRE_INSTALL, IDM_SLOT_LEGACY), IDM_EXIT_FAILED);
}

/* ---- what nobody can name ---- */

static void slots_have_no_names(void)
{
    memset(&sim.bootenv, 0, sizeof sim.bootenv);
    sim.bootenv.state = IDM_BOOTENV_IS_READABLE;
    sim.bootenv.trial = IDM_NO;
    sim.settings.other_slot = IDM_OTHER_AWARE;
}

Test(engine_way_on, an_old_image_in_a_slot_without_a_name_is_not_forgotten)
{
    slots_have_no_names();
    boots(IDM_EXIT_DONE);
    cr_assert_eq(outcome.state, IDM_S_tpm);
    cr_assert_eq(hook(IDM_REQ_PRE_INSTALL, IDM_SLOT_LEGACY), IDM_EXIT_DONE);
    cr_assert_eq(hook(IDM_REQ_POST_INSTALL, IDM_SLOT_LEGACY), IDM_EXIT_DONE);
    /* It failed its trial, and this image boots again, for ever. */
    for (int i = 0; i < 4; i++) {
        boots(IDM_EXIT_DONE);
        cr_assert_eq(outcome.state, IDM_S_tpm_dual);
        cr_assert_neq(idm_sim_key_of(&sim, IDM_F_CONFIG_KEY), 0);
    }
    /* Another image takes its place. */
    cr_assert_eq(hook(IDM_REQ_PRE_INSTALL, IDM_SLOT_AWARE), IDM_EXIT_DONE);
    cr_assert_eq(hook(IDM_REQ_POST_INSTALL, IDM_SLOT_AWARE), IDM_EXIT_DONE);
    for (int i = 0; i < 3; i++)
        boots(IDM_EXIT_DONE);
    cr_assert_eq(outcome.state, IDM_S_tpm);
    cr_assert_eq(idm_sim_key_of(&sim, IDM_F_CONFIG_KEY), 0);
}

/* ---- a renewal that nobody was told of ---- */

Test(engine_way_on, a_renewed_certificate_does_not_make_its_key_unknown)
{
    boots(IDM_EXIT_DONE);
    boots(IDM_EXIT_DONE);
    uint32_t key = idm_sim_cert_key_of(&sim, IDM_F_RUN_CERT);
    idm_sim_delete(&sim, IDM_F_CONFIG_TPM_CERT);
    idm_sim_delete(&sim, IDM_F_PERSIST_TPM_CERT);
    idm_sim_power_cycle(&sim);
    idm_sim_arm(&sim, IDM_SIM_CUT_NAMED, 0);
    sim.fault_name = "record_tpm_cert";
    (void)idm_sim_run(&sim, NULL, &outcome);
    cr_assert(sim.fault_hit);
    idm_sim_power_cycle(&sim);
    idm_sim_mint(&sim); /* an old image boots, and somebody has it make another pair */
    boots(IDM_EXIT_DONE);
    cr_assert_eq(outcome.mode, IDM_MODE_TPM);
    cr_assert_eq(idm_sim_cert_key_of(&sim, IDM_F_RUN_CERT), key);
    cr_assert(outcome.reasons >> IDM_R_legacy_changed & 1);
}
