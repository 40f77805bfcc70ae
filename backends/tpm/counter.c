/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/internal.h"

#include <string.h>

/* Part 2, 13.4. NO_DA: lockout must not take the witness away; not ORDERLY: each step survives a
 * power cut; no PLATFORMCREATE, no write by the owner: its value is nobody else's to set. */
#define COUNTER_ATTRIBUTES                                                                         \
    (TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_OWNERREAD | TPMA_NV_NO_DA |                    \
     ((TPMA_NV)TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT))
#define COUNTER_SIZE 8u

/* An index of another type at the same number reads just as happily, so this is asked each time.
 * TPM_EMPTY, TPM_TAKEN. */
static int look(struct idm_tpm *tpm, uint32_t index, bool *ret_written, const char *what,
                struct idm_error *err)
{
    TPM2B_NV_PUBLIC area = {0};
    TPM2B_NAME name = {.size = sizeof name.name};
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc, Tss2_Sys_NV_ReadPublic(tpm->sys, index, NULL, &area, &name, NULL));
    if (idm_rc_code(rc) == TPM2_RC_HANDLE)
        return idm_fail(err, IDM_E_TPM_EMPTY, what, "no such index");
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what, err);
    const TPMS_NV_PUBLIC *nv = &area.nvPublic;
    if (nv->nvIndex != index || nv->nameAlg != TPM2_ALG_SHA256 || nv->dataSize != COUNTER_SIZE ||
        nv->authPolicy.size != 0 ||
        (nv->attributes & ~(TPMA_NV)TPMA_NV_WRITTEN) != COUNTER_ATTRIBUTES) {
        (void)idm_fail(err, IDM_E_TPM_TAKEN, what, "the index is not idmode's counter");
        return idm_advise(err, "configure another counter-index"), IDM_E_TPM_TAKEN;
    }
    *ret_written = (nv->attributes & TPMA_NV_WRITTEN) != 0;
    return 0;
}

static int increment(struct idm_tpm *tpm, uint32_t index, const char *what, struct idm_error *err)
{
    TSS2L_SYS_AUTH_RESPONSE response = {0};
    TSS2_RC rc;
    IDM_TPM_COMMAND(
        tpm, rc, Tss2_Sys_NV_Increment(tpm->sys, index, index, &idm_tpm_empty_password, &response));
    return rc == TSS2_RC_SUCCESS ? 0 : idm_tpm_fail(tpm, rc, what, err);
}

int idm_tpm_counter_read(struct idm_tpm *tpm, uint32_t index, uint64_t *ret_value,
                         struct idm_error *err)
{
    const struct idm_what what = idm_what_at("read the counter", index);
    bool written = false;
    int result = idm_tpm_ready(tpm, what.text, err);
    if (result == 0)
        result = look(tpm, index, &written, what.text, err);
    if (result < 0)
        return result;
    if (!written)
        return idm_fail(err, IDM_E_TPM_EMPTY, what.text, "it was never incremented");
    TSS2L_SYS_AUTH_RESPONSE response = {0};
    TPM2B_MAX_NV_BUFFER data = {.size = sizeof data.buffer};
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Tss2_Sys_NV_Read(tpm->sys, index, index, &idm_tpm_empty_password, COUNTER_SIZE,
                                     0, &data, &response));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what.text, err);
    if (data.size != COUNTER_SIZE)
        return idm_fail(err, IDM_E_TPM_OTHER, what.text, "%u bytes", data.size);
    uint64_t value = 0;
    for (size_t i = 0; i < COUNTER_SIZE; i++)
        value = value << 8 | data.buffer[i];
    *ret_value = value;
    return 0;
}

int idm_tpm_counter_increment(struct idm_tpm *tpm, uint32_t index, struct idm_error *err)
{
    const struct idm_what what = idm_what_at("increment the counter", index);
    bool written = false;
    int result = idm_tpm_ready(tpm, what.text, err);
    if (result == 0)
        result = look(tpm, index, &written, what.text, err);
    return result < 0 ? result : increment(tpm, index, what.text, err);
}

void idm_template_counter(uint32_t index, TPM2B_NV_PUBLIC *ret)
{
    *ret = (TPM2B_NV_PUBLIC){.nvPublic = {.nvIndex = index,
                                          .nameAlg = TPM2_ALG_SHA256,
                                          .attributes = COUNTER_ATTRIBUTES,
                                          .dataSize = COUNTER_SIZE}};
}

static int define(struct idm_tpm *tpm, uint32_t index, const char *what, struct idm_error *err)
{
    const TPM2B_AUTH empty = {0};
    TPM2B_NV_PUBLIC area;
    idm_template_counter(index, &area);
    _cleanup_ref_ struct idm_tpm_ref salt = IDM_TPM_REF_EMPTY;
    _cleanup_owner_ struct idm_tpm_owner owner = IDM_TPM_OWNER_EMPTY;
    ESYS_TR made = ESYS_TR_NONE;
    int result = idm_tpm_owner_salt(tpm, &salt, err);
    if (result == 0)
        result = idm_tpm_owner_begin(tpm, &salt, TPMA_SESSION_DECRYPT, &owner, err);
    if (result < 0)
        return result;
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Esys_NV_DefineSpace(tpm->esys, ESYS_TR_RH_OWNER, owner.session, ESYS_TR_NONE,
                                        ESYS_TR_NONE, &empty, &area, &made));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what, err);
    (void)Esys_TR_Close(tpm->esys, &made);
    return 0;
}

int idm_tpm_counter_make(struct idm_tpm *tpm, uint32_t index, struct idm_error *err)
{
    const struct idm_what what = idm_what_at("make the counter", index);
    bool written = false;
    int result = idm_tpm_ready(tpm, what.text, err);
    if (result == 0)
        result = look(tpm, index, &written, what.text, err);
    if (result == IDM_E_TPM_EMPTY) {
        result = define(tpm, index, what.text, err);
        if (result == 0)
            result = look(tpm, index, &written, what.text, err);
    }
    if (result < 0 || written)
        return result;
    return increment(tpm, index, what.text, err);
}
