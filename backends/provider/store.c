/* SPDX-License-Identifier: BSD-2-Clause */
/* store.c - idmode:, idmode:key and idmode:cert. Whatever was loaded with one URI is of one identity:
 * the files are read once, when it is opened. */
#include "backends/provider/provider.h"

#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <stdlib.h>
#include <string.h>

struct store {
    const struct idm_provider *provider;
    struct idm_active_key *key;
    BIO *certs;   /* what is left of the chain; NULL: none is asked for */
    bool has_key; /* the key has not been given yet */
};

static bool wanted(const char *uri, bool *ret_key, bool *ret_cert)
{
    if (strncmp(uri, "idmode:", 7) != 0)
        return false;
    const char *part = uri + 7;
    *ret_key = !*part || strcmp(part, "key") == 0;
    *ret_cert = !*part || strcmp(part, "cert") == 0;
    return *ret_key || *ret_cert;
}

static int store_close(void *store_data)
{
    struct store *store = store_data;
    BIO_free(store->certs);
    idm_active_key_free(store->key);
    free(store);
    return 1;
}

static void *store_open(void *ctx, const char *uri)
{
    struct idm_error err = {0};
    struct store *store = calloc(1, sizeof *store);
    bool cert = false;
    if (!store)
        return NULL;
    store->provider = ctx;
    if (!wanted(uri, &store->has_key, &cert))
        (void)idm_provider_fail(ctx, IDM_E_USAGE, "the URI is idmode:, idmode:key or idmode:cert");
    else if (idm_provider_load(&store->key, &err))
        (void)idm_provider_raise(ctx, &err);
    if (store->key && cert)
        store->certs = BIO_new_mem_buf(store->key->chain.data, (int)store->key->chain.size);
    if (store->key && (!cert || store->certs))
        return store;
    (void)store_close(store);
    return NULL;
}

/* ---- what to give ---- */

static const OSSL_PARAM *settable(void *ctx)
{
    static const OSSL_PARAM params[] = {OSSL_PARAM_int(OSSL_STORE_PARAM_EXPECT, NULL),
                                        OSSL_PARAM_END};
    (void)ctx;
    return params;
}

static int set_params(void *store_data, const OSSL_PARAM params[])
{
    struct store *store = store_data;
    const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_STORE_PARAM_EXPECT);
    int expect = 0;
    if (!p)
        return 1;
    if (!OSSL_PARAM_get_int(p, &expect))
        return 0;
    if (expect && expect != OSSL_STORE_INFO_PKEY && expect != OSSL_STORE_INFO_PUBKEY)
        store->has_key = false;
    if (expect && expect != OSSL_STORE_INFO_CERT) {
        BIO_free(store->certs);
        store->certs = NULL;
    }
    return 1;
}

static int give_key(struct store *store, OSSL_CALLBACK *callback, void *arg)
{
    const char *type = idm_provider_key_type(store->key->public_key);
    store->has_key = false;
    if (!type)
        return idm_provider_fail(store->provider, IDM_E_USAGE,
                                 "the device's key is of a kind that is not offered");
    return idm_provider_key_give(store->provider, idm_active_key_up(store->key), type, callback,
                                 arg);
}

static int give_cert(struct store *store, OSSL_CALLBACK *callback, void *arg)
{
    int object = OSSL_OBJECT_CERT;
    char *name = NULL;
    char *header = NULL;
    unsigned char *der = NULL;
    long size = 0;
    int rc = 0;
    if (PEM_read_bio(store->certs, &name, &header, &der, &size)) {
        OSSL_PARAM params[] = {OSSL_PARAM_int(OSSL_OBJECT_PARAM_TYPE, &object),
                               OSSL_PARAM_octet_string(OSSL_OBJECT_PARAM_DATA, der, (size_t)size),
                               OSSL_PARAM_END};
        rc = callback(params, arg);
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    return rc;
}

static int load(void *store_data, OSSL_CALLBACK *callback, void *arg,
                OSSL_PASSPHRASE_CALLBACK *passphrase, void *passphrase_arg)
{
    struct store *store = store_data;
    (void)passphrase;
    (void)passphrase_arg;
    if (store->has_key)
        return give_key(store, callback, arg);
    return store->certs ? give_cert(store, callback, arg) : 0;
}

/* A chain ends where only blanks are left. */
static bool more_certs(struct store *store)
{
    char *rest = NULL;
    long size = store->certs ? BIO_get_mem_data(store->certs, &rest) : 0;
    return size > 0 && memmem(rest, (size_t)size, "-----BEGIN", 10);
}

static int eof(void *store_data)
{
    struct store *store = store_data;
    return !store->has_key && !more_certs(store);
}

const OSSL_DISPATCH idm_provider_store[] = {
    {OSSL_FUNC_STORE_OPEN, (void (*)(void))store_open},
    {OSSL_FUNC_STORE_SETTABLE_CTX_PARAMS, (void (*)(void))settable},
    {OSSL_FUNC_STORE_SET_CTX_PARAMS, (void (*)(void))set_params},
    {OSSL_FUNC_STORE_LOAD, (void (*)(void))load},
    {OSSL_FUNC_STORE_EOF, (void (*)(void))eof},
    {OSSL_FUNC_STORE_CLOSE, (void (*)(void))store_close},
    {OSSL_FUNC_STORE_EXPORT_OBJECT, (void (*)(void))idm_provider_export_object},
    {0, NULL}};
