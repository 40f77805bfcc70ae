/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/envelope.h"
#include "backends/tpm/internal.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

static const char what_seal[] = "seal under the TPM's parent key";
static const char what_unseal[] = "unseal with the TPM";

/* The envelope's key as a data object under the parent; on the wire it is encrypted. */
static int seal_key(struct idm_tpm *tpm, uint32_t parent_handle,
                    const uint8_t parent_name[IDM_NAME_SIZE],
                    const uint8_t key[IDM_ENVELOPE_KEY_SIZE], TPM2B_PUBLIC *ret_public,
                    TPM2B_PRIVATE *ret_private, struct idm_error *err)
{
    _cleanup_ref_ struct idm_tpm_ref parent = IDM_TPM_REF_EMPTY;
    _cleanup_ref_ struct idm_tpm_ref session = IDM_TPM_REF_EMPTY;
    TPM2B_PUBLIC template;
    TPM2B_SENSITIVE_CREATE sensitive = {.sensitive.data.size = IDM_ENVELOPE_KEY_SIZE};
    idm_template_sealed(&template);
    int result = idm_tpm_storage_open(tpm, parent_handle, parent_name, &parent, err);
    if (result == 0)
        result = idm_tpm_session(tpm, &parent, TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT,
                                 &session, err);
    if (result < 0)
        return result;
    memcpy(sensitive.sensitive.data.buffer, key, IDM_ENVELOPE_KEY_SIZE);
    result = idm_tpm_create(tpm, &parent, session.tr, &sensitive, &template, ret_public,
                            ret_private, err);
    OPENSSL_cleanse(&sensitive, sizeof sensitive);
    return result;
}

int idm_tpm_seal(struct idm_tpm *tpm, uint32_t parent_handle,
                 const uint8_t parent_name[IDM_NAME_SIZE], const struct idm_bytes *plain,
                 struct idm_bytes *ret_envelope, struct idm_error *err)
{
    TPM2B_PUBLIC public_area;
    TPM2B_PRIVATE private_area;
    uint8_t key[IDM_ENVELOPE_KEY_SIZE];
    if (plain->size > IDM_ENVELOPE_PLAIN_MAX)
        return idm_fail(err, IDM_E_USAGE, what_seal, "%zu bytes are too many", plain->size);
    int result = idm_tpm_ready(tpm, what_seal, err);
    if (result == 0 && RAND_priv_bytes(key, sizeof key) != 1)
        result = idm_fail(err, IDM_E_CRYPTO, what_seal, "no random numbers");
    if (result == 0)
        result = seal_key(tpm, parent_handle, parent_name, key, &public_area, &private_area, err);
    if (result == 0)
        result = idm_envelope_make(&public_area, &private_area, key, plain, ret_envelope, err);
    OPENSSL_cleanse(key, sizeof key);
    return result;
}

static int unseal_key(struct idm_tpm *tpm, uint32_t parent_handle,
                      const uint8_t parent_name[IDM_NAME_SIZE], const TPM2B_PUBLIC *public_area,
                      const TPM2B_PRIVATE *private_area, uint8_t ret_key[IDM_ENVELOPE_KEY_SIZE],
                      struct idm_error *err)
{
    _cleanup_ref_ struct idm_tpm_ref parent = IDM_TPM_REF_EMPTY;
    _cleanup_ref_ struct idm_tpm_ref session = IDM_TPM_REF_EMPTY;
    _cleanup_ref_ struct idm_tpm_ref object = IDM_TPM_REF_EMPTY;
    int result = idm_tpm_storage_open(tpm, parent_handle, parent_name, &parent, err);
    if (result == 0)
        result =
            idm_tpm_load(tpm, &parent, ESYS_TR_PASSWORD, public_area, private_area, &object, err);
    if (result == 0)
        result = idm_tpm_session(tpm, &parent, TPMA_SESSION_ENCRYPT, &session, err);
    if (result < 0)
        return result;
    TPM2B_SENSITIVE_DATA *data = NULL;
    TSS2_RC rc;
    IDM_TPM_COMMAND(
        tpm, rc, Esys_Unseal(tpm->esys, object.tr, session.tr, ESYS_TR_NONE, ESYS_TR_NONE, &data));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what_unseal, err);
    if (data->size == IDM_ENVELOPE_KEY_SIZE)
        memcpy(ret_key, data->buffer, IDM_ENVELOPE_KEY_SIZE);
    else
        result = idm_fail(err, IDM_E_CORRUPT, what_unseal, "the sealed object holds no key");
    OPENSSL_cleanse(data, sizeof *data);
    Esys_Free(data);
    return result;
}

int idm_tpm_unseal(struct idm_tpm *tpm, uint32_t parent_handle,
                   const uint8_t parent_name[IDM_NAME_SIZE], const struct idm_bytes *envelope,
                   struct idm_bytes *ret_plain, struct idm_error *err)
{
    TPM2B_PUBLIC public_area;
    TPM2B_PRIVATE private_area;
    uint8_t key[IDM_ENVELOPE_KEY_SIZE];
    int result = idm_envelope_parse(envelope, &public_area, &private_area, err);
    if (result == 0)
        result = idm_tpm_ready(tpm, what_unseal, err);
    if (result == 0)
        result = unseal_key(tpm, parent_handle, parent_name, &public_area, &private_area, key, err);
    if (result == 0)
        result = idm_envelope_open(envelope, key, ret_plain, err);
    OPENSSL_cleanse(key, sizeof key);
    return result;
}
