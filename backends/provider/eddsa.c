/* SPDX-License-Identifier: BSD-2-Clause */
/* eddsa.c - Ed25519 and Ed448 (RFC 8032) by a software key that an old image made; no TPM has one. They sign
 * messages, not digests, and in one go. */
#include "backends/provider/provider.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

struct eddsa {
    const struct idm_provider *provider;
    struct idm_active_key *key; /* NULL: verifies only */
    EVP_PKEY *public_key;       /* owned */
};

static void *eddsa_new(void *ctx, const char *properties)
{
    struct eddsa *eddsa = calloc(1, sizeof *eddsa);
    (void)properties;
    if (eddsa)
        eddsa->provider = ctx;
    return eddsa;
}

static void forget(struct eddsa *eddsa)
{
    idm_active_key_free(eddsa->key);
    EVP_PKEY_free(eddsa->public_key);
    *eddsa = (struct eddsa){.provider = eddsa->provider};
}

static void eddsa_free(void *eddsa_data)
{
    if (!eddsa_data)
        return;
    forget(eddsa_data);
    free(eddsa_data);
}

static int begin(struct eddsa *eddsa, struct idm_active_key *key, EVP_PKEY *public_key)
{
    if (!public_key || !EVP_PKEY_up_ref(public_key))
        return idm_provider_fail(eddsa->provider, IDM_E_USAGE, "no key is set");
    if (key)
        key = idm_active_key_up(key);
    forget(eddsa);
    eddsa->key = key;
    eddsa->public_key = public_key;
    return 1;
}

static void *eddsa_dup(void *from_data)
{
    const struct eddsa *from = from_data;
    struct eddsa *to = eddsa_new((void *)from->provider, NULL);
    if (to && from->public_key && !begin(to, from->key, from->public_key)) {
        eddsa_free(to);
        return NULL;
    }
    return to;
}

static int init(void *eddsa_data, const char *digest, void *key_data, bool signs)
{
    struct eddsa *eddsa = eddsa_data;
    const struct idm_provider_key *key = key_data;
    if (digest && *digest)
        return idm_provider_fail(eddsa->provider, IDM_E_USAGE, "this key signs no digests");
    if (key && !begin(eddsa, key->key, key->public_key))
        return 0;
    if (!eddsa->public_key)
        return idm_provider_fail(eddsa->provider, IDM_E_USAGE, "no key is set");
    if (signs && !eddsa->key)
        return idm_provider_fail(eddsa->provider, IDM_E_USAGE, "a public key signs nothing");
    return 1;
}

static int sign_init(void *eddsa, const char *digest, void *key, const OSSL_PARAM params[])
{
    (void)params;
    return init(eddsa, digest, key, true);
}

static int verify_init(void *eddsa, const char *digest, void *key, const OSSL_PARAM params[])
{
    (void)params;
    return init(eddsa, digest, key, false);
}

static int sign(void *eddsa_data, unsigned char *ret, size_t *ret_size, size_t room,
                const unsigned char *message, size_t size)
{
    const struct eddsa *eddsa = eddsa_data;
    struct idm_error err = {0};
    struct idm_signature signature;
    const struct idm_to_sign what = {
        .pure = true, .message = size ? message : (const uint8_t *)"", .message_size = size};
    if (!eddsa->key)
        return idm_provider_fail(eddsa->provider, IDM_E_USAGE, "no key is set");
    size_t most = (size_t)EVP_PKEY_get_size(eddsa->public_key);
    if (!ret) {
        *ret_size = most;
        return 1;
    }
    if (room < most)
        return idm_provider_fail(eddsa->provider, IDM_E_USAGE, "the buffer is too small");
    if (!eddsa->key->private_key && size > IDM_MESSAGE_MAX)
        return idm_provider_fail(eddsa->provider, IDM_E_USAGE,
                                 "the message is longer than idmode-signd takes");
    if (idm_active_sign(eddsa->key->ctx, eddsa->key, &what, &signature, &err))
        return idm_provider_raise(eddsa->provider, &err);
    if (signature.size > room)
        return idm_provider_fail(eddsa->provider, IDM_E_INTERNAL, "the signature is too long");
    memcpy(ret, signature.data, signature.size);
    *ret_size = signature.size;
    return 1;
}

static int verify(void *eddsa_data, const unsigned char *signature, size_t signature_size,
                  const unsigned char *message, size_t size)
{
    const struct eddsa *eddsa = eddsa_data;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int good = ctx && eddsa->public_key &&
               EVP_DigestVerifyInit_ex(ctx, NULL, NULL, idm_active_libctx(), NULL,
                                       eddsa->public_key, NULL) == 1 &&
               EVP_DigestVerify(ctx, signature, signature_size, message, size) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

/* SEQUENCE { OID } (RFC 8410, 3), for certificate requests. */
static int get_params(void *eddsa_data, OSSL_PARAM params[])
{
    static const unsigned char ed25519[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};
    static const unsigned char ed448[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71};
    const struct eddsa *eddsa = eddsa_data;
    OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_ALGORITHM_ID);
    if (!p || !eddsa->public_key)
        return 1;
    return OSSL_PARAM_set_octet_string(
        p, EVP_PKEY_is_a(eddsa->public_key, "ED448") ? ed448 : ed25519, sizeof ed25519);
}

static const OSSL_PARAM *gettable(void *eddsa, void *ctx)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0), OSSL_PARAM_END};
    (void)eddsa;
    (void)ctx;
    return params;
}

const OSSL_DISPATCH idm_provider_eddsa[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))eddsa_new},
    {OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))eddsa_free},
    {OSSL_FUNC_SIGNATURE_DUPCTX, (void (*)(void))eddsa_dup},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))sign_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (void (*)(void))sign},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, (void (*)(void))verify_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY, (void (*)(void))verify},
    {OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, (void (*)(void))get_params},
    {OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, (void (*)(void))gettable},
    {0, NULL}};
