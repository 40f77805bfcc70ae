/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/internal.h"

#include <openssl/crypto.h>
#include <string.h>

static const char what[] = "make the epoch parent";

/* The storage root key at its handle, opened; made and persisted where the handle is empty. */
static int srk_ensure(struct idm_tpm *tpm, uint32_t handle, struct idm_tpm_ref *ret,
                      struct idm_error *err)
{
    int result = idm_tpm_storage_open(tpm, handle, NULL, ret, err);
    if (result != IDM_E_TPM_EMPTY)
        return result;
    {
        _cleanup_ref_ struct idm_tpm_ref made = IDM_TPM_REF_EMPTY;
        uint8_t name[IDM_NAME_SIZE];
        result = idm_tpm_srk_create(tpm, &made, name, err);
        if (result == 0)
            result = idm_tpm_persist(tpm, &made, &made, handle, name, err);
    }
    return result < 0 ? result : idm_tpm_storage_open(tpm, handle, NULL, ret, err);
}

/* Private part in, persistent object out; nothing of it outlives this function. */
static int make_under(struct idm_tpm *tpm, const struct idm_tpm_ref *srk, uint32_t handle,
                      uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err)
{
    const TPM2B_SENSITIVE_CREATE nothing = {0};
    TPM2B_PUBLIC template;
    TPM2B_PUBLIC area;
    TPM2B_PRIVATE private_area = {0};
    _cleanup_ref_ struct idm_tpm_ref loaded = IDM_TPM_REF_EMPTY;
    uint8_t name[IDM_NAME_SIZE];
    idm_template_storage(&template);
    {
        _cleanup_ref_ struct idm_tpm_ref session = IDM_TPM_REF_EMPTY;
        int result =
            idm_tpm_session(tpm, srk, TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT, &session, err);
        if (result == 0)
            result = idm_tpm_create(tpm, srk, session.tr, &nothing, &template, &area, &private_area,
                                    err);
        if (result == 0)
            result = idm_tpm_load(tpm, srk, session.tr, &area, &private_area, &loaded, err);
        OPENSSL_cleanse(&private_area, sizeof private_area);
        if (result < 0)
            return result;
    }
    if (idm_public_name(&area, name) < 0)
        return idm_fail(err, IDM_E_CRYPTO, what, "no Name");
    int result = idm_tpm_persist(tpm, &loaded, srk, handle, name, err);
    if (result == 0)
        memcpy(ret_name, name, IDM_NAME_SIZE);
    return result;
}

/* Each use of a storage root key without noDA that a power cut follows counts as a wrong guess: none for
 * what the owner will not let us finish. */
static int owner_lets_us(struct idm_tpm *tpm, struct idm_error *err)
{
    uint32_t permanent = 0;
    if (tpm->settings->owner_auth_file[0])
        return 0;
    int result = idm_tpm_property(tpm, TPM2_PT_PERMANENT, &permanent, err);
    if (result < 0 || !(permanent & TPMA_PERMANENT_OWNERAUTHSET))
        return result;
    (void)idm_fail(err, IDM_E_TPM_OWNED, what, "the owner authorisation is set");
    return idm_advise(err, "set owner-auth-file"), IDM_E_TPM_OWNED;
}

int idm_tpm_parent_make(struct idm_tpm *tpm, uint32_t srk_handle, uint32_t parent_handle,
                        uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err)
{
    TPM2B_PUBLIC area;
    uint8_t name[IDM_NAME_SIZE];
    int result = idm_tpm_ready(tpm, what, err);
    if (result == 0)
        result = idm_tpm_read_public(tpm, parent_handle, &area, name, err);
    if (result == 0 && !idm_public_is(&area, IDM_ROLE_PARENT))
        return idm_fail(err, IDM_E_TPM_TAKEN, what, "somebody else's object is at 0x%08x",
                        parent_handle);
    if (result == IDM_E_TPM_EMPTY) {
        _cleanup_ref_ struct idm_tpm_ref srk = IDM_TPM_REF_EMPTY;
        result = owner_lets_us(tpm, err);
        if (result == 0)
            result = srk_ensure(tpm, srk_handle, &srk, err);
        if (result == 0)
            result = make_under(tpm, &srk, parent_handle, name, err);
    }
    if (result < 0)
        return result;
    memcpy(ret_name, name, IDM_NAME_SIZE);
    return 0;
}
