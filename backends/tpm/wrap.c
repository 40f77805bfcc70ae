/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/wrap.h"
#include "backends/tpm/public.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#define SEED_SIZE 32u /* the digest of the parent's Name: SHA-256 */

/* Labels count with their NUL (part 1, 11.4.10.2). */
static const char label_seed[] = "DUPLICATE";
static const char label_cipher[] = "STORAGE";
static const char label_hmac[] = "INTEGRITY";

/* ---- key derivation ---- */

static int derive(const char *kdf_name, OSSL_PARAM *params, uint8_t *ret, size_t size)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, kdf_name, NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    bool good = ctx && EVP_KDF_derive(ctx, ret, size, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return good ? 0 : IDM_E_CRYPTO;
}

#define TEXT(key, text)        OSSL_PARAM_construct_utf8_string((key), (text), 0)
#define OCTETS(key, at, bytes) OSSL_PARAM_construct_octet_string((key), (void *)(at), (bytes))

/* KDFa: SP 800-108 counter mode; OpenSSL writes the NUL behind the label as the separator. */
static int kdf_a(const uint8_t seed[SEED_SIZE], const char *label, const uint8_t *context,
                 size_t context_size, uint8_t *ret, size_t size)
{
    OSSL_PARAM params[] = {TEXT(OSSL_KDF_PARAM_MODE, "counter"),
                           TEXT(OSSL_KDF_PARAM_MAC, "HMAC"),
                           TEXT(OSSL_KDF_PARAM_DIGEST, "SHA256"),
                           OCTETS(OSSL_KDF_PARAM_KEY, seed, SEED_SIZE),
                           OCTETS(OSSL_KDF_PARAM_SALT, label, strlen(label)),
                           OCTETS(OSSL_KDF_PARAM_INFO, context, context_size),
                           OSSL_PARAM_construct_end()};
    return derive("KBKDF", params, ret, size);
}

/* KDFe: SP 800-56A over the shared x coordinate, both parties' x behind the label. */
static int kdf_e(const uint8_t *shared, size_t size, const TPM2B_ECC_PARAMETER *from,
                 const TPM2B_ECC_PARAMETER *to, uint8_t ret_seed[SEED_SIZE])
{
    uint8_t info[sizeof label_seed + sizeof from->buffer + sizeof to->buffer];
    size_t used = sizeof label_seed;
    memcpy(info, label_seed, used);
    memcpy(info + used, from->buffer, from->size);
    used += from->size;
    memcpy(info + used, to->buffer, to->size);
    used += to->size;
    OSSL_PARAM params[] = {TEXT(OSSL_KDF_PARAM_DIGEST, "SHA256"),
                           OCTETS(OSSL_KDF_PARAM_KEY, shared, size),
                           OCTETS(OSSL_KDF_PARAM_INFO, info, used), OSSL_PARAM_construct_end()};
    return derive("SSKDF", params, ret_seed, SEED_SIZE);
}

/* ---- the seed ---- */

static int seed_for_rsa(EVP_PKEY *parent, uint8_t ret_seed[SEED_SIZE], TPM2B_ENCRYPTED_SECRET *ret)
{
    size_t size = sizeof ret->secret;
    void *label = OPENSSL_memdup(label_seed, sizeof label_seed);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, parent, NULL);
    bool good = label && ctx && RAND_bytes(ret_seed, SEED_SIZE) == 1 &&
                EVP_PKEY_encrypt_init(ctx) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1;
    if (good && EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, (int)sizeof label_seed) == 1)
        label = NULL; /* the context's now */
    good = good && !label && EVP_PKEY_encrypt(ctx, ret->secret, &size, ret_seed, SEED_SIZE) == 1;
    ret->size = (uint16_t)size;
    OPENSSL_free(label);
    EVP_PKEY_CTX_free(ctx);
    return good ? 0 : IDM_E_CRYPTO;
}

static bool coordinate(const EVP_PKEY *key, const char *name, size_t size, TPM2B_ECC_PARAMETER *ret)
{
    BIGNUM *number = NULL;
    bool good = EVP_PKEY_get_bn_param(key, name, &number) == 1 &&
                BN_bn2binpad(number, ret->buffer, (int)size) == (int)size;
    ret->size = (uint16_t)size;
    BN_free(number);
    return good;
}

static bool agree(EVP_PKEY *mine, EVP_PKEY *theirs, uint8_t *ret_shared, size_t *size)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, mine, NULL);
    bool good = ctx && EVP_PKEY_derive_init(ctx) == 1 &&
                EVP_PKEY_derive_set_peer(ctx, theirs) == 1 &&
                EVP_PKEY_derive(ctx, ret_shared, size) == 1;
    EVP_PKEY_CTX_free(ctx);
    return good;
}

static int seed_for_ecc(EVP_PKEY *parent, uint8_t ret_seed[SEED_SIZE], TPM2B_ENCRYPTED_SECRET *ret)
{
    size_t size = ((size_t)EVP_PKEY_get_bits(parent) + 7) / 8;
    uint8_t shared[TPM2_MAX_ECC_KEY_BYTES];
    size_t shared_size = sizeof shared;
    TPMS_ECC_POINT point = {0};
    TPM2B_ECC_PARAMETER theirs = {0};
    size_t used = 0;
    int result = IDM_E_CRYPTO;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, parent, NULL);
    EVP_PKEY *mine = NULL;
    bool good = size <= sizeof shared && ctx && EVP_PKEY_keygen_init(ctx) == 1 &&
                EVP_PKEY_generate(ctx, &mine) == 1 &&
                coordinate(mine, OSSL_PKEY_PARAM_EC_PUB_X, size, &point.x) &&
                coordinate(mine, OSSL_PKEY_PARAM_EC_PUB_Y, size, &point.y) &&
                coordinate(parent, OSSL_PKEY_PARAM_EC_PUB_X, size, &theirs) &&
                agree(mine, parent, shared, &shared_size) &&
                Tss2_MU_TPMS_ECC_POINT_Marshal(&point, ret->secret, sizeof ret->secret, &used) ==
                    TSS2_RC_SUCCESS;
    if (good)
        result = kdf_e(shared, shared_size, &point.x, &theirs, ret_seed);
    ret->size = (uint16_t)used;
    OPENSSL_cleanse(shared, sizeof shared);
    EVP_PKEY_free(mine);
    EVP_PKEY_CTX_free(ctx);
    return result;
}

/* ---- the duplicate ---- */

static int encrypt(const uint8_t *key, size_t key_size, const uint8_t *plain, size_t size,
                   uint8_t *ret)
{
    static const uint8_t iv[16] = {0}; /* part 1, 23.3.2.3: each seed is used once */
    const EVP_CIPHER *cipher = key_size == 32 ? EVP_aes_256_cfb128() : EVP_aes_128_cfb128();
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int done = 0;
    bool good = ctx && EVP_EncryptInit_ex(ctx, cipher, NULL, key, iv) == 1 &&
                EVP_EncryptUpdate(ctx, ret, &done, plain, (int)size) == 1 && done == (int)size;
    EVP_CIPHER_CTX_free(ctx);
    return good ? 0 : IDM_E_CRYPTO;
}

/* HMAC ‖ encrypted, the HMAC as TPM2B_DIGEST. */
static int protect(const uint8_t seed[SEED_SIZE], size_t key_size,
                   const uint8_t name[IDM_NAME_SIZE], const uint8_t *plain, size_t size,
                   TPM2B_PRIVATE *ret)
{
    uint8_t key[32];
    uint8_t covered[sizeof(TPM2B_SENSITIVE) + IDM_NAME_SIZE];
    uint8_t *encrypted = ret->buffer + 2 + SEED_SIZE;
    unsigned int mac_size = 0;
    if (2 + SEED_SIZE + size > sizeof ret->buffer)
        return IDM_E_CRYPTO;
    int result = kdf_a(seed, label_cipher, name, IDM_NAME_SIZE, key, key_size);
    if (result == 0)
        result = encrypt(key, key_size, plain, size, encrypted);
    if (result == 0)
        result = kdf_a(seed, label_hmac, NULL, 0, key, SEED_SIZE);
    if (result == 0) {
        memcpy(covered, encrypted, size);
        memcpy(covered + size, name, IDM_NAME_SIZE);
        ret->buffer[0] = 0;
        ret->buffer[1] = SEED_SIZE;
        ret->size = (uint16_t)(2 + SEED_SIZE + size);
        if (!HMAC(EVP_sha256(), key, SEED_SIZE, covered, size + IDM_NAME_SIZE, ret->buffer + 2,
                  &mac_size))
            result = IDM_E_CRYPTO;
    }
    OPENSSL_cleanse(key, sizeof key);
    return result;
}

/* Bytes of the parent's AES key; 0: it is no parent that this file can wrap for. */
static size_t cipher_key_size(const TPMT_PUBLIC *parent)
{
    const TPMT_SYM_DEF_OBJECT *cipher = &parent->parameters.asymDetail.symmetric;
    bool fits = parent->nameAlg == TPM2_ALG_SHA256 && cipher->algorithm == TPM2_ALG_AES &&
                cipher->mode.aes == TPM2_ALG_CFB;
    return fits && (cipher->keyBits.aes == 128 || cipher->keyBits.aes == 256)
               ? cipher->keyBits.aes / 8u
               : 0;
}

int idm_wrap(const TPM2B_PUBLIC *parent, const TPM2B_PUBLIC *object,
             const TPM2B_SENSITIVE *sensitive, struct idm_wrapped *ret)
{
    uint8_t seed[SEED_SIZE];
    uint8_t name[IDM_NAME_SIZE];
    uint8_t plain[sizeof(TPM2B_SENSITIVE)];
    size_t size = 0;
    size_t key_size = cipher_key_size(&parent->publicArea);
    struct idm_wrapped wrapped = {0};
    EVP_PKEY *key = NULL;
    int result = key_size ? idm_public_evp(parent, &key) : IDM_E_CORRUPT;
    if (result == 0)
        result = parent->publicArea.type == TPM2_ALG_RSA ? seed_for_rsa(key, seed, &wrapped.seed)
                                                         : seed_for_ecc(key, seed, &wrapped.seed);
    if (result == 0)
        result = idm_public_name(object, name);
    if (result == 0 &&
        Tss2_MU_TPM2B_SENSITIVE_Marshal(sensitive, plain, sizeof plain, &size) != TSS2_RC_SUCCESS)
        result = IDM_E_CRYPTO;
    if (result == 0)
        result = protect(seed, key_size, name, plain, size, &wrapped.duplicate);
    if (result == 0)
        *ret = wrapped;
    OPENSSL_cleanse(plain, sizeof plain);
    OPENSSL_cleanse(seed, sizeof seed);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return result;
}
