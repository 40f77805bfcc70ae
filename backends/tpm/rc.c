/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/internal.h"

#include <stdio.h>

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

/* One response code (part 2, 6.6.3), our error, and what to do about it. */
static const struct {
    uint32_t code;
    int error;
    const char *name;
    const char *todo;
} meanings[] = {
#define ROW(name, error, todo)                                                                     \
    {                                                                                              \
        TPM2_RC_##name, error, "TPM_RC_" #name, todo                                               \
    }
#define CROWDED "use /dev/tpmrm0 or tpm2-abrmd: others fill the chip"
    ROW(LOCKOUT, IDM_E_TPM_LOCKED, "wait, or reset the lockout (tpm2_dictionarylockout)"),
    ROW(BAD_AUTH, IDM_E_TPM_OWNED, "give the owner's authorisation in owner-auth-file"),
    ROW(AUTH_FAIL, IDM_E_TPM_OWNED, "give the owner's authorisation in owner-auth-file"),
    ROW(DISABLED, IDM_E_TPM_OWNED, "the command is disabled in this TPM"),
    ROW(NV_SPACE, IDM_E_TPM_FULL, "remove persistent objects that nobody needs"),
    ROW(NV_DEFINED, IDM_E_TPM_TAKEN, "configure another handle or index"),
    ROW(HANDLE, IDM_E_TPM_EMPTY, NULL),
    ROW(RANGE, IDM_E_TPM_OTHER, "handles from 0x81800000 belong to the platform"),
    ROW(OBJECT_MEMORY, IDM_E_TPM_BUSY, CROWDED),
    ROW(SESSION_MEMORY, IDM_E_TPM_BUSY, CROWDED),
    ROW(SESSION_HANDLES, IDM_E_TPM_BUSY, CROWDED),
    ROW(RETRY, IDM_E_TPM_BUSY, NULL),
    ROW(YIELDED, IDM_E_TPM_BUSY, NULL),
    ROW(TESTING, IDM_E_TPM_BUSY, NULL),
    ROW(NV_RATE, IDM_E_TPM_BUSY, NULL),
    ROW(NV_UNAVAILABLE, IDM_E_TPM_BUSY, NULL),
    ROW(FAILURE, IDM_E_TPM_OTHER, NULL),
    ROW(INITIALIZE, IDM_E_TPM_OTHER, NULL),
    ROW(COMMAND_CODE, IDM_E_TPM_OTHER, NULL),
    ROW(INTEGRITY, IDM_E_TPM_OTHER, NULL),
    ROW(SENSITIVE, IDM_E_TPM_OTHER, NULL),
    ROW(VALUE, IDM_E_TPM_OTHER, NULL),
    ROW(TYPE, IDM_E_TPM_OTHER, NULL),
    ROW(SCHEME, IDM_E_TPM_OTHER, NULL),
    ROW(CURVE, IDM_E_TPM_OTHER, NULL),
    ROW(KEY, IDM_E_TPM_OTHER, NULL),
    ROW(ATTRIBUTES, IDM_E_TPM_OTHER, NULL),
    ROW(HIERARCHY, IDM_E_TPM_OTHER, NULL),
    ROW(SIZE, IDM_E_TPM_OTHER, NULL),
    ROW(BINDING, IDM_E_TPM_OTHER, NULL),
    ROW(POLICY_FAIL, IDM_E_TPM_OTHER, NULL),
    ROW(NV_LOCKED, IDM_E_TPM_OTHER, NULL),
    ROW(NV_UNINITIALIZED, IDM_E_TPM_OTHER, NULL),
    ROW(EXCLUSIVE, IDM_E_TPM_OTHER, NULL),
#undef CROWDED
#undef ROW
};
#define MEANINGS (sizeof meanings / sizeof meanings[0])

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
    for (size_t i = 0; i < MEANINGS; i++) {
        if (meanings[i].code == code) {
            *ret_todo = meanings[i].todo;
            return meanings[i].error;
        }
    }
    return IDM_E_TPM_OTHER;
}

/* libtss2-rc has a sentence for each code, but is one more library at every boot. */
static void describe(TSS2_RC rc, char *ret_text, size_t size)
{
    static const struct {
        TSS2_RC layer;
        const char *name;
    } layers[] = {{TSS2_RESMGR_RC_LAYER, "the resource manager"},
                  {TSS2_TCTI_RC_LAYER, "the TCTI"},
                  {TSS2_ESAPI_RC_LAYER, "ESAPI"},
                  {TSS2_SYS_RC_LAYER, "SAPI"},
                  {TSS2_MU_RC_LAYER, "marshalling"}};
    const char *who = from_tpm(rc) ? "the TPM" : "tpm2-tss";
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
        if (layers[i].layer == (rc & TSS2_RC_LAYER_MASK))
            who = layers[i].name;
    for (size_t i = 0; from_tpm(rc) && i < MEANINGS; i++) {
        if (meanings[i].code == idm_rc_code(rc)) {
            (void)snprintf(ret_text, size, "%s answers %s (0x%x)", who, meanings[i].name, rc);
            return;
        }
    }
    (void)snprintf(ret_text, size, "%s answers 0x%x (tpm2_rc_decode has a sentence for it)", who,
                   rc);
}

int idm_tpm_fail(struct idm_tpm *tpm, TSS2_RC rc, const char *what, struct idm_error *err)
{
    const char *todo = NULL;
    char text[120];
    int code = meaning_of(tpm, rc, &todo);
    describe(rc, text, sizeof text);
    (void)idm_fail(err, code, what, "%s", text);
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
