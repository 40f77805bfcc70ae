/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/internal.h"

#include <stdio.h>
#include <tss2/tss2_rc.h>

/* Part 2, 6.6: bits of a format 1 code that are not handle, parameter or session number. */
#define FORMAT1_MASK 0xbfu
#define CODE_MASK    0xffffu

static bool from_tpm(TSS2_RC rc)
{
    TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
    return layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER;
}

uint32_t idm_rc_code(TSS2_RC rc)
{
    if (!from_tpm(rc))
        return rc;
    return rc & TPM2_RC_FMT1 ? rc & FORMAT1_MASK : rc & CODE_MASK;
}

bool idm_rc_format1(TSS2_RC rc)
{
    return from_tpm(rc) && (rc & TPM2_RC_FMT1);
}

bool idm_rc_busy(uint32_t code)
{
    return code == TPM2_RC_RETRY || code == TPM2_RC_YIELDED || code == TPM2_RC_TESTING ||
           code == TPM2_RC_NV_RATE || code == TPM2_RC_NV_UNAVAILABLE;
}

/* One response code, our error, and what to do about it. */
static const struct {
    uint32_t code;
    int error;
    const char *todo;
} meanings[] = {
    {TPM2_RC_LOCKOUT, IDM_E_TPM_LOCKED, "wait, or reset the lockout (tpm2_dictionarylockout)"},
    {TPM2_RC_BAD_AUTH, IDM_E_TPM_OWNED, "give the owner's authorisation in owner-auth-file"},
    {TPM2_RC_AUTH_FAIL, IDM_E_TPM_OWNED, "give the owner's authorisation in owner-auth-file"},
    {TPM2_RC_DISABLED, IDM_E_TPM_OWNED, "the command is disabled in this TPM"},
    {TPM2_RC_NV_SPACE, IDM_E_TPM_FULL, "remove persistent objects that nobody needs"},
    {TPM2_RC_NV_DEFINED, IDM_E_TPM_TAKEN, "configure another handle or index"},
    {TPM2_RC_HANDLE, IDM_E_TPM_EMPTY, NULL},
    {TPM2_RC_RANGE, IDM_E_TPM_OTHER, "handles from 0x81800000 belong to the platform"},
    {TPM2_RC_OBJECT_MEMORY, IDM_E_TPM_BUSY, "use /dev/tpmrm0 or tpm2-abrmd: others fill the chip"},
    {TPM2_RC_SESSION_MEMORY, IDM_E_TPM_BUSY, "use /dev/tpmrm0 or tpm2-abrmd: others fill the chip"},
    {TPM2_RC_SESSION_HANDLES, IDM_E_TPM_BUSY,
     "use /dev/tpmrm0 or tpm2-abrmd: others fill the chip"},
};

/* Part 1, 12.4: in failure mode only GetTestResult and GetCapability still answer. */
static bool failure_confirmed(struct idm_tpm *tpm)
{
    TPM2B_MAX_BUFFER *data = NULL;
    TPM2_RC result = TPM2_RC_SUCCESS;
    TSS2_RC rc =
        Esys_GetTestResult(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &data, &result);
    Esys_Free(data);
    if (idm_rc_code(rc) == TPM2_RC_FAILURE)
        return true;
    return rc == TSS2_RC_SUCCESS && result != TPM2_RC_SUCCESS && result != TPM2_RC_NEEDS_TEST &&
           result != TPM2_RC_TESTING;
}

static int meaning_of(struct idm_tpm *tpm, TSS2_RC rc, const char **ret_todo)
{
    uint32_t code = idm_rc_code(rc);
    if ((rc & TSS2_RC_LAYER_MASK) == TSS2_TCTI_RC_LAYER)
        return IDM_E_TPM_ABSENT;
    if (idm_rc_busy(code))
        return IDM_E_TPM_BUSY;
    if (code == TPM2_RC_FAILURE && failure_confirmed(tpm)) {
        *ret_todo = "switch the power off and on; if it stays, the chip is broken";
        return IDM_E_TPM_FAILED;
    }
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (meanings[i].code == code) {
            *ret_todo = meanings[i].todo;
            return meanings[i].error;
        }
    }
    return IDM_E_TPM_OTHER;
}

void idm_tpm_prepare(void)
{
    (void)Tss2_RC_Decode(TSS2_RC_SUCCESS);
}

int idm_tpm_fail(struct idm_tpm *tpm, TSS2_RC rc, const char *what, struct idm_error *err)
{
    const char *todo = NULL;
    int code = meaning_of(tpm, rc, &todo);
    (void)idm_fail(err, code, what, "%s (0x%x)", Tss2_RC_Decode(rc), rc);
    if (todo)
        (void)idm_advise(err, "%s", todo);
    if (err)
        err->foreign = rc;
    return code;
}

int idm_tpm_unfit(TSS2_RC rc, int code, struct idm_error *err)
{
    if (!idm_rc_format1(rc) && idm_rc_code(rc) != TPM2_RC_SENSITIVE)
        return code;
    if (err) {
        err->code = IDM_E_TPM_UNFIT;
        err->todo[0] = 0;
    }
    return IDM_E_TPM_UNFIT;
}

struct idm_what idm_what_at(const char *verb, uint32_t handle)
{
    struct idm_what what;
    (void)snprintf(what.text, sizeof what.text, "%s 0x%08x", verb, handle);
    return what;
}
