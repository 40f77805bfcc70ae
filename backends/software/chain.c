/* SPDX-License-Identifier: BSD-2-Clause */
/* chain.c - does a CA's certificate fit? OpenSSL's own verification says so, with the last certificate of
 * the file as the anchor: that is all a device can know. */
#include "backends/software/ossl.h"
#include "backends/software/pem.h"
#include "backends/software/request.h"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

/* SSL_CTX_set_security_level(3), level 2, Debian's default: what is weaker OpenSSL does not show. */
#define SECURITY_BITS 112

static const char what[] = "take the certificate";

static int refuse(struct idm_error *err, int at, const char *why)
{
    return at ? idm_fail(err, IDM_E_REFUSED, what, "issuer %d in the file %s", at, why)
              : idm_fail(err, IDM_E_REFUSED, what, "the device's certificate %s", why);
}

static int check_time(const X509 *cert, int at, int64_t now, struct idm_error *err)
{
    int64_t from = 0;
    int64_t to = 0;
    if (!idm_cert_seconds(X509_get0_notBefore(cert), &from) ||
        !idm_cert_seconds(X509_get0_notAfter(cert), &to))
        return idm_ossl_corrupt(err, what, "its dates are not understood");
    if (now < from)
        return refuse(err, at, "is not valid yet");
    return now > to ? refuse(err, at, "has expired") : 0;
}

static int check_strength(X509 *cert, int at, struct idm_error *err)
{
    int bits = 0;
    EVP_PKEY *key = X509_get0_pubkey(cert);
    if (!key || EVP_PKEY_get_security_bits(key) < SECURITY_BITS)
        return refuse(err, at, "has a key that TLS users do not accept");
    bool own = X509_get_extension_flags(cert) & EXFLAG_SS;
    if (!own && X509_get_signature_info(cert, NULL, NULL, &bits, NULL) == 1 && bits < SECURITY_BITS)
        return refuse(err, at, "is signed in a way that TLS users do not accept");
    return 0;
}

static int check_one(STACK_OF(X509) * chain, int at, int64_t now, struct idm_error *err)
{
    X509 *cert = sk_X509_value(chain, at);
    int r = check_time(cert, at, now, err);
    if (r == 0)
        r = check_strength(cert, at, err);
    if (r || at + 1 == sk_X509_num(chain))
        return r;
    X509 *issuer = sk_X509_value(chain, at + 1);
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    if (X509_check_issued(issuer, cert) != X509_V_OK || !key || X509_verify(cert, key) != 1)
        return refuse(err, at, "was not issued by the certificate that follows it");
    return 0;
}

/* Usages, CA marks, path lengths, name constraints. Dates are checked above, without time_t. */
static bool prepare(X509_STORE_CTX *ctx, X509_STORE *anchors, STACK_OF(X509) * chain)
{
    X509 *last = sk_X509_value(chain, sk_X509_num(chain) - 1);
    if (!ctx || !anchors || X509_STORE_add_cert(anchors, last) != 1 ||
        X509_STORE_CTX_init(ctx, anchors, sk_X509_value(chain, 0), chain) != 1)
        return false;
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    return X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN |
                                                  X509_V_FLAG_NO_CHECK_TIME) == 1 &&
           X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT) == 1;
}

static int verify(STACK_OF(X509) * chain, struct idm_error *err)
{
    X509_STORE *anchors = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int r = 0;
    if (!prepare(ctx, anchors, chain)) {
        r = idm_ossl_fail(err, IDM_E_CRYPTO, what, "it cannot be checked");
    } else if (X509_verify_cert(ctx) != 1) {
        int code = X509_STORE_CTX_get_error(ctx);
        int at = X509_STORE_CTX_get_error_depth(ctx);
        if (code == X509_V_ERR_OUT_OF_MEM)
            r = idm_fail(err, IDM_E_MEMORY, what, "%s", idm_error_sentence(IDM_E_MEMORY));
        else
            r = refuse(err, at, X509_verify_cert_error_string(code));
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(anchors);
    return r;
}

static int write_again(STACK_OF(X509) * chain, struct idm_bytes *ret, struct idm_error *err)
{
    for (int at = 0; at < sk_X509_num(chain); at++) {
        unsigned char *der = NULL;
        int size = i2d_X509(sk_X509_value(chain, at), &der); /* as it was read: OpenSSL kept it */
        int r = size > 0 ? idm_pem_append(ret, "CERTIFICATE", der, (size_t)size) : IDM_E_CRYPTO;
        OPENSSL_free(der);
        if (r < 0)
            return idm_ossl_fail(err, r, what, idm_error_sentence(r));
    }
    if (ret->size > IDM_CHAIN_MAX)
        return idm_fail(err, IDM_E_REFUSED, what, "with its chain it is larger than %u bytes",
                        IDM_CHAIN_MAX);
    return 0;
}

int idm_chain_check(const struct idm_bytes *pem, int64_t now, struct idm_cert_info *ret,
                    struct idm_bytes *ret_pem, struct idm_error *err)
{
    _ossl_queue_ bool queue = idm_ossl_begin();
    _cleanup_bytes_ struct idm_bytes blocks = {0};
    _cleanup_x509_stack_ STACK_OF(X509) *chain = NULL;
    _cleanup_bytes_ struct idm_bytes der = {0};
    struct idm_cert_info info = {0};
    int r = idm_cert_inspect(pem, &info, err);
    if (r == 0)
        r = idm_chain_parse(pem, &chain, &der, err);
    for (int at = 0; r == 0 && at < sk_X509_num(chain); at++)
        r = check_one(chain, at, now, err);
    if (r == 0 && (X509_get_extension_flags(sk_X509_value(chain, 0)) & EXFLAG_CA ||
                   X509_check_ca(sk_X509_value(chain, 0))))
        r = refuse(err, 0, "is a CA's");
    if (r == 0)
        r = verify(chain, err);
    if (r == 0)
        r = write_again(chain, &blocks, err);
    if (r)
        return r;
    *ret = info;
    idm_bytes_move(ret_pem, &blocks);
    return 0;
}
