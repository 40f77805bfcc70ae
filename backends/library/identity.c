/* SPDX-License-Identifier: BSD-2-Clause */
/* identity.c - an SSL_CTX that follows the identity.
 *
 *     handshake ──► certificate callback ──► page's word as when it was loaded? ──yes──► nothing to do
 *                                                  │no
 *                                                  └──► idmode:, loaded once for all threads
 *
 * The callback runs before a certificate is chosen, on both sides; what an SSL got there it keeps to the
 * end of its handshake. */
#include "backends/library/library.h"

#include "backends/provider/provider.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/store.h>
#include <stdlib.h>

struct identity {
    _Atomic unsigned int refs;
    EVP_PKEY *key;
    X509 *cert;
    STACK_OF(X509) * chain; /* without the device's own certificate */
};

static const char what_use[] = "use the device's identity for TLS";

void idmode_identity_free(struct identity *identity)
{
    if (!identity || atomic_fetch_sub_explicit(&identity->refs, 1, memory_order_acq_rel) != 1)
        return;
    EVP_PKEY_free(identity->key);
    X509_free(identity->cert);
    sk_X509_pop_free(identity->chain, X509_free);
    free(identity);
}

/* ---- the provider ---- */

static bool added;
static OSSL_PROVIDER *standard;
static OSSL_PROVIDER *ours;

/* `default` named explicitly where it is there, because loading any provider may take the implicit one
 * away; where the configuration has others in its place (FIPS), it stays away. Never unloaded: keys may
 * live as long as the process. What had no memory is tried again by the next call. */
static bool provide(void)
{
    idmode_lock();
    if (!standard && OSSL_PROVIDER_available(NULL, "default"))
        standard = OSSL_PROVIDER_try_load(NULL, "default", 1);
    if (!added)
        added = OSSL_PROVIDER_add_builtin(NULL, IDM_PROVIDER_BUILTIN, idm_provider_init_builtin);
    if (added && !ours)
        ours = OSSL_PROVIDER_try_load(NULL, IDM_PROVIDER_BUILTIN, 1);
    bool good = ours != NULL;
    idmode_unlock();
    return good;
}

/* ---- loading ---- */

/* The private half stands for a signature by us; made by our own provider, whatever else is loaded. */
static EVP_PKEY *make_key(struct idm_active_key *from)
{
    EVP_PKEY *key = NULL;
    idm_provider_hand_over(from);
    OSSL_STORE_CTX *store = OSSL_STORE_open_ex("idmode:key", NULL, "provider=" IDM_PROVIDER_BUILTIN,
                                               NULL, NULL, NULL, NULL, NULL);
    OSSL_STORE_INFO *info = store ? OSSL_STORE_load(store) : NULL;
    if (info && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
        key = OSSL_STORE_INFO_get1_PKEY(info);
    OSSL_STORE_INFO_free(info);
    (void)OSSL_STORE_close(store);
    idm_provider_hand_over(NULL);
    return key;
}

/* In the default library context, as the application's own certificates are. */
static bool read_chain(struct identity *identity, const struct idm_bytes *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->size);
    X509 *cert = NULL;
    bool good = bio != NULL;
    (void)ERR_set_mark();
    while (good && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        if (!identity->cert)
            identity->cert = cert;
        else if (!sk_X509_push(identity->chain, cert)) {
            X509_free(cert);
            good = false;
        }
    }
    (void)ERR_pop_to_mark(); /* the end of the file is an error to OpenSSL */
    BIO_free(bio);
    return good && identity->cert;
}

static int load(struct idmode *id, struct identity **ret, struct idm_error *err)
{
    struct idm_active_key *from = NULL;
    int rc = idm_active_load(id->active, false, &from, err);
    if (rc)
        return rc;
    struct identity *identity = calloc(1, sizeof *identity);
    if (identity) {
        identity->refs = 1;
        identity->chain = sk_X509_new_null();
        identity->key = make_key(from);
    }
    bool good = identity && identity->chain && identity->key && read_chain(identity, &from->chain);
    idm_active_key_free(from);
    if (good) {
        *ret = identity;
        return 0;
    }
    idmode_identity_free(identity);
    return idm_fail(err, identity ? IDM_E_CRYPTO : IDM_E_MEMORY, what_use,
                    "OpenSSL does not take the key or its certificate");
}

/* The identity in use, loaded again when the page says that it is another one; the caller's to free.
 * NULL: *err says why. */
static struct identity *current(struct idmode *id, struct idm_error *err)
{
    uint64_t word = idmode_word(id);
    idmode_lock();
    if (!id->identity || !word || word != id->word) {
        struct identity *fresh = NULL;
        if (load(id, &fresh, err))
            fresh = NULL;
        idmode_identity_free(id->identity);
        id->identity = fresh;
        id->word = word;
    }
    struct identity *found = id->identity;
    if (found)
        (void)atomic_fetch_add_explicit(&found->refs, 1, memory_order_relaxed);
    idmode_unlock();
    return found;
}

/* ---- SSL ---- */

/* 1: go on with what `ssl` has now; 0: end the handshake. */
static int choose(SSL *ssl, void *arg)
{
    struct idm_error err = {0};
    struct identity *identity = current(arg, &err);
    if (!identity) {
        (void)idmode_fail(&err);
        ERR_raise_data(ERR_LIB_USER, ERR_R_OPERATION_FAIL, "%s", idmode_error());
        return 0;
    }
    int good = SSL_get_certificate(ssl) == identity->cert;
    if (!good) {
        SSL_certs_clear(ssl); /* the former key may be of another kind, and would stay beside it */
        good = SSL_use_cert_and_key(ssl, identity->cert, identity->key, identity->chain, 1) == 1;
    }
    idmode_identity_free(identity);
    return good;
}

IDMODE_PUBLIC int idmode_use_identity(idmode *id, SSL_CTX *ssl_ctx)
{
    struct idm_error err = {0};
    if (!id || !ssl_ctx)
        return idm_fail(&err, IDM_E_USAGE, what_use, "a NULL"), idmode_fail(&err);
    if (!provide())
        return idm_fail(&err, IDM_E_CRYPTO, what_use, "OpenSSL does not take idmode's provider"),
               idmode_fail(&err);
    SSL_CTX_set_cert_cb(ssl_ctx, choose, id);
    struct identity *identity = current(id, &err);
    if (!identity)
        return idmode_fail(&err);
    int good = SSL_CTX_use_cert_and_key(ssl_ctx, identity->cert, identity->key, identity->chain, 1);
    idmode_identity_free(identity);
    if (good == 1)
        return IDMODE_OK;
    return idm_fail(&err, IDM_E_CRYPTO, what_use, "OpenSSL does not take key and certificate"),
           idmode_fail(&err);
}
