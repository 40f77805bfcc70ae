/* SPDX-License-Identifier: BSD-2-Clause */
/* held.c - a key by file that stays loaded: one command for a signature in place of three.
 *
 *     managed      handles are this connection's own, and its objects end with it
 *     not managed  handles are everybody's: another idmode that needs room flushes ours, a chip that was
 *                  reset has forgotten it, somebody else's object may have the handle by now, and what a
 *                  killed program loaded stays. So ours is known by its Name, never by its handle alone:
 *                  before it is loaded whatever a killed one left is flushed, and so is it in the end.
 */
#include "backends/tpm/internal.h"

#include <string.h>

static bool is_managed(const struct idm_tpm *tpm)
{
    return idm_tpm_is_managed(tpm->settings->tcti);
}

static bool is_loaded(const struct idm_tpm *tpm, const struct idm_tpm_held *held)
{
    return held->handle && (!is_managed(tpm) || held->connection == tpm->connections);
}

static int load(struct idm_tpm *tpm, const struct idm_signer *signer, struct idm_tpm_held *held,
                struct idm_error *err)
{
    struct idm_tss2_key key;
    struct idm_tpm_held loaded = {.connection = tpm->connections};
    int result = idm_tss2_decode(signer->key, &key, err);
    if (result == 0)
        result = idm_public_name(&key.public_area, loaded.name);
    if (result == 0 && !is_managed(tpm))
        idm_tpm_flush_named(tpm, loaded.name);
    if (result == 0)
        result = idm_tpm_load_file(tpm, &key, signer->handle, &loaded.handle, err);
    if (result == 0)
        *held = loaded;
    return result;
}

/* Nothing at the handle, or something that does not sign so: the key is not there any more. */
static bool is_lost(int result, const struct idm_error *err)
{
    return result == IDM_E_TPM_EMPTY || result == IDM_E_TPM_UNFIT ||
           (result < 0 && idm_rc_code((TSS2_RC)err->foreign) == TPM2_RC_REFERENCE_H0);
}

int idm_tpm_sign_held(struct idm_tpm *tpm, struct idm_tpm_held *held,
                      const struct idm_signer *signer, enum idm_digest digest, const uint8_t *hash,
                      struct idm_signature *ret, struct idm_error *err)
{
    struct idm_error failure = {0};
    struct idm_signer at_handle = *signer;
    int result = idm_tpm_ready(tpm, "sign with the TPM", err);
    if (result < 0)
        return result;
    at_handle.kind = IDM_SIGNER_HANDLE;
    if (is_loaded(tpm, held)) {
        at_handle.handle = held->handle;
        result = idm_tpm_sign(tpm, &at_handle, digest, hash, ret, &failure);
        if (!is_lost(result, &failure)) {
            if (result && err)
                *err = failure;
            return result;
        }
    }
    idm_tpm_release(tpm, held->handle);
    *held = (struct idm_tpm_held){0};
    result = load(tpm, signer, held, err);
    if (result)
        return result;
    at_handle.handle = held->handle;
    return idm_tpm_sign(tpm, &at_handle, digest, hash, ret, err);
}

void idm_tpm_let_go(struct idm_tpm *tpm, struct idm_tpm_held *held)
{
    if (is_loaded(tpm, held) && is_managed(tpm))
        idm_tpm_flush(tpm, held->handle);
    else if (held->handle && !is_managed(tpm) &&
             idm_tpm_ready(tpm, "flush the device's key", NULL) == 0)
        idm_tpm_flush_named(tpm, held->name);
    idm_tpm_release(tpm, held->handle);
    *held = (struct idm_tpm_held){0};
}
