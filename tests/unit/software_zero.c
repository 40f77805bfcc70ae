/* SPDX-License-Identifier: BSD-2-Clause */
/* Leading zeros: one key in about 90 has a coordinate or a scalar that begins with a zero byte, and one
 * signature in 128 such a number. Each place where a number becomes bytes must pad, or not, as its
 * format says. */
#include "backends/software/cert.h"
#include "backends/software/key.h"
#include "tests/unit/software_scratch.h"

#include <criterion/criterion.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <string.h>

#define KEYS  3000u /* so many that each kind of zero is missed once in 10^5 runs */
#define BYTES 32u

enum zero { X, Y, SCALAR, ZEROS };

static bool begins_with_zero(const BIGNUM *number)
{
    return BN_num_bytes(number) < (int)BYTES;
}

static bool has(EVP_PKEY *key, enum zero zero)
{
    static const char *const names[ZEROS] = {OSSL_PKEY_PARAM_EC_PUB_X, OSSL_PKEY_PARAM_EC_PUB_Y,
                                             OSSL_PKEY_PARAM_PRIV_KEY};
    BIGNUM *number = NULL;

    cr_assert_eq(EVP_PKEY_get_bn_param(key, names[zero], &number), 1);
    bool found = begins_with_zero(number);
    BN_clear_free(number);
    return found;
}

static struct idm_bytes written(EVP_PKEY *key, const char *structure)
{
    struct idm_bytes bytes = {0};
    char *data;
    BIO *bio = BIO_new(BIO_s_mem());

    cr_assert(strcmp(structure, "SEC1") == 0
                  ? PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL)
                  : PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
    long size = BIO_get_mem_data(bio, &data);
    cr_assert_eq(idm_bytes_set(&bytes, data, (size_t)size), 0);
    BIO_free(bio);
    return bytes;
}

static int sign(void *ctx, enum idm_digest digest, const uint8_t *hash, struct idm_signature *ret,
                struct idm_error *err)
{
    return idm_key_sign(ctx, digest, hash, ret, err);
}

static bool has_short_number(const struct idm_signature *signature)
{
    const uint8_t *at = signature->data;
    ECDSA_SIG *parts = d2i_ECDSA_SIG(NULL, &at, (long)signature->size);

    cr_assert_not_null(parts);
    cr_assert_eq(at, signature->data + signature->size);
    bool found =
        begins_with_zero(ECDSA_SIG_get0_r(parts)) || begins_with_zero(ECDSA_SIG_get0_s(parts));
    ECDSA_SIG_free(parts);
    return found;
}

/* Signs until a number of the signature is short, at most a few hundred times. */
static bool signs_with_short_number(const struct idm_bytes *pem, const struct idm_bytes *cert)
{
    struct idm_error err = {0};
    uint8_t hash[SHA256_DIGEST_LENGTH] = {0};

    for (unsigned i = 0; i < 300; i++) {
        struct idm_signature signature;

        hash[0] = (uint8_t)i;
        hash[1] = (uint8_t)(i >> 8);
        cr_assert_eq(idm_key_sign(pem, IDM_SHA256, hash, &signature, &err), 0, "%s", err.why);
        cr_assert_eq(cert_verify(cert, IDM_SHA256, hash, &signature, &err), 0, "%s", err.why);
        if (!has_short_number(&signature))
            continue;
        hash[2] ^= 1;
        cr_assert_eq(cert_verify(cert, IDM_SHA256, hash, &signature, &err), IDM_E_MISMATCH);
        return true;
    }
    return false;
}

/* Read, certified, signed with, verified, and the same key each time. */
static bool goes_through(EVP_PKEY *key, const char *structure)
{
    static const struct idm_cert_profile profile = {
        .subject = "CN=zero", .not_before = 1767225600, .not_after = 1798761600};
    _cleanup_bytes_ struct idm_bytes pem = written(key, structure);
    _cleanup_bytes_ struct idm_bytes cert = {0};
    struct idm_key_info info, public_info;
    struct idm_cert_info cert_info;
    struct idm_error err = {0};
    EVP_PKEY *public_key = NULL;

    cr_assert_eq(idm_key_inspect(&pem, &info, &err), 0, "%s", err.why);
    cr_assert_eq(info.algorithm, IDM_ECDSA_P256);
    cr_assert_eq(idm_public_inspect(key, &public_info, &err), 0);
    cr_assert_arr_eq(info.spki, public_info.spki, IDM_SHA256_SIZE);
    cr_assert_eq(idm_key_public(&pem, &public_key, &err), 0);
    cr_assert_eq(idm_cert_issue(&profile, public_key, IDM_ECDSA_P256, sign, &pem, &cert, &err), 0,
                 "%s", err.why);
    EVP_PKEY_free(public_key);
    cr_assert_eq(idm_cert_inspect(&cert, &cert_info, &err), 0, "%s", err.why);
    cr_assert_arr_eq(cert_info.spki, info.spki, IDM_SHA256_SIZE);
    return signs_with_short_number(&pem, &cert);
}

TestSuite(software_zero, .timeout = 60);

Test(software_zero, keys_and_signatures_with_leading_zeros_are_as_good_as_others)
{
    unsigned seen[ZEROS] = {0}, short_signatures = 0, tried = 0;

    for (unsigned i = 0; i < KEYS; i++) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        bool wanted = false;

        cr_assert_not_null(key);
        for (int zero = 0; zero < ZEROS; zero++) {
            if (has(key, (enum zero)zero) && ++seen[zero] <= 3)
                wanted = true;
        }
        if (wanted) {
            short_signatures += goes_through(key, tried++ % 2 == 0 ? "SEC1" : "PKCS8");
            short_signatures += goes_through(key, tried++ % 2 == 0 ? "SEC1" : "PKCS8");
        }
        EVP_PKEY_free(key);
        if (seen[X] >= 3 && seen[Y] >= 3 && seen[SCALAR] >= 3)
            break;
    }
    for (int zero = 0; zero < ZEROS; zero++)
        cr_assert_gt(seen[zero], 0, "kind %d", zero);
    cr_assert_gt(short_signatures, 0);
}

/* Some programs write a scalar as short as it can be, though SEC 1 (C.4) pads it. */
Test(software_zero, a_scalar_without_its_padding_is_the_same_key)
{
    static const uint8_t prefix[] = {0x30, 0, 0x02, 0x01, 0x01, 0x04};
    static const uint8_t curve[] = {0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    EVP_PKEY *key = NULL;
    BIGNUM *scalar = NULL;
    uint8_t der[128], public_point[65], *at = der;
    size_t point_size;

    for (unsigned i = 0; i < KEYS; i++) {
        EVP_PKEY_free(key);
        key = EVP_EC_gen("P-256");
        if (has(key, SCALAR))
            break;
    }
    cr_assert_eq(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar), 1);
    size_t size = (size_t)BN_num_bytes(scalar);
    cr_assert_lt(size, BYTES);
    cr_assert_eq(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, public_point,
                                                 sizeof public_point, &point_size),
                 1);
    memcpy(at, prefix, sizeof prefix);
    at += sizeof prefix;
    *at++ = (uint8_t)size;
    at += BN_bn2bin(scalar, at);
    memcpy(at, curve, sizeof curve);
    at += sizeof curve;
    const uint8_t tail[] = {0xa1, 0x44, 0x03, 0x42, 0x00};
    memcpy(at, tail, sizeof tail);
    at += sizeof tail;
    memcpy(at, public_point, sizeof public_point);
    at += sizeof public_point;
    der[1] = (uint8_t)(at - der - 2);

    _cleanup_bytes_ struct idm_bytes pem = {0};
    struct idm_key_info info, wanted;
    struct idm_error err = {0};
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio(bio, "EC PRIVATE KEY", "", der, at - der);
    long length = BIO_get_mem_data(bio, &text);
    cr_assert_eq(idm_bytes_set(&pem, text, (size_t)length), 0);
    BIO_free(bio);
    int result = idm_key_inspect(&pem, &info, &err);
    cr_assert_eq(result, 0, "%s", err.why);
    cr_assert_eq(idm_public_inspect(key, &wanted, &err), 0);
    cr_assert_arr_eq(info.spki, wanted.spki, IDM_SHA256_SIZE);
    BN_clear_free(scalar);
    EVP_PKEY_free(key);
}
