/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/internal.h"

#include <openssl/crypto.h>
#include <string.h>
#include <tss2/tss2_mu.h>

static const char why_inconsistent[] = "the TPM's answers contradict each other";

static int empty_at(const char *what, struct idm_error *err)
{
    return idm_fail(err, IDM_E_TPM_EMPTY, what, "nothing there");
}

/* The Name must be the public area's own. Other hash algorithms than SHA-256 are a stranger's:
 * their Name is not needed, and given as zeros. */
static int check_name(const TPM2B_PUBLIC *area, const TPM2B_NAME *said,
                      uint8_t ret_name[IDM_NAME_SIZE])
{
    uint8_t name[IDM_NAME_SIZE] = {0};
    if (area->publicArea.nameAlg == TPM2_ALG_SHA256) {
        int result = idm_public_name(area, name);
        if (result < 0)
            return result;
        if (said->size != IDM_NAME_SIZE || memcmp(said->name, name, IDM_NAME_SIZE) != 0)
            return IDM_E_TPM_OTHER;
    }
    memcpy(ret_name, name, IDM_NAME_SIZE);
    return 0;
}

int idm_tpm_read_public(struct idm_tpm *tpm, uint32_t handle, TPM2B_PUBLIC *ret_public,
                        uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err)
{
    const struct idm_what what = idm_what_at("read the TPM object at", handle);
    TPM2B_PUBLIC area = {0};
    TPM2B_NAME name = {.size = sizeof name.name};
    TPM2B_NAME qualified = {.size = sizeof qualified.name};
    TSS2_RC rc;
    if (handle == IDM_TPM_PRIMARY)
        return empty_at(what.text, err);
    IDM_TPM_COMMAND(tpm, rc,
                    Tss2_Sys_ReadPublic(tpm->sys, handle, NULL, &area, &name, &qualified, NULL));
    if (idm_rc_code(rc) == TPM2_RC_HANDLE)
        return empty_at(what.text, err);
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what.text, err);
    uint8_t own_name[IDM_NAME_SIZE];
    int result = check_name(&area, &name, own_name);
    if (result < 0)
        return idm_fail(err, result, what.text, "%s", why_inconsistent);
    *ret_public = area;
    memcpy(ret_name, own_name, IDM_NAME_SIZE);
    return 0;
}

int idm_tpm_object(struct idm_tpm *tpm, uint32_t handle, enum idm_tpm_role role,
                   struct idm_tpm_object_info *ret, struct idm_error *err)
{
    struct idm_tpm_object_info info = {.what = IDM_OBJECT_EMPTY};
    TPM2B_PUBLIC area;
    int result = idm_tpm_ready(tpm, idm_what_at("read the TPM object at", handle).text, err);
    if (result == 0)
        result = idm_tpm_read_public(tpm, handle, &area, info.name, err);
    if (result < 0 && result != IDM_E_TPM_EMPTY)
        return result;
    if (result == 0) {
        info.what = IDM_OBJECT_STRANGER;
        if (idm_public_is(&area, role))
            info.what = IDM_OBJECT_OURS;
        else if (role == IDM_ROLE_DEVICE && idm_public_is_imported(&area))
            info.what = IDM_OBJECT_IMPORTED;
        info.may_lock = !(area.publicArea.objectAttributes & TPMA_OBJECT_NODA);
        /* A stranger's key may be of a kind that OpenSSL does not know: no key, then. */
        if (area.publicArea.objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT &&
            idm_public_key_info(&area, &info.key) < 0)
            info.key = (struct idm_key_info){0};
    }
    *ret = info;
    return 0;
}

/* ESAPI encrypts salts to the public area that it noted when it read the object, and this version
 * does not check it against the Name that came with it (Esys_TR_GetName computes one from the area,
 * and so proves nothing). Both are taken out again, in the order handle, Name, resource type,
 * public area (tpm2-tss 3.2, IESYS_RESOURCE), and checked.
 *
 * What this cannot see is an interposer that answers with an area and the Name that belongs to it:
 * only the caller, who has the Name in its record, can (idm_tpm_storage_open). */
static int noted_public(struct idm_tpm *tpm, ESYS_TR tr, TPM2B_PUBLIC *ret,
                        uint8_t ret_name[IDM_NAME_SIZE])
{
    TPM2B_NAME name = {0};
    uint8_t *bytes = NULL;
    size_t size = 0;
    size_t offset = sizeof(TPM2_HANDLE);
    int result = IDM_E_TPM_OTHER;
    if (Esys_TR_Serialize(tpm->esys, tr, &bytes, &size) == TSS2_RC_SUCCESS &&
        Tss2_MU_TPM2B_NAME_Unmarshal(bytes, size, &offset, &name) == TSS2_RC_SUCCESS) {
        offset += sizeof(uint32_t);
        if (offset < size && idm_public_parse(bytes + offset, size - offset, ret) == 0)
            result = check_name(ret, &name, ret_name);
    }
    Esys_Free(bytes);
    return result;
}

int idm_tpm_ref_open(struct idm_tpm *tpm, uint32_t handle, struct idm_tpm_ref *ret,
                     TPM2B_PUBLIC *ret_public, struct idm_error *err)
{
    const struct idm_what what = idm_what_at("read the TPM object at", handle);
    ESYS_TR tr = ESYS_TR_NONE;
    TSS2_RC rc;
    IDM_TPM_COMMAND(
        tpm, rc,
        Esys_TR_FromTPMPublic(tpm->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &tr));
    if (idm_rc_code(rc) == TPM2_RC_HANDLE)
        return empty_at(what.text, err);
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what.text, err);
    _cleanup_ref_ struct idm_tpm_ref opened = {.tpm = tpm, .tr = tr};
    TPM2B_PUBLIC area = {0};
    uint8_t name[IDM_NAME_SIZE];
    int result = noted_public(tpm, tr, &area, name);
    if (result < 0)
        return idm_fail(err, result, what.text, "%s", why_inconsistent);
    *ret_public = area;
    *ret = opened;
    opened = (struct idm_tpm_ref)IDM_TPM_REF_EMPTY;
    return 0;
}

static int open_storage(struct idm_tpm *tpm, uint32_t handle, const char *what,
                        struct idm_tpm_ref *ret, uint8_t ret_name[IDM_NAME_SIZE],
                        struct idm_error *err)
{
    TPM2B_PUBLIC area;
    if (handle == IDM_TPM_PRIMARY)
        return idm_tpm_srk_create(tpm, ret, ret_name, err);
    int result = idm_tpm_ref_open(tpm, handle, ret, &area, err);
    if (result < 0)
        return result;
    if (!idm_public_is_storage(&area))
        return idm_fail(err, IDM_E_TPM_TAKEN, what,
                        "the object there is no storage key that idmode can use");
    result = idm_public_name(&area, ret_name);
    return result < 0 ? idm_fail(err, result, what, "no Name") : 0;
}

int idm_tpm_storage_open(struct idm_tpm *tpm, uint32_t handle, const uint8_t wanted[IDM_NAME_SIZE],
                         struct idm_tpm_ref *ret, struct idm_error *err)
{
    const struct idm_what what = idm_what_at("use the parent at", handle);
    _cleanup_ref_ struct idm_tpm_ref opened = IDM_TPM_REF_EMPTY;
    uint8_t name[IDM_NAME_SIZE];
    int result = open_storage(tpm, handle, what.text, &opened, name, err);
    if (result < 0)
        return result;
    bool on_record = wanted && !idm_all_zero(wanted, IDM_NAME_SIZE);
    if (on_record && memcmp(name, wanted, IDM_NAME_SIZE) != 0) {
        (void)idm_fail(err, IDM_E_TPM_OTHER, what.text,
                       "another storage key answers there than the one on record");
        return idm_advise(err,
                          "look who is between idmode and the TPM, or who put an object there"),
               IDM_E_TPM_OTHER;
    }
    *ret = opened;
    opened = (struct idm_tpm_ref)IDM_TPM_REF_EMPTY;
    return 0;
}

int idm_tpm_create(struct idm_tpm *tpm, const struct idm_tpm_ref *parent, ESYS_TR session,
                   const TPM2B_SENSITIVE_CREATE *sensitive, const TPM2B_PUBLIC *template,
                   TPM2B_PUBLIC *ret_public, TPM2B_PRIVATE *ret_private, struct idm_error *err)
{
    static const char what[] = "create an object in the TPM";
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION no_pcr = {0};
    TPM2B_PRIVATE *private_area = NULL;
    TPM2B_PUBLIC *area = NULL;
    TPM2B_CREATION_DATA *data = NULL;
    TPM2B_DIGEST *hash = NULL;
    TPMT_TK_CREATION *ticket = NULL;
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Esys_Create(tpm->esys, parent->tr, session, ESYS_TR_NONE, ESYS_TR_NONE,
                                sensitive, template, &outside, &no_pcr, &private_area, &area, &data,
                                &hash, &ticket));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what, err);
    bool as_asked = idm_public_same_template(area, template);
    if (as_asked) {
        *ret_public = *area;
        *ret_private = *private_area;
    }
    OPENSSL_cleanse(private_area, sizeof *private_area);
    Esys_Free(private_area);
    Esys_Free(area);
    Esys_Free(data);
    Esys_Free(hash);
    Esys_Free(ticket);
    return as_asked ? 0 : idm_fail(err, IDM_E_TPM_OTHER, what, "%s", why_inconsistent);
}

int idm_tpm_load(struct idm_tpm *tpm, const struct idm_tpm_ref *parent, ESYS_TR session,
                 const TPM2B_PUBLIC *public_area, const TPM2B_PRIVATE *private_area,
                 struct idm_tpm_ref *ret, struct idm_error *err)
{
    static const char what[] = "load an object into the TPM";
    ESYS_TR tr = ESYS_TR_NONE;
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Esys_Load(tpm->esys, parent->tr, session, ESYS_TR_NONE, ESYS_TR_NONE,
                              private_area, public_area, &tr));
    if (rc == TSS2_RC_SUCCESS)
        return idm_tpm_ref_take(ret, tpm, tr, err);
    int result = idm_tpm_fail(tpm, rc, what, err);
    return idm_tpm_unfit(rc, result, err);
}

static int make_persistent(struct idm_tpm *tpm, ESYS_TR object, const struct idm_tpm_ref *salt,
                           uint32_t handle, const char *what, struct idm_error *err)
{
    _cleanup_owner_ struct idm_tpm_owner owner = IDM_TPM_OWNER_EMPTY;
    ESYS_TR made = ESYS_TR_NONE;
    int result = idm_tpm_owner_begin(tpm, salt, 0, &owner, err);
    if (result < 0)
        return result;
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Esys_EvictControl(tpm->esys, ESYS_TR_RH_OWNER, object, owner.session,
                                      ESYS_TR_NONE, ESYS_TR_NONE, handle, &made));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what, err);
    if (made != ESYS_TR_NONE)
        (void)Esys_TR_Close(tpm->esys, &made);
    return 0;
}

int idm_tpm_persist(struct idm_tpm *tpm, const struct idm_tpm_ref *object,
                    const struct idm_tpm_ref *salt, uint32_t handle,
                    const uint8_t name[IDM_NAME_SIZE], struct idm_error *err)
{
    const struct idm_what what = idm_what_at("make a TPM object persistent at", handle);
    TPM2B_PUBLIC area;
    uint8_t there[IDM_NAME_SIZE];
    int result = make_persistent(tpm, object->tr, salt, handle, what.text, err);
    if (result == 0)
        result = idm_tpm_read_public(tpm, handle, &area, there, err);
    if (result == 0 && memcmp(there, name, IDM_NAME_SIZE) != 0)
        result = idm_fail(err, IDM_E_TPM_OTHER, what.text, "%s", why_inconsistent);
    return result;
}

static int evict(struct idm_tpm *tpm, uint32_t handle, const char *what, struct idm_error *err)
{
    _cleanup_ref_ struct idm_tpm_ref object = IDM_TPM_REF_EMPTY;
    TPM2B_PUBLIC area;
    int result = idm_tpm_ref_open(tpm, handle, &object, &area, err);
    if (result < 0)
        return result;
    _cleanup_ref_ struct idm_tpm_ref salt = IDM_TPM_REF_EMPTY;
    result = idm_tpm_owner_salt(tpm, &salt, err);
    if (result < 0)
        return result;
    return make_persistent(tpm, object.tr, &salt, handle, what, err);
}

/* The chip's word for it twice: the list, and the object itself. */
static int prove_gone(struct idm_tpm *tpm, uint32_t handle, const char *what, struct idm_error *err)
{
    uint32_t listed = 0;
    TPM2B_PUBLIC area;
    uint8_t name[IDM_NAME_SIZE];
    int result = idm_tpm_first_persistent(tpm, handle, &listed, err);
    if (result < 0)
        return result;
    if (listed != handle)
        result = idm_tpm_read_public(tpm, handle, &area, name, err);
    if (result == 0)
        return idm_fail(err, IDM_E_TPM_OTHER, what, "still there after TPM2_EvictControl");
    return result == IDM_E_TPM_EMPTY ? 0 : result;
}

int idm_tpm_evict(struct idm_tpm *tpm, uint32_t handle, const uint8_t name[IDM_NAME_SIZE],
                  struct idm_error *err)
{
    const struct idm_what what = idm_what_at("evict the TPM object at", handle);
    TPM2B_PUBLIC area;
    uint8_t there[IDM_NAME_SIZE];
    int result = idm_tpm_ready(tpm, what.text, err);
    if (result == 0)
        result = idm_tpm_read_public(tpm, handle, &area, there, err);
    if (result == IDM_E_TPM_EMPTY)
        return 0;
    if (result < 0)
        return result;
    if (memcmp(there, name, IDM_NAME_SIZE) != 0)
        return idm_fail(err, IDM_E_TPM_TAKEN, what.text, "another object is there");
    result = evict(tpm, handle, what.text, err);
    return result < 0 ? result : prove_gone(tpm, handle, what.text, err);
}
