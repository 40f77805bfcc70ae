/* SPDX-License-Identifier: BSD-2-Clause */
/* chip.c - the facts that only the TPM knows: asked once, as little as the state needs, and
 * verdicts about the chip only after a proof or a load failed. */
#include "engine/internal.h"

#include <string.h>

struct idm_tpm_layout idm_layout(const struct idm_engine *e)
{
    const struct idm_settings *s = e->settings;
    const struct idm_record *r = &e->record;
    if (!e->recorded)
        return (struct idm_tpm_layout){.device_handle = s->device_handle,
                                       .parent_handle = s->parent_handle,
                                       .srk_handle = s->srk_handle,
                                       .counter_index = s->counter_index,
                                       .storage = s->key_storage,
                                       .algorithm = s->algorithm,
                                       .legacy = s->legacy_key};
    return (struct idm_tpm_layout){.device_handle = r->device_handle,
                                   .parent_handle = r->parent_handle,
                                   .srk_handle = r->srk_handle,
                                   .counter_index = r->counter_index,
                                   .storage = (enum idm_key_storage)r->key_storage,
                                   .algorithm = (enum idm_algorithm)r->algorithm,
                                   .legacy = (enum idm_legacy_key)r->legacy_key};
}

enum idm_chip idm_chip_of(int rc)
{
    switch (rc) {
    case IDM_E_TPM_ABSENT:
        return IDM_CHIP_ABSENT;
    case IDM_E_TPM_BUSY:
        return IDM_CHIP_BUSY;
    case IDM_E_TPM_LOCKED:
        return IDM_CHIP_LOCKED;
    case IDM_E_TPM_OWNED:
        return IDM_CHIP_OWNED;
    case 0:
    case IDM_E_TPM_EMPTY:
    case IDM_E_TPM_TAKEN:
    case IDM_E_TPM_UNFIT:
    case IDM_E_TPM_FULL:
    case IDM_E_MISMATCH:
        return IDM_CHIP_USABLE;
    default:
        return IDM_CHIP_FAILED;
    }
}

/* At first use only a failure that the chip itself confirmed makes the device a software device; any
 * other trouble may pass. */
static enum idm_chip chip_of_virgin(int rc)
{
    enum idm_chip chip = idm_chip_of(rc);
    return chip == IDM_CHIP_FAILED && rc != IDM_E_TPM_FAILED ? IDM_CHIP_GARBLED : chip;
}

/* ---- proof of possession ---- */

bool idm_tpm_signer(const struct idm_engine *e, bool by_file, struct idm_signer *ret)
{
    struct idm_tpm_layout layout = idm_layout(e);
    if (by_file) {
        const struct idm_bytes *file = idm_good_tss2(e);
        if (!file)
            return false;
        *ret = (struct idm_signer){.kind = IDM_SIGNER_FILE,
                                   .key = file,
                                   .handle = layout.parent_handle,
                                   .algorithm = layout.algorithm};
        return true;
    }
    if (layout.storage == IDM_STORE_TSS2)
        return false;
    *ret = (struct idm_signer){
        .kind = IDM_SIGNER_HANDLE, .handle = layout.device_handle, .algorithm = layout.algorithm};
    return true;
}

/* Bound to this boot and this epoch, and under a label of its own: no signature that idmode gives
 * out can be taken for another. */
static int proof_digest(const struct idm_engine *e, uint8_t ret_hash[IDM_SHA256_SIZE])
{
    static const char label[] = "idmode proof of possession v1";
    uint8_t message[sizeof label + sizeof e->platform.boot_id + sizeof(uint32_t)] = {0};
    memcpy(message, label, sizeof label);
    memcpy(message + sizeof label, e->platform.boot_id, sizeof e->platform.boot_id);
    for (unsigned int i = 0; i < sizeof(uint32_t); i++)
        message[sizeof label + sizeof e->platform.boot_id + i] =
            (uint8_t)(e->record.epoch >> (8 * i));
    return idm_sha256(message, sizeof message, ret_hash);
}

static int sign_and_verify(struct idm_engine *e, const struct idm_signer *signer,
                           const struct idm_bytes *cert, enum idm_digest digest,
                           const uint8_t *hash, struct idm_signature *ret, struct idm_error *err)
{
    struct idm_signature signature = {0};
    int rc = e->be->sign(e->be->self, signer, digest, hash, &signature, err);
    if (rc == 0)
        rc = e->be->verify(e->be->self, cert, digest, hash, &signature, err);
    if (rc == 0)
        *ret = signature;
    return rc;
}

/* Only these say something about one copy; everything else is about the chip. */
static bool copy_failed(int rc)
{
    return idm_chip_of(rc) == IDM_CHIP_USABLE;
}

/* A handle is only a number: what signs there counts when its signature is the certificate's. */
int idm_tpm_sign_active(struct idm_engine *e, enum idm_digest digest, const uint8_t *hash,
                        struct idm_signature *ret, struct idm_error *err)
{
    static const char what[] = "sign with the TPM key";
    const struct idm_bytes *cert = idm_good_tpm_cert(e);
    struct idm_signer signer;
    struct idm_error failure = {0};
    int rc = IDM_E_TPM_EMPTY;
    if (!cert)
        return idm_fail(err, rc, what, "no copy of its certificate is left");
    (void)idm_fail(&failure, rc, what, "no copy of it is left");
    if (idm_tpm_signer(e, false, &signer)) {
        rc = sign_and_verify(e, &signer, cert, digest, hash, ret, &failure);
        e->chip.handle_missing = rc && copy_failed(rc);
    }
    if (rc && copy_failed(rc) && idm_tpm_signer(e, true, &signer))
        rc = sign_and_verify(e, &signer, cert, digest, hash, ret, &failure);
    if (rc && err)
        *err = failure;
    return rc;
}

/* No certificate is left to judge a signature by: the recorded Name and public key are. */
static int prove_bare(struct idm_engine *e)
{
    struct idm_signer signer;
    int rc = IDM_E_TPM_EMPTY;
    for (unsigned int by_file = 0; by_file < 2; by_file++) {
        struct idm_tpm_object_info info = {0};
        if (!idm_tpm_signer(e, by_file, &signer))
            continue;
        rc = e->be->tpm_key_check(e->be->self, &signer, true, &info, NULL);
        if (rc == 0 && !idm_same(info.name, e->record.device_name, IDM_NAME_SIZE))
            rc = IDM_E_MISMATCH;
        if (rc == 0)
            e->chip.bare_by_file = by_file;
        if (rc == 0 || !copy_failed(rc))
            break;
    }
    return rc;
}

/* Unreadable copies say nothing: they are not lost. */
bool idm_tpm_cert_is_lost(const struct idm_engine *e)
{
    const int copies[] = {e->tpm_cert_persist.rc, e->tpm_cert_config.rc, e->config_cert.rc};
    for (size_t i = 0; i < sizeof copies / sizeof *copies; i++)
        if (copies[i] && copies[i] != IDM_E_ABSENT && copies[i] != IDM_E_CORRUPT)
            return false;
    return !idm_all_zero(e->record.tpm_cert, IDM_SHA256_SIZE) && !idm_good_tpm_cert(e);
}

static int prove(struct idm_engine *e)
{
    bool active = idm_record_active(&e->record) == IDM_ACTIVE_TPM;
    if (active && idm_tpm_cert_is_lost(e))
        return prove_bare(e);
    uint8_t hash[IDM_SHA256_SIZE];
    struct idm_signature signature;
    int rc = proof_digest(e, hash);
    return rc ? rc : idm_tpm_sign_active(e, IDM_SHA256, hash, &signature, NULL);
}

/* ---- verdicts ---- */

/* Why does nothing of ours load? EK differs: another chip. EK the same, SRK differs: cleared. Both
 * the same: our objects are gone. (facts: Load answers 0x1DF in all three.) */
static enum idm_chip verdict(struct idm_engine *e)
{
    uint8_t name[IDM_NAME_SIZE];
    const struct idm_record *r = &e->record;
    if (!idm_all_zero(r->ek_name, IDM_NAME_SIZE)) {
        int rc = e->be->tpm_ek_name(e->be->self, name, NULL);
        if (rc)
            return idm_chip_of(rc) == IDM_CHIP_USABLE ? IDM_CHIP_FAILED : idm_chip_of(rc);
        if (!idm_same(name, r->ek_name, IDM_NAME_SIZE))
            return IDM_CHIP_REPLACED;
    }
    if (!idm_all_zero(r->srk_name, IDM_NAME_SIZE)) {
        int rc = e->be->tpm_srk_name(e->be->self, r->srk_handle, name, NULL);
        if (rc && idm_chip_of(rc) != IDM_CHIP_USABLE)
            return idm_chip_of(rc);
        if (rc == 0 && !idm_same(name, r->srk_name, IDM_NAME_SIZE))
            return IDM_CHIP_CLEARED;
    }
    return IDM_CHIP_USABLE;
}

static bool empty_at(struct idm_engine *e, uint32_t handle, enum idm_tpm_role role)
{
    struct idm_tpm_object_info info = {0};
    return e->be->tpm_object(e->be->self, handle, role, &info, NULL) == 0 &&
           info.what == IDM_OBJECT_EMPTY;
}

/* A firmware TPM without storage: its seeds, and so EK and SRK, are the same after each reset, and all
 * that it was given to keep is gone together. What somebody removes goes one by one. */
static bool forgot(struct idm_engine *e)
{
    struct idm_tpm_layout layout = idm_layout(e);
    uint64_t value = 0;
    bool kept = layout.parent_handle != IDM_TPM_PRIMARY || e->record.has_witness;
    if (!kept)
        return false;
    if (e->record.has_witness &&
        e->be->tpm_counter_read(e->be->self, layout.counter_index, &value, NULL) != IDM_E_TPM_EMPTY)
        return false;
    if (layout.storage != IDM_STORE_TSS2 && !empty_at(e, layout.device_handle, IDM_ROLE_DEVICE))
        return false;
    return layout.parent_handle == IDM_TPM_PRIMARY ||
           empty_at(e, layout.parent_handle, IDM_ROLE_PARENT);
}

/* ---- counter ---- */

static void ask_counter(struct idm_engine *e)
{
    struct idm_chip_view *view = &e->chip;
    uint64_t value = 0;
    uint64_t low = 0;
    uint64_t high = 0;
    if (!e->record.has_witness) {
        view->counter =
            e->record.owned & IDM_OWNED_RENEWING ? IDM_COUNTER_LOST : IDM_COUNTER_UNRECORDED;
        return;
    }
    int rc = e->be->tpm_counter_read(e->be->self, e->record.counter_index, &value, NULL);
    if (rc == IDM_E_TPM_EMPTY || rc == IDM_E_TPM_TAKEN) {
        view->counter = IDM_COUNTER_LOST;
        return;
    }
    view->chip = e->record.state == IDM_S_blank ? chip_of_virgin(rc) : idm_chip_of(rc);
    if (rc)
        return;
    idm_record_counter_range(&e->record, &low, &high);
    view->counter = value >= low && value <= high ? IDM_COUNTER_LEGAL : IDM_COUNTER_ILLEGAL;
    view->increment_due = e->record.intent == IDM_INTENT_reset && !e->record.staged &&
                          value < idm_record_counter_target(&e->record);
}

/* ---- what stands at our handle ---- */

/* A key that a cut left unfinished: its file or its certificate came before it was named, and an older disk
 * has neither. */
static bool in_a_file(const struct idm_engine *e, const struct idm_tpm_object_info *info)
{
    const struct idm_seen_tss2 *keys[] = {&e->tss2_persist, &e->tss2_config};
    const struct idm_seen_cert *certs[] = {&e->tpm_cert_persist, &e->tpm_cert_config};
    for (size_t i = 0; i < 2; i++) {
        if (keys[i]->rc == 0 && idm_same(keys[i]->info.name, info->name, IDM_NAME_SIZE))
            return true;
        if (certs[i]->rc == 0 && idm_same(certs[i]->info.spki, info->key.spki, IDM_SHA256_SIZE))
            return true;
    }
    return false;
}

static void ask_handle(struct idm_engine *e)
{
    struct idm_chip_view *view = &e->chip;
    struct idm_tpm_layout layout = idm_layout(e);
    struct idm_tpm_object_info info = {0};
    int rc = e->be->tpm_object(e->be->self, layout.device_handle, IDM_ROLE_DEVICE, &info, NULL);
    view->chip = e->record.state == IDM_S_blank ? chip_of_virgin(rc) : idm_chip_of(rc);
    view->given_at_handle = rc == 0 && info.what != IDM_OBJECT_EMPTY && e->record.origin &&
                            idm_same(info.key.spki, e->record.tpm_spki, IDM_SHA256_SIZE);
    if (rc || info.what != IDM_OBJECT_OURS)
        return;
    bool dead = idm_record_is_dead_name(&e->record, info.name) ||
                idm_record_is_foreign(&e->record, info.name);
    bool named = idm_same(info.name, e->record.device_name, IDM_NAME_SIZE) || in_a_file(e, &info);
    view->unnamed_key = e->recorded && !named && !dead && !e->record.has_witness &&
                        e->record.intent == IDM_INTENT_none;
}

bool idm_is_ours(struct idm_engine *e, const struct idm_tpm_object_info *info)
{
    struct idm_tpm_object_info parent = {0};
    if (info->what != IDM_OBJECT_IMPORTED)
        return info->what == IDM_OBJECT_OURS;
    return e->be->tpm_object(e->be->self, idm_layout(e).parent_handle, IDM_ROLE_PARENT, &parent,
                             NULL) == 0 &&
           parent.what == IDM_OBJECT_OURS;
}

/* Without a record: does the chip hold anything that is exactly ours, and does it prove the
 * certificate in the config directory? */
static void ask_virgin(struct idm_engine *e)
{
    struct idm_chip_view *view = &e->chip;
    struct idm_tpm_layout layout = idm_layout(e);
    struct idm_tpm_object_info device = {0};
    struct idm_tpm_object_info parent = {0};
    uint64_t value = 0;
    const struct idm_backends *be = e->be;
    int rc = be->tpm_object(be->self, layout.device_handle, IDM_ROLE_DEVICE, &device, NULL);
    if (rc == 0)
        rc = be->tpm_object(be->self, layout.parent_handle, IDM_ROLE_PARENT, &parent, NULL);
    int counter = rc ? rc : be->tpm_counter_read(be->self, layout.counter_index, &value, NULL);
    view->chip = chip_of_virgin(counter);
    if (view->chip != IDM_CHIP_USABLE)
        return;
    if (device.what == IDM_OBJECT_IMPORTED)
        device.what = parent.what == IDM_OBJECT_OURS ? IDM_OBJECT_OURS : IDM_OBJECT_STRANGER;
    bool ours = device.what == IDM_OBJECT_OURS || parent.what == IDM_OBJECT_OURS || counter == 0;
    bool stranger = device.what == IDM_OBJECT_STRANGER || parent.what == IDM_OBJECT_STRANGER ||
                    counter == IDM_E_TPM_TAKEN;
    view->ours = ours ? IDM_FACT_YES : IDM_FACT_NO;
    if (stranger)
        view->chip = IDM_CHIP_OWNED;
    if (device.what != IDM_OBJECT_OURS || e->config_cert.rc ||
        !idm_same(device.key.spki, e->config_cert.info.spki, IDM_SHA256_SIZE))
        return;
    view->cert_of_chip = true;
    struct idm_signer signer = {.kind = IDM_SIGNER_HANDLE,
                                .handle = layout.device_handle,
                                .algorithm = device.key.algorithm};
    uint8_t hash[IDM_SHA256_SIZE];
    struct idm_signature signature;
    rc = proof_digest(e, hash);
    if (rc == 0)
        rc = sign_and_verify(e, &signer, &e->files[IDM_F_CONFIG_CERT].bytes, IDM_SHA256, hash,
                             &signature, NULL);
    view->proof = rc == 0 ? IDM_PROOF_GIVEN : IDM_PROOF_LOST;
}

/* ---- who needs it ---- */

static bool key_in_chip(const struct idm_engine *e)
{
    return e->record.state == IDM_S_tpm_dual || e->record.state == IDM_S_tpm ||
           e->record.state == IDM_S_migrating;
}

static bool request_asks_chip(enum idm_request_kind request)
{
    return request == IDM_REQ_RESET || request == IDM_REQ_PREPARE || request == IDM_REQ_COMMIT ||
           request == IDM_REQ_IMPORT || request == IDM_REQ_ADOPT;
}

static bool chip_needed(const struct idm_engine *e)
{
    const struct idm_record *r = &e->record;
    if (r->intent == IDM_INTENT_reset_soft)
        return false; /* by word of the operator: the chip is gone, or another one */
    bool witness_wanted = r->has_witness || r->owned & IDM_OWNED_RENEWING;
    if (!e->recorded || key_in_chip(e) || witness_wanted)
        return true;
    if (r->intent == IDM_INTENT_provision || r->intent == IDM_INTENT_to_tpm ||
        r->intent == IDM_INTENT_reset)
        return true;
    return r->pending || r->reset_pending || idm_record_has_tombstones(r, true) ||
           e->files[IDM_F_RESET_REQUESTED].rc == 0 || request_asks_chip(e->request);
}

static bool dead_at(struct idm_engine *e, uint32_t handle, enum idm_tpm_role role)
{
    struct idm_tpm_object_info info = {0};
    return e->be->tpm_object(e->be->self, handle, role, &info, NULL) == 0 &&
           idm_record_is_dead_name(&e->record, info.name);
}

/* Another chip, or a cleared one, is as good as any where nothing depends on the old one: the next
 * key is made in it. A staged switch does depend on it. */
static void judge_lost_counter(struct idm_engine *e)
{
    e->chip.verdict = verdict(e);
    bool replaceable = !key_in_chip(e) && !e->record.staged && e->record.state != IDM_S_resetting;
    bool new_chip = e->chip.verdict == IDM_CHIP_REPLACED || e->chip.verdict == IDM_CHIP_CLEARED;
    e->chip.chip = replaceable && new_chip ? IDM_CHIP_USABLE : e->chip.verdict;
}

static void ask_recorded(struct idm_engine *e)
{
    struct idm_chip_view *view = &e->chip;
    const struct idm_record *r = &e->record;
    view->chip = IDM_CHIP_USABLE;
    if (key_in_chip(e)) {
        int rc = prove(e);
        view->chip = idm_chip_of(rc);
        if (rc == 0)
            view->proof = IDM_PROOF_GIVEN;
        else if (view->chip == IDM_CHIP_USABLE) {
            view->chip = verdict(e);
            view->proof = view->chip == IDM_CHIP_USABLE ? IDM_PROOF_LOST : IDM_PROOF_UNASKED;
            view->forgot = view->proof == IDM_PROOF_LOST && forgot(e);
        }
    } else {
        ask_handle(e);
    }
    if (view->chip == IDM_CHIP_USABLE)
        ask_counter(e);
    if (view->counter == IDM_COUNTER_LOST && view->proof != IDM_PROOF_GIVEN)
        judge_lost_counter(e);
    if (view->chip == IDM_CHIP_USABLE && idm_record_has_tombstones(r, true))
        view->dead_at_handle = dead_at(e, idm_layout(e).device_handle, IDM_ROLE_DEVICE) ||
                               dead_at(e, idm_layout(e).parent_handle, IDM_ROLE_PARENT);
}

static void ask_reset_count(struct idm_engine *e)
{
    const struct idm_record *r = &e->record;
    struct idm_tpm_info info = {0};
    if (!e->recorded || e->chip.chip != IDM_CHIP_USABLE ||
        (!r->reset_pending && r->seal != IDM_SEAL_FRESH))
        return;
    if (e->be->tpm_info(e->be->self, &info, NULL) == 0) {
        e->chip.has_reset_count = true;
        e->chip.reset_count = info.reset_count;
    }
}

/* Another chip at our place: is it one that idmode served before? Then the disk came from
 * elsewhere. */
static void ask_replaced(struct idm_engine *e)
{
    uint64_t value = 0;
    if (e->chip.chip != IDM_CHIP_REPLACED)
        return;
    uint32_t index = e->record.counter_index;
    e->chip.replaced_knows_us = e->be->tpm_counter_read(e->be->self, index, &value, NULL) == 0;
}

/* May a factory reset begin now, and would it use TPM2_Clear? */
static bool reset_may_begin(const struct idm_engine *e, bool *ret_clears)
{
    bool asked = e->ask && (e->ask->kind == IDM_REQ_RESET || e->ask->kind == IDM_REQ_RELEASE_NEW);
    *ret_clears = asked ? e->ask->clears : e->settings->reset == IDM_RESET_CLEAR;
    return e->record.state != IDM_S_resetting && (asked || e->files[IDM_F_RESET_REQUESTED].rc == 0);
}

/* Does something of ours stand there that only the owner can remove? Without an answer: not known. */
static bool keeps_ours(struct idm_engine *e, uint32_t handle, enum idm_tpm_role role)
{
    struct idm_tpm_object_info info = {0};
    return e->be->tpm_object(e->be->self, handle, role, &info, NULL) == 0 &&
           idm_is_ours(e, &info) && !idm_record_is_foreign(&e->record, info.name);
}

/* The owner's authorisation is another's: what stands at our handles cannot be evicted, and a new parent
 * cannot be made. Only a key file under a storage root key that is there can be replaced then. */
static bool owner_refuses_rekey(struct idm_engine *e)
{
    uint8_t name[IDM_NAME_SIZE];
    struct idm_tpm_object_info srk = {0};
    struct idm_tpm_layout layout = idm_layout(e);
    const struct idm_backends *be = e->be;
    if (be->tpm_srk_name(be->self, IDM_TPM_PRIMARY, name, NULL) != IDM_E_TPM_OWNED)
        return false;
    if (keeps_ours(e, layout.device_handle, IDM_ROLE_DEVICE) ||
        (!e->record.weak_parent && keeps_ours(e, layout.parent_handle, IDM_ROLE_PARENT)))
        return true;
    int rc = be->tpm_object(be->self, e->settings->srk_handle, IDM_ROLE_PARENT, &srk, NULL);
    if (rc == 0)
        rc = be->tpm_srk_name(be->self, e->settings->srk_handle, name, NULL);
    return rc != 0 || srk.may_lock;
}

/* What stands in a reset's way must be seen before anything is destroyed. */
static void ask_for_reset(struct idm_engine *e)
{
    bool clears = false;
    if (e->chip.chip != IDM_CHIP_USABLE || !reset_may_begin(e, &clears))
        return;
    if (clears)
        e->chip.clear_refused = e->be->tpm_may_clear(e->be->self, NULL) != 0;
    if (!clears || (e->chip.clear_refused && !e->ask)) /* an installer's: by the other way, then */
        e->chip.rekey_refused = owner_refuses_rekey(e);
}

void idm_ask_chip(struct idm_engine *e)
{
    if (e->chip.asked)
        return;
    e->chip = (struct idm_chip_view){.asked = true, .chip = IDM_CHIP_UNASKED};
    if (e->settings->use == IDM_USE_NEVER || e->be->tpm_announced(e->be->self) == IDM_NO) {
        e->chip.chip = IDM_CHIP_NONE;
        return;
    }
    if (e->chip_refused) {
        e->chip.chip = e->chip_refused;
        return;
    }
    if (!chip_needed(e))
        return;
    if (!e->recorded)
        ask_virgin(e);
    else
        ask_recorded(e);
    ask_replaced(e);
    ask_reset_count(e);
    ask_for_reset(e);
}
