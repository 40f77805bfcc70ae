/* SPDX-License-Identifier: BSD-2-Clause */
/* act_files.c - the actions that copy, restore and remove what already exists. */
#include "engine/internal.h"

#include <string.h>

/* ---- the pair in the config directory ---- */

static int missing(struct idm_error *err, const char *what)
{
    return idm_fail(err, IDM_E_ABSENT, what, "no good copy is left");
}

int idm_do_adopt_pair_key(struct idm_engine *e, struct idm_error *err)
{
    int rc = idm_put(e, IDM_F_PERSIST_KEY, &e->files[IDM_F_CONFIG_KEY].bytes, err);
    return rc ? rc : idm_reload_store(e, err);
}

int idm_do_adopt_pair_cert(struct idm_engine *e, struct idm_error *err)
{
    int rc = idm_put(e, IDM_F_PERSIST_CERT, &e->files[IDM_F_CONFIG_CERT].bytes, err);
    return rc ? rc : idm_reload_store(e, err);
}

int idm_do_restore_store_key(struct idm_engine *e, struct idm_error *err)
{
    const struct idm_bytes *key = idm_good_software_key(e);
    int rc = key ? idm_put(e, IDM_F_PERSIST_KEY, key, err) : missing(err, "copy the software key");
    return rc ? rc : idm_reload_store(e, err);
}

int idm_do_restore_store_cert(struct idm_engine *e, struct idm_error *err)
{
    const struct idm_bytes *cert = idm_good_software_cert(e);
    int rc = cert ? idm_put(e, IDM_F_PERSIST_CERT, cert, err)
                  : missing(err, "copy the software certificate");
    return rc ? rc : idm_reload_store(e, err);
}

int idm_do_restore_config_key(struct idm_engine *e, struct idm_error *err)
{
    const struct idm_bytes *key = idm_good_software_key(e);
    return key ? idm_put(e, IDM_F_CONFIG_KEY, key, err) : missing(err, "restore the legacy key");
}

int idm_do_restore_config_cert(struct idm_engine *e, struct idm_error *err)
{
    const struct idm_bytes *cert = idm_good_software_cert(e);
    return cert ? idm_put(e, IDM_F_CONFIG_CERT, cert, err)
                : missing(err, "restore the legacy certificate");
}

/* Read back from the disk, and tried: what a legacy image would do with it. Of a key that may sign no digests
 * (Ed25519) the certificate must be. */
int idm_do_check_config_pair(struct idm_engine *e, struct idm_error *err)
{
    static const uint8_t probe[IDM_SHA256_SIZE] = "idmode check of the legacy pair";
    _cleanup_bytes_ struct idm_bytes key = {0};
    _cleanup_bytes_ struct idm_bytes cert = {0};
    struct idm_key_info info = {0};
    struct idm_cert_info of = {0};
    struct idm_signature signature = {0};
    const struct idm_backends *be = e->be;
    int rc = be->file_read(be->self, IDM_F_CONFIG_KEY, &key, err);
    if (rc == 0)
        rc = be->file_read(be->self, IDM_F_CONFIG_CERT, &cert, err);
    if (rc == 0)
        rc = be->key_inspect(be->self, &key, &info, err);
    if (rc == 0)
        rc = be->cert_inspect(be->self, &cert, &of, err);
    if (rc == 0 && !idm_same(of.spki, info.spki, IDM_SHA256_SIZE))
        rc = idm_fail(err, IDM_E_MISMATCH, "check the legacy pair",
                      "the certificate is not that of the key");
    struct idm_signer signer = {
        .kind = IDM_SIGNER_SOFTWARE, .key = &key, .algorithm = info.algorithm};
    if (rc == 0)
        rc = be->sign(be->self, &signer, IDM_SHA256, probe, &signature, err);
    if (rc == IDM_E_CRYPTO && info.algorithm == IDM_ALG_NONE)
        return 0;
    if (rc == 0)
        rc = be->verify(be->self, &cert, IDM_SHA256, probe, &signature, err);
    return rc;
}

int idm_do_put_tpm_cert_in_config(struct idm_engine *e, struct idm_error *err)
{
    const struct idm_bytes *cert = idm_good_tpm_cert(e);
    if (cert)
        return idm_put(e, IDM_F_CONFIG_CERT, cert, err);
    /* A plan that has just made it has not loaded it. */
    _cleanup_bytes_ struct idm_bytes fresh = {0};
    struct idm_cert_info info = {0};
    int rc = e->be->file_read(e->be->self, IDM_F_PERSIST_TPM_CERT, &fresh, err);
    if (rc == 0)
        rc = e->be->cert_inspect(e->be->self, &fresh, &info, err);
    if (rc == 0 && !idm_same(info.sha256, e->record.tpm_cert, IDM_SHA256_SIZE))
        rc = missing(err, "restore the TPM certificate");
    return rc ? rc : idm_put(e, IDM_F_CONFIG_CERT, &fresh, err);
}

/* ---- second copies ---- */

static int copy_tss2(struct idm_engine *e, struct idm_error *err)
{
    const struct idm_bytes *tss2 = idm_good_tss2(e);
    if (!tss2) /* a chip gives no private part out again: the handle is the only copy now */
        return missing(err, "copy the TSS2 file");
    int rc = idm_put(e, IDM_F_PERSIST_TSS2, tss2, err);
    return rc ? rc : idm_put(e, IDM_F_CONFIG_TSS2, tss2, err);
}

static int copy_handle(struct idm_engine *e, struct idm_error *err)
{
    struct idm_tpm_layout layout = idm_layout(e);
    const struct idm_bytes *tss2 = idm_good_tss2(e);
    if (!tss2)
        return missing(err, "make the TPM key persistent again");
    return e->be->tpm_key_persist(e->be->self, tss2, layout.parent_handle, layout.device_handle,
                                  err);
}

static int copy_tpm_cert(struct idm_engine *e, struct idm_error *err)
{
    const struct idm_bytes *cert = idm_good_tpm_cert(e);
    if (!cert)
        return missing(err, "copy the TPM certificate");
    int rc = idm_put(e, IDM_F_PERSIST_TPM_CERT, cert, err);
    return rc ? rc : idm_put(e, IDM_F_CONFIG_TPM_CERT, cert, err);
}

/* Which of two differing envelopes is good only the chip can say. */
static int copy_sealed(struct idm_engine *e, struct idm_error *err)
{
    static const enum idm_file files[] = {IDM_F_PERSIST_SEALED, IDM_F_CONFIG_SEALED};
    if (e->record.seal == IDM_SEAL_NONE)
        return 0;
    for (size_t i = 0; i < 2; i++) {
        _cleanup_bytes_ struct idm_bytes plain = {0};
        const struct idm_loaded *loaded = &e->files[files[i]];
        if (loaded->rc || e->be->tpm_unseal(e->be->self, idm_layout(e).parent_handle,
                                            e->record.parent_name, &loaded->bytes, &plain, NULL))
            continue;
        return idm_put(e, files[1 - i], &loaded->bytes, err);
    }
    return missing(err, "copy the sealed legacy pair");
}

/* Everything that can be restored is, whatever else cannot. */
int idm_do_restore_tpm_copies(struct idm_engine *e, struct idm_error *err)
{
    int cert = copy_tpm_cert(e, err);
    int sealed = copy_sealed(e, err);
    int tss2 = idm_layout(e).storage == IDM_STORE_PERSISTENT ? 0 : copy_tss2(e, err);
    int handle = e->chip.handle_missing ? copy_handle(e, err) : 0;
    if (cert || sealed || tss2)
        return cert ? cert : (sealed ? sealed : tss2);
    return handle;
}

/* The record comes last: as long as it is missing there, the restoration starts again. */
int idm_do_restore_config_folder(struct idm_engine *e, struct idm_error *err)
{
    static const struct {
        enum idm_file from;
        enum idm_file to;
    } copies[] = {{IDM_F_PERSIST_TSS2, IDM_F_CONFIG_TSS2},
                  {IDM_F_PERSIST_TPM_CERT, IDM_F_CONFIG_TPM_CERT},
                  {IDM_F_PERSIST_SEALED, IDM_F_CONFIG_SEALED}};
    for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) {
        const struct idm_loaded *from = &e->files[copies[i].from];
        int rc = from->rc ? 0 : idm_put(e, copies[i].to, &from->bytes, err);
        if (rc)
            return rc;
    }
    return idm_write_record(e, err);
}

/* ---- removal ---- */

static int remove_file(struct idm_engine *e, enum idm_file file, struct idm_error *err)
{
    return e->be->file_remove(e->be->self, file, err);
}

int idm_do_remove_config_key(struct idm_engine *e, struct idm_error *err)
{
    return remove_file(e, IDM_F_CONFIG_KEY, err);
}

int idm_do_remove_store_key(struct idm_engine *e, struct idm_error *err)
{
    return remove_file(e, IDM_F_PERSIST_KEY, err);
}

int idm_do_remove_store_cert(struct idm_engine *e, struct idm_error *err)
{
    return remove_file(e, IDM_F_PERSIST_CERT, err);
}

int idm_do_remove_sealed(struct idm_engine *e, struct idm_error *err)
{
    static const enum idm_file files[] = {IDM_F_PERSIST_SEALED, IDM_F_CONFIG_SEALED,
                                          IDM_F_FORMER_SEALED, IDM_F_STATEMENT};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof files / sizeof *files; i++)
        rc = remove_file(e, files[i], err);
    return rc;
}

int idm_do_remove_reset_request(struct idm_engine *e, struct idm_error *err)
{
    return remove_file(e, IDM_F_RESET_REQUESTED, err);
}

/* In a reset what cannot be read as anything goes too: it may be a damaged copy of a dead key. */
static bool unreadable_in_reset(const struct idm_engine *e, int rc)
{
    return e->record.state == IDM_S_resetting && rc != IDM_E_ABSENT;
}

/* What is dead goes; what was made since stays. */
static int bury_key(struct idm_engine *e, enum idm_file file, const struct idm_seen_key *seen,
                    struct idm_error *err)
{
    bool dead = seen->rc ? unreadable_in_reset(e, seen->rc)
                         : idm_record_is_dead_spki(&e->record, seen->info.spki);
    return dead ? remove_file(e, file, err) : 0;
}

static int bury_cert(struct idm_engine *e, enum idm_file file, const struct idm_seen_cert *seen,
                     struct idm_error *err)
{
    bool dead = seen->rc ? unreadable_in_reset(e, seen->rc)
                         : idm_record_is_dead_spki(&e->record, seen->info.spki);
    return dead ? remove_file(e, file, err) : 0;
}

static int bury_tss2(struct idm_engine *e, enum idm_file file, const struct idm_seen_tss2 *seen,
                     struct idm_error *err)
{
    bool dead = seen->rc ? unreadable_in_reset(e, seen->rc)
                         : idm_record_is_dead_name(&e->record, seen->info.name);
    return dead ? remove_file(e, file, err) : 0;
}

int idm_do_bury_config_cert(struct idm_engine *e, struct idm_error *err)
{
    return bury_cert(e, IDM_F_CONFIG_CERT, &e->config_cert, err);
}

int idm_do_bury_config_key(struct idm_engine *e, struct idm_error *err)
{
    return bury_key(e, IDM_F_CONFIG_KEY, &e->config_key, err);
}

int idm_do_bury_store_key(struct idm_engine *e, struct idm_error *err)
{
    return bury_key(e, IDM_F_PERSIST_KEY, &e->store_key, err);
}

int idm_do_bury_store_cert(struct idm_engine *e, struct idm_error *err)
{
    return bury_cert(e, IDM_F_PERSIST_CERT, &e->store_cert, err);
}

/* Attestation keys are below the parent that a reset destroys: all of them are dead. */
static int bury_attestation_keys(struct idm_engine *e, struct idm_error *err)
{
    if (e->record.state != IDM_S_resetting)
        return 0;
    int rc = remove_file(e, IDM_F_CONFIG_AKS, err);
    return rc ? rc : remove_file(e, IDM_F_PERSIST_AKS, err);
}

int idm_do_bury_tss2_files(struct idm_engine *e, struct idm_error *err)
{
    int rc = bury_tss2(e, IDM_F_CONFIG_TSS2, &e->tss2_config, err);
    if (rc == 0)
        rc = bury_tss2(e, IDM_F_PERSIST_TSS2, &e->tss2_persist, err);
    return rc ? rc : bury_attestation_keys(e, err);
}

int idm_do_bury_tpm_certs(struct idm_engine *e, struct idm_error *err)
{
    int rc = bury_cert(e, IDM_F_CONFIG_TPM_CERT, &e->tpm_cert_config, err);
    return rc ? rc : bury_cert(e, IDM_F_PERSIST_TPM_CERT, &e->tpm_cert_persist, err);
}

/* ---- the chip ---- */

/* Every persistent object of a dead Name, wherever it stands: a copy of a dead key at another
 * handle would still sign. The parent's handle goes first: that kills every file and saved child at
 * once. */
static int evict_dead_at(struct idm_engine *e, uint32_t handle, enum idm_tpm_role role,
                         struct idm_error *err)
{
    struct idm_tpm_object_info info = {0};
    int rc = e->be->tpm_object(e->be->self, handle, role, &info, err);
    if (rc || info.what == IDM_OBJECT_EMPTY || !idm_record_is_dead_name(&e->record, info.name))
        return rc;
    return e->be->tpm_evict(e->be->self, handle, info.name, err);
}

int idm_do_evict_dead(struct idm_engine *e, struct idm_error *err)
{
    uint32_t handles[IDM_TPM_PERSISTENT_MAX];
    size_t count = 0;
    if (e->chip.chip != IDM_CHIP_USABLE && e->chip.chip != IDM_CHIP_CLEARED &&
        e->record.state != IDM_S_resetting)
        return 0; /* the tombstone stays on record: buried when the chip is back */
    int rc = evict_dead_at(e, e->record.parent_handle, IDM_ROLE_PARENT, err);
    if (rc == 0)
        rc = e->be->tpm_persistent(e->be->self, handles, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = evict_dead_at(e, handles[i], IDM_ROLE_DEVICE, err);
    return rc;
}

int idm_do_clear_chip(struct idm_engine *e, struct idm_error *err)
{
    return e->be->tpm_clear(e->be->self, err);
}

/* ---- marker ---- */

bool idm_marker_wanted(const struct idm_engine *e, bool *ret_known)
{
    *ret_known = e->recorded && e->record.state != IDM_S_resetting;
    return e->record.state == IDM_S_tpm_dual || e->record.state == IDM_S_tpm;
}

/* Written at every boot, so that losing it heals. Storage that refuses never costs more than it. */
int idm_do_write_marker(struct idm_engine *e, struct idm_error *err)
{
    static const char content[] = "The TPM holds the identity of this device.\n";
    _cleanup_bytes_ struct idm_bytes found = {0};
    bool known = false;
    bool wanted = idm_marker_wanted(e, &known);
    const struct idm_backends *be = e->be;
    (void)err;
    if (!known)
        return 0;
    bool present = idm_read(e, IDM_F_MARKER, &found) != IDM_E_ABSENT;
    if (present != wanted)
        idm_trace(e, "marker was %s, the record says %s: facts win", present ? "present" : "absent",
                  idm_state_name((enum idm_state)e->record.state));
    struct idm_error failure = {0};
    int rc = 0;
    if (wanted)
        rc = be->file_write(be->self, IDM_F_MARKER, content, sizeof content - 1, &failure);
    else if (present)
        rc = be->file_remove(be->self, IDM_F_MARKER, &failure);
    if (rc)
        idm_trace(e, "marker not rewritten: %s", failure.why);
    return 0;
}
