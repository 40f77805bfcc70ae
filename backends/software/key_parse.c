/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/software/key_parse.h"
#include "backends/software/ossl.h"
#include "backends/software/pem.h"

#include <openssl/asn1t.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <string.h>

/* RFC 5915, 3. OpenSSL does not say which version and how many unused bits it read, and a key file
 * that differs there from what was written is damaged. */
struct ec_private_key {
    ASN1_INTEGER *version;
    ASN1_OCTET_STRING *private_key;
    ASN1_TYPE *parameters;
    ASN1_BIT_STRING *public_key;
};

ASN1_SEQUENCE(ec_private_key) =
    {
        ASN1_SIMPLE(struct ec_private_key, version, ASN1_INTEGER),
        ASN1_SIMPLE(struct ec_private_key, private_key, ASN1_OCTET_STRING),
        ASN1_EXP_OPT(struct ec_private_key, parameters, ASN1_ANY, 0),
        ASN1_EXP_OPT(struct ec_private_key, public_key, ASN1_BIT_STRING, 1),
} static_ASN1_SEQUENCE_END_name(struct ec_private_key, ec_private_key)

        static void ec_private_key_free(struct ec_private_key * *key)
{
    if (*key && (*key)->private_key)
        OPENSSL_cleanse((*key)->private_key->data, (size_t)(*key)->private_key->length);
    ASN1_item_free((ASN1_VALUE *)*key, ASN1_ITEM_rptr(ec_private_key));
}

static void pkcs8_free(PKCS8_PRIV_KEY_INFO **info)
{
    PKCS8_PRIV_KEY_INFO_free(*info);
}

static bool ec_structure_ok(const uint8_t *der, size_t size)
{
    const uint8_t *at = der;
    __attribute__((cleanup(ec_private_key_free))) struct ec_private_key *key =
        (struct ec_private_key *)ASN1_item_d2i(NULL, &at, (long)size,
                                               ASN1_ITEM_rptr(ec_private_key));
    if (!key || at != der + size || ASN1_INTEGER_get(key->version) != 1)
        return false;
    return !key->public_key || (key->public_key->flags & 7) == 0;
}

/* Version of a SEQUENCE that begins with an INTEGER; -1: it does not. */
static long der_version(const uint8_t *der, size_t size)
{
    long content = 0;
    int tag = 0, class = 0;
    const uint8_t *at = der;
    if (ASN1_get_object(&at, &content, &tag, &class, (long)size) != V_ASN1_CONSTRUCTED ||
        tag != V_ASN1_SEQUENCE)
        return -1;
    ASN1_INTEGER *number = d2i_ASN1_INTEGER(NULL, &at, content);
    long version = number ? ASN1_INTEGER_get(number) : -1;
    ASN1_INTEGER_free(number);
    return version;
}

/* RFC 8017, A.1.2: 0 for two primes, 1 for more. RFC 3279, 2.3.1: the parameters are NULL. */
static bool rsa_structure_ok(const uint8_t *der, size_t size)
{
    long version = der_version(der, size);
    return version == 0 || version == 1;
}

static bool pkcs8_structure_ok(const PKCS8_PRIV_KEY_INFO *info)
{
    const uint8_t *inner = NULL;
    int size = 0, kind = 0;
    const X509_ALGOR *algorithm = NULL;
    const ASN1_OBJECT *oid = NULL;
    if (!PKCS8_pkey_get0(NULL, &inner, &size, &algorithm, info) || size < 0)
        return false;
    X509_ALGOR_get0(&oid, &kind, NULL, algorithm);
    int nid = OBJ_obj2nid(oid);
    if (nid == NID_X9_62_id_ecPublicKey)
        return ec_structure_ok(inner, (size_t)size);
    if (nid == NID_rsaEncryption)
        return (kind == V_ASN1_NULL || kind == V_ASN1_UNDEF) &&
               rsa_structure_ok(inner, (size_t)size);
    return true;
}

static EVP_PKEY *decode_pkcs8(const struct idm_bytes *der)
{
    const uint8_t *at = der->data;
    /* RFC 5208, 5: version 0. OpenSSL 3.0 reads no version 1 that has its public key (RFC 5958). */
    if (der_version(der->data, der->size) != 0)
        return NULL;
    __attribute__((cleanup(pkcs8_free))) PKCS8_PRIV_KEY_INFO *info =
        d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der->size);
    if (!info || at != der->data + der->size || !pkcs8_structure_ok(info))
        return NULL;
    return EVP_PKCS82PKEY(info);
}

static EVP_PKEY *decode_traditional(const struct idm_bytes *der, int type)
{
    const uint8_t *at = der->data;
    bool ok = type == EVP_PKEY_EC ? ec_structure_ok(der->data, der->size)
                                  : rsa_structure_ok(der->data, der->size);
    if (!ok)
        return NULL;
    EVP_PKEY *key = d2i_PrivateKey(type, NULL, &at, (long)der->size);
    if (key && at == der->data + der->size)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

/* RFC 5480, 2.2 forbids the hybrid form, and one damaged bit makes it from the uncompressed one. */
static bool point_is_hybrid(const EVP_PKEY *key)
{
    char form[32] = "";
    return EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, form,
                                          sizeof form, NULL) == 1 &&
           strcmp(form, OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_HYBRID) == 0;
}

static int decode_key(const struct idm_pem_block *block, const char *what, EVP_PKEY **ret,
                      struct idm_error *err)
{
    _cleanup_pkey_ EVP_PKEY *key = NULL;
    if (block->encrypted || strcmp(block->label, "ENCRYPTED PRIVATE KEY") == 0) {
        (void)idm_fail(err, IDM_E_CORRUPT, what, "encrypted private keys are not supported");
        (void)idm_advise(err, "decrypt it: openssl pkey -in FILE -out FILE.plain");
        return IDM_E_CORRUPT;
    }
    if (strcmp(block->label, "PRIVATE KEY") == 0)
        key = decode_pkcs8(&block->der);
    else if (strcmp(block->label, "EC PRIVATE KEY") == 0)
        key = decode_traditional(&block->der, EVP_PKEY_EC);
    else if (strcmp(block->label, "RSA PRIVATE KEY") == 0)
        key = decode_traditional(&block->der, EVP_PKEY_RSA);
    else
        return idm_fail(err, IDM_E_CORRUPT, what, "unexpected PEM block: %s", block->label);
    if (!key)
        return idm_ossl_corrupt(err, what, "no good private key");
    if (point_is_hybrid(key))
        return idm_fail(err, IDM_E_CORRUPT, what, "the public point has the forbidden hybrid form");
    *ret = key;
    key = NULL;
    return 0;
}

/* Do they name the curve of `key` by its object identifier, as all but very old files do? For that alone
 * OpenSSL need not make another key of them. */
static bool name_curve_of(const struct idm_bytes *parameters, const EVP_PKEY *key)
{
    char name[64] = "";
    const ASN1_OBJECT *curve = NULL;
    if (EVP_PKEY_get_group_name(key, name, sizeof name, NULL) == 1)
        curve = OBJ_nid2obj(OBJ_sn2nid(name));
    size_t size = curve ? OBJ_length(curve) : 0;
    return size > 0 && size < 128 && parameters->size == 2 + size &&
           parameters->data[0] == V_ASN1_OBJECT && parameters->data[1] == size &&
           memcmp(parameters->data + 2, OBJ_get0_data(curve), size) == 0;
}

static int check_parameters(const struct idm_bytes *der, const char *what, const EVP_PKEY *key,
                            struct idm_error *err)
{
    const uint8_t *at = der->data;
    if (name_curve_of(der, key))
        return 0;
    _cleanup_pkey_ EVP_PKEY *parameters = d2i_KeyParams(EVP_PKEY_EC, NULL, &at, (long)der->size);
    if (!parameters || at != der->data + der->size)
        return idm_ossl_corrupt(err, what, "the EC PARAMETERS block is damaged");
    if (EVP_PKEY_parameters_eq(parameters, key) != 1)
        return idm_ossl_corrupt(err, what, "the EC PARAMETERS block is not the key's");
    return 0;
}

/* One block of the file into *parameters or *key; each at most once, in this order. */
static int take_block(struct idm_pem_block *block, const char *what, struct idm_bytes *parameters,
                      EVP_PKEY **key, struct idm_error *err)
{
    if (*key)
        return idm_fail(err, IDM_E_CORRUPT, what, "more than one private key, or data behind it");
    if (strcmp(block->label, "EC PARAMETERS") != 0)
        return decode_key(block, what, key, err);
    if (parameters->data)
        return idm_fail(err, IDM_E_CORRUPT, what, "more than one EC PARAMETERS block");
    if (block->encrypted || block->der.size == 0)
        return idm_fail(err, IDM_E_CORRUPT, what, "the EC PARAMETERS block is damaged");
    idm_bytes_move(parameters, &block->der);
    return 0;
}

int idm_key_parse(const struct idm_bytes *pem, const char *what, EVP_PKEY **ret,
                  struct idm_error *err)
{
    _cleanup_pem_block_ struct idm_pem_block block = {0};
    _cleanup_bytes_ struct idm_bytes parameters = {0};
    _cleanup_pkey_ EVP_PKEY *key = NULL;
    struct idm_pem_cursor cursor = {.at = (const char *)pem->data, .left = pem->size};
    for (;;) {
        int r = idm_pem_next(&cursor, what, &block, err);
        if (r < 0)
            return r;
        if (!block.label[0])
            break;
        r = take_block(&block, what, &parameters, &key, err);
        if (r < 0)
            return r;
    }
    if (!key)
        return idm_fail(err, IDM_E_CORRUPT, what,
                        pem->size ? "no private key in it" : "the file is empty");
    int r = parameters.data ? check_parameters(&parameters, what, key, err) : 0;
    if (r < 0)
        return r;
    *ret = key;
    key = NULL;
    return 0;
}
