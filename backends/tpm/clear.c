/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/internal.h"

static const char what[] = "clear the TPM";

/* Chips have reported success and kept a persistent object. */
static int prove_clear(struct idm_tpm *tpm, struct idm_error *err)
{
    uint32_t first = 0;
    int result = idm_tpm_first_persistent(tpm, IDM_TPM_PERSISTENT_FIRST, &first, err);
    if (result < 0)
        return result;
    if (first != 0 && first < IDM_TPM_PLATFORM_FIRST)
        return idm_fail(err, IDM_E_TPM_OTHER, what, "0x%08x is still there afterwards", first);
    uint64_t value;
    result = idm_tpm_counter_read(tpm, tpm->settings->counter_index, &value, NULL);
    if (result == 0)
        return idm_fail(err, IDM_E_TPM_OTHER, what, "the counter is still there afterwards");
    return 0;
}

int idm_tpm_may_clear(struct idm_tpm *tpm, struct idm_error *err)
{
    uint32_t permanent = 0;
    int result = idm_tpm_ready(tpm, what, err);
    if (result == 0)
        result = idm_tpm_property(tpm, TPM2_PT_PERMANENT, &permanent, err);
    if (result < 0)
        return result;
    /* One wrong guess locks this authorisation for a long time, so none is made. */
    if (permanent & (TPMA_PERMANENT_LOCKOUTAUTHSET | TPMA_PERMANENT_DISABLECLEAR)) {
        (void)idm_fail(err, IDM_E_TPM_OWNED, what, "%s",
                       permanent & TPMA_PERMANENT_DISABLECLEAR ? "TPM2_Clear is disabled"
                                                               : "lockout authorisation is set");
        return idm_advise(err, "use reset = rekey"), IDM_E_TPM_OWNED;
    }
    return 0;
}

int idm_tpm_clear(struct idm_tpm *tpm, struct idm_error *err)
{
    int result = idm_tpm_may_clear(tpm, err);
    if (result < 0)
        return result;
    TSS2_RC rc;
    IDM_TPM_COMMAND(
        tpm, rc,
        Esys_Clear(tpm->esys, ESYS_TR_RH_LOCKOUT, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what, err);
    return prove_clear(tpm, err);
}
