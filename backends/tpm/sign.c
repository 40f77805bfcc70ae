/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/internal.h"

#include <openssl/ecdsa.h>
#include <openssl/sha.h>
#include <string.h>

static const char what_sign[] = "sign with the TPM";
static const char what_public[] = "read the TPM's public key";

/* The number of commands is the cost: exactly TPM2_Sign by handle, Load, Sign and FlushContext by
 * file; two more where the parent is made for it. */

static bool digest_of(enum idm_digest digest, const uint8_t *hash, TPM2B_DIGEST *ret,
                      TPMI_ALG_HASH *ret_algorithm)
{
    switch (digest) {
    case IDM_SHA256:
        *ret_algorithm = TPM2_ALG_SHA256;
        ret->size = SHA256_DIGEST_LENGTH;
        break;
    case IDM_SHA384:
        *ret_algorithm = TPM2_ALG_SHA384;
        ret->size = SHA384_DIGEST_LENGTH;
        break;
    case IDM_SHA512:
        *ret_algorithm = TPM2_ALG_SHA512;
        ret->size = SHA512_DIGEST_LENGTH;
        break;
    default:
        return false;
    }
    memcpy(ret->buffer, hash, ret->size);
    return true;
}

/* DER of SEQUENCE { r, s }, each INTEGER as short as it can be (RFC 3279, 2.2.3). */
static int encode_ecdsa(const TPMS_SIGNATURE_ECC *from, struct idm_signature *ret)
{
    struct idm_signature signature = {0};
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(from->signatureR.buffer, from->signatureR.size, NULL);
    BIGNUM *s = BN_bin2bn(from->signatureS.buffer, from->signatureS.size, NULL);
    int result = IDM_E_CRYPTO;
    if (sig && r && s && ECDSA_SIG_set0(sig, r, s)) {
        r = NULL;
        s = NULL;
        uint8_t *end = signature.data;
        int size = i2d_ECDSA_SIG(sig, NULL);
        if (size > 0 && (size_t)size <= sizeof signature.data && i2d_ECDSA_SIG(sig, &end) == size) {
            signature.size = (size_t)size;
            *ret = signature;
            result = 0;
        }
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return result;
}

static int encode(const TPMT_SIGNATURE *from, TPMI_ALG_SIG_SCHEME expected,
                  struct idm_signature *ret)
{
    /* rsassa and rsapss are one and the same structure (part 2, 11.2.1) */
    const TPM2B_PUBLIC_KEY_RSA *rsa = &from->signature.rsassa.sig;
    if (from->sigAlg != expected)
        return IDM_E_TPM_OTHER;
    if (expected == TPM2_ALG_ECDSA)
        return encode_ecdsa(&from->signature.ecdsa, ret);
    if (rsa->size > sizeof ret->data)
        return IDM_E_TPM_OTHER;
    *ret = (struct idm_signature){.size = rsa->size};
    memcpy(ret->data, rsa->buffer, rsa->size);
    return 0;
}

struct job {
    TPM2B_DIGEST digest;
    TPMT_SIG_SCHEME scheme;
};

/* ECDSA takes as many leading bits of a digest as the group's order has (FIPS 186-5, 6.4.1): a longer
 * digest, cut here, gives the very same signatures, also in chips that know no SHA-384 or SHA-512. */
static enum idm_digest fitting(enum idm_algorithm algorithm, enum idm_digest digest)
{
    if (algorithm == IDM_ECDSA_P256)
        return IDM_SHA256;
    return algorithm == IDM_ECDSA_P384 && digest == IDM_SHA512 ? IDM_SHA384 : digest;
}

static bool job_of(const struct idm_signer *signer, enum idm_digest digest, const uint8_t *hash,
                   struct job *ret)
{
    TPMI_ALG_HASH algorithm;
    bool rsa = signer->algorithm == IDM_RSA_2048;
    *ret = (struct job){0};
    if (signer->algorithm == IDM_ALG_NONE || (signer->pss && !rsa) ||
        !digest_of(fitting(signer->algorithm, digest), hash, &ret->digest, &algorithm))
        return false;
    ret->scheme.scheme = !rsa ? TPM2_ALG_ECDSA : signer->pss ? TPM2_ALG_RSAPSS : TPM2_ALG_RSASSA;
    ret->scheme.details.any.hashAlg = algorithm;
    return true;
}

static int sign_at(struct idm_tpm *tpm, uint32_t handle, const struct job *job,
                   struct idm_signature *ret, struct idm_error *err)
{
    /* The key is not restricted, so no proof that the TPM made the digest (part 3, 20.2). */
    const TPMT_TK_HASHCHECK no_ticket = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};
    TSS2L_SYS_AUTH_RESPONSE response = {0};
    TPMT_SIGNATURE signature = {0};
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Tss2_Sys_Sign(tpm->sys, handle, &idm_tpm_empty_password, &job->digest,
                                  &job->scheme, &no_ticket, &signature, &response));
    if (rc != TSS2_RC_SUCCESS) {
        int code = idm_tpm_fail(tpm, rc, what_sign, err);
        return idm_rc_code(rc) == TPM2_RC_HANDLE ? code : idm_tpm_unfit(rc, code, err);
    }
    int result = encode(&signature, job->scheme.scheme, ret);
    return result < 0 ? idm_fail(err, result, what_sign, "no signature of the kind asked for") : 0;
}

static int load_under(struct idm_tpm *tpm, const struct idm_tss2_key *key, uint32_t parent,
                      uint32_t *ret_handle, struct idm_error *err)
{
    TSS2L_SYS_AUTH_RESPONSE response = {0};
    TPM2B_NAME name = {.size = sizeof name.name};
    TPM2_HANDLE handle = 0;
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Tss2_Sys_Load(tpm->sys, parent, &idm_tpm_empty_password, &key->private_area,
                                  &key->public_area, &handle, &name, &response));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_unfit(rc, idm_tpm_fail(tpm, rc, "load the key file into the TPM", err), err);
    idm_tpm_hold(tpm, handle);
    *ret_handle = handle;
    return 0;
}

int idm_tpm_load_file(struct idm_tpm *tpm, const struct idm_tss2_key *key, uint32_t parent,
                      uint32_t *ret_handle, struct idm_error *err)
{
    _cleanup_ref_ struct idm_tpm_ref primary = IDM_TPM_REF_EMPTY;
    uint8_t name[IDM_NAME_SIZE];
    if (parent != IDM_TPM_PRIMARY)
        return load_under(tpm, key, parent, ret_handle, err);
    int result = idm_tpm_srk_create(tpm, &primary, name, err);
    return result < 0 ? result : load_under(tpm, key, primary.loaded, ret_handle, err);
}

static int sign_by_file(struct idm_tpm *tpm, const struct idm_tss2_key *key, uint32_t parent,
                        const struct job *job, struct idm_signature *ret, struct idm_error *err)
{
    uint32_t handle = 0;
    int result = idm_tpm_load_file(tpm, key, parent, &handle, err);
    if (result < 0)
        return result;
    result = sign_at(tpm, handle, job, ret, err);
    idm_tpm_flush(tpm, handle);
    return result;
}

int idm_tpm_sign(struct idm_tpm *tpm, const struct idm_signer *signer, enum idm_digest digest,
                 const uint8_t *hash, struct idm_signature *ret, struct idm_error *err)
{
    struct job job;
    struct idm_tss2_key key;
    if (signer->kind == IDM_SIGNER_SOFTWARE || !job_of(signer, digest, hash, &job))
        return idm_fail(err, IDM_E_USAGE, what_sign, "no TPM key, algorithm or digest");
    int result = 0;
    if (signer->kind == IDM_SIGNER_FILE)
        result = idm_tss2_decode(signer->key, &key, err);
    if (result == 0)
        result = idm_tpm_ready(tpm, what_sign, err);
    if (result < 0)
        return result;
    return signer->kind == IDM_SIGNER_FILE ? sign_by_file(tpm, &key, signer->handle, &job, ret, err)
                                           : sign_at(tpm, signer->handle, &job, ret, err);
}

int idm_tpm_public_key(struct idm_tpm *tpm, const struct idm_signer *signer, EVP_PKEY **ret,
                       struct idm_error *err)
{
    struct idm_tss2_key key;
    uint8_t name[IDM_NAME_SIZE];
    int result = IDM_E_USAGE;
    if (signer->kind == IDM_SIGNER_SOFTWARE)
        return idm_fail(err, result, what_public, "not a TPM key");
    if (signer->kind == IDM_SIGNER_FILE) {
        result = idm_tss2_decode(signer->key, &key, err);
    } else {
        result = idm_tpm_ready(tpm, what_public, err);
        if (result == 0)
            result = idm_tpm_read_public(tpm, signer->handle, &key.public_area, name, err);
    }
    if (result < 0)
        return result;
    result = idm_public_evp(&key.public_area, ret);
    return result < 0 ? idm_fail(err, result, what_public, "%s", idm_error_sentence(result)) : 0;
}
