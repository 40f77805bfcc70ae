/* SPDX-License-Identifier: BSD-2-Clause */
/* keymgmt.c - keys of the provider. Public halves go in and out, a private one never does. */
#include "backends/provider/provider.h"

#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

const char *idm_provider_key_type(const EVP_PKEY *key)
{
    static const char *const types[] = {"EC", "RSA", "ED25519", "ED448"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (EVP_PKEY_is_a(key, types[i]))
            return types[i];
    return NULL;
}

static void *key_new(void *ctx)
{
    struct idm_provider_key *key = calloc(1, sizeof *key);
    if (key)
        key->provider = ctx;
    return key;
}

static void key_free(void *key_data)
{
    struct idm_provider_key *key = key_data;
    if (!key)
        return;
    EVP_PKEY_free(key->public_key);
    idm_active_key_free(key->key);
    free(key);
}

int idm_provider_key_give(const struct idm_provider *provider, struct idm_active_key *from,
                          const char *type, OSSL_CALLBACK *callback, void *arg)
{
    int object = OSSL_OBJECT_PKEY;
    struct idm_provider_reference reference = {.key = key_new((void *)provider)};
    if (!reference.key || !EVP_PKEY_up_ref(from->public_key)) {
        free(reference.key);
        idm_active_key_free(from);
        return idm_provider_fail(provider, IDM_E_MEMORY, "out of memory");
    }
    reference.key->public_key = from->public_key;
    reference.key->key = from;
    OSSL_PARAM params[] = {
        OSSL_PARAM_int(OSSL_OBJECT_PARAM_TYPE, &object),
        OSSL_PARAM_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, (char *)type, strlen(type)),
        OSSL_PARAM_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &reference, sizeof reference),
        OSSL_PARAM_END};
    int rc = callback(params, arg);
    key_free(reference.key); /* NULL by now when it was taken */
    return rc;
}

/* The decoder or the store hands over what it made. */
static void *key_load(const void *given, size_t size)
{
    struct idm_provider_reference *reference = (struct idm_provider_reference *)given;
    if (size != sizeof *reference)
        return NULL;
    struct idm_provider_key *key = reference->key;
    reference->key = NULL;
    return key;
}

static void *key_dup(const void *from_data, int selection)
{
    const struct idm_provider_key *from = from_data;
    struct idm_provider_key *to = key_new((void *)from->provider);
    if (!to)
        return NULL;
    if (from->public_key && EVP_PKEY_up_ref(from->public_key))
        to->public_key = from->public_key;
    if (from->key && (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY))
        to->key = idm_active_key_up(from->key);
    return to;
}

static int key_has(const void *key_data, int selection)
{
    const struct idm_provider_key *key = key_data;
    if (!key || ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) && !key->public_key))
        return 0;
    return !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || key->key != NULL;
}

static int key_match(const void *a_data, const void *b_data, int selection)
{
    const struct idm_provider_key *a = a_data;
    const struct idm_provider_key *b = b_data;
    if (!a->public_key || !b->public_key)
        return 0;
    (void)ERR_set_mark();
    int same = selection & OSSL_KEYMGMT_SELECT_KEYPAIR
                   ? EVP_PKEY_eq(a->public_key, b->public_key)
                   : EVP_PKEY_parameters_eq(a->public_key, b->public_key);
    (void)ERR_pop_to_mark();
    return same == 1;
}

/* Where the private half is, it was checked at boot. */
static int key_validate(const void *key_data, int selection, int type)
{
    const struct idm_provider_key *key = key_data;
    (void)type;
    if (!key_has(key, selection))
        return 0;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(idm_active_libctx(), key->public_key, NULL);
    int good = ctx && EVP_PKEY_public_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return good;
}

/* ---- parameters ---- */

static int key_get_params(void *key_data, OSSL_PARAM params[])
{
    const struct idm_provider_key *key = key_data;
    return key->public_key && EVP_PKEY_get_params(key->public_key, params);
}

static const OSSL_PARAM common[] = {
    OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL), OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
    OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0), OSSL_PARAM_END};

static const OSSL_PARAM *gettable(void *ctx)
{
    (void)ctx;
    return common;
}

/* ---- import and export ---- */

static const OSSL_PARAM ec_types[] = {OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                      OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                                      OSSL_PARAM_END};
static const OSSL_PARAM rsa_types[] = {OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
                                       OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
                                       OSSL_PARAM_END};

static const OSSL_PARAM ed_types[] = {OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                                      OSSL_PARAM_END};

static const OSSL_PARAM *ec_public_types(int selection)
{
    return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : ec_types;
}

static const OSSL_PARAM *rsa_public_types(int selection)
{
    return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : rsa_types;
}

static const OSSL_PARAM *ed25519_public_types(int selection)
{
    return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : ed_types;
}

#define ed448_public_types ed25519_public_types

static int import(const char *type, void *key_data, int selection, const OSSL_PARAM params[])
{
    struct idm_provider_key *key = key_data;
    bool whole = selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY;
    if (key->public_key || selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY)
        return 0;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(idm_active_libctx(), type, NULL);
    int good = ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
               EVP_PKEY_fromdata(ctx, &key->public_key,
                                 whole ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEY_PARAMETERS,
                                 (OSSL_PARAM *)params) == 1;
    EVP_PKEY_CTX_free(ctx);
    return good;
}

static int ec_import(void *key, int selection, const OSSL_PARAM params[])
{
    return import("EC", key, selection, params);
}

static int rsa_import(void *key, int selection, const OSSL_PARAM params[])
{
    return import("RSA", key, selection, params);
}

static int ed25519_import(void *key, int selection, const OSSL_PARAM params[])
{
    return import("ED25519", key, selection, params);
}

static int ed448_import(void *key, int selection, const OSSL_PARAM params[])
{
    return import("ED448", key, selection, params);
}

static int key_export(void *key_data, int selection, OSSL_CALLBACK *callback, void *arg)
{
    const struct idm_provider_key *key = key_data;
    OSSL_PARAM *params = NULL;
    bool whole = selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY;
    /* Asked for the private half: whoever wants it has to come to us for its signatures. */
    if (!key->public_key || selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY)
        return 0;
    int good = EVP_PKEY_todata(key->public_key,
                               whole ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEY_PARAMETERS, &params);
    good = good && callback(params, arg);
    OSSL_PARAM_free(params);
    return good;
}

int idm_provider_export_object(void *ctx, const void *given, size_t size, OSSL_CALLBACK *callback,
                               void *arg)
{
    const struct idm_provider_reference *reference = given;
    (void)ctx;
    return size == sizeof *reference && reference->key &&
           key_export(reference->key, OSSL_KEYMGMT_SELECT_ALL, callback, arg);
}

static const char *ec_signature(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

static const char *rsa_signature(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "RSA" : NULL;
}

static const char *ed25519_signature(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "ED25519" : NULL;
}

static const char *ed448_signature(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "ED448" : NULL;
}

#define KEYMGMT(kind)                                                                              \
    {                                                                                              \
        {OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))key_new},                                          \
            {OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))key_free},                                    \
            {OSSL_FUNC_KEYMGMT_LOAD, (void (*)(void))key_load},                                    \
            {OSSL_FUNC_KEYMGMT_DUP, (void (*)(void))key_dup},                                      \
            {OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))key_has},                                      \
            {OSSL_FUNC_KEYMGMT_MATCH, (void (*)(void))key_match},                                  \
            {OSSL_FUNC_KEYMGMT_VALIDATE, (void (*)(void))key_validate},                            \
            {OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))key_get_params},                        \
            {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))gettable},                         \
            {OSSL_FUNC_KEYMGMT_IMPORT, (void (*)(void))kind##_import},                             \
            {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (void (*)(void))kind##_public_types},                 \
            {OSSL_FUNC_KEYMGMT_EXPORT, (void (*)(void))key_export},                                \
            {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (void (*)(void))kind##_public_types},                 \
            {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (void (*)(void))kind##_signature},            \
        {                                                                                          \
            0, NULL                                                                                \
        }                                                                                          \
    }

const OSSL_DISPATCH idm_provider_ec_keymgmt[] = KEYMGMT(ec);
const OSSL_DISPATCH idm_provider_rsa_keymgmt[] = KEYMGMT(rsa);
const OSSL_DISPATCH idm_provider_ed25519_keymgmt[] = KEYMGMT(ed25519);
const OSSL_DISPATCH idm_provider_ed448_keymgmt[] = KEYMGMT(ed448);
