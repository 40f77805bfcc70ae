/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/software/cert.h"
#include "backends/software/key.h"
#include "backends/software/ossl.h"
#include "backends/software/pem.h"
#include "backends/software/profile.h"
#include "backends/software/subject.h"

#include <openssl/asn1t.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define SERIAL_SIZE   16u /* octets; RFC 5280, 4.1.2.2 allows 20 */
#define KEY_ID_SIZE   20u /* RFC 7093, 2, method 1: the leftmost 160 bits of SHA-256 */
#define SECONDS_A_DAY 86400
#define YEAR_9999_END 253402300799 /* RFC 5280, 4.1.2.5: no date after 99991231235959Z */

static const char what[] = "issue a certificate";

/* RFC 5280, 4.1. OpenSSL's own X509 can only be signed by a key that OpenSSL holds. */
struct tbs {
    ASN1_INTEGER *version;
    ASN1_INTEGER *serial;
    X509_ALGOR *algorithm;
    X509_NAME *issuer;
    X509_VAL *validity;
    X509_NAME *subject;
    X509_PUBKEY *key;
    STACK_OF(X509_EXTENSION) * extensions;
};

struct certificate {
    struct tbs *tbs;
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *signature;
};

ASN1_SEQUENCE(tbs) =
    {
        ASN1_EXP(struct tbs, version, ASN1_INTEGER, 0),
        ASN1_SIMPLE(struct tbs, serial, ASN1_INTEGER),
        ASN1_SIMPLE(struct tbs, algorithm, X509_ALGOR),
        ASN1_SIMPLE(struct tbs, issuer, X509_NAME),
        ASN1_SIMPLE(struct tbs, validity, X509_VAL),
        ASN1_SIMPLE(struct tbs, subject, X509_NAME),
        ASN1_SIMPLE(struct tbs, key, X509_PUBKEY),
        ASN1_EXP_SEQUENCE_OF(struct tbs, extensions, X509_EXTENSION, 3),
} static_ASN1_SEQUENCE_END_name(struct tbs, tbs)

        ASN1_SEQUENCE(certificate) =
            {
                ASN1_SIMPLE(struct certificate, tbs, tbs),
                ASN1_SIMPLE(struct certificate, algorithm, X509_ALGOR),
                ASN1_SIMPLE(struct certificate, signature, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END_name(struct certificate, certificate)

                static void certificate_free(struct certificate * *certificate)
{
    ASN1_item_free((ASN1_VALUE *)*certificate, ASN1_ITEM_rptr(certificate));
}

static bool set_serial(ASN1_INTEGER *serial)
{
    unsigned char random[SERIAL_SIZE];
    if (RAND_bytes(random, sizeof random) != 1)
        return false;
    random[0] = (unsigned char)((random[0] & 0x7f) | 0x40); /* positive, and always 16 octets */
    BIGNUM *number = BN_bin2bn(random, sizeof random, NULL);
    bool ok = number && BN_to_ASN1_INTEGER(number, serial);
    BN_free(number);
    return ok;
}

/* UTCTime up to 2049, GeneralizedTime from 2050 (RFC 5280, 4.1.2.5); not through time_t, which ends
 * in 2038 on some devices. */
static bool set_time(ASN1_TIME *time, int64_t seconds)
{
    char text[32];
    struct tm date = {.tm_year = 70, .tm_mon = 0, .tm_mday = 1};
    if (!OPENSSL_gmtime_adj(&date, (int)(seconds / SECONDS_A_DAY), (long)(seconds % SECONDS_A_DAY)))
        return false;
    (void)snprintf(text, sizeof text, "%04d%02d%02d%02d%02d%02dZ", date.tm_year + 1900,
                   date.tm_mon + 1, date.tm_mday, date.tm_hour, date.tm_min, date.tm_sec);
    return ASN1_TIME_set_string_X509(time, text) == 1;
}

static bool add_basic_constraints(struct tbs *tbs)
{
    BASIC_CONSTRAINTS *content = BASIC_CONSTRAINTS_new(); /* CA is FALSE unless set */
    bool ok = idm_extension_add(&tbs->extensions, NID_basic_constraints, true, content);
    BASIC_CONSTRAINTS_free(content);
    return ok;
}

static bool add_key_identifier(struct tbs *tbs)
{
    const unsigned char *bits = NULL;
    int size = 0;
    uint8_t hash[IDM_SHA256_SIZE];
    ASN1_OCTET_STRING *content = ASN1_OCTET_STRING_new();
    bool ok = content && X509_PUBKEY_get0_param(NULL, &bits, &size, NULL, tbs->key) == 1 &&
              idm_sha256(bits, (size_t)size, hash) == 0 &&
              ASN1_OCTET_STRING_set(content, hash, KEY_ID_SIZE) == 1 &&
              idm_extension_add(&tbs->extensions, NID_subject_key_identifier, false, content);
    ASN1_OCTET_STRING_free(content);
    return ok;
}

static bool set_public_key(struct tbs *tbs, const struct idm_bytes *spki)
{
    const uint8_t *at = spki->data;
    X509_PUBKEY *key = d2i_X509_PUBKEY(NULL, &at, (long)spki->size);
    if (!key)
        return false;
    X509_PUBKEY_free(tbs->key);
    tbs->key = key;
    return true;
}

static int compose(struct certificate *certificate, const struct idm_cert_profile *profile,
                   const EVP_PKEY *key, const struct idm_scheme *scheme, struct idm_error *err)
{
    struct tbs *tbs = certificate->tbs;
    _cleanup_bytes_ struct idm_bytes spki = {0};
    _cleanup_x509_name_ X509_NAME *name = NULL;
    int r = idm_subject_parse(profile->subject, &name, err);
    if (r == 0)
        r = idm_public_spki(key, &spki, err);
    if (r < 0)
        return r;
    bool ok = ASN1_INTEGER_set_uint64(tbs->version, X509_VERSION_3) == 1 &&
              set_serial(tbs->serial) && idm_scheme_set(tbs->algorithm, scheme) &&
              idm_scheme_set(certificate->algorithm, scheme) &&
              X509_NAME_set(&tbs->issuer, name) == 1 && X509_NAME_set(&tbs->subject, name) == 1 &&
              set_time(tbs->validity->notBefore, profile->not_before) &&
              set_time(tbs->validity->notAfter, profile->not_after) && set_public_key(tbs, &spki) &&
              add_basic_constraints(tbs) && idm_tls_usage_add(&tbs->extensions) &&
              add_key_identifier(tbs);
    return ok ? 0 : idm_ossl_fail(err, IDM_E_CRYPTO, what, "it cannot be composed");
}

static int sign_certificate(struct certificate *certificate, const struct idm_scheme *scheme,
                            idm_cert_sign_fn sign, void *sign_ctx, struct idm_error *err)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int hash_size = 0;
    struct idm_signature signature = {0};
    if (ASN1_item_digest(ASN1_ITEM_rptr(tbs), idm_ossl_digest((int)scheme->digest),
                         certificate->tbs, hash, &hash_size) != 1)
        return idm_ossl_fail(err, IDM_E_CRYPTO, what, "it cannot be hashed");
    int r = sign(sign_ctx, scheme->digest, hash, &signature, err);
    if (r < 0)
        return r;
    if (signature.size > sizeof signature.data)
        return idm_fail(err, IDM_E_INTERNAL, what, "the signature is longer than any");
    if (ASN1_STRING_set(certificate->signature, signature.data, (int)signature.size) != 1)
        return idm_ossl_fail(err, IDM_E_MEMORY, what, idm_error_sentence(IDM_E_MEMORY));
    /* Without the flag zero bits at the end would be dropped as unused. */
    certificate->signature->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 0x07);
    certificate->signature->flags |= ASN1_STRING_FLAG_BITS_LEFT;
    return 0;
}

/* What is given out is what a reader will see: the bytes are parsed again and verified. */
static int encode_verified(const struct certificate *certificate, EVP_PKEY *key,
                           struct idm_bytes *ret_pem, struct idm_error *err)
{
    unsigned char *der = NULL;
    _cleanup_x509_ X509 *again = NULL;
    _cleanup_bytes_ struct idm_bytes pem = {0};
    int size = ASN1_item_i2d((const ASN1_VALUE *)certificate, &der, ASN1_ITEM_rptr(certificate));
    if (size <= 0)
        return idm_ossl_fail(err, IDM_E_CRYPTO, what, "it cannot be encoded");
    const unsigned char *at = der;
    again = d2i_X509(NULL, &at, size);
    bool whole = again && at == der + size;
    int r = idm_pem_append(&pem, "CERTIFICATE", der, (size_t)size);
    OPENSSL_free(der);
    if (r < 0)
        return idm_fail(err, r, what, "%s", idm_error_sentence(r));
    if (!whole)
        return idm_ossl_fail(err, IDM_E_CRYPTO, what, "it cannot be read again");
    if (X509_verify(again, key) != 1)
        return idm_ossl_fail(err, IDM_E_MISMATCH, what, "its signature is not the public key's");
    idm_bytes_move(ret_pem, &pem);
    return 0;
}

static int check_request(const struct idm_cert_profile *profile, const EVP_PKEY *key,
                         enum idm_algorithm algorithm, struct idm_error *err)
{
    struct idm_key_info info;
    if (profile->not_before < 0 || profile->not_after > YEAR_9999_END ||
        profile->not_before >= profile->not_after)
        return idm_fail(err, IDM_E_USAGE, what,
                        "valid from %lld to %lld: not a time between 1970 and 9999",
                        (long long)profile->not_before, (long long)profile->not_after);
    int r = idm_public_inspect(key, &info, err);
    if (r < 0)
        return r;
    if (algorithm != IDM_ALG_NONE && algorithm != info.algorithm)
        return idm_fail(err, IDM_E_MISMATCH, what, "the public key is of another algorithm");
    return 0;
}

int idm_cert_issue(const struct idm_cert_profile *profile, EVP_PKEY *public_key,
                   enum idm_algorithm algorithm, idm_cert_sign_fn sign, void *sign_ctx,
                   struct idm_bytes *ret_pem, struct idm_error *err)
{
    _ossl_queue_ bool queue = idm_ossl_begin();
    const struct idm_scheme *scheme = idm_scheme_of(public_key);
    if (!scheme)
        return idm_fail(err, IDM_E_USAGE, what, "keys of this kind sign no certificates here");
    int r = check_request(profile, public_key, algorithm, err);
    if (r < 0)
        return r;
    __attribute__((cleanup(certificate_free))) struct certificate *certificate =
        (struct certificate *)ASN1_item_new(ASN1_ITEM_rptr(certificate));
    if (!certificate)
        return idm_ossl_fail(err, IDM_E_MEMORY, what, idm_error_sentence(IDM_E_MEMORY));
    r = compose(certificate, profile, public_key, scheme, err);
    if (r == 0)
        r = sign_certificate(certificate, scheme, sign, sign_ctx, err);
    if (r == 0)
        r = encode_verified(certificate, public_key, ret_pem, err);
    return r;
}
