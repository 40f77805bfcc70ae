/* SPDX-License-Identifier: BSD-2-Clause */
/* classify.c - from facts to the first event. One predicate per row of table.def, named after it; a
 * row without a predicate, or a predicate without a row, does not compile. */
#include "fsm/fsm.h"

#include <stddef.h>

/* ---- small words over facts ---- */

static bool bare(const struct idm_facts *f)
{
    return f->config_cert == IDM_FILE_ABSENT && f->config_key == IDM_FILE_ABSENT && !f->tpm_files &&
           !f->store_files;
}

static bool unrecorded(const struct idm_facts *f)
{
    return f->state == IDM_S_none && f->record == IDM_RECORD_ABSENT && !f->reset_requested;
}

static bool pair_of_record(const struct idm_facts *f)
{
    return f->config_cert == IDM_FILE_SOFTWARE && f->config_key == IDM_FILE_SOFTWARE;
}

/* A complete matching pair that nobody recorded: a legacy image or a person put it there. */
static bool foreign_pair(const struct idm_facts *f)
{
    return f->config_pair_fits && !pair_of_record(f);
}

static bool plain_key(const struct idm_facts *f)
{
    return f->store_key == IDM_COPY_GOOD || f->config_key == IDM_FILE_SOFTWARE;
}

static bool plain_cert(const struct idm_facts *f)
{
    return f->store_cert == IDM_COPY_GOOD || f->config_cert == IDM_FILE_SOFTWARE;
}

static bool plain_pair(const struct idm_facts *f)
{
    return plain_key(f) && plain_cert(f);
}

static bool holds_pair(enum idm_state state)
{
    return state == IDM_S_software || state == IDM_S_migrating || state == IDM_S_tpm_dual;
}

static bool tpm_active(const struct idm_facts *f)
{
    return f->state == IDM_S_tpm_dual || f->state == IDM_S_tpm;
}

static bool first_identity_open(const struct idm_facts *f)
{
    if (f->state == IDM_S_blank)
        return true;
    return f->state == IDM_S_resetting && !f->dead_remain;
}

static bool chip_in_play(const struct idm_facts *f)
{
    return f->chip != IDM_CHIP_NONE;
}

static bool chip_not_ready(const struct idm_facts *f)
{
    return f->chip == IDM_CHIP_BUSY || f->chip == IDM_CHIP_LOCKED;
}

/* The chip can be believed to hold nothing of ours: it said so, or it cannot hold anything. */
static bool chip_holds_nothing(const struct idm_facts *f)
{
    if (f->chip == IDM_CHIP_NONE || f->chip == IDM_CHIP_ABSENT || f->chip == IDM_CHIP_FAILED)
        return true;
    return f->chip_ours == IDM_FACT_NO;
}

/* A switch to the TPM is staged: its increment may have happened. */
static bool switching(const struct idm_facts *f)
{
    return f->intent == IDM_INTENT_to_tpm && f->staged;
}

/* Nothing that another image needs may be given up. */
static bool way_back_safe(const struct idm_facts *f)
{
    return !f->legacy_may_boot && f->trial == IDM_FACT_NO && !f->install_open;
}

/* ---- evidence ---- */

#define RAISED(event)                                                                              \
    static bool raised_##event(const struct idm_facts *f, const struct idm_request *r)
#define REQUEST_UNUSED (void)r

RAISED(config_unreadable)
{
    REQUEST_UNUSED;
    return f->evidence == IDM_EVIDENCE_CONFIG_UNREADABLE;
}

RAISED(persist_unreadable)
{
    REQUEST_UNUSED;
    return f->evidence == IDM_EVIDENCE_PERSIST_UNREADABLE;
}

RAISED(record_newer_found)
{
    REQUEST_UNUSED;
    return f->record == IDM_RECORD_NEWER;
}

RAISED(record_damaged)
{
    REQUEST_UNUSED;
    return f->record == IDM_RECORD_CORRUPT;
}

/* When our whole folder is gone, config_wiped restores the copy together with the rest: its return
 * is the mark that all is restored. */
RAISED(record_copy_lost)
{
    REQUEST_UNUSED;
    return f->record == IDM_RECORD_COPY_LOST && !f->config_folder_gone;
}

/* ---- no record ---- */

/* With an installer's request nothing that is found may be adopted, and nothing made before what is
 * found is destroyed. */
static bool unrecorded_reset(const struct idm_facts *f)
{
    bool lost = f->record == IDM_RECORD_ABSENT || f->record == IDM_RECORD_CORRUPT;
    return f->state == IDM_S_none && lost && f->reset_requested;
}

static bool broken_or_none(const struct idm_facts *f)
{
    return !f->chip_required && (f->chip == IDM_CHIP_NONE || f->chip == IDM_CHIP_FAILED);
}

RAISED(no_record_reset)
{
    REQUEST_UNUSED;
    return unrecorded_reset(f) && f->chip == IDM_CHIP_USABLE;
}

RAISED(no_record_reset_soft)
{
    REQUEST_UNUSED;
    return unrecorded_reset(f) && broken_or_none(f);
}

RAISED(no_record_reset_waiting)
{
    REQUEST_UNUSED;
    return unrecorded_reset(f) && f->chip != IDM_CHIP_USABLE && !broken_or_none(f);
}

RAISED(no_record_tpm_waiting)
{
    REQUEST_UNUSED;
    if (!unrecorded(f) || f->tpm_files)
        return false;
    if (chip_not_ready(f))
        return true;
    if (!bare(f))
        return false;
    if (f->chip == IDM_CHIP_ABSENT || f->chip == IDM_CHIP_OWNED)
        return true;
    return f->chip_required && (f->chip == IDM_CHIP_NONE || f->chip == IDM_CHIP_FAILED);
}

RAISED(no_record_empty_no_tpm)
{
    REQUEST_UNUSED;
    return unrecorded(f) && bare(f) && f->chip == IDM_CHIP_NONE && !f->chip_required;
}

RAISED(no_record_empty_tpm_bad)
{
    REQUEST_UNUSED;
    return unrecorded(f) && bare(f) && f->chip == IDM_CHIP_FAILED && !f->chip_required;
}

RAISED(no_record_empty)
{
    REQUEST_UNUSED;
    return unrecorded(f) && bare(f) && f->chip == IDM_CHIP_USABLE && f->chip_ours == IDM_FACT_NO;
}

RAISED(no_record_pair)
{
    REQUEST_UNUSED;
    return unrecorded(f) && f->config_pair_fits && !f->tpm_files && chip_holds_nothing(f);
}

RAISED(no_record_key_only)
{
    REQUEST_UNUSED;
    return unrecorded(f) && f->config_key == IDM_FILE_OTHER && f->config_cert == IDM_FILE_ABSENT &&
           !f->tpm_files && chip_holds_nothing(f);
}

RAISED(no_record_tpm_proven)
{
    REQUEST_UNUSED;
    return unrecorded(f) && f->cert_of_chip && f->config_key == IDM_FILE_ABSENT &&
           f->proof == IDM_PROOF_GIVEN;
}

RAISED(no_record_ambiguous)
{
    if (!unrecorded(f))
        return false;
    return !raised_no_record_tpm_waiting(f, r) && !raised_no_record_empty_no_tpm(f, r) &&
           !raised_no_record_empty_tpm_bad(f, r) && !raised_no_record_empty(f, r) &&
           !raised_no_record_pair(f, r) && !raised_no_record_key_only(f, r) &&
           !raised_no_record_tpm_proven(f, r);
}

/* ---- is this our chip, our disk? ---- */

RAISED(record_forged)
{
    REQUEST_UNUSED;
    return f->record_forged;
}

/* A pair that somebody made since is not overwritten: it is looked at below, and so is a pair of
 * which no copy is left. */
RAISED(config_wiped)
{
    REQUEST_UNUSED;
    bool restorable = plain_pair(f) || !holds_pair(f->state);
    return f->config_folder_gone && !foreign_pair(f) && restorable;
}

RAISED(config_wiped_sealed)
{
    REQUEST_UNUSED;
    return f->config_folder_gone && f->state == IDM_S_tpm_dual && !foreign_pair(f) &&
           !plain_pair(f);
}

RAISED(dead_key_seen)
{
    REQUEST_UNUSED;
    return f->dead_remain;
}

RAISED(disk_moved)
{
    REQUEST_UNUSED;
    return f->moved == IDM_FACT_YES;
}

RAISED(rolled_back)
{
    REQUEST_UNUSED;
    return f->counter == IDM_COUNTER_ILLEGAL || f->unnamed_key;
}

RAISED(slot_changed)
{
    REQUEST_UNUSED;
    return f->slot_stale && f->state != IDM_S_none;
}

RAISED(reset_request_taken)
{
    REQUEST_UNUSED;
    return f->reset_requested && (f->state == IDM_S_blank || f->state == IDM_S_resetting);
}

RAISED(view_damaged_legacy)
{
    REQUEST_UNUSED;
    return holds_pair(f->state) && f->legacy_may_boot && !pair_of_record(f) && !foreign_pair(f) &&
           !f->config_folder_gone && plain_pair(f);
}

/* ---- verdicts about the chip ---- */

RAISED(tpm_replaced)
{
    REQUEST_UNUSED;
    return f->state != IDM_S_none && !switching(f) && f->chip == IDM_CHIP_REPLACED;
}

RAISED(tpm_cleared)
{
    REQUEST_UNUSED;
    return f->state != IDM_S_none && !switching(f) && f->chip == IDM_CHIP_CLEARED;
}

RAISED(reset_blocked)
{
    REQUEST_UNUSED;
    return f->state == IDM_S_resetting && f->intent == IDM_INTENT_reset &&
           f->chip != IDM_CHIP_USABLE && f->chip != IDM_CHIP_CLEARED;
}

RAISED(reset_overtaken)
{
    REQUEST_UNUSED;
    return f->state == IDM_S_resetting && foreign_pair(f);
}

RAISED(reset_begun_tpm)
{
    REQUEST_UNUSED;
    return f->state == IDM_S_resetting && f->dead_remain && f->intent == IDM_INTENT_reset &&
           !f->reset_clears;
}

RAISED(reset_begun_clear)
{
    REQUEST_UNUSED;
    return f->state == IDM_S_resetting && f->dead_remain && f->intent == IDM_INTENT_reset &&
           f->reset_clears;
}

RAISED(reset_begun_soft)
{
    REQUEST_UNUSED;
    return f->state == IDM_S_resetting && f->dead_remain && f->intent == IDM_INTENT_reset_soft;
}

/* ---- open plans ---- */

RAISED(provisioning_overtaken)
{
    REQUEST_UNUSED;
    return f->state == IDM_S_blank && foreign_pair(f);
}

static bool making_first_in_software(const struct idm_facts *f)
{
    if (!first_identity_open(f))
        return false;
    if (f->intent == IDM_INTENT_provision_soft || f->intent == IDM_INTENT_reset_soft)
        return true;
    return f->state == IDM_S_blank && !f->staged && !f->chip_required &&
           (f->chip == IDM_CHIP_FAILED || f->chip == IDM_CHIP_NONE);
}

RAISED(provisioning_waiting)
{
    REQUEST_UNUSED;
    return f->state == IDM_S_blank && f->chip != IDM_CHIP_USABLE && !making_first_in_software(f);
}

RAISED(provisioning_begun_soft)
{
    REQUEST_UNUSED;
    return making_first_in_software(f);
}

static bool making_first_in_tpm(const struct idm_facts *f)
{
    return first_identity_open(f) && !making_first_in_software(f);
}

RAISED(provisioning_begun_bare)
{
    REQUEST_UNUSED;
    return making_first_in_tpm(f) && !f->staged && f->legacy_unwanted;
}

RAISED(provisioning_begun_sealed)
{
    REQUEST_UNUSED;
    return making_first_in_tpm(f) && !f->staged && !f->legacy_unwanted && !f->legacy_may_boot &&
           f->seal_allowed;
}

RAISED(provisioning_begun_tpm)
{
    return making_first_in_tpm(f) && !f->staged && !f->legacy_unwanted &&
           !raised_provisioning_begun_sealed(f, r);
}

RAISED(provisioning_staged_alone)
{
    REQUEST_UNUSED;
    return making_first_in_tpm(f) && f->staged && !plain_pair(f);
}

RAISED(provisioning_staged)
{
    REQUEST_UNUSED;
    return making_first_in_tpm(f) && f->staged && plain_pair(f);
}

/* A migration names its key before the switch, so that it can be asked for a proof. */
static bool switch_ready(const struct idm_facts *f)
{
    bool proven = f->state != IDM_S_migrating || f->proof == IDM_PROOF_GIVEN;
    return f->chip == IDM_CHIP_USABLE && proven;
}

RAISED(switch_unproven)
{
    REQUEST_UNUSED;
    return switching(f) && !switch_ready(f);
}

RAISED(switch_staged)
{
    REQUEST_UNUSED;
    return switching(f) && switch_ready(f);
}

static bool making(const struct idm_facts *f)
{
    return f->intent == IDM_INTENT_to_tpm && !f->staged;
}

RAISED(making_abandoned)
{
    REQUEST_UNUSED;
    return making(f) && f->chip != IDM_CHIP_USABLE;
}

RAISED(making_begun)
{
    REQUEST_UNUSED;
    return making(f) && f->chip == IDM_CHIP_USABLE;
}

/* ---- the legacy view ---- */

RAISED(legacy_won)
{
    REQUEST_UNUSED;
    return tpm_active(f) && !f->announced && foreign_pair(f);
}

RAISED(legacy_pair_changed)
{
    REQUEST_UNUSED;
    return (holds_pair(f->state) || f->state == IDM_S_tpm) && foreign_pair(f);
}

RAISED(software_key_lost)
{
    REQUEST_UNUSED;
    return holds_pair(f->state) && !plain_key(f);
}

RAISED(software_cert_lost)
{
    REQUEST_UNUSED;
    return holds_pair(f->state) && plain_key(f) && !plain_cert(f);
}

RAISED(store_copy_missing)
{
    REQUEST_UNUSED;
    return holds_pair(f->state) && plain_pair(f) &&
           (f->store_key != IDM_COPY_GOOD || f->store_cert != IDM_COPY_GOOD);
}

RAISED(cert_deleted)
{
    REQUEST_UNUSED;
    bool expected = (holds_pair(f->state) && plain_pair(f)) || f->state == IDM_S_tpm;
    return expected && f->config_cert == IDM_FILE_ABSENT && f->pending == IDM_PENDING_NONE &&
           chip_in_play(f) && f->loss_moves_to_tpm;
}

RAISED(view_damaged)
{
    REQUEST_UNUSED;
    /* In tpm the pair of the record is there only when an unseal was cut before its record. */
    if (f->state == IDM_S_tpm && f->legacy_may_boot && pair_of_record(f))
        return false;
    if (f->state == IDM_S_tpm)
        return f->config_cert != IDM_FILE_TPM || f->config_key != IDM_FILE_ABSENT;
    return holds_pair(f->state) && !pair_of_record(f) && plain_pair(f);
}

/* ---- the TPM identity ---- */

static bool unproven(const struct idm_facts *f)
{
    return f->state != IDM_S_none && f->proof != IDM_PROOF_GIVEN;
}

RAISED(tpm_waiting)
{
    REQUEST_UNUSED;
    return unproven(f) && f->state != IDM_S_resetting && chip_not_ready(f);
}

RAISED(tpm_missing)
{
    REQUEST_UNUSED;
    return unproven(f) && f->state != IDM_S_resetting &&
           (f->chip == IDM_CHIP_ABSENT || (tpm_active(f) && f->chip == IDM_CHIP_NONE));
}

RAISED(tpm_broken)
{
    REQUEST_UNUSED;
    return unproven(f) && f->state != IDM_S_resetting &&
           (f->chip == IDM_CHIP_FAILED || f->chip == IDM_CHIP_OWNED);
}

RAISED(tpm_key_not_found)
{
    REQUEST_UNUSED;
    return (tpm_active(f) || f->state == IDM_S_migrating) && f->chip == IDM_CHIP_USABLE &&
           f->proof == IDM_PROOF_LOST;
}

RAISED(witness_gone)
{
    REQUEST_UNUSED;
    /* While the first identity is made, a lost counter is simply made and recorded again. */
    return f->counter == IDM_COUNTER_LOST && !(f->state == IDM_S_blank && !f->staged);
}

RAISED(backup_missing)
{
    REQUEST_UNUSED;
    return (tpm_active(f) || f->state == IDM_S_migrating) && f->backup == IDM_BACKUP_MISSING &&
           f->proof == IDM_PROOF_GIVEN;
}

/* ---- who else may boot ---- */

RAISED(legacy_needed)
{
    REQUEST_UNUSED;
    /* In tpm a plain pair is what an interrupted unseal left: the record does not know it yet. */
    bool needed = f->state == IDM_S_tpm || (f->state == IDM_S_tpm_dual && !plain_pair(f));
    return needed && f->legacy_may_boot && f->seal != IDM_SEAL_NONE && f->proof == IDM_PROOF_GIVEN;
}

RAISED(legacy_pair_lost)
{
    REQUEST_UNUSED;
    return tpm_active(f) && f->legacy_may_boot && !plain_key(f) && f->seal == IDM_SEAL_NONE &&
           !f->legacy_unwanted && f->proof == IDM_PROOF_GIVEN;
}

RAISED(legacy_gone_unwanted)
{
    REQUEST_UNUSED;
    return f->state == IDM_S_tpm_dual && way_back_safe(f) && f->legacy_unwanted &&
           f->proof == IDM_PROOF_GIVEN;
}

RAISED(legacy_gone)
{
    REQUEST_UNUSED;
    return f->state == IDM_S_tpm_dual && way_back_safe(f) && !f->legacy_unwanted &&
           f->seal_allowed && f->seal == IDM_SEAL_NONE && plain_pair(f) &&
           f->proof == IDM_PROOF_GIVEN;
}

RAISED(seal_matured)
{
    REQUEST_UNUSED;
    bool due = f->state == IDM_S_tpm_dual && !f->legacy_unwanted && f->seal_allowed &&
               f->seal == IDM_SEAL_MATURE;
    /* What an unseal that was cut left, and nobody waits for any more. */
    bool leftover = f->state == IDM_S_tpm && f->seal != IDM_SEAL_NONE &&
                    (f->store_key == IDM_COPY_GOOD || f->store_cert == IDM_COPY_GOOD);
    return (due || leftover) && way_back_safe(f) && f->proof == IDM_PROOF_GIVEN;
}

/* ---- what is due ---- */

static bool reset_left(const struct idm_facts *f)
{
    return f->state != IDM_S_none && f->state != IDM_S_blank && f->state != IDM_S_resetting &&
           f->reset_requested && f->trial != IDM_FACT_YES;
}

RAISED(reset_wanted)
{
    REQUEST_UNUSED;
    return reset_left(f) && f->chip == IDM_CHIP_USABLE;
}

RAISED(reset_wanted_soft)
{
    REQUEST_UNUSED;
    return reset_left(f) && f->chip == IDM_CHIP_NONE;
}

RAISED(cert_loss_due)
{
    REQUEST_UNUSED;
    return f->state == IDM_S_software && f->pending == IDM_PENDING_DUE &&
           f->intent == IDM_INTENT_none && f->chip == IDM_CHIP_USABLE;
}

RAISED(cert_loss_expired)
{
    REQUEST_UNUSED;
    return f->pending == IDM_PENDING_EXPIRED ||
           (f->state == IDM_S_migrating && f->pending != IDM_PENDING_NONE);
}

RAISED(chip_reset_seen)
{
    REQUEST_UNUSED;
    return f->reset_pending && f->chip_reset_since;
}

/* The two that follow are raised by idm_classify itself, when it passed something over for them. */
RAISED(clock_bad)
{
    REQUEST_UNUSED;
    (void)f;
    return false;
}

RAISED(storage_refuses)
{
    REQUEST_UNUSED;
    (void)f;
    return false;
}

RAISED(settled)
{
    REQUEST_UNUSED;
    (void)f;
    return true;
}

/* ---- requests ---- */

static bool installing(const struct idm_request *r, bool legacy)
{
    return r->kind == IDM_REQ_PRE_INSTALL && r->target_legacy == legacy;
}

/* A repeated pre-install is not late where its work is still to be done. */
static bool late(const struct idm_facts *f, const struct idm_request *r)
{
    return r->late && !(installing(r, true) && f->state == IDM_S_tpm);
}

RAISED(hook_late)
{
    return late(f, r);
}

RAISED(pre_install_impossible)
{
    if (!installing(r, true) || f->state == IDM_S_blank)
        return false;
    if (f->state == IDM_S_none) /* a record that cannot be read may speak of a sealed key */
        return f->record != IDM_RECORD_ABSENT && !f->config_pair_fits;
    if (f->state == IDM_S_resetting)
        return true;
    if (f->legacy_unwanted && tpm_active(f))
        return true;
    bool sealed = f->seal != IDM_SEAL_NONE && f->proof == IDM_PROOF_GIVEN;
    return !plain_pair(f) && !sealed;
}

RAISED(pre_install_legacy)
{
    return installing(r, true) && !late(f, r);
}

RAISED(pre_install_aware)
{
    return installing(r, false) && !late(f, r);
}

RAISED(post_install)
{
    (void)f;
    return !r->late && r->kind == IDM_REQ_POST_INSTALL;
}

RAISED(install_failed)
{
    (void)f;
    return !r->late && r->kind == IDM_REQ_INSTALL_FAILED;
}

RAISED(committed)
{
    (void)f;
    return !r->late && r->kind == IDM_REQ_COMMITTED;
}

RAISED(rollback_announced)
{
    (void)f;
    return r->kind == IDM_REQ_ROLLBACK;
}

/* Without the chip only where none holds a key, or where an operator says that it is gone for ever.
 */
static bool reset_without_chip(const struct idm_facts *f, const struct idm_request *r)
{
    bool none = f->chip == IDM_CHIP_NONE;
    bool dead = f->chip == IDM_CHIP_ABSENT || f->chip == IDM_CHIP_FAILED;
    bool no_key = !tpm_active(f) && f->state != IDM_S_resetting;
    bool never_had_one = f->state == IDM_S_software && !f->witnessed;
    return r->without_tpm || (none && no_key) || (dead && never_had_one);
}

RAISED(reset_refused)
{
    if (r->kind != IDM_REQ_RESET || f->state == IDM_S_resetting)
        return false;
    if (f->trial == IDM_FACT_YES || !f->clock_good || f->room != IDM_ROOM_IS_OK ||
        f->evidence != IDM_EVIDENCE_READABLE || f->record == IDM_RECORD_NEWER)
        return true;
    if (reset_without_chip(f, r))
        return false;
    bool chip = f->chip == IDM_CHIP_USABLE || f->chip == IDM_CHIP_CLEARED;
    return !chip || f->clear_refused;
}

RAISED(reset_changed)
{
    return r->kind == IDM_REQ_RESET && f->state == IDM_S_resetting && !r->without_tpm &&
           f->reset_clears != r->clears;
}

RAISED(reset_requested_chip_gone)
{
    return r->kind == IDM_REQ_RESET && reset_without_chip(f, r);
}

RAISED(reset_requested)
{
    (void)f;
    return r->kind == IDM_REQ_RESET;
}

RAISED(prepare_refused)
{
    return r->kind == IDM_REQ_PREPARE &&
           (f->held || f->chip != IDM_CHIP_USABLE || !f->clock_good || f->room != IDM_ROOM_IS_OK ||
            f->intent != IDM_INTENT_none);
}

RAISED(prepare_requested)
{
    (void)f;
    return r->kind == IDM_REQ_PREPARE;
}

RAISED(commit_refused)
{
    return r->kind == IDM_REQ_COMMIT &&
           (f->held || f->trial != IDM_FACT_NO || f->proof != IDM_PROOF_GIVEN ||
            (f->legacy_may_boot && f->keeps_one));
}

RAISED(commit_accepted)
{
    (void)f;
    return r->kind == IDM_REQ_COMMIT;
}

RAISED(abort_requested)
{
    (void)f;
    return r->kind == IDM_REQ_ABORT;
}

static bool releasing(const struct idm_request *r)
{
    return r->kind == IDM_REQ_RELEASE_RETRY || r->kind == IDM_REQ_RELEASE_LEGACY ||
           r->kind == IDM_REQ_RELEASE_EPOCH || r->kind == IDM_REQ_RELEASE_NEW;
}

/* Held because the chip is gone, in whatever way: not because of whose disk this is. */
static bool held_for_chip(const struct idm_request *r)
{
    return r->held_for == IDM_R_tpm_absent || r->held_for == IDM_R_tpm_failed ||
           r->held_for == IDM_R_tpm_cleared || r->held_for == IDM_R_tpm_replaced ||
           r->held_for == IDM_R_tpm_key_lost || r->held_for == IDM_R_tpm_owned;
}

/* A lost counter can be made anew, an unexpected one accepted, as long as the key in use is the
 * record's: the software key is, the TPM key must have signed. */
static bool epoch_acceptable(const struct idm_facts *f, const struct idm_request *r)
{
    bool key = tpm_active(f) ? f->proof == IDM_PROOF_GIVEN : f->state != IDM_S_resetting;
    bool counter = f->counter == IDM_COUNTER_ILLEGAL || f->counter == IDM_COUNTER_LOST;
    return f->state != IDM_S_none && key && counter && f->chip == IDM_CHIP_USABLE &&
           (r->held_for == IDM_R_rolled_back || r->held_for == IDM_R_witness_lost);
}

RAISED(release_misnamed)
{
    (void)f;
    return releasing(r) && (r->held_for == IDM_R_none || r->named != r->held_for);
}

RAISED(release_retry)
{
    (void)f;
    return r->kind == IDM_REQ_RELEASE_RETRY;
}

RAISED(release_refused)
{
    if (r->kind == IDM_REQ_RELEASE_LEGACY)
        return f->state != IDM_S_tpm_dual || !pair_of_record(f) || !held_for_chip(r);
    if (r->kind == IDM_REQ_RELEASE_EPOCH)
        return !epoch_acceptable(f, r);
    if (r->kind == IDM_REQ_RELEASE_NEW)
        return f->state != IDM_S_none || f->chip != IDM_CHIP_USABLE ||
               r->held_for != IDM_R_record_corrupt;
    return false;
}

RAISED(release_to_legacy)
{
    (void)f;
    return r->kind == IDM_REQ_RELEASE_LEGACY;
}

RAISED(release_epoch_accepted)
{
    (void)f;
    return r->kind == IDM_REQ_RELEASE_EPOCH;
}

RAISED(release_new_identity)
{
    (void)f;
    return r->kind == IDM_REQ_RELEASE_NEW;
}

/* ---- order ---- */

typedef bool (*raised_fn)(const struct idm_facts *, const struct idm_request *);

static const raised_fn raised[IDM_EVENT_COUNT] = {
#define ROW(name, ...) [IDM_EV_##name] = raised_##name,
#include "fsm/table.def"
#undef ROW
};

enum idm_event idm_first_request_event(void)
{
    return IDM_EV_pre_install_impossible;
}

bool idm_event_raised(enum idm_event event, const struct idm_facts *facts,
                      const struct idm_request *request)
{
    return raised[event](facts, request);
}

/* What a plan needs before it may start: noted in *v when it is missing. */
static bool blocked(const struct idm_facts *facts, const struct idm_cell *cell,
                    struct idm_verdict *v)
{
    const struct idm_plan_info *plan = idm_plan_info(cell->plan);
    if (cell->kind != IDM_CELL_GO)
        return false;
    if (plan->issues_certificate && !facts->clock_good)
        v->clock_blocked = true;
    else if (plan->needs_room && facts->room != IDM_ROOM_IS_OK)
        v->room_blocked = true;
    else
        return false;
    return true;
}

static bool raised_now(enum idm_event event, const struct idm_facts *facts,
                       const struct idm_request *request, const struct idm_verdict *v)
{
    if (facts->tried[event / 64] >> (event % 64) & 1)
        return false;
    if (event == IDM_EV_clock_bad)
        return v->clock_blocked;
    if (event == IDM_EV_storage_refuses)
        return v->room_blocked;
    return raised[event](facts, request);
}

struct idm_verdict idm_classify(const struct idm_facts *facts, const struct idm_request *request)
{
    struct idm_verdict v = {.event = IDM_EV_none};
    bool boot = request->kind == IDM_REQ_BOOT;
    unsigned int first = boot ? 0 : idm_first_request_event();
    unsigned int end = boot ? (unsigned int)idm_first_request_event() : IDM_EVENT_COUNT;
    for (unsigned int i = first; i < end; i++) {
        enum idm_event event = (enum idm_event)i;
        if (!raised_now(event, facts, request, &v))
            continue;
        struct idm_cell cell = idm_table_cell(event, facts->state);
        if (cell.kind == IDM_CELL_IGNORE) {
            v.ignored[i / 64] |= UINT64_C(1) << (i % 64);
            continue;
        }
        if (blocked(facts, &cell, &v)) {
            if (boot)
                continue;
            cell = (struct idm_cell){.kind = IDM_CELL_REFUSE,
                                     .next = facts->state,
                                     .exit = 5,
                                     .why = v.clock_blocked ? "the clock is implausible"
                                                            : "there is no room for the change"};
        }
        v.event = event;
        v.cell = cell;
        break;
    }
    return v;
}

enum idm_reason idm_reason_resolve(enum idm_reason reason, const struct idm_facts *facts)
{
    static const enum idm_reason by_chip[IDM_CHIP_COUNT] = {
        [IDM_CHIP_UNASKED] = IDM_R_tpm_absent,  [IDM_CHIP_NONE] = IDM_R_tpm_absent,
        [IDM_CHIP_USABLE] = IDM_R_tpm_key_lost, [IDM_CHIP_BUSY] = IDM_R_tpm_busy,
        [IDM_CHIP_LOCKED] = IDM_R_tpm_locked,   [IDM_CHIP_ABSENT] = IDM_R_tpm_absent,
        [IDM_CHIP_FAILED] = IDM_R_tpm_failed,   [IDM_CHIP_OWNED] = IDM_R_tpm_owned,
        [IDM_CHIP_CLEARED] = IDM_R_tpm_cleared, [IDM_CHIP_REPLACED] = IDM_R_tpm_replaced,
    };
    if (reason == IDM_R_by_chip)
        return by_chip[facts->chip];
    if (reason == IDM_R_by_room)
        return facts->room == IDM_ROOM_IS_READ_ONLY ? IDM_R_storage_read_only : IDM_R_storage_full;
    return reason;
}
