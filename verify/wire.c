/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/wire.h"

#include "backends/software/key.h"
#include "backends/software/ossl.h"
#include "backends/tpm/public.h"
#include "verify/kdf.h"

#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <string.h>
#include <tss2/tss2_mu.h>

/* ---- parsers: read, write again, compare ---- */

#define PARSER(function, type, mu)                                                                 \
    int function(const struct idm_bytes *bytes, type *ret)                                         \
    {                                                                                              \
        type found = {0};                                                                          \
        uint8_t again[sizeof(type)];                                                               \
        size_t end = 0;                                                                            \
        size_t size = 0;                                                                           \
        if (Tss2_MU_##mu##_Unmarshal(bytes->data, bytes->size, &end, &found) != TSS2_RC_SUCCESS || \
            end != bytes->size ||                                                                  \
            Tss2_MU_##mu##_Marshal(&found, again, sizeof again, &size) != TSS2_RC_SUCCESS ||       \
            size != bytes->size || memcmp(again, bytes->data, size) != 0)                          \
            return IDM_E_CORRUPT;                                                                  \
        *ret = found;                                                                              \
        return 0;                                                                                  \
    }
PARSER(idm_wire_attest, TPMS_ATTEST, TPMS_ATTEST)
PARSER(idm_wire_signature, TPMT_SIGNATURE, TPMT_SIGNATURE)
PARSER(idm_wire_nv_public, TPM2B_NV_PUBLIC, TPM2B_NV_PUBLIC)
#undef PARSER

int idm_wire_public(const struct idm_bytes *bytes, TPM2B_PUBLIC *ret)
{
    return bytes->size ? idm_public_parse(bytes->data, bytes->size, ret) : IDM_E_CORRUPT;
}

/* ---- Names ---- */

static int hash_name(TPM2_ALG_ID algorithm, const void *first, size_t first_size,
                     const void *second, size_t second_size, TPM2B_NAME *ret)
{
    TPM2B_NAME name = {0};
    size_t size = 0;
    unsigned int written = 0;
    const char *digest = idm_digest_name(algorithm, &size);
    if (!digest)
        return IDM_E_CORRUPT;
    name.name[0] = (uint8_t)(algorithm >> 8);
    name.name[1] = (uint8_t)(algorithm & 0xff);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD *md = algorithm == TPM2_ALG_SHA256   ? EVP_sha256()
                       : algorithm == TPM2_ALG_SHA384 ? EVP_sha384()
                                                      : EVP_sha512();
    bool good = ctx && EVP_DigestInit_ex2(ctx, md, NULL) == 1 &&
                EVP_DigestUpdate(ctx, first, first_size) == 1 &&
                EVP_DigestUpdate(ctx, second, second_size) == 1 &&
                EVP_DigestFinal_ex(ctx, name.name + 2, &written) == 1 && written == size;
    EVP_MD_CTX_free(ctx);
    if (!good)
        return IDM_E_CRYPTO;
    name.size = (UINT16)(2 + size);
    *ret = name;
    return 0;
}

int idm_wire_name(const TPM2B_PUBLIC *area, TPM2B_NAME *ret)
{
    uint8_t bytes[sizeof *area];
    size_t size = 0;
    if (Tss2_MU_TPMT_PUBLIC_Marshal(&area->publicArea, bytes, sizeof bytes, &size) !=
        TSS2_RC_SUCCESS)
        return IDM_E_CORRUPT;
    return hash_name(area->publicArea.nameAlg, bytes, size, "", 0, ret);
}

int idm_wire_nv_name(const TPM2B_NV_PUBLIC *area, TPM2B_NAME *ret)
{
    uint8_t bytes[sizeof *area];
    size_t size = 0;
    if (Tss2_MU_TPMS_NV_PUBLIC_Marshal(&area->nvPublic, bytes, sizeof bytes, &size) !=
        TSS2_RC_SUCCESS)
        return IDM_E_CORRUPT;
    return hash_name(area->nvPublic.nameAlg, bytes, size, "", 0, ret);
}

int idm_wire_qualified(const TPM2B_NAME *parent, const TPM2B_NAME *name, TPM2B_NAME *ret)
{
    if (name->size < 2)
        return IDM_E_CORRUPT;
    TPM2_ALG_ID algorithm = (TPM2_ALG_ID)(name->name[0] << 8 | name->name[1]);
    return hash_name(algorithm, parent->name, parent->size, name->name, name->size, ret);
}

void idm_wire_hierarchy(TPM2_HANDLE hierarchy, TPM2B_NAME *ret)
{
    *ret = (TPM2B_NAME){.size = sizeof hierarchy};
    for (int i = 0; i < 4; i++)
        ret->name[i] = (uint8_t)(hierarchy >> (24 - 8 * i));
}

bool idm_wire_same_name(const TPM2B_NAME *a, const TPM2B_NAME *b)
{
    return a->size == b->size && a->size > 0 && a->size <= sizeof a->name &&
           memcmp(a->name, b->name, a->size) == 0;
}

/* RFC 5480, 2: a P-256 key's SubjectPublicKeyInfo up to its point, uncompressed. OpenSSL's encoder takes a third
 * as long for it as a signature. */
int idm_wire_spki(const TPM2B_PUBLIC *area, const EVP_PKEY *key, struct idm_bytes *ret)
{
    static const uint8_t p256[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                   0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                   0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
    uint8_t spki[sizeof p256 + 64];
    const TPMS_ECC_POINT *point = &area->publicArea.unique.ecc;
    if (area->publicArea.type != TPM2_ALG_ECC ||
        area->publicArea.parameters.eccDetail.curveID != TPM2_ECC_NIST_P256 ||
        point->x.size != 32 || point->y.size != 32)
        return idm_public_spki(key, ret, NULL);
    memcpy(spki, p256, sizeof p256);
    memcpy(spki + sizeof p256, point->x.buffer, 32);
    memcpy(spki + sizeof p256 + 32, point->y.buffer, 32);
    return idm_bytes_set(ret, spki, sizeof spki);
}

/* ---- signatures ---- */

/* The scheme and hash that every signature of this key must have; 0: not a key that prescribes one. */
static TPMI_ALG_SIG_SCHEME scheme_of(const TPMT_PUBLIC *area, TPM2_ALG_ID *ret_hash)
{
    /* Both kinds of key begin with symmetric and scheme, and every scheme with its hash. */
    const TPMT_ASYM_SCHEME *scheme = &area->parameters.asymDetail.scheme;
    bool known = (area->type == TPM2_ALG_ECC && scheme->scheme == TPM2_ALG_ECDSA) ||
                 (area->type == TPM2_ALG_RSA &&
                  (scheme->scheme == TPM2_ALG_RSASSA || scheme->scheme == TPM2_ALG_RSAPSS));
    *ret_hash = scheme->details.anySig.hashAlg;
    return known ? scheme->scheme : 0;
}

/* DER of an ECDSA signature (RFC 3279, 2.2.3). */
static size_t ecdsa_der(const TPMS_SIGNATURE_ECC *signature, uint8_t ret[IDM_SIG_MAX])
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature->signatureR.buffer, signature->signatureR.size, NULL);
    BIGNUM *s = BN_bin2bn(signature->signatureS.buffer, signature->signatureS.size, NULL);
    int size = 0;
    if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
        r = s = NULL;
        size = i2d_ECDSA_SIG(pair, NULL) <= (int)IDM_SIG_MAX ? i2d_ECDSA_SIG(pair, &ret) : 0;
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return size > 0 ? (size_t)size : 0;
}

static bool good_padding(EVP_PKEY_CTX *ctx, TPMI_ALG_SIG_SCHEME scheme)
{
    if (scheme == TPM2_ALG_RSASSA)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0;
    if (scheme == TPM2_ALG_RSAPSS) /* chips choose the salt's length: FIPS ones another */
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_AUTO) > 0;
    return true;
}

static int verify_digest(EVP_PKEY *key, TPMI_ALG_SIG_SCHEME scheme, const EVP_MD *md,
                         const uint8_t *hash, const uint8_t *signature, size_t size)
{
    _cleanup_pkey_ctx_ EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (!ctx || EVP_PKEY_verify_init(ctx) <= 0 || !good_padding(ctx, scheme) ||
        EVP_PKEY_CTX_set_signature_md(ctx, md) <= 0)
        return IDM_E_CRYPTO;
    return EVP_PKEY_verify(ctx, signature, size, hash, (size_t)EVP_MD_get_size(md)) == 1
               ? 0
               : IDM_E_MISMATCH;
}

int idm_wire_verify(EVP_PKEY *key, const TPM2B_PUBLIC *area, const void *message, size_t size,
                    const TPMT_SIGNATURE *signature)
{
    _ossl_queue_ bool queue = idm_ossl_begin();
    TPM2_ALG_ID hash = 0;
    TPMI_ALG_SIG_SCHEME scheme = scheme_of(&area->publicArea, &hash);
    uint8_t digest[EVP_MAX_MD_SIZE];
    uint8_t der[IDM_SIG_MAX];
    const uint8_t *data = der;
    size_t data_size = 0;
    const EVP_MD *md = hash == TPM2_ALG_SHA256   ? EVP_sha256()
                       : hash == TPM2_ALG_SHA384 ? EVP_sha384()
                       : hash == TPM2_ALG_SHA512 ? EVP_sha512()
                                                 : NULL;
    if (scheme == 0 || !md)
        return IDM_E_CORRUPT;
    if (signature->sigAlg != scheme || signature->signature.any.hashAlg != hash)
        return IDM_E_MISMATCH;
    if (scheme == TPM2_ALG_ECDSA) {
        data_size = ecdsa_der(&signature->signature.ecdsa, der);
    } else {
        /* RSASSA and RSAPSS have the same fields. */
        data = signature->signature.rsassa.sig.buffer;
        data_size = signature->signature.rsassa.sig.size;
    }
    if (EVP_Digest(message, size, digest, NULL, md, NULL) != 1)
        return IDM_E_CRYPTO;
    return verify_digest(key, scheme, md, digest, data, data_size);
}
