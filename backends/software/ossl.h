/* SPDX-License-Identifier: BSD-2-Clause */
/* ossl.h - what every user of OpenSSL needs here: owners for its objects, and its errors as ours.
 *
 *     _cleanup_pkey_ EVP_PKEY *key = NULL;     freed at the end of the scope
 *     _ossl_queue_ bool queue = idm_ossl_begin();
 *                                              first line of a public function: a clean error queue
 *                                              now, and again when the function is left
 */
#ifndef IDM_BACKENDS_SOFTWARE_OSSL_H
#define IDM_BACKENDS_SOFTWARE_OSSL_H

#include "backends/bytes.h"
#include "backends/error.h"

#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

/* Empties the calling thread's OpenSSL error queue; true. */
bool idm_ossl_begin(void);
/* The same at the end of a scope. */
void idm_ossl_end(const bool *queue);
#define _ossl_queue_ __attribute__((cleanup(idm_ossl_end), unused))

/* idm_fail() with the oldest reason in the error queue behind `why` ("why: reason"); `why` alone
 * when the queue is empty. Gives IDM_E_MEMORY instead of `code` when an allocation failed in
 * OpenSSL: a lack of memory must never look like a damaged file. */
int idm_ossl_fail(struct idm_error *err, int code, const char *what, const char *why);

/* The same for content that does not parse: IDM_E_CORRUPT, unless OpenSSL itself is not able to
 * work (no provider offers EC and RSA keys, because its configuration is broken): IDM_E_CRYPTO. */
int idm_ossl_corrupt(struct idm_error *err, const char *what, const char *why);

/* Message digest of `digest` (enum idm_digest of backends.h as int) as OpenSSL knows it; static.
 * NULL for a value outside the enumeration. */
const EVP_MD *idm_ossl_digest(int digest);

#define IDM_OSSL_OWNER(name, type, free_function)                                                  \
    static inline void idm_##name##_done(type **object)                                            \
    {                                                                                              \
        free_function(*object);                                                                    \
    }
IDM_OSSL_OWNER(pkey, EVP_PKEY, EVP_PKEY_free)
IDM_OSSL_OWNER(pkey_ctx, EVP_PKEY_CTX, EVP_PKEY_CTX_free)
IDM_OSSL_OWNER(x509, X509, X509_free)
IDM_OSSL_OWNER(x509_name, X509_NAME, X509_NAME_free)
IDM_OSSL_OWNER(bio, BIO, BIO_free_all)
#undef IDM_OSSL_OWNER
static inline void idm_x509_stack_done(STACK_OF(X509) * *chain)
{
    sk_X509_pop_free(*chain, X509_free);
}

#define _cleanup_pkey_       __attribute__((cleanup(idm_pkey_done)))
#define _cleanup_pkey_ctx_   __attribute__((cleanup(idm_pkey_ctx_done)))
#define _cleanup_x509_       __attribute__((cleanup(idm_x509_done)))
#define _cleanup_x509_name_  __attribute__((cleanup(idm_x509_name_done)))
#define _cleanup_x509_stack_ __attribute__((cleanup(idm_x509_stack_done)))
#define _cleanup_bio_        __attribute__((cleanup(idm_bio_done)))

#endif
