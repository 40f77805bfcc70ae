/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/credential.h"

#include "backends/software/ossl.h"
#include "backends/tpm/public.h"
#include "verify/kdf.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#define FILE_MAGIC   0xBADCC0DEu
#define FILE_VERSION 1u
#define IDENTITY     "IDENTITY"
#define SEED_MAX     TPM2_SHA512_DIGEST_SIZE
#define AES_KEY_MAX  32u
#define P521_BYTES   66u

static const char what[] = "make a credential";

struct seed {
    uint8_t bytes[SEED_MAX];
    size_t size; /* of the EK's Name digest */
    const char *digest;
    unsigned int algorithm;
};

static int fail(struct idm_error *err, const char *why)
{
    return idm_ossl_fail(err, IDM_E_CRYPTO, what, why);
}

/* ---- the seed, to an RSA key ---- */

static int seed_to_rsa(EVP_PKEY *ek, struct seed *seed, TPM2B_ENCRYPTED_SECRET *ret,
                       struct idm_error *err)
{
    _cleanup_pkey_ctx_ EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ek, NULL);
    char *label = OPENSSL_memdup(IDENTITY, sizeof IDENTITY); /* its NUL is part of it: B.4 */
    size_t size = sizeof ret->secret;
    if (!label || RAND_priv_bytes(seed->bytes, (int)seed->size) != 1 || !ctx ||
        EVP_PKEY_encrypt_init(ctx) <= 0 ||
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) <= 0 ||
        EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, seed->digest, NULL) <= 0 ||
        EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, sizeof IDENTITY) <= 0) {
        OPENSSL_free(label);
        return fail(err, "OAEP cannot be set up");
    }
    if (EVP_PKEY_encrypt(ctx, ret->secret, &size, seed->bytes, seed->size) <= 0)
        return fail(err, "OAEP failed");
    ret->size = (UINT16)size;
    return 0;
}

/* ---- the seed, to an ECC key ---- */

static bool coordinate(const EVP_PKEY *key, const char *name, size_t bytes,
                       TPM2B_ECC_PARAMETER *ret)
{
    BIGNUM *number = NULL;
    bool good = EVP_PKEY_get_bn_param(key, name, &number) == 1 &&
                BN_bn2binpad(number, ret->buffer, (int)bytes) == (int)bytes;
    BN_free(number);
    ret->size = (UINT16)bytes;
    return good;
}

/* ECDH: the x coordinate alone, padded to the curve. */
static bool shared(EVP_PKEY *mine, EVP_PKEY *ek, uint8_t *ret_z, size_t *size)
{
    _cleanup_pkey_ctx_ EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, mine, NULL);
    return ctx && EVP_PKEY_derive_init(ctx) > 0 && EVP_PKEY_derive_set_peer(ctx, ek) > 0 &&
           EVP_PKEY_derive(ctx, ret_z, size) > 0;
}

static int seed_to_ecc(EVP_PKEY *ek, const TPM2B_PUBLIC *area, struct seed *seed,
                       TPM2B_ENCRYPTED_SECRET *ret, struct idm_error *err)
{
    char group[32];
    size_t length = 0;
    size_t bytes = ((size_t)EVP_PKEY_get_bits(ek) + 7) / 8;
    uint8_t z[P521_BYTES];
    size_t z_size = sizeof z;
    TPMS_ECC_POINT point = {0};
    if (EVP_PKEY_get_group_name(ek, group, sizeof group, &length) != 1)
        return fail(err, "the curve has no name");
    _cleanup_pkey_ EVP_PKEY *mine = EVP_EC_gen(group);
    if (!mine || !coordinate(mine, OSSL_PKEY_PARAM_EC_PUB_X, bytes, &point.x) ||
        !coordinate(mine, OSSL_PKEY_PARAM_EC_PUB_Y, bytes, &point.y) ||
        !shared(mine, ek, z, &z_size))
        return fail(err, "ECDH failed");
    int result = idm_kdfe(seed->algorithm, z, z_size, IDENTITY, &point.x,
                          &area->publicArea.unique.ecc.x, seed->bytes, seed->size);
    OPENSSL_cleanse(z, sizeof z);
    size_t offset = 0;
    if (result < 0 || Tss2_MU_TPMS_ECC_POINT_Marshal(&point, ret->secret, sizeof ret->secret,
                                                     &offset) != TSS2_RC_SUCCESS)
        return fail(err, "KDFe failed");
    ret->size = (UINT16)offset;
    return 0;
}

/* ---- the ID object ---- */

static bool encrypt(const struct seed *seed, unsigned int key_bits, const TPM2B_NAME *name,
                    const uint8_t *plain, size_t size, uint8_t *ret)
{
    uint8_t key[AES_KEY_MAX];
    static const uint8_t no_iv[16] = {0};
    int out = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *cipher = key_bits == 256 ? EVP_aes_256_cfb128() : EVP_aes_128_cfb128();
    bool good = ctx &&
                idm_kdfa(seed->algorithm, seed->bytes, seed->size, "STORAGE", name->name,
                         name->size, key, key_bits / 8) == 0 &&
                EVP_EncryptInit_ex2(ctx, cipher, key, no_iv, NULL) == 1 &&
                EVP_EncryptUpdate(ctx, ret, &out, plain, (int)size) == 1 && (size_t)out == size;
    EVP_CIPHER_CTX_free(ctx);
    OPENSSL_cleanse(key, sizeof key);
    return good;
}

static bool protect(const struct seed *seed, const TPM2B_NAME *name, const uint8_t *data,
                    size_t size, TPM2B_DIGEST *ret)
{
    uint8_t key[SEED_MAX];
    uint8_t message[sizeof(TPM2B_DIGEST) + sizeof name->name];
    size_t mac_size = 0;
    memcpy(message, data, size);
    memcpy(message + size, name->name, name->size);
    bool good = idm_kdfa(seed->algorithm, seed->bytes, seed->size, "INTEGRITY", NULL, 0, key,
                         seed->size) == 0 &&
                EVP_Q_mac(NULL, "HMAC", NULL, seed->digest, NULL, key, seed->size, message,
                          size + name->size, ret->buffer, sizeof ret->buffer, &mac_size) != NULL;
    OPENSSL_cleanse(key, sizeof key);
    ret->size = (UINT16)mac_size;
    return good;
}

static int id_object(const struct seed *seed, unsigned int key_bits, const TPM2B_NAME *name,
                     const void *secret, size_t size, TPM2B_ID_OBJECT *ret, struct idm_error *err)
{
    TPM2B_DIGEST plain = {.size = (UINT16)size};
    TPM2B_DIGEST integrity = {0};
    uint8_t sized[sizeof plain];
    uint8_t encrypted[sizeof plain];
    size_t sized_size = 0;
    size_t offset = 0;
    memcpy(plain.buffer, secret, size);
    bool good =
        Tss2_MU_TPM2B_DIGEST_Marshal(&plain, sized, sizeof sized, &sized_size) == TSS2_RC_SUCCESS &&
        encrypt(seed, key_bits, name, sized, sized_size, encrypted) &&
        protect(seed, name, encrypted, sized_size, &integrity) &&
        Tss2_MU_TPM2B_DIGEST_Marshal(&integrity, ret->credential, sizeof ret->credential,
                                     &offset) == TSS2_RC_SUCCESS &&
        offset + sized_size <= sizeof ret->credential;
    OPENSSL_cleanse(&plain, sizeof plain);
    OPENSSL_cleanse(sized, sizeof sized);
    if (!good)
        return fail(err, "the secret cannot be encrypted");
    memcpy(ret->credential + offset, encrypted, sized_size);
    ret->size = (UINT16)(offset + sized_size);
    return 0;
}

static int write_file(const TPM2B_ID_OBJECT *object, const TPM2B_ENCRYPTED_SECRET *secret,
                      struct idm_bytes *ret)
{
    uint8_t file[8 + sizeof *object + sizeof *secret];
    size_t size = 0;
    if (Tss2_MU_UINT32_Marshal(FILE_MAGIC, file, sizeof file, &size) != TSS2_RC_SUCCESS ||
        Tss2_MU_UINT32_Marshal(FILE_VERSION, file, sizeof file, &size) != TSS2_RC_SUCCESS ||
        Tss2_MU_TPM2B_ID_OBJECT_Marshal(object, file, sizeof file, &size) != TSS2_RC_SUCCESS ||
        Tss2_MU_TPM2B_ENCRYPTED_SECRET_Marshal(secret, file, sizeof file, &size) != TSS2_RC_SUCCESS)
        return IDM_E_INTERNAL;
    return idm_bytes_set(ret, file, size);
}

/* Bits of its AES key; 0: not a key that credentials are made for. */
static unsigned int protects_with(const TPMT_PUBLIC *area)
{
    const TPMA_OBJECT needed = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
    /* Both kinds of key begin with it. */
    const TPMT_SYM_DEF_OBJECT *symmetric = &area->parameters.asymDetail.symmetric;
    if ((area->objectAttributes & (needed | TPMA_OBJECT_SIGN_ENCRYPT)) != needed ||
        symmetric->algorithm != TPM2_ALG_AES || symmetric->mode.aes != TPM2_ALG_CFB ||
        (symmetric->keyBits.aes != 128 && symmetric->keyBits.aes != 256))
        return 0;
    return symmetric->keyBits.aes;
}

int idm_credential_make(const TPM2B_PUBLIC *ek, const TPM2B_NAME *name, const void *secret,
                        size_t size, struct idm_bytes *ret_file, struct idm_error *err)
{
    _ossl_queue_ bool queue = idm_ossl_begin();
    _cleanup_pkey_ EVP_PKEY *key = NULL;
    struct seed seed = {.algorithm = ek->publicArea.nameAlg};
    TPM2B_ENCRYPTED_SECRET encrypted = {0};
    TPM2B_ID_OBJECT object = {0};
    unsigned int key_bits = protects_with(&ek->publicArea);
    if (size == 0 || size > IDM_SECRET_MAX || name->size == 0 || name->size > sizeof name->name)
        return idm_fail(err, IDM_E_USAGE, what, "a secret of 1 to %u bytes and a Name are needed",
                        IDM_SECRET_MAX);
    seed.digest = idm_digest_name(seed.algorithm, &seed.size);
    int result = key_bits && seed.digest ? idm_public_evp(ek, &key) : IDM_E_CORRUPT;
    if (result < 0)
        return idm_fail(err, result, what,
                        "the EK is no restricted decryption key that credentials can be made for");
    result = ek->publicArea.type == TPM2_ALG_RSA ? seed_to_rsa(key, &seed, &encrypted, err)
                                                 : seed_to_ecc(key, ek, &seed, &encrypted, err);
    if (result == 0)
        result = id_object(&seed, key_bits, name, secret, size, &object, err);
    OPENSSL_cleanse(&seed, sizeof seed);
    if (result == 0 && (result = write_file(&object, &encrypted, ret_file)) < 0)
        return idm_fail(err, result, what, "%s", idm_error_sentence(result));
    return result;
}
