/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/software/ossl.h"
#include "backends/backends.h"

#include <openssl/err.h>

bool idm_ossl_begin(void)
{
    ERR_clear_error();
    return true;
}

void idm_ossl_end(const bool *queue)
{
    (void)queue;
    ERR_clear_error();
}

int idm_ossl_fail(struct idm_error *err, int code, const char *what, const char *why)
{
    unsigned long oldest = ERR_peek_error();
    const char *reason = oldest ? ERR_reason_error_string(oldest) : NULL;
    for (unsigned long error = ERR_get_error(); error; error = ERR_get_error()) {
        if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
            return idm_fail(err, IDM_E_MEMORY, what, "%s", idm_error_sentence(IDM_E_MEMORY));
    }
    (void)idm_fail(err, code, what, reason ? "%s: %s" : "%s", why, reason);
    if (err)
        err->foreign = oldest;
    return code;
}

static bool ossl_works(void)
{
    EVP_KEYMGMT *ec = EVP_KEYMGMT_fetch(NULL, "EC", NULL);
    EVP_KEYMGMT *rsa = EVP_KEYMGMT_fetch(NULL, "RSA", NULL);
    bool works = ec && rsa;
    EVP_KEYMGMT_free(ec);
    EVP_KEYMGMT_free(rsa);
    return works;
}

int idm_ossl_corrupt(struct idm_error *err, const char *what, const char *why)
{
    if (ossl_works())
        return idm_ossl_fail(err, IDM_E_CORRUPT, what, why);
    int code = idm_ossl_fail(err, IDM_E_CRYPTO, what, "OpenSSL offers neither EC nor RSA keys");
    (void)idm_advise(err,
                     "check openssl.cnf and OPENSSL_CONF: the default provider must be active");
    return code;
}

const EVP_MD *idm_ossl_digest(int digest)
{
    switch ((enum idm_digest)digest) {
    case IDM_SHA256:
        return EVP_sha256();
    case IDM_SHA384:
        return EVP_sha384();
    case IDM_SHA512:
        return EVP_sha512();
    }
    return NULL;
}
