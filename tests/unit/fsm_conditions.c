/* SPDX-License-Identifier: BSD-2-Clause */
/* Each condition of a predicate on its own: raised with it, not raised without it. Facts that the boot
 * loop never asks about in that order are asked about here, because a row may move. And the words for
 * facts, all of them. */
#include "fsm/fsm.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct idm_request boot = {.kind = IDM_REQ_BOOT};

/* Raised as the facts stand, and not after the change. */
#define NEEDS(event, device, change)                                                               \
    do {                                                                                           \
        struct idm_facts f = device;                                                               \
        cr_expect(idm_event_raised(IDM_EV_##event, &f, &boot), #event);                            \
        change;                                                                                    \
        cr_expect(!idm_event_raised(IDM_EV_##event, &f, &boot), #event " without: " #change);      \
    } while (0)

static struct idm_facts in_use(enum idm_state state)
{
    return (struct idm_facts){.state = state,
                              .record = IDM_RECORD_GOOD,
                              .config_cert = IDM_FILE_SOFTWARE,
                              .config_key = IDM_FILE_SOFTWARE,
                              .config_pair_fits = true,
                              .store_key = IDM_COPY_GOOD,
                              .store_cert = IDM_COPY_GOOD,
                              .chip = IDM_CHIP_USABLE,
                              .proof = IDM_PROOF_GIVEN,
                              .trial = IDM_FACT_NO,
                              .seal_allowed = true,
                              .clock_good = true};
}

static struct idm_facts sealed(void)
{
    struct idm_facts f = in_use(IDM_S_tpm);
    f.config_cert = IDM_FILE_TPM;
    f.config_key = IDM_FILE_ABSENT;
    f.config_pair_fits = false;
    f.store_key = f.store_cert = IDM_COPY_ABSENT;
    f.seal = IDM_SEAL_MATURE;
    return f;
}

static struct idm_facts virgin(enum idm_chip chip)
{
    return (struct idm_facts){.chip = chip, .chip_ours = IDM_FACT_NO, .clock_good = true};
}

/* I3: whatever gives something up or makes something in the chip's name needs its proof. */
Test(fsm_conditions, nothing_in_the_name_of_a_chip_that_did_not_prove_itself)
{
    struct idm_facts waiting = sealed();
    waiting.legacy_may_boot = true;
    NEEDS(legacy_needed, waiting, f.proof = IDM_PROOF_LOST);
    waiting.seal = IDM_SEAL_NONE;
    NEEDS(legacy_pair_lost, waiting, f.proof = IDM_PROOF_LOST);
    struct idm_facts unwanted = in_use(IDM_S_tpm_dual);
    unwanted.legacy_unwanted = true;
    NEEDS(legacy_gone_unwanted, unwanted, f.proof = IDM_PROOF_LOST);
    NEEDS(legacy_gone, in_use(IDM_S_tpm_dual), f.proof = IDM_PROOF_LOST);
    struct idm_facts mature = in_use(IDM_S_tpm_dual);
    mature.seal = IDM_SEAL_MATURE;
    NEEDS(seal_matured, mature, f.proof = IDM_PROOF_LOST);
    struct idm_facts owed = in_use(IDM_S_tpm_dual);
    owed.witness_owed = true;
    NEEDS(witness_wanted, owed, f.proof = IDM_PROOF_LOST);
    struct idm_facts staged = in_use(IDM_S_software);
    staged.intent = IDM_INTENT_to_tpm;
    staged.staged = true;
    NEEDS(switch_staged, staged, f.chip = IDM_CHIP_BUSY);
}

/* A device without a record fits one story, or none. */
Test(fsm_conditions, without_a_record_each_story_excludes_the_others)
{
    NEEDS(no_record_empty_no_tpm, virgin(IDM_CHIP_NONE), f.chip_required = true);
    NEEDS(no_record_empty_no_tpm, virgin(IDM_CHIP_NONE), f.chip = IDM_CHIP_USABLE);
    NEEDS(no_record_empty_tpm_bad, virgin(IDM_CHIP_FAILED), f.chip_required = true);
    NEEDS(no_record_empty_tpm_bad, virgin(IDM_CHIP_FAILED), f.chip = IDM_CHIP_USABLE);
    struct idm_facts asked = virgin(IDM_CHIP_USABLE);
    asked.reset_requested = true;
    NEEDS(no_record_reset, asked, f.state = IDM_S_software);
    NEEDS(no_record_reset, asked, f.record = IDM_RECORD_GOOD);
    NEEDS(no_record_reset, asked, f.reset_requested = false);
    struct idm_facts ours = virgin(IDM_CHIP_USABLE);
    ours.chip_ours = IDM_FACT_YES;
    NEEDS(no_record_ambiguous, ours, f.chip_ours = IDM_FACT_NO);
    NEEDS(no_record_ambiguous, ours, f.chip = IDM_CHIP_BUSY);
    ours.config_cert = ours.config_key = IDM_FILE_OTHER;
    ours.config_pair_fits = true;
    NEEDS(no_record_ambiguous, ours, f.chip_ours = IDM_FACT_NO);
    struct idm_facts key = virgin(IDM_CHIP_USABLE);
    key.chip_ours = IDM_FACT_YES;
    key.config_key = IDM_FILE_OTHER;
    NEEDS(no_record_ambiguous, key, f.chip_ours = IDM_FACT_NO);
    struct idm_facts cert = virgin(IDM_CHIP_USABLE);
    cert.chip_ours = IDM_FACT_YES;
    cert.config_cert = IDM_FILE_OTHER;
    cert.proof = IDM_PROOF_GIVEN;
    NEEDS(no_record_ambiguous, cert, f.cert_of_chip = true);
    struct idm_facts stale = in_use(IDM_S_software);
    stale.slot_stale = true;
    NEEDS(slot_changed, stale, f.state = IDM_S_none);
}

/* What stands in the way is said where nobody asked by the row that refuses. */
Test(fsm_conditions, obstacles)
{
    struct idm_request reset = {.kind = IDM_REQ_RESET};
    struct idm_facts f = in_use(IDM_S_tpm_dual);
    cr_expect_null(idm_reset_obstacle(&f, &reset));
    f.evidence = IDM_EVIDENCE_PERSIST_UNREADABLE;
    cr_expect_not_null(idm_reset_obstacle(&f, &reset));
    struct idm_request reuse = {.kind = IDM_REQ_RELEASE_REUSE};
    struct idm_request import = {.kind = IDM_REQ_IMPORT};
    struct idm_facts torn = virgin(IDM_CHIP_USABLE);
    torn.record = IDM_RECORD_CORRUPT;
    cr_expect_null(idm_key_obstacle(&torn, &reuse));
    cr_expect_not_null(idm_key_obstacle(&torn, &import));
}

/* Held for what is missing: a chip that answers, without the counter. */
Test(fsm_conditions, the_reason_behind_a_chip)
{
    struct idm_facts f = in_use(IDM_S_software);
    f.counter = IDM_COUNTER_LOST;
    cr_expect_eq(idm_reason_resolve(IDM_R_by_chip, &f), IDM_R_witness_lost);
    f.chip = IDM_CHIP_BUSY;
    cr_expect_eq(idm_reason_resolve(IDM_R_by_chip, &f), IDM_R_tpm_busy);
    f.chip = IDM_CHIP_USABLE;
    f.counter = IDM_COUNTER_LEGAL;
    cr_expect_eq(idm_reason_resolve(IDM_R_by_chip, &f), IDM_R_tpm_key_lost);
}

/* ---- words ---- */

#define WORDS(function, last)                                                                      \
    do {                                                                                           \
        for (unsigned int i = 0; i <= (unsigned int)(last); i++)                                   \
            for (unsigned int j = 0; j <= i; j++)                                                  \
                cr_expect_eq(strcmp(function(i), function(j)) == 0, i == j, #function " %u %u", i, \
                             j);                                                                   \
    } while (0)

Test(fsm_conditions, every_fact_has_words_of_its_own)
{
    WORDS(idm_evidence_words, IDM_EVIDENCE_PERSIST_UNREADABLE);
    WORDS(idm_record_words, IDM_RECORD_NEWER);
    WORDS(idm_file_words, IDM_FILE_CORRUPT);
    WORDS(idm_copy_words, IDM_COPY_BAD);
    WORDS(idm_proof_words, IDM_PROOF_LOST);
    WORDS(idm_counter_words, IDM_COUNTER_LOST);
    WORDS(idm_seal_words, IDM_SEAL_MATURE);
    WORDS(idm_tri_word, IDM_FACT_YES);
    WORDS(idm_event_name, IDM_EVENT_COUNT);
    WORDS(idm_event_sentence, IDM_EVENT_COUNT);
    WORDS(idm_state_name, IDM_STATE_COUNT);
    WORDS(idm_reason_word, IDM_REASON_COUNT - 1);
    /* A reason behind the last one is in the table only. */
    cr_expect_str_eq(idm_reason_word(IDM_R_by_room), "");
    cr_expect_str_eq(idm_reason_sentence(IDM_R_by_room), "");
    cr_expect_str_eq(idm_reason_todo(IDM_R_by_room), "");
}
