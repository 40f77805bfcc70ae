/* SPDX-License-Identifier: BSD-2-Clause */
/* act_record_dead.c - the actions by which an identity dies: what the record names as dead before anything
 * is destroyed, and what it says when that is done. Of them record_tombstone, record_reset and
 * record_released change the state, to what the cell says. */
#include "engine/internal.h"

#include <string.h>

/* ---- parts ---- */

void idm_bury_tpm_identity(struct idm_record *r)
{
    idm_record_bury_name(r, r->device_name);
    idm_record_bury_spki(r, r->tpm_spki);
    memset(r->device_name, 0, IDM_NAME_SIZE);
    memset(r->tpm_spki, 0, IDM_SHA256_SIZE);
    memset(r->tpm_cert, 0, IDM_SHA256_SIZE);
    r->origin = 0;
}

/* Where the chip is another one, or lost what it held, its witness and Names say nothing any more. */
static void forget_chip(struct idm_engine *e)
{
    struct idm_record *r = &e->record;
    bool gone = e->facts.chip == IDM_CHIP_REPLACED || e->facts.chip == IDM_CHIP_CLEARED ||
                e->facts.counter == IDM_COUNTER_LOST;
    if (!gone)
        return;
    r->has_witness = 0;
    memset(r->ek_name, 0, IDM_NAME_SIZE);
    memset(r->srk_name, 0, IDM_NAME_SIZE);
}

/* A key whose file was written may stand in the chip though no record names it yet. */
void idm_bury_key_files(struct idm_engine *e)
{
    const struct idm_seen_tss2 *files[] = {&e->tss2_config, &e->tss2_persist};
    for (size_t i = 0; i < 2; i++)
        if (files[i]->rc == 0)
            idm_record_bury_name(&e->record, files[i]->info.name);
}

/* What stands at our handles is dead too, whether the record names it or not: the disk may be older
 * than the chip, or there may be no record at all. */
static int bury_handles(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    const struct idm_backends *be = e->be;
    const struct {
        uint32_t handle;
        enum idm_tpm_role role;
    } places[] = {{r->device_handle, IDM_ROLE_DEVICE}, {r->parent_handle, IDM_ROLE_PARENT}};
    for (size_t i = 0; i < 2; i++) {
        struct idm_tpm_object_info info = {0};
        int rc = be->tpm_object(be->self, places[i].handle, places[i].role, &info, err);
        if (rc)
            return rc;
        if (!idm_is_ours(e, &info) || idm_record_is_foreign(r, info.name))
            continue;
        idm_record_bury_name(r, info.name);
        idm_record_bury_spki(r, info.key.spki);
    }
    return 0;
}

static void bury_files(struct idm_engine *e)
{
    struct idm_record *r = &e->record;
    const struct idm_seen_key *keys[] = {&e->config_key, &e->store_key};
    const struct idm_seen_cert *certs[] = {&e->config_cert, &e->store_cert, &e->tpm_cert_config,
                                           &e->tpm_cert_persist};
    idm_bury_key_files(e);
    for (size_t i = 0; i < 2; i++)
        if (keys[i]->rc == 0)
            idm_record_bury_spki(r, keys[i]->info.spki);
    for (size_t i = 0; i < 4; i++)
        if (certs[i]->rc == 0)
            idm_record_bury_spki(r, certs[i]->info.spki);
}

static void bury_recorded(struct idm_record *r)
{
    idm_bury_tpm_identity(r);
    if (!r->weak_parent) /* else it is the SRK, which is not ours to remove */
        idm_record_bury_name(r, r->parent_name);
    idm_record_bury_spki(r, r->software_spki);
    memset(r->parent_name, 0, IDM_NAME_SIZE);
    memset(r->software_spki, 0, IDM_SHA256_SIZE);
    memset(r->software_cert, 0, IDM_SHA256_SIZE);
}

/* The new identity follows the settings of today. */
static void renew_settings(struct idm_engine *e)
{
    struct idm_record *r = &e->record;
    const struct idm_settings *s = e->settings;
    r->device_handle = s->device_handle;
    r->parent_handle = s->parent_handle;
    r->srk_handle = s->srk_handle;
    r->counter_index = s->counter_index;
    r->owned &= IDM_OWNED_OUTLIVED;
    r->weak_parent = 0;
    bool clears = e->ask ? e->ask->clears : s->reset == IDM_RESET_CLEAR;
    r->reset_clears = clears && !e->facts.clear_refused;
    r->algorithm = (uint8_t)s->algorithm;
    r->key_storage = (uint8_t)s->key_storage;
    r->legacy_key = (uint8_t)s->legacy_key;
}

/* A restored disk may be reset too: the counter counts from where it stands. */
static int take_counter(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    uint64_t value = 0;
    r->has_witness = 0;
    if (idm_record_has_foreign(r)) /* the counter is another device's, too */
        return 0;
    int rc = e->be->tpm_counter_read(e->be->self, r->counter_index, &value, err);
    r->has_witness = rc == 0;
    r->witness = value;
    r->witness_slack = 0;
    return rc == IDM_E_TPM_EMPTY || rc == IDM_E_TPM_TAKEN ? 0 : rc;
}

/* The disk is here to stay, the chip's keys are another disk's: they are left alone, and nothing that
 * the record knew of the old chip holds here. Without an answer nothing is there to be left alone. */
static void leave_foreign_chip(struct idm_engine *e)
{
    struct idm_record *r = &e->record;
    const struct idm_backends *be = e->be;
    const struct {
        uint32_t handle;
        enum idm_tpm_role role;
    } places[] = {{e->settings->device_handle, IDM_ROLE_DEVICE},
                  {e->settings->parent_handle, IDM_ROLE_PARENT}};
    for (size_t i = 0; i < 2; i++) {
        struct idm_tpm_object_info info = {0};
        if (be->tpm_announced(be->self) != IDM_NO &&
            be->tpm_object(be->self, places[i].handle, places[i].role, &info, NULL) == 0 &&
            info.what != IDM_OBJECT_EMPTY)
            idm_record_note_foreign(r, info.name);
    }
    r->has_witness = 0;
    r->reset_pending = 0; /* that chip's resets are counted elsewhere */
    memset(r->ek_name, 0, IDM_NAME_SIZE);
    memset(r->srk_name, 0, IDM_NAME_SIZE);
}

/* ---- actions ---- */

int idm_do_record_tombstone(struct idm_engine *e, struct idm_error *err)
{
    idm_bury_tpm_identity(&e->record);
    forget_chip(e);
    idm_enter_next(e);
    idm_close_plan(&e->record);
    return idm_write_record(e, err);
}

int idm_do_record_reset(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    uint8_t previous[IDM_SHA256_SIZE];
    bool chip = e->cell.plan == IDM_P_begin_reset;
    bool again = e->recorded && r->state == IDM_S_resetting;
    idm_begin_record(e);
    memcpy(previous, again ? r->change_previous : idm_active_cert(r), sizeof previous);
    /* Where the chip is gone by an operator's word, its keys are gone with it. */
    if (chip && idm_record_key_is_weak(r) && !idm_all_zero(r->device_name, IDM_NAME_SIZE))
        r->owned |= IDM_OWNED_OUTLIVED;
    bury_recorded(r);
    bury_files(e);
    if (r->weak_parent) /* what stands there is the SRK, which is not ours to remove */
        r->parent_handle = e->settings->parent_handle;
    int rc = chip ? bury_handles(e, err) : 0;
    renew_settings(e);
    if (e->cell.plan == IDM_P_begin_reset_here)
        leave_foreign_chip(e);
    if (rc == 0 && chip)
        rc = take_counter(e, err);
    if (rc)
        return rc;
    r->seal = IDM_SEAL_NONE;
    r->pending = 0;
    r->legacy_changed = 0;
    r->ever_plain = 0;
    memcpy(r->change_previous, previous, sizeof previous);
    idm_enter_next(e);
    r->intent = (uint8_t)idm_plan_info(e->cell.plan)->intent;
    r->staged = 0;
    idm_note_serial(e);
    return idm_do_record_slots(e, err);
}

int idm_do_record_reset_how(struct idm_engine *e, struct idm_error *err)
{
    e->record.reset_clears = e->ask->clears;
    return idm_write_record(e, err);
}

/* Without its chip a dead key could not be evicted: its Name stays dead until the chip is back. */
int idm_do_record_buried(struct idm_engine *e, struct idm_error *err)
{
    bool chip = e->facts.chip == IDM_CHIP_USABLE || e->facts.chip == IDM_CHIP_CLEARED;
    bool names_too =
        e->record.intent != IDM_INTENT_reset_soft && (e->record.state == IDM_S_resetting || chip);
    idm_record_clear_tombstones(&e->record, names_too);
    return idm_write_record(e, err);
}

int idm_do_record_cleared(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    idm_record_clear_tombstones(r, true);
    idm_record_forget_foreign(r);
    r->owned &= (uint8_t)~IDM_OWNED_OUTLIVED; /* the seeds are others */
    r->has_witness = 0;
    r->witness = 0;
    memset(r->srk_name, 0, IDM_NAME_SIZE);
    return idm_write_record(e, err);
}

int idm_do_record_released(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    uint8_t previous[IDM_SHA256_SIZE];
    memcpy(previous, idm_active_cert(r), sizeof previous);
    idm_bury_tpm_identity(r);
    forget_chip(e);
    r->seal = IDM_SEAL_NONE;
    idm_enter_next(e);
    idm_close_plan(r);
    idm_raise_epoch(e, previous);
    return idm_write_record(e, err);
}

int idm_do_record_reset_final(struct idm_engine *e, struct idm_error *err)
{
    e->record.reset_pending = 0;
    return idm_write_record(e, err);
}
