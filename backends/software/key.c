/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/software/key.h"
#include "backends/software/key_parse.h"
#include "backends/software/ossl.h"
#include "backends/software/pem.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <openssl/rsa.h>
#include <string.h>

#define SECURITY_BITS_MIN 112  /* NIST SP 800-57 part 1, table 2: RSA-2048 */
#define KEY_BITS_MAX      8192 /* checking that the factors are prime takes hours far above it */

static const struct {
    enum idm_algorithm algorithm;
    const char *type;
    const char *group; /* NULL: RSA */
    int bits;
} algorithms[] = {
    {IDM_ECDSA_P256, "EC", SN_X9_62_prime256v1, 256},
    {IDM_ECDSA_P384, "EC", SN_secp384r1, 384},
    {IDM_RSA_2048, "RSA", NULL, 2048},
};
#define ALGORITHMS (sizeof algorithms / sizeof algorithms[0])

static void openssl_buffer_free(unsigned char **buffer)
{
    OPENSSL_free(*buffer);
}
#define _cleanup_buffer_ __attribute__((cleanup(openssl_buffer_free)))

/* Everything of a SubjectPublicKeyInfo before the coordinates: AlgorithmIdentifier with the named
 * curve (RFC 5480, 2.1.1), BIT STRING, uncompressed point. Looking for an encoder takes OpenSSL longer
 * than all else that a boot does with a key. */
static const struct {
    const char *group;
    size_t coordinate;
    uint8_t size; /* of head */
    uint8_t head[27];
} points[] = {
    {SN_X9_62_prime256v1, 32, 27, {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                   0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                   0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04}},
    {SN_secp384r1, 48, 24, {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86,
                            0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
                            0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04}},
};
#define COORDINATE_MAX 48u

/* False for other keys, and where anything is unusual. */
static bool spki_of_point(const EVP_PKEY *key, uint8_t *ret, size_t *ret_size)
{
    char group[64] = "";
    uint8_t point[1 + 2 * COORDINATE_MAX];
    size_t length = 0;
    if (!EVP_PKEY_is_a(key, "EC") ||
        EVP_PKEY_get_group_name(key, group, sizeof group, &length) != 1)
        return false;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        size_t head = points[i].size;
        size_t size = points[i].coordinate;
        if (strcmp(points[i].group, group) != 0)
            continue;
        /* in the form that the key came in: a compressed one goes the long way */
        if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point,
                                            &length) != 1 ||
            length != 1 + 2 * size || point[0] != POINT_CONVERSION_UNCOMPRESSED)
            return false;
        memcpy(ret, points[i].head, head);
        memcpy(ret + head, point + 1, 2 * size);
        *ret_size = head + 2 * size;
        return true;
    }
    return false;
}

int idm_public_spki(const EVP_PKEY *key, struct idm_bytes *ret_der, struct idm_error *err)
{
    static const char what[] = "encode the public key";
    _ossl_queue_ bool queue = idm_ossl_begin();
    _cleanup_buffer_ unsigned char *der = NULL;
    uint8_t point[sizeof points[0].head + 2 * COORDINATE_MAX];
    size_t point_size = 0;
    if (spki_of_point(key, point, &point_size)) {
        int set = idm_bytes_set(ret_der, point, point_size);
        return set < 0 ? idm_fail(err, set, what, "%s", idm_error_sentence(set)) : 0;
    }
    _cleanup_pkey_ EVP_PKEY *canonical = EVP_PKEY_dup((EVP_PKEY *)key);
    if (!canonical)
        return idm_ossl_fail(err, IDM_E_CRYPTO, what, "it cannot be copied");
    if (EVP_PKEY_is_a(canonical, "EC") &&
        (EVP_PKEY_set_utf8_string_param(canonical, OSSL_PKEY_PARAM_EC_ENCODING,
                                        OSSL_PKEY_EC_ENCODING_GROUP) != 1 ||
         EVP_PKEY_set_utf8_string_param(canonical, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                        OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) != 1))
        return idm_ossl_fail(err, IDM_E_CRYPTO, what, "no canonical form");
    int size = i2d_PUBKEY(canonical, &der);
    if (size <= 0)
        return idm_ossl_fail(err, IDM_E_CRYPTO, what, "no SubjectPublicKeyInfo");
    int r = idm_bytes_set(ret_der, der, (size_t)size);
    return r < 0 ? idm_fail(err, r, what, "%s", idm_error_sentence(r)) : 0;
}

static enum idm_algorithm algorithm_of(const EVP_PKEY *key)
{
    char group[64] = "";
    size_t size = 0;
    if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, &size) != 1)
        return IDM_ALG_NONE;
    for (size_t i = 0; i < ALGORITHMS; i++) {
        if (!EVP_PKEY_is_a(key, algorithms[i].type) || EVP_PKEY_get_bits(key) != algorithms[i].bits)
            continue;
        if (!algorithms[i].group || strcmp(algorithms[i].group, group) == 0)
            return algorithms[i].algorithm;
    }
    return IDM_ALG_NONE;
}

int idm_public_inspect(const EVP_PKEY *key, struct idm_key_info *ret, struct idm_error *err)
{
    _ossl_queue_ bool queue = idm_ossl_begin();
    _cleanup_bytes_ struct idm_bytes der = {0};
    struct idm_key_info info = {.algorithm = algorithm_of(key)};
    int r = idm_public_spki(key, &der, err);
    if (r < 0)
        return r;
    r = idm_sha256(der.data, der.size, info.spki);
    if (r < 0)
        return idm_ossl_fail(err, r, "hash the public key", idm_error_sentence(r));
    *ret = info;
    return 0;
}

static int inspect_once(const struct idm_bytes *pem, struct idm_key_info *ret,
                        struct idm_error *err)
{
    static const char what[] = "read the private key";
    _ossl_queue_ bool queue = idm_ossl_begin();
    _cleanup_pkey_ EVP_PKEY *key = NULL;
    int r = idm_key_parse(pem, what, &key, err);
    if (r < 0)
        return r;
    if (EVP_PKEY_get_security_bits(key) < SECURITY_BITS_MIN)
        return idm_fail(err, IDM_E_CORRUPT, what, "a key of %d bits is too weak to use",
                        EVP_PKEY_get_bits(key));
    if (EVP_PKEY_get_bits(key) > KEY_BITS_MAX)
        return idm_fail(err, IDM_E_CORRUPT, what, "a key of %d bits is too large to be real",
                        EVP_PKEY_get_bits(key));
    if (EVP_PKEY_can_sign(key) != 1)
        return idm_ossl_corrupt(err, what, "the key cannot sign");
    _cleanup_pkey_ctx_ EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    if (!ctx)
        return idm_ossl_fail(err, IDM_E_CRYPTO, what, "it cannot be checked");
    if (EVP_PKEY_check(ctx) != 1)
        return idm_ossl_corrupt(err, what, "its private and public half do not belong together");
    return idm_public_inspect(key, ret, err);
}

int idm_key_inspect(const struct idm_bytes *pem, struct idm_key_info *ret, struct idm_error *err)
{
    struct idm_error failed = {0};
    int r = inspect_once(pem, ret, &failed);
    /* OpenSSL swallows some failed allocations: damage is what is found twice. */
    if (r == IDM_E_CORRUPT)
        r = inspect_once(pem, ret, &failed);
    if (r < 0 && err)
        *err = failed;
    return r;
}

int idm_key_public(const struct idm_bytes *pem, EVP_PKEY **ret, struct idm_error *err)
{
    _ossl_queue_ bool queue = idm_ossl_begin();
    _cleanup_pkey_ EVP_PKEY *key = NULL;
    _cleanup_bytes_ struct idm_bytes der = {0};
    struct idm_key_info info;
    int r = idm_key_inspect(pem, &info, err);
    if (r == 0)
        r = idm_key_parse(pem, "read the private key", &key, err);
    if (r == 0)
        r = idm_public_spki(key, &der, err);
    if (r < 0)
        return r;
    const unsigned char *at = der.data;
    EVP_PKEY *public_key = d2i_PUBKEY(NULL, &at, (long)der.size);
    if (!public_key)
        return idm_ossl_fail(err, IDM_E_CRYPTO, "read the public key", "not understood");
    *ret = public_key;
    return 0;
}

static EVP_PKEY *generate(enum idm_algorithm algorithm)
{
    for (size_t i = 0; i < ALGORITHMS; i++) {
        if (algorithms[i].algorithm != algorithm)
            continue;
        return algorithms[i].group ? EVP_EC_gen(algorithms[i].group)
                                   : EVP_RSA_gen((unsigned int)algorithms[i].bits);
    }
    return NULL;
}

/* OpenSSL's encoder would copy the key through buffers that nobody wipes; the DER is ours. */
static int append_private(EVP_PKEY *key, const char *label, struct idm_bytes *text)
{
    unsigned char *der = NULL;
    int size = i2d_PrivateKey(key, &der);
    if (size <= 0)
        return IDM_E_CRYPTO;
    int r = idm_pem_append(text, label, der, (size_t)size);
    OPENSSL_clear_free(der, (size_t)size);
    return r;
}

static int append_parameters(EVP_PKEY *key, struct idm_bytes *text)
{
    _cleanup_buffer_ unsigned char *der = NULL;
    int size = i2d_KeyParams(key, &der);
    if (size <= 0)
        return IDM_E_CRYPTO;
    return idm_pem_append(text, "EC PARAMETERS", der, (size_t)size);
}

int idm_key_generate(enum idm_algorithm algorithm, struct idm_bytes *ret_pem, struct idm_error *err)
{
    static const char what[] = "generate a private key";
    _ossl_queue_ bool queue = idm_ossl_begin();
    _cleanup_bytes_ struct idm_bytes text = {0};
    if (algorithm == IDM_ALG_NONE)
        return idm_fail(err, IDM_E_USAGE, what, "no algorithm is named");
    _cleanup_pkey_ EVP_PKEY *key = generate(algorithm);
    if (!key)
        return idm_ossl_fail(err, IDM_E_CRYPTO, what, "OpenSSL made none");
    bool ec = EVP_PKEY_is_a(key, "EC");
    int r = ec ? append_parameters(key, &text) : 0;
    if (r == 0)
        r = append_private(key, ec ? "EC PRIVATE KEY" : "RSA PRIVATE KEY", &text);
    if (r < 0)
        return idm_ossl_fail(err, r, what, "it cannot be encoded");
    idm_bytes_move(ret_pem, &text);
    return 0;
}

/* A context for signing or verifying one digest; NULL: this key does neither. */
static EVP_PKEY_CTX *digest_ctx(EVP_PKEY *key, enum idm_digest digest,
                                int (*init)(EVP_PKEY_CTX *ctx))
{
    const EVP_MD *md = idm_ossl_digest((int)digest);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    bool ready = ctx && md && init(ctx) == 1;
    if (ready && EVP_PKEY_is_a(key, "RSA"))
        ready = EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    if (ready && EVP_PKEY_CTX_set_signature_md(ctx, md) == 1)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

static size_t digest_size(enum idm_digest digest)
{
    const EVP_MD *md = idm_ossl_digest((int)digest);
    return md ? (size_t)EVP_MD_get_size(md) : 0;
}

int idm_public_verify(EVP_PKEY *key, enum idm_digest digest, const uint8_t *hash,
                      const struct idm_signature *signature, struct idm_error *err)
{
    static const char what[] = "verify a signature";
    _ossl_queue_ bool queue = idm_ossl_begin();
    if (signature->size > sizeof signature->data)
        return idm_fail(err, IDM_E_MISMATCH, what, "it is longer than any signature");
    _cleanup_pkey_ctx_ EVP_PKEY_CTX *ctx = digest_ctx(key, digest, EVP_PKEY_verify_init);
    if (!ctx)
        return idm_ossl_fail(err, IDM_E_CRYPTO, what, "a key of this kind verifies no digests");
    if (EVP_PKEY_verify(ctx, signature->data, signature->size, hash, digest_size(digest)) != 1)
        return idm_ossl_fail(err, IDM_E_MISMATCH, what, "another key made it, or over other data");
    return 0;
}

int idm_key_sign(const struct idm_bytes *pem, enum idm_digest digest, const uint8_t *hash,
                 struct idm_signature *ret, struct idm_error *err)
{
    static const char what[] = "sign with the private key";
    _ossl_queue_ bool queue = idm_ossl_begin();
    _cleanup_pkey_ EVP_PKEY *key = NULL;
    int r = idm_key_parse(pem, what, &key, err);
    if (r < 0)
        return r;
    _cleanup_pkey_ctx_ EVP_PKEY_CTX *ctx = digest_ctx(key, digest, EVP_PKEY_sign_init);
    if (!ctx)
        return idm_ossl_fail(err, IDM_E_CRYPTO, what, "a key of this kind signs no digests");
    struct idm_signature signature = {.size = sizeof signature.data};
    if (EVP_PKEY_sign(ctx, signature.data, &signature.size, hash, digest_size(digest)) != 1)
        return idm_ossl_fail(err, IDM_E_CRYPTO, what, "OpenSSL refused");
    r = idm_public_verify(key, digest, hash, &signature, NULL);
    if (r == IDM_E_MISMATCH)
        return idm_fail(err, IDM_E_CORRUPT, what,
                        "its private and public half do not belong together");
    if (r < 0)
        return idm_fail(err, r, what, "the signature cannot be verified");
    *ret = signature;
    return 0;
}
