/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/attest/internal.h"

#include <stdio.h>
#include <string.h>

static const char what_make[] = "make an attestation key";

/* ---- making ---- */

/* `parent` is the public area of what is at its handle now. */
static int note_parents(struct idm_tpm *tpm, const struct idm_ak_parent *where,
                        const TPM2B_PUBLIC *parent, struct idm_ak *ret, struct idm_error *err)
{
    uint8_t name[IDM_NAME_SIZE];
    int rc = idm_public_name(parent, name);
    if (rc || memcmp(name, where->name, IDM_NAME_SIZE) != 0)
        return idm_fail(err, IDM_E_TPM_TAKEN, what_make,
                        "another object than the recorded parent is at 0x%08x", where->handle);
    ret->parents[0] = *parent;
    ret->parent_count = 1;
    if (where->handle == IDM_TPM_PRIMARY || where->handle == where->srk_handle)
        return 0;
    rc = idm_tpm_read_public(tpm, where->srk_handle, &ret->parents[1], name, err);
    ret->parent_count = 2;
    return rc;
}

/* The parent, opened, and its public area: read once where it is persistent. */
static int open_parent(struct idm_tpm *tpm, uint32_t handle, struct idm_tpm_ref *ret,
                       TPM2B_PUBLIC *ret_area, struct idm_error *err)
{
    uint8_t name[IDM_NAME_SIZE];
    if (handle != IDM_TPM_PRIMARY)
        return idm_tpm_ref_open(tpm, handle, ret, ret_area, err);
    int rc = idm_tpm_srk_create(tpm, ret, name, err);
    return rc ? rc : idm_tpm_read_public(tpm, ret->loaded, ret_area, name, err);
}

static int create(struct idm_tpm *tpm, const struct idm_ak_parent *where, struct idm_ak *ak,
                  struct idm_error *err)
{
    const TPM2B_SENSITIVE_CREATE nothing = {0};
    _cleanup_ref_ struct idm_tpm_ref parent = IDM_TPM_REF_EMPTY;
    _cleanup_ref_ struct idm_tpm_ref session = IDM_TPM_REF_EMPTY;
    TPM2B_PUBLIC area;
    TPM2B_PUBLIC template;
    idm_template_attestation(&template);
    int rc = open_parent(tpm, where->handle, &parent, &area, err);
    if (rc == 0)
        rc = note_parents(tpm, where, &area, ak, err);
    if (rc == 0)
        rc = idm_tpm_session(tpm, &parent, TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT, &session,
                             err);
    if (rc == 0)
        rc = idm_tpm_create(tpm, &parent, session.tr, &nothing, &template, &ak->key.public_area,
                            &ak->key.private_area, err);
    return rc;
}

int idm_ak_create(struct idm_tpm *tpm, const struct idm_ak_parent *parent, const char *service,
                  struct idm_ak *ret, struct idm_error *err)
{
    struct idm_ak ak = {.key.parent = parent->handle};
    if (!idm_ak_service_is_good(service))
        return idm_fail(err, IDM_E_USAGE, "--service",
                        "it is up to 32 of A-Z a-z 0-9 . _ -, and does not begin with a dot");
    int rc = idm_tpm_ready(tpm, what_make, err);
    if (rc == 0)
        rc = create(tpm, parent, &ak, err);
    if (rc)
        return rc;
    (void)snprintf(ak.service, sizeof ak.service, "%s", service);
    *ret = ak;
    return 0;
}

/* ---- loading ---- */

static int load_under(struct idm_tpm *tpm, uint32_t parent, const struct idm_tss2_key *key,
                      const char *what, uint32_t *ret_handle, struct idm_error *err)
{
    TSS2L_SYS_AUTH_RESPONSE response = {0};
    TPM2B_NAME name = {.size = sizeof name.name};
    TPM2_HANDLE handle = 0;
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Tss2_Sys_Load(tpm->sys, parent, &idm_tpm_empty_password, &key->private_area,
                                  &key->public_area, &handle, &name, &response));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_unfit(rc, idm_tpm_fail(tpm, rc, what, err), err);
    idm_tpm_hold(tpm, handle);
    *ret_handle = handle;
    return 0;
}

int idm_attest_load(struct idm_tpm *tpm, uint32_t parent, const struct idm_tss2_key *key,
                    const char *what, uint32_t *ret_handle, struct idm_error *err)
{
    _cleanup_ref_ struct idm_tpm_ref primary = IDM_TPM_REF_EMPTY;
    uint8_t name[IDM_NAME_SIZE];
    int rc = idm_tpm_ready(tpm, what, err);
    if (rc == 0 && parent == IDM_TPM_PRIMARY) {
        rc = idm_tpm_srk_create(tpm, &primary, name, err);
        parent = primary.loaded;
    }
    return rc ? rc : load_under(tpm, parent, key, what, ret_handle, err);
}

int idm_ak_load(struct idm_tpm *tpm, const struct idm_ak_parent *parent, const struct idm_ak *ak,
                uint32_t *ret_handle, struct idm_error *err)
{
    return idm_attest_load(tpm, parent->handle, &ak->key, "load the attestation key", ret_handle,
                           err);
}

void idm_ak_unload(struct idm_tpm *tpm, uint32_t handle)
{
    if (handle)
        idm_tpm_flush(tpm, handle);
}
