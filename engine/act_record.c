/* SPDX-License-Identifier: BSD-2-Clause */
/* act_record.c - the actions that write the record, but for those by which an identity dies
 * (act_record_dead.c). Of them only record_begin, record_next, record_state, record_adopted,
 * record_tpm_identity and record_legacy change the state, all to what the cell says. */
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

/* ---- parts ---- */

void idm_enter_next(struct idm_engine *e)
{
    e->record.state = (uint8_t)e->cell.next;
}

void idm_close_plan(struct idm_record *r)
{
    r->intent = IDM_INTENT_none;
    r->staged = 0;
}

/* They stay with the identity. */
void idm_begin_record(struct idm_engine *e)
{
    const struct idm_settings *s = e->settings;
    const struct idm_backends *be = e->be;
    if (e->recorded)
        return;
    e->record = (struct idm_record){.algorithm = (uint8_t)s->algorithm,
                                    .key_storage = (uint8_t)s->key_storage,
                                    .legacy_key = (uint8_t)s->legacy_key,
                                    .device_handle = s->device_handle,
                                    .parent_handle = s->parent_handle,
                                    .srk_handle = s->srk_handle,
                                    .counter_index = s->counter_index};
    /* Controllers know a change by its epoch: one that was used is not used again. */
    e->record.epoch = idm_history_epoch(e);
    e->record.config_is_mount = be->place_is_mount(be->self, IDM_CONFIG);
    e->record.persist_is_mount = be->place_is_mount(be->self, IDM_PERSIST);
    e->record.malfunction = e->facts.chip == IDM_CHIP_FAILED;
}

void idm_note_serial(struct idm_engine *e)
{
    if (e->platform.serial_kind != IDM_SERIAL_HARDWARE)
        return;
    e->record.has_serial =
        idm_sha256(e->platform.serial, strlen(e->platform.serial), e->record.serial) == 0;
}

const uint8_t *idm_active_cert(const struct idm_record *r)
{
    return r->state == IDM_S_tpm_dual || r->state == IDM_S_tpm ? r->tpm_cert : r->software_cert;
}

/* The active identity changes: once per change, reported under this epoch. */
void idm_raise_epoch(struct idm_engine *e, const uint8_t previous_cert[IDM_SHA256_SIZE])
{
    struct idm_record *r = &e->record;
    r->epoch++;
    memset(r->change_why, 0, sizeof r->change_why);
    (void)snprintf(r->change_why, sizeof r->change_why, "%s", idm_event_name(e->event));
    r->change_at = e->platform.now;
    memcpy(r->change_previous, previous_cert, IDM_SHA256_SIZE);
}

/* Adopting a pair that somebody else made, or dropping a staged plan: the counter counts as it is.
 */
static void rebaseline(struct idm_engine *e)
{
    struct idm_record *r = &e->record;
    uint64_t value = 0;
    if (!r->has_witness)
        return;
    if (e->be->tpm_counter_read(e->be->self, r->counter_index, &value, NULL) == 0) {
        r->witness = value;
        r->witness_slack = 0;
    } else if (r->staged) {
        r->witness_slack = 1;
    }
}

static int note_chip(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    const struct idm_backends *be = e->be;
    struct idm_tpm_info info = {0};
    int rc = be->tpm_srk_name(be->self, r->srk_handle, r->srk_name, err);
    if (rc == 0)
        rc = be->tpm_ek_name(be->self, r->ek_name, err);
    if (rc == 0)
        rc = be->tpm_info(be->self, &info, err);
    if (rc)
        return rc;
    memcpy(r->manufacturer, info.manufacturer, sizeof r->manufacturer);
    memcpy(r->firmware, info.firmware, sizeof r->firmware);
    r->malfunction = 0;
    idm_note_serial(e);
    return 0;
}

/* ---- actions ---- */

int idm_do_rewrite_record_copy(struct idm_engine *e, struct idm_error *err)
{
    return idm_write_record(e, err);
}

int idm_do_record_begin(struct idm_engine *e, struct idm_error *err)
{
    idm_begin_record(e);
    return idm_write_begun(e, err);
}

int idm_write_begun(struct idm_engine *e, struct idm_error *err)
{
    idm_enter_next(e);
    e->record.intent = (uint8_t)idm_plan_info(e->cell.plan)->intent;
    e->record.staged = 0;
    idm_note_serial(e);
    return idm_do_record_slots(e, err);
}

int idm_do_record_witness(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    uint64_t value = 0;
    /* A counter that was lost has been made anew: it stands elsewhere than the record says. */
    if (r->has_witness && e->facts.counter != IDM_COUNTER_LOST)
        return 0;
    r->has_witness = 0;
    if (idm_record_has_foreign(r)) /* the counter is another device's, too */
        return 0;
    int rc = e->be->tpm_counter_read(e->be->self, r->counter_index, &value, err);
    if (rc == IDM_E_TPM_EMPTY || rc == IDM_E_TPM_TAKEN) /* make_counter could not make one */
        return 0;
    if (rc)
        return rc;
    r->has_witness = 1;
    /* A reset increments twice; a counter made in its middle stands where the first would have led.
     */
    r->witness = value - (r->intent == IDM_INTENT_reset ? 1 : 0);
    r->witness_slack = 0;
    return idm_write_record(e, err);
}

int idm_do_record_staged(struct idm_engine *e, struct idm_error *err)
{
    enum idm_intent intent = idm_plan_info(e->cell.plan)->intent;
    struct idm_record *r = &e->record;
    bool soft = e->cell.plan == IDM_P_provision_soft;
    if (soft) { /* what a TPM that failed meanwhile may hold of it is dead */
        idm_bury_tpm_identity(r);
        idm_bury_key_files(e);
        r->has_witness = 0;
        if (e->facts.chip == IDM_CHIP_FAILED) /* else what record_begin noted stands */
            r->malfunction = 1;
    }
    int rc = soft ? 0 : note_chip(e, err);
    if (rc)
        return rc;
    if (intent != IDM_INTENT_none)
        r->intent = (uint8_t)intent;
    r->staged = 1;
    return idm_write_record(e, err);
}

int idm_do_record_next(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    struct idm_tpm_info info = {0};
    uint8_t previous[IDM_SHA256_SIZE];
    bool reset = r->intent == IDM_INTENT_reset && e->cell.plan != IDM_P_provision_soft;
    if (r->state == IDM_S_software || r->state == IDM_S_migrating)
        memcpy(previous, idm_active_cert(r), sizeof previous);
    else
        memcpy(previous, r->change_previous, sizeof previous);
    if (reset) {
        int rc = e->be->tpm_info(e->be->self, &info, err);
        if (rc)
            return rc;
        r->reset_pending = 1;
        r->reset_reset_count = info.reset_count;
    }
    if (r->has_witness)
        r->witness = idm_record_counter_target(r);
    r->witness_slack = 0;
    r->pending = 0;
    e->reset_done = r->state == IDM_S_resetting;
    idm_enter_next(e);
    idm_close_plan(r);
    idm_raise_epoch(e, previous);
    return idm_write_record(e, err);
}

int idm_do_record_state(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    idm_enter_next(e);
    idm_close_plan(r);
    /* The envelope stays good after an unseal; the plain copies go again only after another reset.
     */
    if (e->cell.next == IDM_S_tpm_dual && r->seal != IDM_SEAL_NONE) {
        struct idm_tpm_info info = {0};
        int rc = e->be->tpm_info(e->be->self, &info, err);
        if (rc)
            return rc;
        r->seal = IDM_SEAL_FRESH;
        r->seal_reset_count = info.reset_count;
        r->ever_plain = 1;
    }
    if (e->cell.next == IDM_S_tpm && r->seal == IDM_SEAL_FRESH)
        r->seal = IDM_SEAL_MATURE;
    if (e->cell.next == IDM_S_tpm && r->seal == IDM_SEAL_NONE) {
        memset(r->software_spki, 0, IDM_SHA256_SIZE);
        memset(r->software_cert, 0, IDM_SHA256_SIZE);
    }
    return idm_write_record(e, err);
}

int idm_do_record_dropped(struct idm_engine *e, struct idm_error *err)
{
    rebaseline(e);
    idm_close_plan(&e->record);
    if (e->chip_refused) /* not for now: the next boot would begin it, and drop it, again */
        e->record.pending = e->record.pending_on_trial = 0;
    return idm_write_record(e, err);
}

int idm_do_record_adopted(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    uint8_t previous[IDM_SHA256_SIZE] = {0};
    if (e->recorded)
        memcpy(previous, idm_active_cert(r), sizeof previous);
    idm_begin_record(e);
    rebaseline(e);
    /* `migrating` keeps the prepared identity beside the adopted pair. */
    if (e->cell.next != IDM_S_migrating)
        idm_bury_tpm_identity(r);
    idm_enter_next(e);
    idm_close_plan(r);
    memcpy(r->software_spki, e->config_key.info.spki, IDM_SHA256_SIZE);
    /* adopt_key makes its certificate in the store; every other adoption finds it in the config
     * directory. */
    const struct idm_seen_cert *cert = e->config_cert.rc == 0 ? &e->config_cert : &e->store_cert;
    memcpy(r->software_cert, cert->info.sha256, IDM_SHA256_SIZE);
    r->seal = IDM_SEAL_NONE;
    r->pending = 0;
    r->ever_plain = 1;
    r->legacy_seen = 1;
    r->legacy_changed = r->announced != 0;
    idm_raise_epoch(e, previous);
    idm_note_serial(e);
    return idm_do_record_slots(e, err);
}

/* A pair appeared where no legacy image was thought to boot: whatever was said about the other slot
 * is not true any more. */
static void distrust_other(struct idm_engine *e)
{
    const struct idm_images *i = &e->images;
    if (!i->other[0])
        return;
    struct idm_slot *other = idm_record_slot_make(&e->record, i->other, i->own);
    other->kind = IDM_SLOT_UNKNOWN;
    other->outranks = 1;
}

int idm_do_record_legacy(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    uint8_t previous[IDM_SHA256_SIZE];
    bool renews = e->cell.plan == IDM_P_renew_software;
    if (renews && e->offered_again)
        return 0;
    memcpy(previous, r->software_cert, sizeof previous);
    memcpy(r->software_spki, e->store_key.info.spki, IDM_SHA256_SIZE);
    memcpy(r->software_cert, e->store_cert.info.sha256, IDM_SHA256_SIZE);
    r->seal = IDM_SEAL_NONE;
    r->ever_plain = 1;
    if (r->state == IDM_S_tpm)
        distrust_other(e);
    if (e->cell.plan == IDM_P_adopt_changed_pair || e->cell.plan == IDM_P_adopt_over_reset)
        r->legacy_seen = 1;
    idm_enter_next(e);
    if (renews)
        r->pending = 0; /* what was deleted has a successor now */
    if (e->cell.next == IDM_S_software || e->cell.next == IDM_S_migrating)
        idm_raise_epoch(e, previous);
    else
        r->legacy_changed = 1;
    return idm_write_record(e, err);
}

/* No record: the certificate in the config directory is that of our handle's key. */
static int note_found(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    struct idm_tpm_object_info device = {0};
    struct idm_tpm_object_info parent = {0};
    const struct idm_backends *be = e->be;
    uint64_t value = 0;
    int rc = be->tpm_object(be->self, r->device_handle, IDM_ROLE_DEVICE, &device, err);
    if (rc == 0)
        rc = be->tpm_object(be->self, r->parent_handle, IDM_ROLE_PARENT, &parent, err);
    if (rc)
        return rc;
    memcpy(r->device_name, device.name, IDM_NAME_SIZE);
    memcpy(r->parent_name, parent.name, IDM_NAME_SIZE);
    memcpy(r->tpm_spki, device.key.spki, IDM_SHA256_SIZE);
    memcpy(r->tpm_cert, e->config_cert.info.sha256, IDM_SHA256_SIZE);
    r->origin = device.what == IDM_OBJECT_IMPORTED ? IDM_KEY_IMPORTED : 0;
    r->algorithm = (uint8_t)device.key.algorithm;
    rc = be->tpm_counter_read(be->self, r->counter_index, &value, err);
    if (rc && rc != IDM_E_TPM_EMPTY && rc != IDM_E_TPM_TAKEN)
        return rc; /* a chip that is busy for a moment must not cost the witness */
    r->has_witness = rc == 0;
    r->witness = value;
    r->legacy_seen = 1;
    return idm_layout(e).legacy == IDM_LEGACY_NONE ? 0 : idm_find_sealed_pair(e, err);
}

int idm_do_record_tpm_identity(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    bool found = !e->recorded;
    idm_begin_record(e);
    int rc = found ? note_found(e, err) : 0;
    if (rc == 0)
        rc = note_chip(e, err);
    if (rc)
        return rc;
    idm_enter_next(e);
    idm_close_plan(r);
    if (found)
        idm_raise_epoch(e, r->change_previous);
    return idm_do_record_slots(e, err);
}

int idm_do_record_tpm_cert(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    uint8_t previous[IDM_SHA256_SIZE];
    bool renews = e->cell.plan != IDM_P_reissue_tpm_cert;
    if (renews && e->offered_again)
        return 0;
    memcpy(previous, r->tpm_cert, sizeof previous);
    memcpy(r->tpm_cert, e->tpm_cert_persist.info.sha256, IDM_SHA256_SIZE);
    if (r->state != IDM_S_migrating) /* there it is not in use yet */
        idm_raise_epoch(e, previous);
    return idm_write_record(e, err);
}

int idm_do_record_pending(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    const struct idm_images *i = &e->images;
    r->pending = 1;
    r->pending_on_trial = e->facts.trial != IDM_FACT_NO;
    memset(r->pending_slot, 0, sizeof r->pending_slot);
    memcpy(r->pending_slot, i->own, sizeof r->pending_slot);
    r->pending_has_fingerprint = i->own_has_fingerprint;
    memcpy(r->pending_fingerprint, i->own_fingerprint, IDM_SHA256_SIZE);
    return idm_write_record(e, err);
}

int idm_do_record_pending_off(struct idm_engine *e, struct idm_error *err)
{
    e->record.pending = 0;
    return idm_write_record(e, err);
}

int idm_do_record_sealed(struct idm_engine *e, struct idm_error *err)
{
    struct idm_tpm_info info = {0};
    int rc = e->be->tpm_info(e->be->self, &info, err);
    if (rc)
        return rc;
    e->record.seal = IDM_SEAL_FRESH;
    e->record.seal_reset_count = info.reset_count;
    return idm_write_record(e, err);
}

int idm_do_record_announced(struct idm_engine *e, struct idm_error *err)
{
    if (e->record.announced == e->record.epoch)
        return 0;
    e->record.announced = e->record.epoch;
    return idm_write_record(e, err);
}

int idm_do_record_rebaselined(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    uint64_t value = 0;
    int rc = e->be->tpm_counter_read(e->be->self, r->counter_index, &value, err);
    bool none = rc == IDM_E_TPM_EMPTY || rc == IDM_E_TPM_TAKEN;
    if (rc && !none)
        return rc;
    if (none) /* make_counter could not make one: without a witness, and it is said */
        r->owned |= IDM_OWNED_BY_ANOTHER;
    r->has_witness = !none;
    r->witness = value;
    r->witness_slack = 0;
    return idm_write_record(e, err);
}
