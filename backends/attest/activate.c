/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/attest/internal.h"

#include <openssl/crypto.h>
#include <string.h>

static const char what_activate[] = "activate the credential";

/* Salted with the endorsement key, so that the secret does not cross the bus in the clear. It ends with the
 * command that it authorises. */
static int policy_session(struct idm_tpm *tpm, const struct idm_tpm_ref *ek, TPMI_ALG_HASH hash,
                          struct idm_tpm_ref *ret, struct idm_error *err)
{
    const TPMT_SYM_DEF cipher = {
        .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Esys_StartAuthSession(tpm->esys, ek->tr, ESYS_TR_NONE, ESYS_TR_NONE,
                                          ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_POLICY, &cipher,
                                          hash, &session));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, "start a TPM policy session", err);
    _cleanup_ref_ struct idm_tpm_ref opened = IDM_TPM_REF_EMPTY;
    int result = idm_tpm_ref_take(&opened, tpm, session, err);
    if (result)
        return result;
    rc = Esys_TRSess_SetAttributes(tpm->esys, session, TPMA_SESSION_ENCRYPT, 0xff);
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what_activate, err);
    *ret = opened;
    opened = (struct idm_tpm_ref)IDM_TPM_REF_EMPTY;
    return 0;
}

static int satisfy(struct idm_tpm *tpm, ESYS_TR session, enum idm_ek_policy policy,
                   TPMI_ALG_HASH hash, struct idm_error *err)
{
    TPML_DIGEST branches;
    TSS2_RC rc;
    if (policy == IDM_EK_POLICY_OTHER)
        return idm_fail(err, IDM_E_REFUSED, what_activate,
                        "the endorsement key has a policy that idmode does not know");
    if (policy == IDM_EK_POLICY_NONE)
        return 0;
    IDM_TPM_COMMAND(tpm, rc,
                    Esys_PolicySecret(tpm->esys, ESYS_TR_RH_ENDORSEMENT, session, ESYS_TR_PASSWORD,
                                      ESYS_TR_NONE, ESYS_TR_NONE, NULL, NULL, NULL, 0, NULL, NULL));
    if (rc == TSS2_RC_SUCCESS && policy == IDM_EK_POLICY_B) {
        idm_ek_policy_branches(hash, &branches);
        IDM_TPM_COMMAND(
            tpm, rc,
            Esys_PolicyOR(tpm->esys, session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &branches));
    }
    if (rc == TSS2_RC_SUCCESS)
        return 0;
    int result = idm_tpm_fail(tpm, rc, what_activate, err);
    if (result == IDM_E_TPM_OWNED)
        (void)idm_advise(err, "the endorsement hierarchy has an authorisation that is not empty");
    return result;
}

/* A credential that is for another chip, another key, or damaged is at fault itself: these answers name a
 * parameter. libtpms says "failure" of an RSA block that it cannot decrypt, without being in failure mode. */
static int refused(struct idm_tpm *tpm, TSS2_RC rc, struct idm_error *err)
{
    int result = idm_tpm_fail(tpm, rc, what_activate, err);
    bool blamed = idm_rc_format1(rc) || idm_rc_code(rc) == TPM2_RC_FAILURE;
    if (result != IDM_E_TPM_OTHER || !blamed)
        return result;
    (void)idm_fail(
        err, IDM_E_REFUSED, what_activate,
        "it was not made for this chip and this attestation key, or it is damaged (0x%x)", rc);
    return idm_advise(err, "make it for the EK and the AK that idmode attest ek and ak print"),
           IDM_E_REFUSED;
}

static int open_it(struct idm_tpm *tpm, ESYS_TR ak, const struct idm_tpm_ref *ek,
                   const TPM2B_PUBLIC *area, const struct idm_credential *credential,
                   struct idm_attest_challenge *ret, struct idm_error *err)
{
    TPMI_ALG_HASH hash = area->publicArea.nameAlg;
    enum idm_ek_policy policy = idm_ek_policy_of(area);
    _cleanup_ref_ struct idm_tpm_ref session = IDM_TPM_REF_EMPTY;
    int result = policy_session(tpm, ek, hash, &session, err);
    if (result == 0)
        result = satisfy(tpm, session.tr, policy, hash, err);
    if (result)
        return result;
    TPM2B_DIGEST *secret = NULL;
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Esys_ActivateCredential(tpm->esys, ak, ek->tr, ESYS_TR_PASSWORD, session.tr,
                                            ESYS_TR_NONE, &credential->blob, &credential->secret,
                                            &secret));
    if (rc != TSS2_RC_SUCCESS)
        return refused(tpm, rc, err);
    idm_tpm_release(tpm, session.loaded); /* it ended with the command */
    session.loaded = 0;
    if (secret->size > 0 && secret->size <= sizeof ret->secret) {
        memcpy(ret->secret, secret->buffer, secret->size);
        ret->secret_size = secret->size;
    } else {
        result = idm_fail(err, IDM_E_REFUSED, what_activate, "there is no secret in it");
    }
    OPENSSL_cleanse(secret, sizeof *secret);
    Esys_Free(secret);
    return result;
}

/* Could a credential of this shape be for that kind? */
static bool fits(const struct idm_ek_kind *kind, const struct idm_credential *credential)
{
    static const struct {
        uint16_t curve, low, high;
    } curves[] = {
        {TPM2_ECC_NIST_P256, 0, 32}, {TPM2_ECC_NIST_P384, 32, 48}, {TPM2_ECC_NIST_P521, 48, 66}};
    if (kind->type != credential->type || kind->hash != credential->hash)
        return false;
    if (kind->type == TPM2_ALG_RSA)
        return kind->size / 8 == credential->key_size;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (kind->size == curves[i].curve)
            return credential->key_size > curves[i].low && credential->key_size <= curves[i].high;
    return false;
}

/* Chips take up to half a minute to make an RSA key again. Where a maker or an installer left it in its slot
 * (TCG TPM v2.0 Provisioning Guidance, 7.8), that is tried first; it proves itself by what it decrypts. */
#define EK_HANDLE 0x81010001u

static int try_slot(struct idm_tpm *tpm, ESYS_TR ak, const TPM2B_PUBLIC *template,
                    const struct idm_credential *credential, struct idm_attest_challenge *ret,
                    struct idm_error *err)
{
    _cleanup_ref_ struct idm_tpm_ref ek = IDM_TPM_REF_EMPTY;
    TPM2B_PUBLIC area;
    if (idm_tpm_ref_open(tpm, EK_HANDLE, &ek, &area, NULL) ||
        !idm_public_same_template(&area, template))
        return IDM_E_REFUSED;
    return open_it(tpm, ak, &ek, &area, credential, ret, err);
}

static int try_kind(struct idm_tpm *tpm, ESYS_TR ak, struct idm_nv_list *list,
                    const struct idm_ek_kind *kind, const struct idm_credential *credential,
                    struct idm_attest_challenge *ret, struct idm_error *err)
{
    TPM2B_PUBLIC template;
    TPM2B_PUBLIC area;
    _cleanup_ref_ struct idm_tpm_ref ek = IDM_TPM_REF_EMPTY;
    int rc = idm_ek_template_of(tpm, list, kind, &template, err);
    if (rc)
        return rc;
    rc = kind->type == TPM2_ALG_RSA ? try_slot(tpm, ak, &template, credential, ret, err)
                                    : IDM_E_REFUSED;
    if (rc != IDM_E_REFUSED)
        return rc;
    rc = idm_ek_make(tpm, &template, &ek, &area, err);
    return rc ? rc : open_it(tpm, ak, &ek, &area, credential, ret, err);
}

/* The high range is tried where the chip has a certificate for it: else it is nobody's EK. */
static bool may_be_for(const struct idm_ek_kind *kind, const struct idm_nv_list *list,
                       const struct idm_credential *credential)
{
    return fits(kind, credential) && (!kind->high || idm_nv_has(list, kind->certificate));
}

int idm_ak_activate(struct idm_tpm *tpm, uint32_t ak, const struct idm_credential *credential,
                    struct idm_attest_challenge *ret, struct idm_error *err)
{
    _cleanup_ref_ struct idm_tpm_ref key = IDM_TPM_REF_EMPTY;
    TPM2B_PUBLIC area;
    struct idm_nv_list list;
    int rc = idm_nv_list(tpm, &list, err);
    if (rc == 0)
        rc = idm_tpm_ref_open(tpm, ak, &key, &area, err);
    if (rc)
        return rc;
    rc = idm_fail(err, IDM_E_REFUSED, what_activate,
                  "it is for a kind of endorsement key that this chip has no certificate for");
    for (size_t i = 0; i < IDM_EK_KINDS && rc == IDM_E_REFUSED; i++)
        if (may_be_for(&idm_ek_kinds[i], &list, credential))
            rc = try_kind(tpm, key.tr, &list, &idm_ek_kinds[i], credential, ret, err);
    return rc;
}
