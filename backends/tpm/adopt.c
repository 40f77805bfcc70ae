/* SPDX-License-Identifier: BSD-2-Clause */
/* adopt.c - may a key that somebody else made in this chip be the device's? */
#include "backends/software/key.h"
#include "backends/tpm/internal.h"

#include <string.h>

static const char what[] = "look at the key";

/* EVE's and tpm2-tools' keys are bound to ECDSA or RSASSA with SHA-256, which is what idmode signs. */
static bool scheme_fits(const TPMT_PUBLIC *key)
{
    const TPMT_ASYM_SCHEME *scheme = &key->parameters.asymDetail.scheme;
    TPMI_ALG_ASYM_SCHEME ours = key->type == TPM2_ALG_RSA ? TPM2_ALG_RSASSA : TPM2_ALG_ECDSA;
    if (scheme->scheme == TPM2_ALG_NULL)
        return true;
    return scheme->scheme == ours && scheme->details.anySig.hashAlg == TPM2_ALG_SHA256;
}

/* NULL, or why not (attributes: part 2, 8.3.3). */
static const char *obstacle(const TPM2B_PUBLIC *area, bool imported)
{
    const TPMT_PUBLIC *key = &area->publicArea;
    TPMA_OBJECT has = key->objectAttributes;
    TPMA_OBJECT here = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_SENSITIVEDATAORIGIN;
    if (!(has & TPMA_OBJECT_SIGN_ENCRYPT) || has & TPMA_OBJECT_RESTRICTED)
        return "it cannot sign what it is given: sign, and not restricted, are needed";
    if (idm_public_algorithm(area) == IDM_ALG_NONE || key->nameAlg != TPM2_ALG_SHA256)
        return "it is no P-256, P-384 or RSA-2048 key with a SHA-256 Name";
    if (!scheme_fits(key))
        return "it is bound to another signature scheme than ECDSA or RSASSA with SHA-256";
    if (!(has & TPMA_OBJECT_NODA))
        return "it lacks noDA: a few power cuts while it is in use lock it out";
    if (!(has & TPMA_OBJECT_USERWITHAUTH))
        return "it signs under a policy only: userWithAuth is needed";
    if ((has & here) != here && !imported)
        return "its private part may exist outside of this TPM (no fixedTPM, or no "
               "sensitiveDataOrigin): say --imported";
    return NULL;
}

static int read_area(struct idm_tpm *tpm, const struct idm_signer *signer, TPM2B_PUBLIC *ret,
                     struct idm_error *err)
{
    uint8_t name[IDM_NAME_SIZE];
    if (signer->kind == IDM_SIGNER_HANDLE) {
        int result = idm_tpm_ready(tpm, what, err);
        return result < 0 ? result : idm_tpm_read_public(tpm, signer->handle, ret, name, err);
    }
    struct idm_tss2_key key;
    int result = idm_tss2_decode(signer->key, &key, err);
    if (result == 0)
        *ret = key.public_area;
    return result;
}

/* The empty authorisation opens it, the parent is the right one, and the halves belong together. */
static int prove(struct idm_tpm *tpm, const struct idm_signer *signer, const TPM2B_PUBLIC *area,
                 struct idm_error *err)
{
    static const uint8_t probe[IDM_SHA256_SIZE] = "idmode probe of a key v1";
    struct idm_signature signature;
    EVP_PKEY *key = NULL;
    int result = idm_public_evp(area, &key);
    if (result < 0)
        return idm_fail(err, result, what, "%s", idm_error_sentence(result));
    result = idm_tpm_sign(tpm, signer, IDM_SHA256, probe, &signature, err);
    if (result == 0)
        result = idm_public_verify(key, IDM_SHA256, probe, &signature, err);
    EVP_PKEY_free(key);
    return result;
}

int idm_tpm_key_check(struct idm_tpm *tpm, const struct idm_signer *signer, bool imported,
                      struct idm_tpm_object_info *ret, struct idm_error *err)
{
    struct idm_tpm_object_info info = {.what = IDM_OBJECT_STRANGER};
    struct idm_signer as = *signer;
    TPM2B_PUBLIC area;
    if (signer->kind == IDM_SIGNER_SOFTWARE)
        return idm_fail(err, IDM_E_USAGE, what, "not a TPM key");
    int result = read_area(tpm, signer, &area, err);
    if (result < 0)
        return result;
    const char *why = obstacle(&area, imported);
    if (why)
        return idm_fail(err, IDM_E_REFUSED, what, "%s", why);
    as.algorithm = idm_public_algorithm(&area);
    result = prove(tpm, &as, &area, err);
    if (result == 0)
        result = idm_public_name(&area, info.name);
    if (result == 0)
        result = idm_public_key_info(&area, &info.key);
    if (result < 0)
        return result;
    if (idm_public_is(&area, IDM_ROLE_DEVICE))
        info.what = IDM_OBJECT_OURS;
    else if (idm_public_is_imported(&area))
        info.what = IDM_OBJECT_IMPORTED;
    *ret = info;
    return 0;
}
