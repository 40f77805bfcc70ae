/* SPDX-License-Identifier: BSD-2-Clause */
/* Holds and reasons: each is raised by its cause, and leads out again when the cause goes, or by an
 * operator's word. */
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

TestSuite(engine_hold, .init = new_device, .fini = free_device);

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

static enum idm_exit release(enum idm_request_kind kind, enum idm_reason named)
{
    struct idm_ask ask = {.kind = kind, .named = named};
    return idm_sim_run(&sim, &ask, &outcome);
}

static uint32_t epoch(void)
{
    struct idm_record record = {0};
    cr_assert(idm_sim_record(&sim, &record));
    return record.epoch;
}

static bool reason(enum idm_reason which)
{
    return outcome.reasons >> which & 1;
}

/* ---- cloned ---- */

static void in_another_device(void)
{
    static const struct idm_sim_object theirs[2] = {
        {.handle = 0x81020000, .id = 900, .under = 901},
        {.handle = 0x81020001, .id = 901, .role = IDM_ROLE_PARENT}};
    idm_sim_chip_replace(&sim);
    memcpy(sim.chip.objects, theirs, sizeof theirs);
    sim.chip.has_counter = sim.chip.counter_written = true;
    sim.chip.counter = sim.chip.counter_max = 77;
    (void)snprintf(sim.platform.serial, sizeof sim.platform.serial, "SN-2");
    held(IDM_R_cloned);
}

static void theirs_are_untouched(void)
{
    const struct idm_sim_object *device = idm_sim_object_at(&sim, 0x81020000);
    const struct idm_sim_object *parent = idm_sim_object_at(&sim, 0x81020001);
    cr_assert(device && device->id == 900);
    cr_assert(parent && parent->id == 901);
    cr_assert_eq(sim.chip.counter, 77);
}

Test(engine_hold, cloned_becomes_a_device_of_its_own_beside_the_chips_keys)
{
    boots(IDM_EXIT_DONE);
    uint32_t before = epoch();
    uint32_t key = idm_sim_key_of(&sim, IDM_F_CONFIG_KEY);
    in_another_device();
    cr_assert_eq(release(IDM_REQ_RELEASE_NEW, IDM_R_cloned), IDM_EXIT_DONE);
    cr_assert_eq(outcome.mode, IDM_MODE_SOFTWARE);
    cr_assert_neq(idm_sim_key_of(&sim, IDM_F_CONFIG_KEY), key);
    cr_assert_eq(epoch(), before + 1);
    theirs_are_untouched();
    boots(IDM_EXIT_DONE);
    boots(IDM_EXIT_DONE);
    cr_assert_eq(sim.writes, 0);
    cr_assert_eq(release(IDM_REQ_PREPARE, IDM_R_none), IDM_EXIT_DONE);
    cr_assert_eq(release(IDM_REQ_COMMIT, IDM_R_none), IDM_EXIT_DONE);
    boots(IDM_EXIT_DONE);
    cr_assert_eq(outcome.mode, IDM_MODE_TPM);
    cr_assert(reason(IDM_R_tpm_owned));
    theirs_are_untouched();
    struct idm_ask reset = {.kind = IDM_REQ_RESET};
    cr_assert_eq(idm_sim_run(&sim, &reset, &outcome), IDM_EXIT_DONE);
    theirs_are_untouched();
}

Test(engine_hold, cloned_is_released_in_every_state_and_after_every_cut)
{
    bool hit = true;
    for (unsigned long at = 1; hit; at++) {
        idm_sim_free(&sim);
        idm_sim_init(&sim);
        sim.settings.other_slot = at % 2 ? IDM_OTHER_NONE : IDM_OTHER_AUTO;
        boots(IDM_EXIT_DONE);
        in_another_device();
        idm_sim_arm(&sim, IDM_SIM_CUT_AFTER, at);
        (void)release(IDM_REQ_RELEASE_NEW, IDM_R_cloned);
        hit = sim.fault_hit;
        (void)idm_sim_boot(&sim, &outcome);
        if (outcome.held)
            cr_assert_eq(outcome.held_for, IDM_R_cloned, "cut %lu", at);
        else
            cr_assert_eq(outcome.mode, IDM_MODE_SOFTWARE, "cut %lu", at);
        theirs_are_untouched();
    }
}

Test(engine_hold, cloned_is_not_released_on_trial)
{
    boots(IDM_EXIT_DONE);
    in_another_device();
    sim.bootenv.trial = IDM_YES;
    cr_assert_eq(release(IDM_REQ_RELEASE_NEW, IDM_R_cloned), IDM_EXIT_REFUSED);
    (void)snprintf(sim.platform.serial, sizeof sim.platform.serial, "SN-1");
}

/* ---- the certificate ---- */

static void lose_tpm_cert(void)
{
    idm_sim_delete(&sim, IDM_F_CONFIG_TPM_CERT);
    idm_sim_put(&sim, IDM_F_PERSIST_TPM_CERT, "torn");
    if (!idm_sim_file(&sim, IDM_F_CONFIG_KEY))
        idm_sim_delete(&sim, IDM_F_CONFIG_CERT);
}

static void reissued(uint32_t key, uint32_t cert, uint32_t before)
{
    cr_assert_eq(outcome.mode, IDM_MODE_TPM);
    cr_assert_eq(idm_sim_cert_key_of(&sim, IDM_F_RUN_CERT), key);
    cr_assert_neq(idm_sim_cert_of(&sim, IDM_F_RUN_CERT), cert);
    cr_assert_eq(epoch(), before + 1);
    boots(IDM_EXIT_DONE);
    boots(IDM_EXIT_DONE);
    cr_assert_eq(sim.writes, 0);
    cr_assert_eq(outcome.reasons, 0);
    cr_assert_eq(epoch(), before + 1);
}

static void certificate_comes_again(void)
{
    boots(IDM_EXIT_DONE);
    uint32_t cert = idm_sim_cert_of(&sim, IDM_F_RUN_CERT);
    uint32_t key = idm_sim_cert_key_of(&sim, IDM_F_RUN_CERT);
    uint32_t before = epoch();
    lose_tpm_cert();
    boots(IDM_EXIT_DONE);
    reissued(key, cert, before);
}

/* rule 4: the existing key is reused, and the certificate is made again. */
Test(engine_hold, the_tpm_certificate_is_made_again_on_the_same_key)
{
    certificate_comes_again();
    idm_sim_free(&sim);
    idm_sim_init(&sim);
    sim.settings.other_slot = IDM_OTHER_NONE;
    certificate_comes_again();
    idm_sim_free(&sim);
    idm_sim_init(&sim);
    sim.settings.key_storage = IDM_STORE_TSS2;
    certificate_comes_again();
}

Test(engine_hold, a_wiped_config_does_not_keep_the_certificate_from_being_made_again)
{
    sim.settings.other_slot = IDM_OTHER_NONE;
    boots(IDM_EXIT_DONE);
    uint32_t key = idm_sim_cert_key_of(&sim, IDM_F_RUN_CERT);
    uint32_t cert = idm_sim_cert_of(&sim, IDM_F_RUN_CERT);
    uint32_t before = epoch();
    idm_sim_wipe(&sim, IDM_CONFIG);
    idm_sim_put(&sim, IDM_F_PERSIST_TPM_CERT, "torn");
    boots(IDM_EXIT_DONE);
    reissued(key, cert, before);
}

Test(engine_hold, a_cut_does_not_make_two_certificates)
{
    bool hit = true;
    for (unsigned long at = 1; hit; at++) {
        idm_sim_free(&sim);
        idm_sim_init(&sim);
        boots(IDM_EXIT_DONE);
        uint32_t key = idm_sim_cert_key_of(&sim, IDM_F_RUN_CERT);
        uint32_t cert = idm_sim_cert_of(&sim, IDM_F_RUN_CERT);
        uint32_t before = epoch();
        lose_tpm_cert();
        idm_sim_power_cycle(&sim);
        idm_sim_arm(&sim, IDM_SIM_CUT_AFTER, at);
        (void)idm_sim_run(&sim, NULL, &outcome);
        hit = sim.fault_hit;
        boots(IDM_EXIT_DONE);
        reissued(key, cert, before);
    }
}

Test(engine_hold, no_certificate_is_made_on_trial_or_under_a_bad_clock)
{
    boots(IDM_EXIT_DONE);
    uint32_t cert = idm_sim_cert_of(&sim, IDM_F_RUN_CERT);
    uint32_t key = idm_sim_cert_key_of(&sim, IDM_F_RUN_CERT);
    uint32_t before = epoch();
    lose_tpm_cert();
    sim.bootenv.trial = IDM_YES;
    held(IDM_R_cert_corrupt);
    sim.bootenv.trial = IDM_NO;
    int64_t now = sim.platform.now;
    sim.platform.now = 1000;
    held(IDM_R_cert_corrupt);
    cr_assert(reason(IDM_R_clock));
    sim.platform.now = now + 600;
    boots(IDM_EXIT_DONE);
    reissued(key, cert, before);
}

Test(engine_hold, a_software_certificate_that_cannot_be_made_again_holds)
{
    idm_sim_mint(&sim);
    boots(IDM_EXIT_DONE);
    int64_t now = sim.platform.now;
    idm_sim_put(&sim, IDM_F_CONFIG_CERT, "torn");
    idm_sim_put(&sim, IDM_F_PERSIST_CERT, "torn");
    sim.platform.now = 1000;
    held(IDM_R_cert_corrupt);
    sim.platform.now = now + 600;
    boots(IDM_EXIT_DONE);
    cr_assert_eq(outcome.reasons, 0);
}

/* ---- chips ---- */

Test(engine_hold, a_chip_that_forgets_is_called_so)
{
    boots(IDM_EXIT_DONE);
    struct idm_sim_chip kept = sim.chip;
    sim.chip.forgets = true;
    held(IDM_R_tpm_volatile);
    held(IDM_R_tpm_volatile);
    sim.chip = kept; /* its storage is back */
    boots(IDM_EXIT_DONE);
    cr_assert_eq(outcome.reasons, 0);
    sim.chip.forgets = true;
    held(IDM_R_tpm_volatile);
    cr_assert_eq(release(IDM_REQ_RELEASE_LEGACY, IDM_R_tpm_volatile), IDM_EXIT_DONE);
    cr_assert_eq(outcome.mode, IDM_MODE_SOFTWARE);
}

Test(engine_hold, what_somebody_evicted_is_lost_not_forgotten)
{
    boots(IDM_EXIT_DONE);
    for (size_t i = 0; i < IDM_SIM_OBJECTS; i++)
        sim.chip.objects[i] = (struct idm_sim_object){0};
    held(IDM_R_tpm_key_lost);
}

Test(engine_hold, garbage_at_first_use_is_no_busy_chip_and_no_broken_one)
{
    sim.chip.answers = IDM_E_TPM_OTHER;
    held(IDM_R_tpm_failed);
    cr_assert_not(idm_sim_record(&sim, &(struct idm_record){0}));
    sim.chip.answers = 0;
    boots(IDM_EXIT_DONE);
    cr_assert_eq(outcome.mode, IDM_MODE_TPM);
}

/* ---- the rest ---- */

Test(engine_hold, a_config_directory_in_memory_is_reported)
{
    sim.config_volatile = true;
    boots(IDM_EXIT_DONE);
    cr_assert_eq(outcome.reasons, UINT64_C(1) << IDM_R_config_dir_volatile);
    sim.config_volatile = false;
    boots(IDM_EXIT_DONE);
    cr_assert_eq(outcome.reasons, 0);
}

Test(engine_hold, epochs_go_on_when_the_records_are_lost)
{
    idm_sim_mint(&sim);
    boots(IDM_EXIT_DONE);
    cr_assert_eq(epoch(), 1);
    idm_sim_mint(&sim);
    boots(IDM_EXIT_DONE);
    cr_assert_eq(epoch(), 2);
    idm_sim_delete(&sim, IDM_F_CONFIG_RECORD);
    idm_sim_delete(&sim, IDM_F_PERSIST_RECORD);
    boots(IDM_EXIT_DONE);
    cr_assert_eq(epoch(), 3);
}
