/* SPDX-License-Identifier: BSD-2-Clause */
/* act_given.c - keys that idmode does not make: imported from outside, adopted, or used again after
 * their record was lost. From the intent on all goes as at first use, but for the key itself. */
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

#define OWNER_HANDLE_FIRST                                                                         \
    0x81000000u                       /* part 2, 7.4; from 0x81800000 on they are the platform's, */
#define OWNER_HANDLE_LAST 0x817fffffu /* which an owner cannot evict in a factory reset */

/* ---- is it fit? ---- */

static void unfit(struct idm_given *given, const char *why)
{
    (void)snprintf(given->unfit, sizeof given->unfit, "%s", why);
}

static void look_at_import(struct idm_engine *e, const struct idm_bytes *pem)
{
    struct idm_error err = {0};
    if (e->be->key_inspect(e->be->self, pem, &e->given.key, &err))
        unfit(&e->given, err.why);
    else if (e->given.key.algorithm == IDM_ALG_NONE)
        unfit(&e->given, "it is no P-256, P-384 or RSA-2048 key");
    e->given.origin = IDM_KEY_IMPORTED;
}

/* Trouble with the chip says nothing about the key. */
static int check(struct idm_engine *e, const struct idm_signer *signer, bool imported,
                 struct idm_tpm_object_info *ret, struct idm_error *err)
{
    int rc = e->be->tpm_key_check(e->be->self, signer, imported, ret, err);
    if (rc && idm_chip_of(rc) != IDM_CHIP_USABLE && rc != IDM_E_REFUSED && rc != IDM_E_CORRUPT)
        e->facts.chip = idm_chip_of(rc);
    return rc;
}

static void look_at_handle(struct idm_engine *e, uint32_t handle, bool imported,
                           struct idm_tpm_object_info *ret)
{
    struct idm_error err = {0};
    struct idm_signer signer = {.kind = IDM_SIGNER_HANDLE, .handle = handle};
    if (handle < OWNER_HANDLE_FIRST || handle > OWNER_HANDLE_LAST)
        unfit(&e->given, "it is no persistent handle of the owner's (0x81000000 to 0x817fffff)");
    else if (check(e, &signer, imported, ret, &err))
        unfit(&e->given, err.why);
    e->given.handle = handle;
}

/* A storage root key that power cuts lock is no parent for a key in daily use. */
static bool srk_fits(struct idm_engine *e)
{
    struct idm_tpm_object_info srk = {0};
    int rc = e->be->tpm_object(e->be->self, e->settings->srk_handle, IDM_ROLE_PARENT, &srk, NULL);
    return rc == 0 && srk.what != IDM_OBJECT_EMPTY && !srk.may_lock;
}

/* A file loads under its own parent alone: that is how the parent's Name is checked. */
static void look_at_file(struct idm_engine *e, const struct idm_bytes *tss2, bool imported,
                         struct idm_tpm_object_info *ret)
{
    const struct idm_settings *s = e->settings;
    const uint32_t parents[] = {s->parent_handle, srk_fits(e) ? s->srk_handle : 0, IDM_TPM_PRIMARY};
    for (size_t i = 0; i < sizeof parents / sizeof *parents; i++) {
        struct idm_error err = {0};
        struct idm_signer signer = {.kind = IDM_SIGNER_FILE, .key = tss2, .handle = parents[i]};
        int rc = parents[i] ? check(e, &signer, imported, ret, &err) : IDM_E_TPM_EMPTY;
        if (rc == IDM_E_TPM_UNFIT || rc == IDM_E_TPM_EMPTY)
            continue;
        if (rc)
            unfit(&e->given, err.why);
        e->given.srk = parents[i] == s->parent_handle ? 0 : parents[i];
        return;
    }
    unfit(&e->given,
          "it loads neither under idmode's parent nor under a storage root key with noDA "
          "at srk-handle, nor under the primary key of such files (0x40000001)");
}

/* It would be forgotten there, and could not be told from an unfinished one. */
static void look_for_another(struct idm_engine *e)
{
    struct idm_tpm_object_info there = {0};
    if (e->be->tpm_object(e->be->self, e->settings->device_handle, IDM_ROLE_DEVICE, &there, NULL))
        return;
    if (idm_is_ours(e, &there) && !idm_same(there.name, e->given.name, IDM_NAME_SIZE))
        unfit(&e->given, "another key of idmode's stands at device-handle: idmode hold show");
}

static void take_info(struct idm_given *given, const struct idm_tpm_object_info *info,
                      uint8_t origin, bool imported)
{
    memcpy(given->name, info->name, IDM_NAME_SIZE);
    given->key = info->key;
    given->origin = (uint8_t)(origin | (imported ? IDM_KEY_IMPORTED : 0));
}

static void look_at_adoption(struct idm_engine *e, const struct idm_ask *ask)
{
    struct idm_tpm_object_info info = {0};
    if (ask->handle)
        look_at_handle(e, ask->handle, ask->imported, &info);
    else
        look_at_file(e, ask->key, ask->imported, &info);
    if (e->given.unfit[0])
        return;
    take_info(&e->given, &info, IDM_KEY_ADOPTED, ask->imported);
    look_for_another(e);
}

static void look_at_reuse(struct idm_engine *e)
{
    struct idm_tpm_object_info info = {0};
    look_at_handle(e, e->settings->device_handle, true, &info);
    if (!e->given.unfit[0] && !idm_is_ours(e, &info))
        unfit(&e->given, "what stands at device-handle is not exactly idmode's");
    if (!e->given.unfit[0])
        take_info(&e->given, &info, IDM_KEY_REUSED, info.what == IDM_OBJECT_IMPORTED);
}

void idm_look_at_given(struct idm_engine *e, const struct idm_ask *ask)
{
    e->given = (struct idm_given){0};
    bool takes = e->facts.chip == IDM_CHIP_USABLE || e->facts.chip == IDM_CHIP_OWNED;
    if (ask->kind == IDM_REQ_IMPORT)
        look_at_import(e, ask->key);
    else if (ask->kind == IDM_REQ_ADOPT && takes)
        look_at_adoption(e, ask);
    else if (ask->kind == IDM_REQ_RELEASE_REUSE && takes)
        look_at_reuse(e);
}

/* ---- where is it? ---- */

static bool is_given(const struct idm_engine *e, const struct idm_seen_tss2 *seen)
{
    return seen->rc == 0 && idm_same(seen->info.key.spki, e->record.tpm_spki, IDM_SHA256_SIZE);
}

bool idm_given_is_awaited(const struct idm_engine *e)
{
    const struct idm_record *r = &e->record;
    bool here = e->chip.given_at_handle || e->given_key || is_given(e, &e->tss2_persist) ||
                is_given(e, &e->tss2_config);
    return r->state == IDM_S_blank && r->origin && !r->staged && !here &&
           e->chip.chip == IDM_CHIP_USABLE;
}

/* ---- actions ---- */

int idm_do_keep_found_pair(struct idm_engine *e, struct idm_error *err)
{
    if (!e->facts.config_pair_fits)
        return 0;
    int rc = idm_do_adopt_pair_key(e, err);
    return rc ? rc : idm_do_adopt_pair_cert(e, err);
}

/* The settings of today, but for what the key itself decides. */
static void settle_place(struct idm_engine *e)
{
    struct idm_record *r = &e->record;
    const struct idm_settings *s = e->settings;
    const struct idm_given *given = &e->given;
    bool filed = is_given(e, &e->tss2_persist) || is_given(e, &e->tss2_config);
    r->device_handle = given->handle ? given->handle : s->device_handle;
    r->parent_handle = given->srk ? given->srk : s->parent_handle;
    r->weak_parent = given->srk != 0;
    r->key_storage = (uint8_t)s->key_storage;
    if (given->srk)
        r->key_storage = IDM_STORE_TSS2;
    else if (given->handle && !(given->origin & IDM_KEY_REUSED && filed))
        r->key_storage = IDM_STORE_PERSISTENT;
}

int idm_do_record_given_key(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    idm_begin_record(e);
    r->origin = e->given.origin;
    r->algorithm = (uint8_t)e->given.key.algorithm;
    memcpy(r->device_name, e->given.name, IDM_NAME_SIZE);
    memcpy(r->tpm_spki, e->given.key.spki, IDM_SHA256_SIZE);
    settle_place(e);
    if (e->cell.plan == IDM_P_begin_reuse && e->facts.config_pair_fits) {
        memcpy(r->software_spki, e->config_key.info.spki, IDM_SHA256_SIZE);
        memcpy(r->software_cert, e->config_cert.info.sha256, IDM_SHA256_SIZE);
        r->ever_plain = 1;
        r->legacy_seen = 1;
    }
    return idm_write_begun(e, err);
}

static int bring(struct idm_engine *e, struct idm_error *err)
{
    const struct idm_backends *be = e->be;
    uint32_t parent = idm_layout(e).parent_handle;
    if (idm_tss2_works(e, IDM_F_PERSIST_TSS2, &e->tss2_persist) && is_given(e, &e->tss2_persist))
        return idm_bytes_set(&e->fresh_tss2, e->files[IDM_F_PERSIST_TSS2].bytes.data,
                             e->files[IDM_F_PERSIST_TSS2].bytes.size);
    if (idm_tss2_works(e, IDM_F_CONFIG_TSS2, &e->tss2_config) && is_given(e, &e->tss2_config))
        return idm_bytes_set(&e->fresh_tss2, e->files[IDM_F_CONFIG_TSS2].bytes.data,
                             e->files[IDM_F_CONFIG_TSS2].bytes.size);
    if (!e->given_key) {
        (void)idm_fail(err, IDM_E_ABSENT, "find the key that is being imported",
                       "it is in no file and at no handle");
        return idm_advise(err, "repeat idmode import or idmode adopt");
    }
    if (e->record.origin & IDM_KEY_ADOPTED)
        return idm_bytes_set(&e->fresh_tss2, e->given_key->data, e->given_key->size);
    return be->tpm_key_import(be->self, parent, e->record.parent_name, e->given_key, &e->fresh_tss2,
                              err);
}

static int note(struct idm_engine *e, struct idm_error *err)
{
    uint8_t wanted[IDM_SHA256_SIZE];
    memcpy(wanted, e->record.tpm_spki, sizeof wanted);
    int rc = idm_note_device_key(e, &e->fresh_tss2, err);
    if (rc == 0 && !idm_same(wanted, e->record.tpm_spki, IDM_SHA256_SIZE))
        rc = idm_fail(err, IDM_E_MISMATCH, "make the given key the device's",
                      "what the TPM made of it is another key");
    return rc;
}

int idm_place_given_key(struct idm_engine *e, struct idm_error *err)
{
    struct idm_tpm_layout layout = idm_layout(e);
    struct idm_tpm_object_info there = {0};
    if (layout.storage == IDM_STORE_PERSISTENT) {
        int rc = e->be->tpm_object(e->be->self, layout.device_handle, IDM_ROLE_DEVICE, &there, err);
        if (rc)
            return rc;
        if (idm_same(there.key.spki, e->record.tpm_spki, IDM_SHA256_SIZE)) {
            memcpy(e->record.device_name, there.name, IDM_NAME_SIZE);
            return 0;
        }
    }
    int rc = bring(e, err);
    if (rc == 0)
        rc = note(e, err);
    if (rc || layout.storage == IDM_STORE_PERSISTENT)
        return rc;
    rc = idm_put(e, IDM_F_PERSIST_TSS2, &e->fresh_tss2, err);
    return rc ? rc : idm_put(e, IDM_F_CONFIG_TSS2, &e->fresh_tss2, err);
}
