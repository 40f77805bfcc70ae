/* SPDX-License-Identifier: BSD-2-Clause */
/* signature.c - ECDSA and RSA (PSS, PKCS #1 v1.5) by the device's key.
 *
 * Parameters are kept and judged by a context of the default provider on the public half (`inner`, made
 * when it is needed: a TPM's ECDSA has none): names, combinations and algorithm identifiers are
 * OpenSSL's. A software key in memory signs through it as well; everything else goes to
 * idm_active_sign, with the message where there is one: the broker hashes for itself. */
#include "backends/provider/provider.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

struct signature {
    const struct idm_provider *provider;
    struct idm_active_key *key;
    EVP_PKEY *inner_key;                  /* owned; the private half where it is here */
    int (*inner_init)(EVP_PKEY_CTX *ctx); /* to sign, or to verify */
    EVP_PKEY_CTX *inner;                  /* NULL: not needed yet */
    EVP_MD_CTX *hash;                     /* digest_*: NULL otherwise */
    char digest[32];                      /* name; empty: not said */
    uint8_t *message;                     /* what was hashed, for the broker */
    size_t message_size;
    size_t message_room;
    bool message_lost; /* longer than the broker takes */
};

static void *sig_new(void *ctx, const char *properties)
{
    struct signature *sig = calloc(1, sizeof *sig);
    (void)properties;
    if (sig)
        sig->provider = ctx;
    return sig;
}

static void forget(struct signature *sig)
{
    EVP_PKEY_CTX_free(sig->inner);
    EVP_PKEY_free(sig->inner_key);
    EVP_MD_CTX_free(sig->hash);
    idm_active_key_free(sig->key);
    free(sig->message);
    *sig = (struct signature){.provider = sig->provider};
}

static void sig_free(void *sig_data)
{
    if (!sig_data)
        return;
    forget(sig_data);
    free(sig_data);
}

static void *sig_dup(void *from_data)
{
    const struct signature *from = from_data;
    struct signature *to = sig_new((void *)from->provider, NULL);
    if (!to)
        return NULL;
    memcpy(to->digest, from->digest, sizeof to->digest);
    to->message_lost = from->message_lost;
    if (from->key)
        to->key = idm_active_key_up(from->key);
    if (from->inner_key && EVP_PKEY_up_ref(from->inner_key))
        to->inner_key = from->inner_key;
    to->inner_init = from->inner_init;
    bool good = !from->inner || (to->inner = EVP_PKEY_CTX_dup(from->inner));
    if (good && from->hash)
        good = (to->hash = EVP_MD_CTX_new()) && EVP_MD_CTX_copy_ex(to->hash, from->hash);
    if (good && from->message_size) {
        good = (to->message = malloc(from->message_size)) != NULL;
        to->message_size = to->message_room = good ? from->message_size : 0;
        if (good)
            memcpy(to->message, from->message, from->message_size);
    }
    if (good)
        return to;
    sig_free(to);
    return NULL;
}

/* ---- parameters ---- */

static int set_digest(EVP_PKEY_CTX *inner, char *name)
{
    const OSSL_PARAM named[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, name, strlen(name)), OSSL_PARAM_END};
    return !*name || EVP_PKEY_CTX_set_params(inner, named) == 1;
}

/* With the digest that was named; NULL: OpenSSL refuses. */
static EVP_PKEY_CTX *inner_of(struct signature *sig)
{
    if (sig->inner || !sig->inner_key)
        return sig->inner;
    EVP_PKEY_CTX *made = EVP_PKEY_CTX_new_from_pkey(idm_active_libctx(), sig->inner_key, NULL);
    if (made && sig->inner_init(made) == 1 && set_digest(made, sig->digest))
        sig->inner = made;
    else
        EVP_PKEY_CTX_free(made);
    return sig->inner;
}

static int note_digest(struct signature *sig, const OSSL_PARAM params[])
{
    const OSSL_PARAM *p =
        params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_DIGEST) : NULL;
    char *to = sig->digest;
    return !p || OSSL_PARAM_get_utf8_string(p, &to, sizeof sig->digest);
}

static int set_params(void *sig_data, const OSSL_PARAM params[])
{
    struct signature *sig = sig_data;
    if (!params || !params->key)
        return 1;
    return inner_of(sig) && EVP_PKEY_CTX_set_params(sig->inner, params) == 1 &&
           note_digest(sig, params);
}

static int get_params(void *sig_data, OSSL_PARAM params[])
{
    struct signature *sig = sig_data;
    return inner_of(sig) && EVP_PKEY_CTX_get_params(sig->inner, params) == 1;
}

static const OSSL_PARAM *settable(void *sig_data, void *ctx)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PROPERTIES, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_PROPERTIES, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_END};
    (void)sig_data;
    (void)ctx;
    return params;
}

static const OSSL_PARAM *gettable(void *sig_data, void *ctx)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_END};
    (void)sig_data;
    (void)ctx;
    return params;
}

/* ---- begin ---- */

/* A new operation with `key`, or with the one of the last operation. */
static int begin(struct signature *sig, struct idm_provider_key *key, int (*init)(EVP_PKEY_CTX *))
{
    struct idm_active_key *mine = key ? key->key : sig->key;
    EVP_PKEY *inner_key = key ? key->public_key : sig->inner_key;
    if (mine && mine->private_key)
        inner_key = mine->private_key;
    if (!inner_key || !EVP_PKEY_up_ref(inner_key))
        return idm_provider_fail(sig->provider, IDM_E_USAGE, "no key is set");
    if (mine)
        mine = idm_active_key_up(mine);
    forget(sig);
    sig->key = mine;
    sig->inner_key = inner_key;
    sig->inner_init = init;
    return 1;
}

static int sign_init(void *sig_data, void *key, const OSSL_PARAM params[])
{
    struct signature *sig = sig_data;
    if (!begin(sig, key, EVP_PKEY_sign_init))
        return 0;
    if (!sig->key)
        return idm_provider_fail(sig->provider, IDM_E_USAGE, "a public key signs nothing");
    return set_params(sig, params);
}

static int verify_init(void *sig_data, void *key, const OSSL_PARAM params[])
{
    return begin(sig_data, key, EVP_PKEY_verify_init) && set_params(sig_data, params);
}

/* Which digest: the one that is named, or the key's own. */
static int digest_init(struct signature *sig, const char *name, const OSSL_PARAM params[])
{
    char standard[32] = "";
    if (!name || !*name) {
        if (EVP_PKEY_get_default_digest_name(sig->inner_key, standard, sizeof standard) <= 0)
            return 0;
        name = standard;
    }
    (void)snprintf(sig->digest, sizeof sig->digest, "%s", name);
    EVP_MD *md = EVP_MD_fetch(idm_active_libctx(), name, NULL);
    sig->hash = EVP_MD_CTX_new();
    int good = md && sig->hash && EVP_DigestInit_ex2(sig->hash, md, NULL) == 1;
    EVP_MD_free(md);
    return good && set_params(sig, params);
}

static int digest_sign_init(void *sig_data, const char *name, void *key, const OSSL_PARAM params[])
{
    return sign_init(sig_data, key, NULL) && digest_init(sig_data, name, params);
}

static int digest_verify_init(void *sig_data, const char *name, void *key,
                              const OSSL_PARAM params[])
{
    return verify_init(sig_data, key, NULL) && digest_init(sig_data, name, params);
}

/* ---- the message ---- */

/* Only a key that may have to go to the broker needs what was hashed. */
static void keep(struct signature *sig, const unsigned char *data, size_t size)
{
    if (!sig->key || sig->key->private_key || sig->message_lost)
        return;
    size_t need = sig->message_size + size;
    if (need > sig->message_room) {
        size_t room = need < 512 ? 512 : need * 2;
        uint8_t *grown = need <= IDM_MESSAGE_MAX ? realloc(sig->message, room) : NULL;
        if (!grown) {
            sig->message_lost = true;
            return;
        }
        sig->message = grown;
        sig->message_room = room;
    }
    memcpy(sig->message + sig->message_size, data, size);
    sig->message_size = need;
}

static int digest_update(void *sig_data, const unsigned char *data, size_t size)
{
    struct signature *sig = sig_data;
    if (!sig->hash)
        return 0;
    if (size)
        keep(sig, data, size);
    return EVP_DigestUpdate(sig->hash, data, size);
}

/* ---- sign ---- */

/* Only salts of the digest's length: what TLS and X.509 use, and all that TPMs make. */
static bool salt_fits(EVP_PKEY_CTX *inner, const char *digest, size_t digest_size)
{
    char mgf1[32] = "";
    int salt = 0;
    if (EVP_PKEY_CTX_get_rsa_pss_saltlen(inner, &salt) <= 0)
        return false;
    if (EVP_PKEY_CTX_get_rsa_mgf1_md_name(inner, mgf1, sizeof mgf1) > 0 && *mgf1) {
        enum idm_digest a = IDM_SHA256, b = IDM_SHA256;
        size_t size = 0;
        if (!idm_active_digest(mgf1, &a, &size) || !idm_active_digest(digest, &b, &size) || a != b)
            return false;
    }
    return salt == RSA_PSS_SALTLEN_DIGEST || salt == RSA_PSS_SALTLEN_AUTO ||
           salt == (int)digest_size;
}

static const char *not_offered(struct signature *sig, size_t size, struct idm_to_sign *ret)
{
    EVP_PKEY *key = sig->key->public_key;
    size_t digest_size = 0;
    int padding = 0;
    const char *name = sig->digest;
    bool rsa = EVP_PKEY_is_a(key, "RSA");
    if (!*name && !rsa)
        name = size == 32 ? "SHA256" : size == 48 ? "SHA384" : "SHA512";
    if (!idm_active_digest(name, &ret->digest, &digest_size))
        return "the digest is SHA-256, SHA-384 or SHA-512";
    if (size != digest_size)
        return "the digest has another length than its algorithm";
    if (!rsa)
        return NULL;
    if (!inner_of(sig) || EVP_PKEY_CTX_get_rsa_padding(sig->inner, &padding) <= 0)
        return "no RSA padding is known";
    if (padding != RSA_PKCS1_PADDING && padding != RSA_PKCS1_PSS_PADDING)
        return "the RSA padding is PKCS #1 v1.5 or PSS";
    ret->pss = padding == RSA_PKCS1_PSS_PADDING;
    if (ret->pss && !salt_fits(sig->inner, name, digest_size))
        return "a PSS salt is as long as the digest, and MGF1 uses that digest";
    return NULL;
}

static int sign_elsewhere(struct signature *sig, unsigned char *ret, size_t *ret_size, size_t room,
                          const unsigned char *hash, size_t hash_size)
{
    struct idm_error err = {0};
    struct idm_signature signature;
    struct idm_to_sign what = {0};
    const char *why = not_offered(sig, hash_size, &what);
    if (why)
        return idm_provider_fail(sig->provider, IDM_E_USAGE, why);
    memcpy(what.hash, hash, hash_size);
    if (sig->hash && !sig->message_lost) {
        what.message = sig->message ? sig->message : what.hash; /* an empty message, never NULL */
        what.message_size = sig->message_size;
    }
    if (idm_active_sign(sig->key->ctx, sig->key, &what, &signature, &err))
        return idm_provider_raise(sig->provider, &err);
    if (signature.size > room)
        return idm_provider_fail(sig->provider, IDM_E_INTERNAL, "the signature is too long");
    memcpy(ret, signature.data, signature.size);
    *ret_size = signature.size;
    return 1;
}

static int sign(void *sig_data, unsigned char *ret, size_t *ret_size, size_t room,
                const unsigned char *hash, size_t hash_size)
{
    struct signature *sig = sig_data;
    if (!sig->key)
        return idm_provider_fail(sig->provider, IDM_E_USAGE, "no key is set");
    size_t most = (size_t)EVP_PKEY_get_size(sig->key->public_key);
    if (!ret) {
        *ret_size = most;
        return 1;
    }
    if (room < most)
        return idm_provider_fail(sig->provider, IDM_E_USAGE, "the buffer is too small");
    if (!sig->key->private_key)
        return sign_elsewhere(sig, ret, ret_size, room, hash, hash_size);
    *ret_size = room;
    return inner_of(sig) && EVP_PKEY_sign(sig->inner, ret, ret_size, hash, hash_size) == 1;
}

static int digest_sign_final(void *sig_data, unsigned char *ret, size_t *ret_size, size_t room)
{
    struct signature *sig = sig_data;
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (!sig->hash)
        return idm_provider_fail(sig->provider, IDM_E_USAGE, "no digest was begun");
    if (!ret)
        return sign(sig, NULL, ret_size, 0, NULL, 0);
    return EVP_DigestFinal_ex(sig->hash, hash, &size) == 1 &&
           sign(sig, ret, ret_size, room, hash, size);
}

/* ---- verify: by the public half ---- */

static int verify(void *sig_data, const unsigned char *signature, size_t signature_size,
                  const unsigned char *hash, size_t hash_size)
{
    struct signature *sig = sig_data;
    return inner_of(sig) &&
           EVP_PKEY_verify(sig->inner, signature, signature_size, hash, hash_size) == 1;
}

static int digest_verify_final(void *sig_data, const unsigned char *signature, size_t size)
{
    struct signature *sig = sig_data;
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int hash_size = 0;
    return sig->hash && EVP_DigestFinal_ex(sig->hash, hash, &hash_size) == 1 &&
           verify(sig, signature, size, hash, hash_size);
}

const OSSL_DISPATCH idm_provider_signature[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))sig_new},
    {OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))sig_free},
    {OSSL_FUNC_SIGNATURE_DUPCTX, (void (*)(void))sig_dup},
    {OSSL_FUNC_SIGNATURE_SIGN_INIT, (void (*)(void))sign_init},
    {OSSL_FUNC_SIGNATURE_SIGN, (void (*)(void))sign},
    {OSSL_FUNC_SIGNATURE_VERIFY_INIT, (void (*)(void))verify_init},
    {OSSL_FUNC_SIGNATURE_VERIFY, (void (*)(void))verify},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))digest_sign_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, (void (*)(void))digest_update},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, (void (*)(void))digest_sign_final},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, (void (*)(void))digest_verify_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE, (void (*)(void))digest_update},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, (void (*)(void))digest_verify_final},
    {OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, (void (*)(void))get_params},
    {OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, (void (*)(void))gettable},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (void (*)(void))set_params},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (void (*)(void))settable},
    {0, NULL}};
