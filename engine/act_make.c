/* SPDX-License-Identifier: BSD-2-Clause */
/* act_make.c - the actions that make keys, certificates and counters. Each looks first at what an
 * interrupted run left, and keeps it when it is whole. */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- TPM ---- */

/* Without the owner's authorisation, without room, or with a stranger's index at our number there is no
 * witness: rollback is not claimed to be seen then. A recorded counter that was lost is off the record
 * before a new one is made: until that is recorded, no value is judged, and a cut leaves it lost. */
int idm_do_make_counter(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    if (r->has_witness && e->facts.counter == IDM_COUNTER_LOST) {
        r->has_witness = 0;
        r->owned |= IDM_OWNED_RENEWING;
        int rc = idm_write_record(e, err);
        if (rc)
            return rc;
    }
    r->owned &= (uint8_t)~IDM_OWNED_RENEWING; /* with the next record */
    if (idm_record_has_foreign(r)) {
        r->owned |= IDM_OWNED_BY_ANOTHER;
        return 0;
    }
    int rc = e->be->tpm_counter_make(e->be->self, idm_layout(e).counter_index, err);
    if (rc == IDM_E_TPM_OWNED || rc == IDM_E_TPM_TAKEN)
        r->owned |= IDM_OWNED_BY_ANOTHER;
    return rc == IDM_E_TPM_OWNED || rc == IDM_E_TPM_TAKEN || rc == IDM_E_TPM_FULL ? 0 : rc;
}

/* Refused, it is asked for again at the next boot: nothing was written. */
int idm_do_add_counter(struct idm_engine *e, struct idm_error *err)
{
    int rc = e->be->tpm_counter_make(e->be->self, idm_layout(e).counter_index, err);
    if (rc == 0)
        e->record.owned &= (uint8_t)~IDM_OWNED_BY_ANOTHER; /* with the record that names it */
    return rc;
}

/* The SRK as parent: the key lives in its file alone, and a later reset cannot make copies of that file
 * useless. Used at each boot, so not one that power cuts lock; where the owner lets us, one is made for
 * each use. */
static int use_srk_as_parent(struct idm_engine *e, bool may_make, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    struct idm_tpm_object_info srk = {0};
    const struct idm_backends *be = e->be;
    int rc = be->tpm_object(be->self, r->srk_handle, IDM_ROLE_PARENT, &srk, err);
    if (rc)
        return rc;
    bool fits = srk.what != IDM_OBJECT_EMPTY && !srk.may_lock;
    if (!fits && !may_make) {
        (void)idm_fail(err, IDM_E_TPM_OWNED, "make the parent of the device key",
                       "no slot or owner authorisation for it, and no storage root key with noDA");
        return idm_advise(err, "set owner-auth-file, or srk-handle to such a key's handle");
    }
    uint32_t parent = fits ? r->srk_handle : IDM_TPM_PRIMARY;
    rc = be->tpm_srk_name(be->self, parent, r->parent_name, err);
    if (rc)
        return rc;
    r->weak_parent = 1;
    r->parent_handle = parent;
    r->key_storage = IDM_STORE_TSS2;
    return 0;
}

/* A parent that was declared dead while its chip was away must not get new children. */
static int evict_dead_parent(struct idm_engine *e, uint32_t handle, struct idm_error *err)
{
    struct idm_tpm_object_info info = {0};
    if (!idm_record_has_tombstones(&e->record, true))
        return 0;
    int rc = e->be->tpm_object(e->be->self, handle, IDM_ROLE_PARENT, &info, err);
    if (rc || !idm_record_is_dead_name(&e->record, info.name))
        return rc;
    return e->be->tpm_evict(e->be->self, handle, info.name, err);
}

/* Another device's parent gets no children of ours: its factory reset would take them along. */
static int foreign_at(struct idm_engine *e, uint32_t handle, bool *ret, struct idm_error *err)
{
    struct idm_tpm_object_info info = {0};
    if (!idm_record_has_foreign(&e->record))
        return 0;
    int rc = e->be->tpm_object(e->be->self, handle, IDM_ROLE_PARENT, &info, err);
    *ret = rc == 0 && idm_record_is_foreign(&e->record, info.name);
    return rc;
}

int idm_do_make_parent(struct idm_engine *e, struct idm_error *err)
{
    /* Until something hangs under it: an operator who was told that it does not fit names another. */
    if (idm_all_zero(e->record.parent_name, IDM_NAME_SIZE))
        e->record.srk_handle = e->settings->srk_handle;
    struct idm_tpm_layout layout = idm_layout(e);
    /* An adopted file has its parent already: the one under which it was seen to load. */
    if (e->record.weak_parent && e->record.origin & IDM_KEY_ADOPTED)
        return e->be->tpm_srk_name(e->be->self, layout.parent_handle, e->record.parent_name, err);
    if (e->record.weak_parent)
        return use_srk_as_parent(e, layout.parent_handle == IDM_TPM_PRIMARY, err);
    bool foreign = false;
    int rc = foreign_at(e, layout.parent_handle, &foreign, err);
    if (rc)
        return rc;
    if (foreign) {
        e->record.owned |= IDM_OWNED_BY_ANOTHER;
        return use_srk_as_parent(e, true, err);
    }
    rc = evict_dead_parent(e, layout.parent_handle, err);
    if (rc)
        return rc;
    rc = e->be->tpm_parent_make(e->be->self, layout.srk_handle, layout.parent_handle,
                                e->record.parent_name, err);
    if (rc != IDM_E_TPM_OWNED && rc != IDM_E_TPM_FULL && rc != IDM_E_TPM_TAKEN)
        return rc;
    if (rc != IDM_E_TPM_FULL)
        e->record.owned |= IDM_OWNED_BY_ANOTHER;
    return use_srk_as_parent(e, rc == IDM_E_TPM_FULL, err);
}

bool idm_tss2_works(struct idm_engine *e, enum idm_file file, const struct idm_seen_tss2 *seen)
{
    static const uint8_t probe[IDM_SHA256_SIZE] = "idmode probe of a key file v1";
    struct idm_signature signature = {0};
    if (seen->rc || idm_record_is_dead_name(&e->record, seen->info.name))
        return false;
    struct idm_signer signer = {.kind = IDM_SIGNER_FILE,
                                .key = &e->files[file].bytes,
                                .handle = idm_layout(e).parent_handle,
                                .algorithm = seen->info.key.algorithm};
    return e->be->sign(e->be->self, &signer, IDM_SHA256, probe, &signature, NULL) == 0;
}

int idm_note_device_key(struct idm_engine *e, const struct idm_bytes *tss2, struct idm_error *err)
{
    struct idm_tss2_info info = {0};
    int rc = e->be->tss2_inspect(e->be->self, tss2, &info, err);
    if (rc)
        return rc;
    memcpy(e->record.device_name, info.name, IDM_NAME_SIZE);
    memcpy(e->record.tpm_spki, info.key.spki, IDM_SHA256_SIZE);
    return 0;
}

/* key-storage = persistent keeps no file: an interrupted run left its key at the handle, or
 * nothing. */
static bool key_at_handle(struct idm_engine *e)
{
    struct idm_tpm_layout layout = idm_layout(e);
    struct idm_tpm_object_info info = {0};
    int rc = e->be->tpm_object(e->be->self, layout.device_handle, IDM_ROLE_DEVICE, &info, NULL);
    if (rc || info.what != IDM_OBJECT_OURS || idm_record_is_dead_name(&e->record, info.name))
        return false;
    memcpy(e->record.device_name, info.name, IDM_NAME_SIZE);
    memcpy(e->record.tpm_spki, info.key.spki, IDM_SHA256_SIZE);
    return true;
}

int idm_do_make_tss2_files(struct idm_engine *e, struct idm_error *err)
{
    struct idm_tpm_layout layout = idm_layout(e);
    if (e->record.origin)
        return idm_place_given_key(e, err);
    if (layout.storage == IDM_STORE_PERSISTENT && key_at_handle(e))
        return 0;
    int rc = 0;
    if (idm_tss2_works(e, IDM_F_PERSIST_TSS2, &e->tss2_persist))
        rc = idm_bytes_set(&e->fresh_tss2, e->files[IDM_F_PERSIST_TSS2].bytes.data,
                           e->files[IDM_F_PERSIST_TSS2].bytes.size);
    else if (idm_tss2_works(e, IDM_F_CONFIG_TSS2, &e->tss2_config))
        rc = idm_bytes_set(&e->fresh_tss2, e->files[IDM_F_CONFIG_TSS2].bytes.data,
                           e->files[IDM_F_CONFIG_TSS2].bytes.size);
    else
        rc = e->be->tpm_key_create(e->be->self, layout.parent_handle, e->record.parent_name,
                                   layout.algorithm, &e->fresh_tss2, err);
    if (rc)
        return rc;
    rc = idm_note_device_key(e, &e->fresh_tss2, err);
    if (rc || layout.storage == IDM_STORE_PERSISTENT)
        return rc;
    rc = idm_put(e, IDM_F_PERSIST_TSS2, &e->fresh_tss2, err);
    return rc ? rc : idm_put(e, IDM_F_CONFIG_TSS2, &e->fresh_tss2, err);
}

/* A key with exactly our attributes that no file and no record names, met while an identity is
 * being made: an interrupted run left it. */
static int clear_unfinished(struct idm_engine *e, struct idm_error *err)
{
    uint32_t handle = idm_layout(e).device_handle;
    struct idm_tpm_object_info info = {0};
    int rc = e->be->tpm_object(e->be->self, handle, IDM_ROLE_DEVICE, &info, err);
    if (rc || info.what != IDM_OBJECT_OURS || idm_record_is_foreign(&e->record, info.name))
        return rc;
    if (idm_same(info.name, e->record.device_name, IDM_NAME_SIZE))
        return 0;
    return e->be->tpm_evict(e->be->self, handle, info.name, err);
}

int idm_do_make_handle(struct idm_engine *e, struct idm_error *err)
{
    struct idm_tpm_layout layout = idm_layout(e);
    if (layout.storage == IDM_STORE_TSS2 || !e->fresh_tss2.data)
        return 0;
    int rc = clear_unfinished(e, err);
    /* Where no file names the key the record must, before it exists. */
    if (rc == 0 && layout.storage == IDM_STORE_PERSISTENT)
        rc = idm_write_record(e, err);
    if (rc)
        return rc;
    rc = e->be->tpm_key_persist(e->be->self, &e->fresh_tss2, layout.parent_handle,
                                layout.device_handle, err);
    bool no_place = rc == IDM_E_TPM_FULL || rc == IDM_E_TPM_OWNED || rc == IDM_E_TPM_TAKEN;
    if (no_place && layout.storage == IDM_STORE_BOTH) {
        e->record.key_storage = IDM_STORE_TSS2; /* the file alone serves */
        if (rc != IDM_E_TPM_FULL)
            e->record.owned |= IDM_OWNED_BY_ANOTHER;
        rc = 0;
    }
    return rc;
}

static struct idm_signer device_signer(const struct idm_engine *e)
{
    struct idm_tpm_layout layout = idm_layout(e);
    bool by_file = layout.storage == IDM_STORE_TSS2;
    return (struct idm_signer){.kind = by_file ? IDM_SIGNER_FILE : IDM_SIGNER_HANDLE,
                               .key = by_file ? &e->fresh_tss2 : NULL,
                               .handle = by_file ? layout.parent_handle : layout.device_handle,
                               .algorithm = layout.algorithm};
}

/* Nothing depends on the old one while a reset is open: the new one stands where the target is. */
static int replace_counter(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    uint64_t value = 0;
    int rc = e->be->tpm_counter_make(e->be->self, r->counter_index, err);
    if (rc == 0)
        rc = e->be->tpm_counter_read(e->be->self, r->counter_index, &value, err);
    if (rc == 0)
        r->witness = value - 2;
    return rc;
}

int idm_do_increment_counter(struct idm_engine *e, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    uint64_t target = idm_record_counter_target(r);
    uint64_t value = 0;
    if (!r->has_witness)
        return 0;
    if (r->state == IDM_S_resetting && r->staged && e->facts.counter == IDM_COUNTER_LOST)
        return replace_counter(e, err);
    int rc = e->be->tpm_counter_read(e->be->self, r->counter_index, &value, err);
    while (rc == 0 && value < target) {
        rc = e->be->tpm_counter_increment(e->be->self, r->counter_index, err);
        value++;
    }
    if (rc == 0 && value > target)
        rc = idm_fail(err, IDM_E_MISMATCH, "increment the TPM counter",
                      "it is at %" PRIu64 ", beyond the target %" PRIu64, value, target);
    return rc;
}

int idm_do_increment_for_reset(struct idm_engine *e, struct idm_error *err)
{
    return e->facts.counter == IDM_COUNTER_LOST ? 0 : idm_do_increment_counter(e, err);
}

/* ---- certificates ---- */

#define SUBJECT_VALUE_MAX 64u /* RFC 5280, appendix A.1: ub-common-name */

/* One value of the subject, escaped (RFC 4514, 2.4): a serial number may hold anything printable. */
static size_t escape(const char *value, char ret[2 * SUBJECT_VALUE_MAX + 1])
{
    size_t used = 0;
    size_t length = strnlen(value, SUBJECT_VALUE_MAX);
    for (size_t i = 0; i < length; i++) {
        bool at_edge = (i == 0 && (value[i] == '#' || value[i] == ' ')) ||
                       (i + 1 == length && value[i] == ' ');
        if (at_edge || strchr(",+\"\\<>;=", value[i]))
            ret[used++] = '\\';
        ret[used++] = value[i];
    }
    ret[used] = 0;
    return used;
}

/* "%{serial}" and its like, as the configuration's subject may name them; a device that has none of
 * the kind is named after its key. */
int idm_subject(const struct idm_engine *e, const uint8_t spki[IDM_SHA256_SIZE], char *ret,
                size_t size, struct idm_error *err)
{
    char key[2 * 8 + 1];
    char escaped[2 * SUBJECT_VALUE_MAX + 1];
    idm_hex(spki, 8, key);
    const struct idm_platform *p = &e->platform;
    const struct {
        const char *mark;
        const char *value;
    } marks[] = {
        {"%{serial}", p->serial_kind == IDM_SERIAL_NONE ? key : p->serial},
        {"%{machine-id}", p->machine_id[0] ? p->machine_id : key},
        {"%{spki}", key},
    };
    size_t used = 0;
    for (const char *at = e->settings->subject; *at;) {
        const char *piece = at;
        size_t length = 1;
        size_t skip = 1;
        for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
            if (strncmp(at, marks[i].mark, strlen(marks[i].mark)) != 0)
                continue;
            length = escape(marks[i].value, escaped);
            piece = escaped;
            skip = strlen(marks[i].mark);
        }
        if (used + length >= size)
            return idm_fail(err, IDM_E_SETTINGS, "make the certificate's subject",
                            "it is too long");
        memcpy(ret + used, piece, length);
        used += length;
        at += skip;
    }
    ret[used] = 0;
    return 0;
}

int idm_issue(struct idm_engine *e, const struct idm_signer *signer,
              const uint8_t spki[IDM_SHA256_SIZE], struct idm_bytes *ret_pem, struct idm_error *err)
{
    struct idm_cert_profile profile = {.not_before = e->platform.now};
    profile.not_after = profile.not_before + INT64_C(86400) * (int64_t)e->settings->lifetime_days;
    int rc = idm_subject(e, spki, profile.subject, sizeof profile.subject, err);
    return rc ? rc : e->be->cert_issue(e->be->self, &profile, signer, ret_pem, err);
}

static int note_tpm_cert(struct idm_engine *e, const struct idm_bytes *pem, struct idm_error *err)
{
    struct idm_cert_info info = {0};
    int rc = e->be->cert_inspect(e->be->self, pem, &info, err);
    if (rc == 0)
        memcpy(e->record.tpm_cert, info.sha256, IDM_SHA256_SIZE);
    return rc;
}

static const struct idm_bytes *unfinished_tpm_cert(const struct idm_engine *e)
{
    const uint8_t *spki = e->record.tpm_spki;
    if (e->tpm_cert_persist.rc == 0 &&
        idm_same(e->tpm_cert_persist.info.spki, spki, IDM_SHA256_SIZE))
        return &e->files[IDM_F_PERSIST_TPM_CERT].bytes;
    if (e->tpm_cert_config.rc == 0 && idm_same(e->tpm_cert_config.info.spki, spki, IDM_SHA256_SIZE))
        return &e->files[IDM_F_CONFIG_TPM_CERT].bytes;
    /* An adopted key keeps the certificate by which controllers know it. */
    if (e->record.origin && e->config_cert.rc == 0 &&
        idm_same(e->config_cert.info.spki, spki, IDM_SHA256_SIZE))
        return &e->files[IDM_F_CONFIG_CERT].bytes;
    return NULL;
}

int idm_do_make_tpm_cert(struct idm_engine *e, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes fresh = {0};
    const struct idm_bytes *cert = unfinished_tpm_cert(e);
    int rc = 0;
    if (!cert) {
        struct idm_signer signer = device_signer(e);
        rc = idm_issue(e, &signer, e->record.tpm_spki, &fresh, err);
        cert = &fresh;
    }
    if (rc == 0)
        rc = note_tpm_cert(e, cert, err);
    if (rc == 0)
        rc = idm_put(e, IDM_F_PERSIST_TPM_CERT, cert, err);
    if (rc == 0)
        rc = idm_put(e, IDM_F_CONFIG_TPM_CERT, cert, err);
    return rc;
}

/* Looks into what was just written, so that the record can be signed under it. */
int idm_reload_tpm_cert(struct idm_engine *e, struct idm_error *err)
{
    struct idm_loaded *loaded = &e->files[IDM_F_PERSIST_TPM_CERT];
    struct idm_seen_cert *seen = &e->tpm_cert_persist;
    const struct idm_backends *be = e->be;
    loaded->rc = be->file_read(be->self, IDM_F_PERSIST_TPM_CERT, &loaded->bytes, err);
    seen->rc =
        loaded->rc ? loaded->rc : be->cert_inspect(be->self, &loaded->bytes, &seen->info, err);
    return seen->rc;
}

/* A certificate of that key that a cut left is taken: it is not made twice. */
int idm_do_renew_tpm_cert(struct idm_engine *e, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes fresh = {0};
    struct idm_signer signer = {0};
    const struct idm_bytes *cert = unfinished_tpm_cert(e);
    int rc = 0;
    if (!cert && !idm_tpm_signer(e, e->chip.bare_by_file, &signer))
        return idm_fail(err, IDM_E_ABSENT, "make the certificate again", "no copy of its key");
    if (!cert) {
        rc = idm_issue(e, &signer, e->record.tpm_spki, &fresh, err);
        cert = &fresh;
    }
    if (rc == 0)
        rc = idm_put(e, IDM_F_CONFIG_TPM_CERT, cert, err);
    if (rc == 0)
        rc = idm_put(e, IDM_F_PERSIST_TPM_CERT, cert, err);
    return rc ? rc : idm_reload_tpm_cert(e, err);
}

/* ---- the software pair ---- */

int idm_reload_store(struct idm_engine *e, struct idm_error *err)
{
    struct idm_loaded *key = &e->files[IDM_F_PERSIST_KEY];
    struct idm_loaded *cert = &e->files[IDM_F_PERSIST_CERT];
    const struct idm_backends *be = e->be;
    key->rc = be->file_read(be->self, IDM_F_PERSIST_KEY, &key->bytes, err);
    e->store_key.rc =
        key->rc ? key->rc : be->key_inspect(be->self, &key->bytes, &e->store_key.info, err);
    cert->rc = be->file_read(be->self, IDM_F_PERSIST_CERT, &cert->bytes, NULL);
    e->store_cert.rc =
        cert->rc ? cert->rc : be->cert_inspect(be->self, &cert->bytes, &e->store_cert.info, NULL);
    return e->store_key.rc;
}

static int write_store_key(struct idm_engine *e, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes pem = {0};
    int rc = e->be->key_generate(e->be->self, idm_layout(e).algorithm, &pem, err);
    if (rc == 0)
        rc = e->be->file_write(e->be->self, IDM_F_PERSIST_KEY, pem.data, pem.size, err);
    return rc ? rc : idm_reload_store(e, err);
}

static int write_store_cert(struct idm_engine *e, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes pem = {0};
    struct idm_signer signer = {.kind = IDM_SIGNER_SOFTWARE,
                                .key = &e->files[IDM_F_PERSIST_KEY].bytes,
                                .algorithm = e->store_key.info.algorithm};
    int rc = idm_issue(e, &signer, e->store_key.info.spki, &pem, err);
    if (rc == 0)
        rc = e->be->file_write(e->be->self, IDM_F_PERSIST_CERT, pem.data, pem.size, err);
    if (rc == 0)
        rc = idm_reload_store(e, err);
    if (rc == 0 && e->store_cert.rc)
        rc = idm_fail(err, e->store_cert.rc, "read the new certificate", "%s",
                      idm_error_sentence(e->store_cert.rc));
    return rc;
}

int idm_do_make_legacy_key(struct idm_engine *e, struct idm_error *err)
{
    bool whole =
        e->store_key.rc == 0 && !idm_record_is_dead_spki(&e->record, e->store_key.info.spki);
    int rc = whole ? 0 : write_store_key(e, err);
    if (rc == 0)
        memcpy(e->record.software_spki, e->store_key.info.spki, IDM_SHA256_SIZE);
    return rc;
}

int idm_do_make_legacy_cert(struct idm_engine *e, struct idm_error *err)
{
    bool whole = e->store_cert.rc == 0 &&
                 idm_same(e->store_cert.info.spki, e->store_key.info.spki, IDM_SHA256_SIZE);
    int rc = whole ? 0 : write_store_cert(e, err);
    if (rc)
        return rc;
    memcpy(e->record.software_cert, e->store_cert.info.sha256, IDM_SHA256_SIZE);
    e->record.ever_plain = 1;
    return 0;
}

int idm_do_renew_legacy_pair(struct idm_engine *e, struct idm_error *err)
{
    int rc = write_store_key(e, err);
    return rc ? rc : write_store_cert(e, err);
}

int idm_do_renew_legacy_cert(struct idm_engine *e, struct idm_error *err)
{
    int rc = idm_reload_store(e, err);
    return rc ? rc : write_store_cert(e, err);
}

/* ---- statement ---- */

/* The old key says which certificate follows it: a controller can accept the new one on its word.
 */
int idm_do_sign_statement(struct idm_engine *e, struct idm_error *err)
{
    static const char label[] = "idmode succession v1";
    const struct idm_record *r = &e->record;
    uint8_t message[sizeof label + 2 * IDM_SHA256_SIZE + sizeof(uint32_t)];
    uint8_t hash[IDM_SHA256_SIZE];
    char old_hex[2 * IDM_SHA256_SIZE + 1];
    char new_hex[2 * IDM_SHA256_SIZE + 1];
    char signature_hex[2 * IDM_SIG_MAX + 1];
    char json[2048];
    struct idm_signature signature = {0};
    uint32_t epoch = r->epoch + 1;
    struct idm_signer signer = {0};
    if (!idm_software_signer(e, &signer))
        return idm_fail(err, IDM_E_ABSENT, "sign the succession statement",
                        "no good copy of the software key");
    memcpy(message, label, sizeof label);
    memcpy(message + sizeof label, r->software_cert, IDM_SHA256_SIZE);
    memcpy(message + sizeof label + IDM_SHA256_SIZE, r->tpm_cert, IDM_SHA256_SIZE);
    for (unsigned int i = 0; i < sizeof epoch; i++)
        message[sizeof label + 2 * IDM_SHA256_SIZE + i] = (uint8_t)(epoch >> (8 * i));
    int rc = idm_sha256(message, sizeof message, hash);
    if (rc == 0)
        rc = e->be->sign(e->be->self, &signer, IDM_SHA256, hash, &signature, err);
    /* A key that we would not make may sign no digests (Ed25519): it has no successor by its own word. */
    if (rc == IDM_E_CRYPTO && signer.algorithm == IDM_ALG_NONE)
        return e->be->file_remove(e->be->self, IDM_F_STATEMENT, err);
    if (rc)
        return rc;
    idm_hex(r->software_cert, IDM_SHA256_SIZE, old_hex);
    idm_hex(r->tpm_cert, IDM_SHA256_SIZE, new_hex);
    idm_hex(signature.data, signature.size, signature_hex);
    int length = snprintf(json, sizeof json,
                          "{\"schema\": 1, \"label\": \"%s\", \"old_cert_sha256\": \"%s\", "
                          "\"new_cert_sha256\": \"%s\", \"epoch\": %u, \"signature\": \"%s\"}\n",
                          label, old_hex, new_hex, epoch, signature_hex);
    return e->be->file_write(e->be->self, IDM_F_STATEMENT, json, (size_t)length, err);
}
