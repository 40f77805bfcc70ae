/* SPDX-License-Identifier: BSD-2-Clause */
/* raised_evidence.c - can the disk be believed, is there a record, is this our chip and our disk? */
#include "fsm/predicates.h"

/* ---- evidence ---- */

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
    return !idm_raised_no_record_tpm_waiting(f, r) && !idm_raised_no_record_empty_no_tpm(f, r) &&
           !idm_raised_no_record_empty_tpm_bad(f, r) && !idm_raised_no_record_empty(f, r) &&
           !idm_raised_no_record_pair(f, r) && !idm_raised_no_record_key_only(f, r) &&
           !idm_raised_no_record_tpm_proven(f, r);
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
    bool restorable = plain_pair(f) || (!holds_pair(f->state) && !f->cert_lost);
    /* An unseal that was cut: it goes on below, and takes the folder with it. */
    bool unsealing = f->state == IDM_S_tpm && f->legacy_may_boot && pair_of_record(f);
    return f->config_folder_gone && !foreign_pair(f) && restorable && !unsealing;
}

RAISED(config_wiped_sealed)
{
    REQUEST_UNUSED;
    return f->config_folder_gone && f->state == IDM_S_tpm_dual && !foreign_pair(f) &&
           !plain_pair(f) && !f->cert_lost;
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
    /* Where no witness speaks against the disk, the factory reset that waits destroys that key. */
    bool leads_out = f->state == IDM_S_software && !f->witnessed &&
                     idm_event_raised(IDM_EV_reset_wanted, f, r) && f->clock_good &&
                     f->room == IDM_ROOM_IS_OK;
    return f->counter == IDM_COUNTER_ILLEGAL || (f->unnamed_key && !leads_out);
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
    bool waits_for_chip = f->state == IDM_S_tpm_dual || switching(f);
    return holds_pair(f->state) && waits_for_chip && f->legacy_may_boot && !pair_of_record(f) &&
           !foreign_pair(f) && !f->config_folder_gone && plain_pair(f);
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
