/* SPDX-License-Identifier: BSD-2-Clause */
/* raised_identity.c - what is open, damaged or due about the identities. */
#include "fsm/predicates.h"

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
    return f->state == IDM_S_blank && !f->staged && !f->chip_required && !f->key_given &&
           (f->chip == IDM_CHIP_FAILED || f->chip == IDM_CHIP_NONE);
}

RAISED(provisioning_waiting)
{
    REQUEST_UNUSED;
    return f->state == IDM_S_blank && f->chip != IDM_CHIP_USABLE && !making_first_in_software(f);
}

RAISED(given_key_awaited)
{
    REQUEST_UNUSED;
    return f->state == IDM_S_blank && f->key_awaited;
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
    return making_first_in_tpm(f) && !f->staged && f->legacy_unwanted && !plain_pair(f);
}

RAISED(provisioning_begun_sealed)
{
    REQUEST_UNUSED;
    return making_first_in_tpm(f) && !f->staged && !f->legacy_unwanted && !f->legacy_may_boot &&
           f->seal_allowed && !plain_pair(f);
}

RAISED(provisioning_begun_tpm)
{
    return making_first_in_tpm(f) && !f->staged && !idm_raised_provisioning_begun_bare(f, r) &&
           !idm_raised_provisioning_begun_sealed(f, r);
}

/* In blank a lost counter is held for; a reset makes it anew, since nothing depends on the old one. */
static bool counter_serves(const struct idm_facts *f)
{
    return f->counter != IDM_COUNTER_LOST || f->state == IDM_S_resetting;
}

RAISED(provisioning_staged_alone)
{
    REQUEST_UNUSED;
    return making_first_in_tpm(f) && f->staged && counter_serves(f) && !plain_pair(f);
}

RAISED(provisioning_staged)
{
    REQUEST_UNUSED;
    return making_first_in_tpm(f) && f->staged && counter_serves(f) && plain_pair(f);
}

/* A migration names its key before the switch, so that it can be asked for a proof. */
static bool switch_ready(const struct idm_facts *f)
{
    bool proven = f->state != IDM_S_migrating || f->proof == IDM_PROOF_GIVEN;
    return f->chip == IDM_CHIP_USABLE && proven && f->counter != IDM_COUNTER_LOST;
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
    /* Begun before a trial, it waits for its end. */
    return making(f) && f->chip == IDM_CHIP_USABLE && f->trial == IDM_FACT_NO;
}

/* ---- the legacy view ---- */

RAISED(legacy_won)
{
    REQUEST_UNUSED;
    return tpm_active(f) && !f->announced && foreign_pair(f);
}

RAISED(renewal_unfinished)
{
    REQUEST_UNUSED;
    return (holds_pair(f->state) || f->state == IDM_S_tpm) && f->config_cert == IDM_FILE_FORMER &&
           plain_pair(f);
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

RAISED(software_cert_gone)
{
    return idm_raised_software_cert_lost(f, r);
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
    /* A pair that somebody made may only wait for room to be adopted: it is not overwritten meanwhile. */
    if (foreign_pair(f))
        return false;
    if (f->state == IDM_S_tpm && f->cert_lost) /* it is made again first */
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

RAISED(tpm_forgot)
{
    return idm_raised_tpm_key_not_found(f, r) && f->chip_forgot;
}

RAISED(device_cert_gone)
{
    REQUEST_UNUSED;
    return tpm_active(f) && f->cert_lost && f->proof == IDM_PROOF_GIVEN;
}

RAISED(device_cert_due)
{
    return idm_raised_device_cert_gone(f, r) && f->trial != IDM_FACT_YES;
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

/* An attempt that the owner refuses costs the chip nothing: owner authorisation is not under lockout. */
RAISED(witness_wanted)
{
    REQUEST_UNUSED;
    return tpm_active(f) && f->witness_owed && f->proof == IDM_PROOF_GIVEN;
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

/* In tpm no pair belongs into the store. What a plan that was cut left there the record need not know. */
static bool left_in_store(const struct idm_facts *f)
{
    return f->state == IDM_S_tpm &&
           (f->store_key != IDM_COPY_ABSENT || f->store_cert != IDM_COPY_ABSENT);
}

RAISED(legacy_gone_unwanted)
{
    REQUEST_UNUSED;
    bool due = f->state == IDM_S_tpm_dual || left_in_store(f);
    return due && way_back_safe(f) && f->legacy_unwanted && f->proof == IDM_PROOF_GIVEN;
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
    bool leftover = f->seal != IDM_SEAL_NONE && left_in_store(f);
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
    bool chip = f->chip == IDM_CHIP_USABLE || f->chip == IDM_CHIP_CLEARED;
    return reset_left(f) && chip && !f->rekey_refused;
}

RAISED(reset_wanted_soft)
{
    REQUEST_UNUSED;
    bool dead = f->chip == IDM_CHIP_ABSENT || f->chip == IDM_CHIP_FAILED;
    bool never_had_one = f->state == IDM_S_software && !f->witnessed;
    return reset_left(f) && (f->chip == IDM_CHIP_NONE || (dead && never_had_one));
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
