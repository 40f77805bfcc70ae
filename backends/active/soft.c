/* SPDX-License-Identifier: BSD-2-Clause */
/* soft.c - signatures that OpenSSL makes or judges, in our own library context. The calling thread's
 * error queue belongs to the application: what we add to it is taken away again. */
#include "backends/active/context.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>
#include <strings.h>

static const struct {
    enum idm_digest digest;
    const char *name;
    const char *other;
    size_t size;
} digests[] = {{IDM_SHA256, "SHA2-256", "SHA256", 32},
               {IDM_SHA384, "SHA2-384", "SHA384", 48},
               {IDM_SHA512, "SHA2-512", "SHA512", 64}};
#define DIGESTS (sizeof digests / sizeof *digests)

bool idm_active_digest(const char *name, enum idm_digest *ret, size_t *ret_size)
{
    for (size_t i = 0; i < DIGESTS; i++) {
        bool dashed =
            strncasecmp(name, "SHA-", 4) == 0 && strcmp(name + 4, digests[i].other + 3) == 0;
        if (!dashed && strcasecmp(name, digests[i].name) != 0 &&
            strcasecmp(name, digests[i].other) != 0)
            continue;
        *ret = digests[i].digest;
        *ret_size = digests[i].size;
        return true;
    }
    return false;
}

const char *idm_active_digest_name(enum idm_digest digest)
{
    for (size_t i = 0; i < DIGESTS; i++)
        if (digests[i].digest == digest)
            return digests[i].other;
    return "";
}

static size_t size_of(enum idm_digest digest)
{
    for (size_t i = 0; i < DIGESTS; i++)
        if (digests[i].digest == digest)
            return digests[i].size;
    return 0;
}

bool idm_active_is_pure(const EVP_PKEY *key)
{
    return EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
}

static bool sign_message(EVP_PKEY *key, const struct idm_to_sign *what, struct idm_signature *ret)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && what->message && idm_active_is_pure(key) &&
                EVP_DigestSignInit_ex(ctx, NULL, NULL, idm_active_libctx(), NULL, key, NULL) == 1 &&
                EVP_DigestSign(ctx, ret->data, &ret->size, what->message, what->message_size) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

/* NULL: not with a key of this kind. */
static EVP_PKEY_CTX *prepare(EVP_PKEY *key, const struct idm_to_sign *what,
                             int (*init)(EVP_PKEY_CTX *ctx))
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(idm_active_libctx(), key, NULL);
    EVP_MD *md = EVP_MD_fetch(idm_active_libctx(), idm_active_digest_name(what->digest), NULL);
    bool rsa = EVP_PKEY_is_a(key, "RSA");
    bool good = ctx && md && init(ctx) == 1;
    if (good && rsa)
        good = EVP_PKEY_CTX_set_rsa_padding(ctx, what->pss ? RSA_PKCS1_PSS_PADDING
                                                           : RSA_PKCS1_PADDING) == 1;
    if (good && rsa && what->pss)
        good = EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    good = good && EVP_PKEY_CTX_set_signature_md(ctx, md) == 1;
    EVP_MD_free(md);
    if (good)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

int idm_soft_sign(EVP_PKEY *key, const struct idm_to_sign *what, struct idm_signature *ret,
                  struct idm_error *err)
{
    struct idm_signature signature = {.size = sizeof signature.data};
    (void)ERR_set_mark();
    EVP_PKEY_CTX *ctx = what->pure ? NULL : prepare(key, what, EVP_PKEY_sign_init);
    bool good = what->pure ? sign_message(key, what, &signature)
                           : ctx && EVP_PKEY_sign(ctx, signature.data, &signature.size, what->hash,
                                                  size_of(what->digest)) == 1;
    EVP_PKEY_CTX_free(ctx);
    (void)ERR_pop_to_mark();
    if (!good)
        return idm_fail(err, IDM_E_CRYPTO, "sign with the software key", "OpenSSL refused");
    *ret = signature;
    return 0;
}

int idm_soft_verify(EVP_PKEY *key, const struct idm_to_sign *what,
                    const struct idm_signature *signature)
{
    (void)ERR_set_mark();
    EVP_PKEY_CTX *ctx = prepare(key, what, EVP_PKEY_verify_init);
    bool good = ctx && EVP_PKEY_verify(ctx, signature->data, signature->size, what->hash,
                                       size_of(what->digest)) == 1;
    int bad = ctx ? IDM_E_MISMATCH : IDM_E_CRYPTO;
    EVP_PKEY_CTX_free(ctx);
    (void)ERR_pop_to_mark();
    return good ? 0 : bad;
}
