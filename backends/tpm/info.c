/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/internal.h"

#include <ctype.h>
#include <stdio.h>

static const char what_info[] = "ask the TPM about itself";
static const char what_list[] = "list the TPM's persistent objects";
static const char why_other[] = "the TPM answers another question than it was asked";

const TPML_HANDLE *idm_tpm_handles(const TPMS_CAPABILITY_DATA *data)
{
    const TPML_HANDLE *list = &data->data.handles;
    bool good = data->capability == TPM2_CAP_HANDLES &&
                list->count <= sizeof list->handle / sizeof *list->handle;
    return good ? list : NULL;
}

int idm_tpm_property(struct idm_tpm *tpm, uint32_t property, uint32_t *ret, struct idm_error *err)
{
    TPMS_CAPABILITY_DATA *data = NULL;
    TPMI_YES_NO more;
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Esys_GetCapability(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                       TPM2_CAP_TPM_PROPERTIES, property, 1, &more, &data));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what_info, err);
    const TPML_TAGGED_TPM_PROPERTY *list = &data->data.tpmProperties;
    bool good = data->capability == TPM2_CAP_TPM_PROPERTIES;
    *ret = good && list->count > 0 && list->tpmProperty[0].property == property
               ? list->tpmProperty[0].value
               : 0;
    Esys_Free(data);
    return good ? 0 : idm_fail(err, IDM_E_TPM_OTHER, what_info, "%s", why_other);
}

static void describe(uint32_t maker, uint32_t version1, uint32_t version2, struct idm_tpm_info *ret)
{
    size_t length = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        int c = (int)(maker >> shift & 0xff);
        if (isgraph(c))
            ret->manufacturer[length++] = (char)c;
    }
    if (version2)
        (void)snprintf(ret->firmware, sizeof ret->firmware, "%u.%u.%u.%u", version1 >> 16,
                       version1 & 0xffff, version2 >> 16, version2 & 0xffff);
    else
        (void)snprintf(ret->firmware, sizeof ret->firmware, "%u.%u", version1 >> 16,
                       version1 & 0xffff);
}

int idm_tpm_info(struct idm_tpm *tpm, struct idm_tpm_info *ret, struct idm_error *err)
{
    static const uint32_t properties[] = {TPM2_PT_MANUFACTURER, TPM2_PT_FIRMWARE_VERSION_1,
                                          TPM2_PT_FIRMWARE_VERSION_2};
    uint32_t values[3] = {0};
    int result = idm_tpm_ready(tpm, what_info, err);
    for (size_t i = 0; i < 3 && result == 0; i++)
        result = idm_tpm_property(tpm, properties[i], &values[i], err);
    if (result < 0)
        return result;
    TPMS_TIME_INFO *clock = NULL;
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Esys_ReadClock(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &clock));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what_info, err);
    struct idm_tpm_info info = {.reset_count = clock->clockInfo.resetCount};
    Esys_Free(clock);
    describe(values[0], values[1], values[2], &info);
    *ret = info;
    return 0;
}

/* As many as the chip gives at once, from `first` on; Esys_Free. */
static int list_from(struct idm_tpm *tpm, uint32_t first, uint32_t count, TPMI_YES_NO *ret_more,
                     TPMS_CAPABILITY_DATA **ret, struct idm_error *err)
{
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Esys_GetCapability(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                       TPM2_CAP_HANDLES, first, count, ret_more, ret));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what_list, err);
    if (idm_tpm_handles(*ret))
        return 0;
    Esys_Free(*ret);
    return idm_fail(err, IDM_E_TPM_OTHER, what_list, "%s", why_other);
}

int idm_tpm_first_persistent(struct idm_tpm *tpm, uint32_t from, uint32_t *ret,
                             struct idm_error *err)
{
    TPMS_CAPABILITY_DATA *data = NULL;
    TPMI_YES_NO more;
    int result = list_from(tpm, from, 1, &more, &data, err);
    if (result < 0)
        return result;
    const TPML_HANDLE *list = &data->data.handles;
    *ret = list->count > 0 && list->handle[0] <= IDM_TPM_PERSISTENT_LAST ? list->handle[0] : 0;
    Esys_Free(data);
    return 0;
}

/* Appends one response; *ret_next is where the following one begins, 0: it was the last. */
static int list_some(struct idm_tpm *tpm, uint32_t first, uint32_t handles[IDM_TPM_PERSISTENT_MAX],
                     size_t *count, uint32_t *ret_next, struct idm_error *err)
{
    TPMS_CAPABILITY_DATA *data = NULL;
    TPMI_YES_NO more;
    int result = list_from(tpm, first, IDM_TPM_PERSISTENT_MAX, &more, &data, err);
    if (result < 0)
        return result;
    const TPML_HANDLE *list = &data->data.handles;
    uint32_t next = 0;
    for (uint32_t i = 0; i < list->count && list->handle[i] <= IDM_TPM_PERSISTENT_LAST; i++) {
        if (*count == IDM_TPM_PERSISTENT_MAX || list->handle[i] < first) {
            result = idm_fail(err, IDM_E_TPM_OTHER, what_list, "more than %u, or out of order",
                              IDM_TPM_PERSISTENT_MAX);
            break;
        }
        handles[(*count)++] = list->handle[i];
        next = list->handle[i] + 1;
    }
    *ret_next = more ? next : 0;
    Esys_Free(data);
    return result;
}

int idm_tpm_persistent(struct idm_tpm *tpm, uint32_t ret_handles[IDM_TPM_PERSISTENT_MAX],
                       size_t *ret_count, struct idm_error *err)
{
    uint32_t handles[IDM_TPM_PERSISTENT_MAX];
    size_t count = 0;
    int result = idm_tpm_ready(tpm, what_list, err);
    for (uint32_t next = IDM_TPM_PERSISTENT_FIRST; next != 0 && result == 0;)
        result = list_some(tpm, next, handles, &count, &next, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < count; i++)
        ret_handles[i] = handles[i];
    *ret_count = count;
    return 0;
}
