/* SPDX-License-Identifier: BSD-2-Clause */
/* outcome.c - what came out of a loop: mode, reasons, exit code. */
#include "engine/internal.h"

/* A software pair that only waits for room to be recorded works as it always did. */
static bool pair_waits_for_room(const struct idm_engine *e)
{
    static const struct idm_request boot = {.kind = IDM_REQ_BOOT};
    return !e->recorded && e->facts.room != IDM_ROOM_IS_OK &&
           idm_event_raised(IDM_EV_no_record_pair, &e->facts, &boot);
}

enum idm_mode idm_identity_mode(const struct idm_engine *e)
{
    if (e->unrecorded_pair)
        return IDM_MODE_SOFTWARE;
    switch ((enum idm_state)e->record.state) {
    case IDM_S_software:
    case IDM_S_migrating:
        return IDM_MODE_SOFTWARE;
    case IDM_S_tpm_dual:
    case IDM_S_tpm:
        return IDM_MODE_TPM;
    case IDM_S_none:
    case IDM_S_blank:
    case IDM_S_resetting:
    case IDM_S_same:
        break;
    }
    return IDM_MODE_NONE;
}

/* A plan that failed ended the loop before these could speak: a storage error puts no copy into use. */
static bool would_hold(const struct idm_engine *e)
{
    static const struct idm_request boot = {.kind = IDM_REQ_BOOT};
    static const enum idm_event events[] = {IDM_EV_disk_moved, IDM_EV_rolled_back};
    for (size_t i = 0; e->recorded && i < sizeof events / sizeof *events; i++)
        if (idm_event_raised(events[i], &e->facts, &boot) &&
            idm_table_cell(events[i], e->facts.state).kind == IDM_CELL_HOLD)
            return true;
    return false;
}

/* `tpm` only after the chip proved possession in this boot. */
static enum idm_mode mode_now(const struct idm_engine *e, const struct idm_loop_end *end)
{
    enum idm_mode mode = idm_identity_mode(e);
    if (end->held || (end->failed && would_hold(e)))
        return IDM_MODE_UNKNOWN;
    if (e->record.staged && e->record.intent == IDM_INTENT_to_tpm)
        return IDM_MODE_UNKNOWN; /* the increment may have happened: neither identity is asserted */
    if (mode == IDM_MODE_TPM && e->facts.proof != IDM_PROOF_GIVEN)
        return IDM_MODE_UNKNOWN;
    if (mode != IDM_MODE_NONE && !e->unrecorded_pair && e->record.announced != e->record.epoch)
        return IDM_MODE_UNKNOWN; /* durable before it is announced */
    if (mode == IDM_MODE_SOFTWARE && end->failed && !idm_good_software_key(e))
        return IDM_MODE_UNKNOWN;
    return mode;
}

static uint64_t bit(enum idm_reason reason)
{
    return UINT64_C(1) << reason;
}

/* Reasons that stand in the record or in the facts, whatever event ended the loop. */
static uint64_t standing_reasons(const struct idm_engine *e)
{
    const struct idm_record *r = &e->record;
    const struct idm_facts *f = &e->facts;
    bool tpm_active = r->state == IDM_S_tpm_dual || r->state == IDM_S_tpm;
    uint64_t reasons = 0;
    if (r->malfunction)
        reasons |= bit(IDM_R_tpm_malfunction);
    if (r->legacy_changed)
        reasons |= bit(IDM_R_legacy_changed);
    if ((r->owned & IDM_OWNED_BY_ANOTHER && tpm_active) || (f->rekey_refused && f->reset_requested))
        reasons |= bit(IDM_R_tpm_owned);
    if ((idm_record_key_is_weak(r) && tpm_active) || r->owned & IDM_OWNED_OUTLIVED)
        reasons |= bit(IDM_R_reset_weak);
    if (r->reset_pending || r->state == IDM_S_resetting)
        reasons |= bit(IDM_R_reset_incomplete);
    if (e->bootenv.state == IDM_BOOTENV_IS_UNREADABLE)
        reasons |= bit(IDM_R_bootenv_unreadable);
    if (f->config_volatile)
        reasons |= bit(IDM_R_config_dir_volatile);
    if (e->settings->invalid)
        reasons |= bit(IDM_R_settings_invalid);
    bool other_chip = e->chip.verdict == IDM_CHIP_REPLACED || e->chip.verdict == IDM_CHIP_CLEARED;
    if (f->counter == IDM_COUNTER_LOST && !e->ended_held && !other_chip)
        reasons |= bit(IDM_R_witness_lost);
    if (tpm_active && f->proof == IDM_PROOF_GIVEN && f->backup == IDM_BACKUP_MISSING)
        reasons |= bit(IDM_R_backup_degraded);
    return reasons;
}

uint64_t idm_engine_reasons(const struct idm_engine *e)
{
    return standing_reasons(e);
}

/* A plan that failed ends the loop before `settle`: what it left is read again, and the marker is
 * rewritten all the same. */
void idm_finish(struct idm_engine *e, const struct idm_loop_end *end)
{
    e->unrecorded_pair = pair_waits_for_room(e);
    if (!end->failed)
        return;
    idm_read_facts(e);
    if (e->facts.evidence == IDM_EVIDENCE_READABLE)
        (void)idm_do_write_marker(e, NULL);
}

/* A plan that failed without saying why must not look like one that did not fail. */
static struct idm_error error_of(const struct idm_engine *e, const struct idm_loop_end *end)
{
    struct idm_error error = end->error;
    if (end->failed && !error.code) {
        (void)idm_fail(&error, IDM_E_INTERNAL, idm_event_name(e->last_event),
                       "it could not be carried out, and nobody said why");
        (void)idm_advise(&error, "see /run/idmode/trace");
    }
    return error;
}

void idm_conclude(struct idm_engine *e, const struct idm_loop_end *end, struct idm_outcome *ret)
{
    *ret = (struct idm_outcome){.mode = mode_now(e, end),
                                .identity_mode = idm_identity_mode(e),
                                .state = e->recorded ? (enum idm_state)e->record.state : IDM_S_none,
                                .epoch = e->record.epoch,
                                .chip = e->chip.verdict ? e->chip.verdict : e->facts.chip,
                                .last_event = e->last_event,
                                .held = end->held,
                                .held_for = end->reason,
                                .reasons = e->reasons | standing_reasons(e),
                                .request_event = IDM_EV_none,
                                .error = error_of(e, end)};
    if (end->failed)
        ret->exit = IDM_EXIT_FAILED;
    else if (end->held || ret->mode == IDM_MODE_NONE || ret->mode == IDM_MODE_UNKNOWN)
        ret->exit = IDM_EXIT_HELD;
    if (end->failed && (end->error.code == IDM_E_FULL))
        ret->reasons |= bit(IDM_R_storage_full);
    if (end->failed && (end->error.code == IDM_E_READ_ONLY))
        ret->reasons |= bit(IDM_R_storage_read_only);
}

bool idm_outcome_is_healthy(const struct idm_outcome *outcome)
{
    return !outcome->held && !outcome->reasons && !outcome->error.code;
}

const char *idm_mode_name(enum idm_mode mode)
{
    static const char *const names[] = {[IDM_MODE_UNKNOWN] = "unknown",
                                        [IDM_MODE_NONE] = "none",
                                        [IDM_MODE_SOFTWARE] = "software",
                                        [IDM_MODE_TPM] = "tpm"};
    return names[mode];
}
