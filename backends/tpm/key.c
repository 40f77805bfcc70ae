/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/internal.h"

#include <openssl/crypto.h>
#include <string.h>

int idm_tpm_key_create(struct idm_tpm *tpm, uint32_t parent_handle,
                       const uint8_t parent_name[IDM_NAME_SIZE], enum idm_algorithm algorithm,
                       struct idm_bytes *ret_tss2, struct idm_error *err)
{
    static const char what[] = "create a device key in the TPM";
    const TPM2B_SENSITIVE_CREATE nothing = {0};
    struct idm_tss2_key key = {.parent = parent_handle};
    TPM2B_PUBLIC template;
    if (idm_template_device(algorithm, &template) < 0)
        return idm_fail(err, IDM_E_USAGE, what, "no algorithm for a device key");
    int result = idm_tpm_ready(tpm, what, err);
    if (result < 0)
        return result;
    _cleanup_ref_ struct idm_tpm_ref parent = IDM_TPM_REF_EMPTY;
    _cleanup_ref_ struct idm_tpm_ref session = IDM_TPM_REF_EMPTY;
    result = idm_tpm_storage_open(tpm, parent_handle, parent_name, &parent, err);
    if (result == 0)
        result = idm_tpm_session(tpm, &parent, TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT,
                                 &session, err);
    if (result == 0)
        result = idm_tpm_create(tpm, &parent, session.tr, &nothing, &template, &key.public_area,
                                &key.private_area, err);
    if (result == 0)
        result = idm_tss2_encode(&key, ret_tss2, err);
    OPENSSL_cleanse(&key, sizeof key);
    return result;
}

/* 0: `name` is there already; TPM_EMPTY: room for it. */
static int look_at(struct idm_tpm *tpm, uint32_t handle, const uint8_t name[IDM_NAME_SIZE],
                   const char *what, struct idm_error *err)
{
    TPM2B_PUBLIC area;
    uint8_t there[IDM_NAME_SIZE];
    int result = idm_tpm_read_public(tpm, handle, &area, there, err);
    if (result == 0 && memcmp(there, name, IDM_NAME_SIZE) != 0)
        return idm_fail(err, IDM_E_TPM_TAKEN, what, "another object is there");
    return result;
}

int idm_tpm_key_persist(struct idm_tpm *tpm, const struct idm_bytes *tss2, uint32_t parent_handle,
                        uint32_t handle, struct idm_error *err)
{
    const struct idm_what what = idm_what_at("make the device key persistent at", handle);
    struct idm_tss2_key key;
    uint8_t name[IDM_NAME_SIZE];
    int result = idm_tss2_decode(tss2, &key, err);
    if (result == 0 && (result = idm_public_name(&key.public_area, name)) < 0)
        result = idm_fail(err, result, what.text, "no Name");
    if (result == 0)
        result = idm_tpm_ready(tpm, what.text, err);
    if (result == 0)
        result = look_at(tpm, handle, name, what.text, err);
    if (result != IDM_E_TPM_EMPTY)
        return result;

    _cleanup_ref_ struct idm_tpm_ref parent = IDM_TPM_REF_EMPTY;
    _cleanup_ref_ struct idm_tpm_ref loaded = IDM_TPM_REF_EMPTY;
    result = idm_tpm_storage_open(tpm, parent_handle, NULL, &parent, err);
    if (result == 0)
        result = idm_tpm_load(tpm, &parent, ESYS_TR_PASSWORD, &key.public_area, &key.private_area,
                              &loaded, err);
    if (result == 0)
        result = idm_tpm_persist(tpm, &loaded, &parent, handle, name, err);
    return result;
}
