/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/kdf.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>
#include <tss2/tss2_tpm2_types.h>

#define COORDINATE_MAX 66u /* P-521 */
#define LABEL_MAX      32u

const char *idm_digest_name(unsigned int algorithm, size_t *ret_size)
{
    switch (algorithm) {
    case TPM2_ALG_SHA256:
        *ret_size = TPM2_SHA256_DIGEST_SIZE;
        return "SHA256";
    case TPM2_ALG_SHA384:
        *ret_size = TPM2_SHA384_DIGEST_SIZE;
        return "SHA384";
    case TPM2_ALG_SHA512:
        *ret_size = TPM2_SHA512_DIGEST_SIZE;
        return "SHA512";
    default:
        return NULL;
    }
}

static int derive(const char *name, const OSSL_PARAM params[], uint8_t *ret_key, size_t key_size)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    int result = ctx && EVP_KDF_derive(ctx, ret_key, key_size, params) == 1 ? 0 : IDM_E_CRYPTO;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return result;
}

/* OSSL_PARAM takes what it only reads without const. */
static void *unconst(const void *data)
{
    void *plain = NULL;
    memcpy(&plain, &data, sizeof plain);
    return plain;
}

static OSSL_PARAM octets(const char *key, const void *data, size_t size)
{
    return OSSL_PARAM_construct_octet_string(key, unconst(data), size);
}

static OSSL_PARAM text(const char *key, const char *value)
{
    return OSSL_PARAM_construct_utf8_string(key, unconst(value), 0);
}

int idm_kdfa(unsigned int digest, const void *secret, size_t secret_size, const char *label,
             const void *context, size_t context_size, uint8_t *ret_key, size_t key_size)
{
    size_t size = 0;
    int on = 1;
    const char *name = idm_digest_name(digest, &size);
    if (!name)
        return IDM_E_USAGE;
    OSSL_PARAM params[9];
    OSSL_PARAM *p = params;
    *p++ = text(OSSL_KDF_PARAM_MODE, "counter");
    *p++ = text(OSSL_KDF_PARAM_MAC, "HMAC");
    *p++ = text(OSSL_KDF_PARAM_DIGEST, name);
    *p++ = octets(OSSL_KDF_PARAM_KEY, secret, secret_size);
    *p++ = octets(OSSL_KDF_PARAM_SALT, label, strlen(label));
    if (context_size)
        *p++ = octets(OSSL_KDF_PARAM_INFO, context, context_size);
    *p++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_KBKDF_USE_SEPARATOR, &on);
    *p++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_KBKDF_USE_L, &on);
    *p = OSSL_PARAM_construct_end();
    return derive("KBKDF", params, ret_key, key_size);
}

int idm_kdfe(unsigned int digest, const void *z, size_t z_size, const char *label,
             const TPM2B_ECC_PARAMETER *party_u, const TPM2B_ECC_PARAMETER *party_v,
             uint8_t *ret_key, size_t key_size)
{
    uint8_t info[LABEL_MAX + 2 * COORDINATE_MAX];
    size_t size = 0;
    size_t info_size = strlen(label) + 1;
    const char *name = idm_digest_name(digest, &size);
    if (!name || info_size > LABEL_MAX || party_u->size > COORDINATE_MAX ||
        party_v->size > COORDINATE_MAX)
        return IDM_E_USAGE;
    memcpy(info, label, info_size);
    memcpy(info + info_size, party_u->buffer, party_u->size);
    info_size += party_u->size;
    memcpy(info + info_size, party_v->buffer, party_v->size);
    info_size += party_v->size;
    const OSSL_PARAM params[] = {
        text(OSSL_KDF_PARAM_DIGEST, name),
        octets(OSSL_KDF_PARAM_KEY, z, z_size),
        octets(OSSL_KDF_PARAM_INFO, info, info_size),
        OSSL_PARAM_construct_end(),
    };
    return derive("SSKDF", params, ret_key, key_size);
}
