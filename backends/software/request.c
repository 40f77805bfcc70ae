/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/software/request.h"
#include "backends/software/key.h"
#include "backends/software/ossl.h"
#include "backends/software/pem.h"
#include "backends/software/profile.h"
#include "backends/software/subject.h"

#include <openssl/x509.h>

static const char what[] = "make a certificate request";

static void idm_x509_req_done(X509_REQ **request)
{
    X509_REQ_free(*request);
}
#define _cleanup_x509_req_ __attribute__((cleanup(idm_x509_req_done)))

static bool ask_for_usage(X509_REQ *request)
{
    STACK_OF(X509_EXTENSION) *list = NULL;
    bool ok = idm_tls_usage_add(&list) && X509_REQ_add_extensions(request, list) == 1;
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    return ok;
}

static int compose(X509_REQ *request, const char *subject, EVP_PKEY *key,
                   const struct idm_scheme *scheme, struct idm_error *err)
{
    _cleanup_x509_name_ X509_NAME *name = NULL;
    X509_ALGOR *algorithm = X509_ALGOR_new();
    int r = idm_subject_parse(subject, &name, err);
    bool ok = r == 0 && algorithm && X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
              X509_REQ_set_subject_name(request, name) == 1 &&
              X509_REQ_set_pubkey(request, key) == 1 && ask_for_usage(request) &&
              idm_scheme_set(algorithm, scheme) &&
              X509_REQ_set1_signature_algo(request, algorithm) == 1;
    X509_ALGOR_free(algorithm);
    return r || ok ? r : idm_ossl_fail(err, IDM_E_CRYPTO, what, "it cannot be composed");
}

static int sign_request(X509_REQ *request, const struct idm_scheme *scheme, idm_cert_sign_fn sign,
                        void *sign_ctx, struct idm_error *err)
{
    unsigned char *der = NULL;
    unsigned char hash[EVP_MAX_MD_SIZE];
    struct idm_signature signature = {0};
    int size = i2d_re_X509_REQ_tbs(request, &der);
    bool hashed = size > 0 && EVP_Digest(der, (size_t)size, hash, NULL,
                                         idm_ossl_digest((int)scheme->digest), NULL) == 1;
    OPENSSL_free(der);
    if (!hashed)
        return idm_ossl_fail(err, IDM_E_CRYPTO, what, "it cannot be hashed");
    int r = sign(sign_ctx, scheme->digest, hash, &signature, err);
    if (r < 0)
        return r;
    ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
    if (!bits || signature.size > sizeof signature.data ||
        ASN1_STRING_set(bits, signature.data, (int)signature.size) != 1) {
        ASN1_BIT_STRING_free(bits);
        return idm_ossl_fail(err, IDM_E_MEMORY, what, idm_error_sentence(IDM_E_MEMORY));
    }
    /* Without the flag zero bits at the end would be dropped as unused. */
    bits->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 0x07);
    bits->flags |= ASN1_STRING_FLAG_BITS_LEFT;
    X509_REQ_set0_signature(request, bits);
    return 0;
}

/* What is given out is what a CA will see: the bytes are parsed again and verified. */
static int encode_verified(X509_REQ *request, EVP_PKEY *key, struct idm_bytes *ret_pem,
                           struct idm_error *err)
{
    unsigned char *der = NULL;
    _cleanup_bytes_ struct idm_bytes pem = {0};
    int size = i2d_X509_REQ(request, &der);
    if (size <= 0)
        return idm_ossl_fail(err, IDM_E_CRYPTO, what, "it cannot be encoded");
    const unsigned char *at = der;
    _cleanup_x509_req_ X509_REQ *again = d2i_X509_REQ(NULL, &at, size);
    bool whole = again && at == der + size;
    int r = idm_pem_append(&pem, "CERTIFICATE REQUEST", der, (size_t)size);
    OPENSSL_free(der);
    if (r < 0)
        return idm_fail(err, r, what, "%s", idm_error_sentence(r));
    if (!whole)
        return idm_ossl_fail(err, IDM_E_CRYPTO, what, "it cannot be read again");
    if (X509_REQ_verify(again, key) != 1)
        return idm_ossl_fail(err, IDM_E_MISMATCH, what, "its signature is not the public key's");
    idm_bytes_move(ret_pem, &pem);
    return 0;
}

int idm_request_issue(const char *subject, EVP_PKEY *public_key, idm_cert_sign_fn sign,
                      void *sign_ctx, struct idm_bytes *ret_pem, struct idm_error *err)
{
    _ossl_queue_ bool queue = idm_ossl_begin();
    const struct idm_scheme *scheme = idm_scheme_of(public_key);
    if (!scheme)
        return idm_fail(err, IDM_E_USAGE, what, "keys of this kind sign no requests here");
    _cleanup_x509_req_ X509_REQ *request = X509_REQ_new();
    if (!request)
        return idm_ossl_fail(err, IDM_E_MEMORY, what, idm_error_sentence(IDM_E_MEMORY));
    int r = compose(request, subject, public_key, scheme, err);
    if (r == 0)
        r = sign_request(request, scheme, sign, sign_ctx, err);
    if (r == 0)
        r = encode_verified(request, public_key, ret_pem, err);
    return r;
}
