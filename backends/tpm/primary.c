/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/internal.h"

#include <string.h>

/* Name of a primary made from a template; the object itself stays in *ret. */
static int create_primary(struct idm_tpm *tpm, ESYS_TR hierarchy, ESYS_TR session,
                          const TPM2B_PUBLIC *template, const char *what, struct idm_tpm_ref *ret,
                          uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err)
{
    const TPM2B_SENSITIVE_CREATE nothing = {0};
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION no_pcr = {0};
    TPM2B_PUBLIC *area = NULL;
    ESYS_TR tr = ESYS_TR_NONE;
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Esys_CreatePrimary(tpm->esys, hierarchy, session, ESYS_TR_NONE, ESYS_TR_NONE,
                                       &nothing, template, &outside, &no_pcr, &tr, &area, NULL,
                                       NULL, NULL));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what, err);
    uint8_t name[IDM_NAME_SIZE];
    _cleanup_ref_ struct idm_tpm_ref made = IDM_TPM_REF_EMPTY;
    int result = idm_tpm_ref_take(&made, tpm, tr, err);
    if (result == 0 && !idm_public_same_template(area, template))
        result = idm_fail(err, IDM_E_TPM_OTHER, what, "the TPM made another key than asked for");
    if (result == 0 && (result = idm_public_name(area, name)) < 0)
        result = idm_fail(err, result, what, "no Name");
    Esys_Free(area);
    if (result < 0)
        return result;
    memcpy(ret_name, name, IDM_NAME_SIZE);
    *ret = made;
    made = (struct idm_tpm_ref)IDM_TPM_REF_EMPTY;
    return 0;
}

int idm_tpm_srk_create(struct idm_tpm *tpm, struct idm_tpm_ref *ret,
                       uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err)
{
    const struct idm_tpm_ref no_salt = IDM_TPM_REF_EMPTY;
    _cleanup_owner_ struct idm_tpm_owner owner = IDM_TPM_OWNER_EMPTY;
    TPM2B_PUBLIC template;
    idm_template_storage(&template);
    int result = idm_tpm_owner_begin(tpm, &no_salt, TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT,
                                     &owner, err);
    if (result < 0)
        return result;
    return create_primary(tpm, ESYS_TR_RH_OWNER, owner.session, &template,
                          "make the storage root key", ret, ret_name, err);
}

int idm_tpm_owner_salt(struct idm_tpm *tpm, struct idm_tpm_ref *ret, struct idm_error *err)
{
    if (!tpm->settings->owner_auth_file[0])
        return 0;
    int result = idm_tpm_storage_open(tpm, tpm->settings->srk_handle, NULL, ret, err);
    return result == IDM_E_TPM_EMPTY || result == IDM_E_TPM_TAKEN ? 0 : result;
}

int idm_tpm_srk_name(struct idm_tpm *tpm, uint32_t handle, uint8_t ret_name[IDM_NAME_SIZE],
                     struct idm_error *err)
{
    const struct idm_what what = idm_what_at("read the storage root key at", handle);
    TPM2B_PUBLIC area;
    uint8_t name[IDM_NAME_SIZE];
    int result = idm_tpm_ready(tpm, what.text, err);
    if (result == 0)
        result = idm_tpm_read_public(tpm, handle, &area, name, err);
    if (result == 0 && !idm_public_is_storage(&area))
        return idm_fail(err, IDM_E_TPM_TAKEN, what.text,
                        "the object there is no storage key that idmode can use");
    if (result == IDM_E_TPM_EMPTY) {
        _cleanup_ref_ struct idm_tpm_ref srk = IDM_TPM_REF_EMPTY;
        result = idm_tpm_srk_create(tpm, &srk, name, err);
    }
    if (result < 0)
        return result;
    memcpy(ret_name, name, IDM_NAME_SIZE);
    return 0;
}

int idm_tpm_ek_name(struct idm_tpm *tpm, uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err)
{
    static const char what[] = "make the endorsement key";
    TPM2B_PUBLIC template;
    idm_template_ek(&template);
    int result = idm_tpm_ready(tpm, what, err);
    if (result < 0)
        return result;
    _cleanup_ref_ struct idm_tpm_ref ek = IDM_TPM_REF_EMPTY;
    return create_primary(tpm, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD, &template, what, &ek,
                          ret_name, err);
}
