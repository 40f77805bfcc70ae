/* SPDX-License-Identifier: BSD-2-Clause */
/* raised_request.c - what hooks and operators ask for. */
#include "fsm/predicates.h"

#include <stddef.h>

/* ---- requests ---- */

static bool installing(const struct idm_request *r, bool legacy)
{
    return r->kind == IDM_REQ_PRE_INSTALL && r->target_legacy == legacy;
}

/* What the boot loop before it could not restore, for a moment's trouble, must be restored first: the
 * record's copy would make the wiped file system look like one where somebody deleted the certificate. */
static bool wiped(const struct idm_facts *f, const struct idm_request *r)
{
    bool restored = holds_pair(f->state) || f->state == IDM_S_tpm;
    return restored && (idm_raised_config_wiped(f, r) || idm_raised_config_wiped_sealed(f, r));
}

static bool blind(const struct idm_facts *f, const struct idm_request *r)
{
    /* A factory reset leads out of everything that can be read. */
    return f->evidence != IDM_EVIDENCE_READABLE || (wiped(f, r) && r->kind != IDM_REQ_RESET);
}

/* A repeated pre-install is not late where its work is still to be done. */
static bool late(const struct idm_facts *f, const struct idm_request *r)
{
    return r->late && !(installing(r, true) && f->state == IDM_S_tpm);
}

RAISED(hook_late)
{
    return late(f, r) && !blind(f, r);
}

static bool is_hook(const struct idm_request *r)
{
    return r->kind == IDM_REQ_PRE_INSTALL || r->kind == IDM_REQ_POST_INSTALL ||
           r->kind == IDM_REQ_INSTALL_FAILED || r->kind == IDM_REQ_COMMITTED ||
           r->kind == IDM_REQ_ROLLBACK;
}

RAISED(request_blind)
{
    return blind(f, r) && !is_hook(r) && r->kind != IDM_REQ_RELEASE_RETRY;
}

RAISED(hook_blind)
{
    return blind(f, r) && is_hook(r) && !installing(r, true);
}

RAISED(pre_install_impossible)
{
    if (!installing(r, true))
        return false;
    if (blind(f, r)) /* what the old image would find there cannot be seen */
        return true;
    if (f->state == IDM_S_blank)
        return false;
    if (f->state == IDM_S_none) /* a record that cannot be read may speak of a sealed key */
        return f->record != IDM_RECORD_ABSENT && !f->config_pair_fits;
    if (f->state == IDM_S_resetting)
        return true;
    if (f->legacy_unwanted && tpm_active(f))
        return true;
    /* What boot may not restore, because the storage or the record is not to be believed. */
    bool unbelieved = f->record_forged || f->moved == IDM_FACT_YES || idm_raised_rolled_back(f, r);
    if (unbelieved && holds_pair(f->state) && !foreign_pair(f) && !pair_of_record(f))
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
    return installing(r, false) && !late(f, r) && !blind(f, r);
}

RAISED(post_install)
{
    return !r->late && !blind(f, r) && r->kind == IDM_REQ_POST_INSTALL;
}

RAISED(install_failed)
{
    return !r->late && !blind(f, r) && r->kind == IDM_REQ_INSTALL_FAILED;
}

RAISED(committed)
{
    return !r->late && !blind(f, r) && r->kind == IDM_REQ_COMMITTED;
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

const char *idm_reset_obstacle(const struct idm_facts *f, const struct idm_request *r)
{
    if (f->evidence != IDM_EVIDENCE_READABLE)
        return "a directory that may hold the old identity cannot be read";
    if (f->record == IDM_RECORD_NEWER)
        return "the record was written by a newer idmode";
    if (f->trial == IDM_FACT_YES)
        return "the running image is on trial: commit it first";
    if (!f->clock_good)
        return "the clock is implausible: set it first";
    if (f->room != IDM_ROOM_IS_OK)
        return "there is no room for a new identity, or a file system is read-only";
    if (reset_without_chip(f, r))
        return NULL;
    if (f->chip != IDM_CHIP_USABLE && f->chip != IDM_CHIP_CLEARED)
        return "the TPM that holds the old key does not do its part: without it only by an "
               "operator's word, --without-tpm REASON";
    if (f->clear_refused)
        return "the TPM refuses to be cleared: use --reset rekey";
    return f->rekey_refused
               ? "the TPM's owner authorisation is another's: the old key would stay, or no new "
                 "one "
                 "be made; set owner-auth-file, or use --reset clear, or --without-tpm REASON"
               : NULL;
}

RAISED(reset_refused)
{
    return r->kind == IDM_REQ_RESET && f->state != IDM_S_resetting && idm_reset_obstacle(f, r);
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
            f->counter == IDM_COUNTER_LOST || (f->legacy_may_boot && f->keeps_one));
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

/* ---- keys that are given ---- */

static bool giving(const struct idm_request *r)
{
    return r->kind == IDM_REQ_IMPORT || r->kind == IDM_REQ_ADOPT;
}

/* A stranger's object at one of our numbers does not keep a key from being ours: what stands there is
 * left alone. */
static bool chip_takes_key(const struct idm_facts *f)
{
    return f->chip == IDM_CHIP_USABLE || f->chip == IDM_CHIP_OWNED;
}

/* What lies on disk must not be an identity: but for the key's own certificate, and, where an operator
 * says that the key is this device's, a whole pair, which becomes the legacy pair, and our own files. */
static bool disk_takes_key(const struct idm_facts *f, const struct idm_request *r)
{
    bool config =
        f->config_key == IDM_FILE_ABSENT && (f->config_cert == IDM_FILE_ABSENT || r->key_certified);
    if (r->kind == IDM_REQ_RELEASE_REUSE)
        return config || f->config_pair_fits;
    if (r->kind == IDM_REQ_IMPORT && r->key_certified)
        config = false; /* the key came with an identity of its own */
    return config && !f->tpm_files && !f->store_files;
}

const char *idm_key_obstacle(const struct idm_facts *f, const struct idm_request *r)
{
    bool again = f->state == IDM_S_blank && f->key_given && !f->staged;
    bool reuse = r->kind == IDM_REQ_RELEASE_REUSE;
    if (f->state != IDM_S_none && !again)
        return "the device has an identity, or makes one: a key is given before the first boot";
    if (f->record == IDM_RECORD_NEWER)
        return "the record was written by a newer idmode";
    if (f->record == IDM_RECORD_CORRUPT && !reuse)
        return "the record is damaged: idmode hold show names the ways out";
    if (f->reset_requested)
        return "an installer asked for a factory reset: boot first";
    if (!disk_takes_key(f, r) && !again)
        return "the disk holds another identity, or a part of one";
    if (r->kind == IDM_REQ_IMPORT && f->chip_ours == IDM_FACT_YES)
        return "the TPM holds a key or a counter of idmode: idmode hold show names the ways out";
    return chip_takes_key(f) ? r->unfit : NULL;
}

RAISED(given_key_refused)
{
    return giving(r) && idm_key_obstacle(f, r);
}

RAISED(given_key_chip_missing)
{
    return giving(r) && !chip_takes_key(f);
}

RAISED(given_key_taken)
{
    (void)f;
    return giving(r);
}

/* ---- a CA's certificate ---- */

const char *idm_cert_obstacle(const struct idm_facts *f, const struct idm_request *r)
{
    if (f->held)
        return "the device is held: idmode hold show names the ways out";
    if (!holds_pair(f->state) && f->state != IDM_S_tpm)
        return "no identity is active";
    if (r->prepared && f->state != IDM_S_migrating)
        return "nothing is prepared";
    if (!r->prepared && f->state == IDM_S_migrating)
        return "a migration is prepared: its certificate goes with --prepared, the active one is "
               "renewed after idmode migrate commit or abort";
    if (f->intent != IDM_INTENT_none)
        return "the switch to the TPM is open: boot first";
    if (tpm_active(f) && f->proof != IDM_PROOF_GIVEN)
        return "the TPM key has not proven itself in this boot";
    if (!f->clock_good)
        return "the clock is implausible: nobody can say whether the certificate is valid";
    return r->unfit;
}

RAISED(cert_offered_misfits)
{
    return r->kind == IDM_REQ_CERT && idm_cert_obstacle(f, r);
}

RAISED(cert_offered_fits)
{
    (void)f;
    return r->kind == IDM_REQ_CERT;
}

static bool releasing(const struct idm_request *r)
{
    return r->kind == IDM_REQ_RELEASE_RETRY || r->kind == IDM_REQ_RELEASE_LEGACY ||
           r->kind == IDM_REQ_RELEASE_EPOCH || r->kind == IDM_REQ_RELEASE_NEW ||
           r->kind == IDM_REQ_RELEASE_REUSE;
}

/* Held because the chip is gone, in whatever way: not because of whose disk this is. */
static bool held_for_chip(const struct idm_request *r)
{
    return r->held_for == IDM_R_tpm_absent || r->held_for == IDM_R_tpm_failed ||
           r->held_for == IDM_R_tpm_cleared || r->held_for == IDM_R_tpm_replaced ||
           r->held_for == IDM_R_tpm_key_lost || r->held_for == IDM_R_tpm_volatile ||
           r->held_for == IDM_R_tpm_owned;
}

/* A lost counter can be made anew, an unexpected one accepted, as long as the key in use is the
 * record's: the software key is, the TPM key must have signed. */
static bool epoch_acceptable(const struct idm_facts *f, const struct idm_request *r)
{
    bool key = tpm_active(f) ? f->proof == IDM_PROOF_GIVEN : f->state != IDM_S_resetting;
    bool counter =
        f->counter == IDM_COUNTER_ILLEGAL || f->counter == IDM_COUNTER_LOST || f->unnamed_key;
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
    if (r->kind == IDM_REQ_RELEASE_NEW && r->held_for == IDM_R_cloned)
        return f->state == IDM_S_none || f->trial == IDM_FACT_YES;
    if (r->kind == IDM_REQ_RELEASE_NEW)
        return f->state != IDM_S_none || f->chip != IDM_CHIP_USABLE ||
               r->held_for != IDM_R_record_corrupt;
    if (r->kind == IDM_REQ_RELEASE_REUSE)
        return f->state != IDM_S_none || r->held_for != IDM_R_record_corrupt ||
               !chip_takes_key(f) || idm_key_obstacle(f, r);
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

RAISED(release_reuse)
{
    (void)f;
    return r->kind == IDM_REQ_RELEASE_REUSE;
}
