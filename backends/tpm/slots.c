/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/internal.h"

#include <string.h>

/* Handles per GetCapability response: part 2, MAX_CAP_HANDLES for a 1024-byte buffer. */
#define HANDLES_AT_ONCE 254u

void idm_tpm_hold(struct idm_tpm *tpm, uint32_t handle)
{
    for (size_t i = 0; i < IDM_TPM_HELD_MAX; i++) {
        if (tpm->held[i] == 0) {
            tpm->held[i] = handle;
            return;
        }
    }
}

void idm_tpm_release(struct idm_tpm *tpm, uint32_t handle)
{
    for (size_t i = 0; i < IDM_TPM_HELD_MAX; i++) {
        if (tpm->held[i] == handle)
            tpm->held[i] = 0;
    }
}

static bool is_held(const struct idm_tpm *tpm, uint32_t handle)
{
    for (size_t i = 0; i < IDM_TPM_HELD_MAX; i++) {
        if (tpm->held[i] == handle)
            return true;
    }
    return false;
}

void idm_tpm_flush(struct idm_tpm *tpm, uint32_t handle)
{
    idm_tpm_release(tpm, handle);
    if (!tpm->esys || tpm->broken)
        return;
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc, Tss2_Sys_FlushContext(tpm->sys, handle));
}

/* Of the TPM's handles from `first` on; owned by the caller (Esys_Free), NULL: it does not say. */
static TPMS_CAPABILITY_DATA *list(struct idm_tpm *tpm, uint32_t first)
{
    TPMS_CAPABILITY_DATA *data = NULL;
    TPMI_YES_NO more = 0;
    TSS2_RC rc = Esys_GetCapability(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                    TPM2_CAP_HANDLES, first, HANDLES_AT_ONCE, &more, &data);
    if (rc == TSS2_RC_SUCCESS && idm_tpm_handles(data))
        return data;
    Esys_Free(data);
    return NULL;
}

static bool is_of_kind(uint32_t handle, uint32_t first)
{
    return handle >> TPM2_HR_SHIFT == first >> TPM2_HR_SHIFT;
}

static void flush_kind(struct idm_tpm *tpm, uint32_t first)
{
    TPMS_CAPABILITY_DATA *data = list(tpm, first);
    for (uint32_t i = 0; data && i < data->data.handles.count; i++) {
        uint32_t handle = data->data.handles.handle[i];
        if (is_of_kind(handle, first) && !is_held(tpm, handle))
            (void)Tss2_Sys_FlushContext(tpm->sys, handle);
    }
    Esys_Free(data);
}

void idm_tpm_flush_named(struct idm_tpm *tpm, const uint8_t name[IDM_NAME_SIZE])
{
    TPMS_CAPABILITY_DATA *data = list(tpm, IDM_TPM_TRANSIENT_FIRST);
    for (uint32_t i = 0; data && i < data->data.handles.count; i++) {
        uint32_t handle = data->data.handles.handle[i];
        TPM2B_PUBLIC area;
        uint8_t there[IDM_NAME_SIZE];
        if (is_of_kind(handle, IDM_TPM_TRANSIENT_FIRST) &&
            idm_tpm_read_public(tpm, handle, &area, there, NULL) == 0 &&
            memcmp(there, name, IDM_NAME_SIZE) == 0)
            idm_tpm_flush(tpm, handle);
    }
    Esys_Free(data);
}

void idm_tpm_flush_leftovers(struct idm_tpm *tpm, bool sessions)
{
    if (!sessions) {
        flush_kind(tpm, IDM_TPM_TRANSIENT_FIRST);
        return;
    }
    flush_kind(tpm, IDM_TPM_LOADED_SESSION_FIRST);
    flush_kind(tpm, IDM_TPM_SAVED_SESSION_FIRST);
}

int idm_tpm_ref_take(struct idm_tpm_ref *ref, struct idm_tpm *tpm, ESYS_TR tr,
                     struct idm_error *err)
{
    TPM2_HANDLE handle = 0;
    TSS2_RC rc = Esys_TR_GetTpmHandle(tpm->esys, tr, &handle);
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, "look up a TPM handle", err);
    idm_tpm_hold(tpm, handle);
    *ref = (struct idm_tpm_ref){.tpm = tpm, .tr = tr, .loaded = handle};
    return 0;
}

void idm_tpm_ref_drop(struct idm_tpm_ref *ref)
{
    struct idm_tpm *tpm = ref->tpm;
    if (!tpm || ref->tr == ESYS_TR_NONE)
        return;
    if (ref->loaded)
        idm_tpm_flush(tpm, ref->loaded);
    if (tpm->esys)
        (void)Esys_TR_Close(tpm->esys, &ref->tr);
    *ref = (struct idm_tpm_ref)IDM_TPM_REF_EMPTY;
}
