/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/attest/internal.h"

#include <string.h>

#define INDEX_MAX   8192u /* an RSA-4096 certificate with extensions: 3 KiB */
#define CHUNK_LEAST 64u   /* what a property that makes no sense is replaced by */

static const char what_list[] = "list the TPM's NV indices";

static int list_some(struct idm_tpm *tpm, uint32_t from, struct idm_nv_list *list, bool *ret_more,
                     struct idm_error *err)
{
    TPMS_CAPABILITY_DATA data = {0};
    TPMI_YES_NO more = 0;
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Tss2_Sys_GetCapability(tpm->sys, NULL, TPM2_CAP_HANDLES, from, IDM_NV_LIST_MAX,
                                           &more, &data, NULL));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what_list, err);
    const TPML_HANDLE *handles = idm_tpm_handles(&data);
    if (!handles)
        return idm_fail(err, IDM_E_TPM_OTHER, what_list,
                        "the TPM answers another question than it was asked");
    *ret_more = more && handles->count > 0;
    for (uint32_t i = 0; i < handles->count; i++) {
        uint32_t index = handles->handle[i];
        if (index < from || index > IDM_EK_NV_LAST || list->count == IDM_NV_LIST_MAX) {
            *ret_more = false;
            break;
        }
        list->index[list->count++] = index;
        from = index + 1;
    }
    return 0;
}

int idm_nv_list(struct idm_tpm *tpm, struct idm_nv_list *ret, struct idm_error *err)
{
    struct idm_nv_list list = {0};
    bool more = true;
    int rc = idm_tpm_ready(tpm, what_list, err);
    for (uint32_t from = IDM_EK_NV_FIRST; rc == 0 && more;) {
        rc = list_some(tpm, from, &list, &more, err);
        if (list.count)
            from = list.index[list.count - 1] + 1;
    }
    if (rc == 0)
        *ret = list;
    return rc;
}

bool idm_nv_has(const struct idm_nv_list *list, uint32_t index)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->index[i] == index)
            return index != 0;
    return false;
}

/* Who may read it: the index itself, the owner, or nobody that we can be. */
static int look(struct idm_tpm *tpm, uint32_t index, TPMI_RH_NV_AUTH *ret_auth, uint16_t *ret_size,
                const char *what, struct idm_error *err)
{
    TPM2B_NV_PUBLIC area = {0};
    TPM2B_NAME name = {.size = sizeof name.name};
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc, Tss2_Sys_NV_ReadPublic(tpm->sys, index, NULL, &area, &name, NULL));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what, err);
    const TPMS_NV_PUBLIC *nv = &area.nvPublic;
    if (!(nv->attributes & TPMA_NV_WRITTEN))
        return idm_fail(err, IDM_E_ABSENT, what, "it was never written");
    if (nv->dataSize == 0 || nv->dataSize > INDEX_MAX)
        return idm_fail(err, IDM_E_CORRUPT, what, "%u bytes are no certificate", nv->dataSize);
    if (!(nv->attributes & (TPMA_NV_AUTHREAD | TPMA_NV_OWNERREAD)))
        return idm_fail(err, IDM_E_REFUSED, what, "neither it nor the owner may read it");
    *ret_auth = nv->attributes & TPMA_NV_AUTHREAD ? index : TPM2_RH_OWNER;
    *ret_size = nv->dataSize;
    return 0;
}

static int chunk_of(struct idm_tpm *tpm, struct idm_nv_list *list, struct idm_error *err)
{
    int rc = 0;
    if (list->chunk == 0)
        rc = idm_tpm_property(tpm, TPM2_PT_NV_BUFFER_MAX, &list->chunk, err);
    if (list->chunk < CHUNK_LEAST)
        list->chunk = CHUNK_LEAST;
    if (list->chunk > TPM2_MAX_NV_BUFFER_SIZE)
        list->chunk = TPM2_MAX_NV_BUFFER_SIZE;
    return rc;
}

int idm_nv_read(struct idm_tpm *tpm, struct idm_nv_list *list, uint32_t index,
                struct idm_bytes *ret, struct idm_error *err)
{
    const struct idm_what what = idm_what_at("read the NV index", index);
    uint8_t bytes[INDEX_MAX];
    TPMI_RH_NV_AUTH auth = 0;
    uint16_t size = 0;
    uint16_t at = 0;
    int rc = look(tpm, index, &auth, &size, what.text, err);
    if (rc == 0)
        rc = chunk_of(tpm, list, err);
    while (rc == 0 && at < size) {
        TSS2L_SYS_AUTH_RESPONSE response = {0};
        TPM2B_MAX_NV_BUFFER data = {.size = sizeof data.buffer};
        uint16_t part =
            size - at < (int)list->chunk ? (uint16_t)(size - at) : (uint16_t)list->chunk;
        TSS2_RC answer;
        IDM_TPM_COMMAND(tpm, answer,
                        Tss2_Sys_NV_Read(tpm->sys, auth, index, &idm_tpm_empty_password, part, at,
                                         &data, &response));
        if (answer != TSS2_RC_SUCCESS)
            return idm_tpm_fail(tpm, answer, what.text, err);
        if (data.size != part)
            return idm_fail(err, IDM_E_TPM_OTHER, what.text, "%u bytes in place of %u", data.size,
                            part);
        memcpy(bytes + at, data.buffer, part);
        at = (uint16_t)(at + part);
    }
    if (rc)
        return rc;
    rc = idm_bytes_set(ret, bytes, size);
    return rc ? idm_fail(err, rc, what.text, "%s", idm_error_sentence(rc)) : 0;
}
