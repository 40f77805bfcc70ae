/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/public.h"

#include "backends/software/key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <string.h>
#include <tss2/tss2_mu.h>

/* TCG EK Credential Profile 2.5, B.2: PolicySecret(TPM_RH_ENDORSEMENT). */
static const uint8_t ek_policy[IDM_SHA256_SIZE] = {
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};

#define RSA_BITS     2048u
#define RSA_EXPONENT 65537u /* what exponent 0 stands for (part 2, 12.2.3.5) */
#define P521_BYTES   66u
#define DER_MAX      1024u /* SubjectPublicKeyInfo of RSA-4096: 550 bytes */

void idm_template_storage(TPM2B_PUBLIC *ret)
{
    *ret = (TPM2B_PUBLIC){.publicArea = {.type = TPM2_ALG_ECC,
                                         .nameAlg = TPM2_ALG_SHA256,
                                         .objectAttributes = IDM_ATTRIBUTES_STORAGE,
                                         .parameters.eccDetail = {
                                             .symmetric = {.algorithm = TPM2_ALG_AES,
                                                           .keyBits.aes = 128,
                                                           .mode.aes = TPM2_ALG_CFB},
                                             .scheme.scheme = TPM2_ALG_NULL,
                                             .curveID = TPM2_ECC_NIST_P256,
                                             .kdf.scheme = TPM2_ALG_NULL,
                                         }}};
}

void idm_template_ek(TPM2B_PUBLIC *ret)
{
    idm_template_storage(ret);
    ret->publicArea.objectAttributes =
        TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
        TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
    ret->publicArea.authPolicy.size = sizeof ek_policy;
    memcpy(ret->publicArea.authPolicy.buffer, ek_policy, sizeof ek_policy);
    /* The profile's unique is 32 zero bytes each, not empty: another key. */
    ret->publicArea.unique.ecc.x.size = 32;
    ret->publicArea.unique.ecc.y.size = 32;
}

int idm_template_device(enum idm_algorithm algorithm, TPM2B_PUBLIC *ret)
{
    TPM2B_PUBLIC area = {
        .publicArea = {.nameAlg = TPM2_ALG_SHA256, .objectAttributes = IDM_ATTRIBUTES_DEVICE}};
    TPMS_ECC_PARMS ecc = {.symmetric.algorithm = TPM2_ALG_NULL,
                          .scheme.scheme = TPM2_ALG_NULL,
                          .kdf.scheme = TPM2_ALG_NULL};
    switch (algorithm) {
    case IDM_ECDSA_P256:
    case IDM_ECDSA_P384:
        ecc.curveID = algorithm == IDM_ECDSA_P256 ? TPM2_ECC_NIST_P256 : TPM2_ECC_NIST_P384;
        area.publicArea.type = TPM2_ALG_ECC;
        area.publicArea.parameters.eccDetail = ecc;
        break;
    case IDM_RSA_2048:
        area.publicArea.type = TPM2_ALG_RSA;
        area.publicArea.parameters.rsaDetail =
            (TPMS_RSA_PARMS){.symmetric.algorithm = TPM2_ALG_NULL,
                             .scheme.scheme = TPM2_ALG_NULL,
                             .keyBits = RSA_BITS};
        break;
    case IDM_ALG_NONE:
    default:
        return IDM_E_USAGE;
    }
    *ret = area;
    return 0;
}

int idm_template_imported(enum idm_algorithm algorithm, TPM2B_PUBLIC *ret)
{
    int result = idm_template_device(algorithm, ret);
    if (result == 0)
        ret->publicArea.objectAttributes = IDM_ATTRIBUTES_IMPORTED;
    return result;
}

void idm_template_sealed(TPM2B_PUBLIC *ret)
{
    *ret =
        (TPM2B_PUBLIC){.publicArea = {.type = TPM2_ALG_KEYEDHASH,
                                      .nameAlg = TPM2_ALG_SHA256,
                                      .objectAttributes = IDM_ATTRIBUTES_SEALED,
                                      .parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL}};
}

static bool marshal(const TPM2B_PUBLIC *area, uint8_t buffer[sizeof(TPM2B_PUBLIC)], size_t *ret)
{
    size_t offset = 0;
    if (Tss2_MU_TPMT_PUBLIC_Marshal(&area->publicArea, buffer, sizeof *area, &offset) !=
        TSS2_RC_SUCCESS)
        return false;
    *ret = offset;
    return true;
}

bool idm_public_same_template(const TPM2B_PUBLIC *a, const TPM2B_PUBLIC *b)
{
    TPM2B_PUBLIC bare_a = *a;
    TPM2B_PUBLIC bare_b = *b;
    bare_a.publicArea.unique = (TPMU_PUBLIC_ID){0};
    bare_b.publicArea.unique = (TPMU_PUBLIC_ID){0};
    uint8_t bytes_a[sizeof(TPM2B_PUBLIC)];
    uint8_t bytes_b[sizeof(TPM2B_PUBLIC)];
    size_t size_a = 0;
    size_t size_b = 0;
    return marshal(&bare_a, bytes_a, &size_a) && marshal(&bare_b, bytes_b, &size_b) &&
           size_a == size_b && memcmp(bytes_a, bytes_b, size_a) == 0;
}

bool idm_public_is(const TPM2B_PUBLIC *area, enum idm_tpm_role role)
{
    TPM2B_PUBLIC template;
    if (role == IDM_ROLE_PARENT)
        idm_template_storage(&template);
    else if (idm_template_device(idm_public_algorithm(area), &template) < 0)
        return false;
    return idm_public_same_template(area, &template);
}

bool idm_public_is_imported(const TPM2B_PUBLIC *area)
{
    TPM2B_PUBLIC template;
    return idm_template_imported(idm_public_algorithm(area), &template) == 0 &&
           idm_public_same_template(area, &template);
}

bool idm_public_is_storage(const TPM2B_PUBLIC *area)
{
    const TPMA_OBJECT needed = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT |
                               TPMA_OBJECT_USERWITHAUTH;
    return (area->publicArea.type == TPM2_ALG_ECC || area->publicArea.type == TPM2_ALG_RSA) &&
           area->publicArea.nameAlg == TPM2_ALG_SHA256 &&
           (area->publicArea.objectAttributes & needed) == needed &&
           !(area->publicArea.objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT);
}

enum idm_algorithm idm_public_algorithm(const TPM2B_PUBLIC *area)
{
    const TPMT_PUBLIC *key = &area->publicArea;
    if (!(key->objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT))
        return IDM_ALG_NONE;
    if (key->type == TPM2_ALG_ECC && key->parameters.eccDetail.curveID == TPM2_ECC_NIST_P256)
        return IDM_ECDSA_P256;
    if (key->type == TPM2_ALG_ECC && key->parameters.eccDetail.curveID == TPM2_ECC_NIST_P384)
        return IDM_ECDSA_P384;
    if (key->type == TPM2_ALG_RSA && key->parameters.rsaDetail.keyBits == RSA_BITS)
        return IDM_RSA_2048;
    return IDM_ALG_NONE;
}

int idm_public_parse(const uint8_t *bytes, size_t size, TPM2B_PUBLIC *ret)
{
    TPM2B_PUBLIC area = {0};
    uint8_t again[sizeof(TPM2B_PUBLIC)];
    size_t end = 0;
    size_t again_size = 0;
    if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(bytes, size, &end, &area) != TSS2_RC_SUCCESS ||
        end != size ||
        Tss2_MU_TPM2B_PUBLIC_Marshal(&area, again, sizeof again, &again_size) != TSS2_RC_SUCCESS ||
        again_size != size || memcmp(again, bytes, size) != 0)
        return IDM_E_CORRUPT;
    *ret = area;
    return 0;
}

int idm_public_name(const TPM2B_PUBLIC *area, uint8_t ret_name[IDM_NAME_SIZE])
{
    uint8_t bytes[sizeof(TPM2B_PUBLIC)];
    uint8_t name[IDM_NAME_SIZE] = {TPM2_ALG_SHA256 >> 8, TPM2_ALG_SHA256 & 0xff};
    size_t size = 0;
    if (area->publicArea.nameAlg != TPM2_ALG_SHA256 || !marshal(area, bytes, &size))
        return IDM_E_CORRUPT;
    int result = idm_sha256(bytes, size, name + 2);
    if (result < 0)
        return result;
    memcpy(ret_name, name, IDM_NAME_SIZE);
    return 0;
}

static int evp_from(const char *type, OSSL_PARAM_BLD *builder, int selection, EVP_PKEY **ret)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    int result = IDM_E_CRYPTO;
    if (params && make && EVP_PKEY_fromdata_init(make) > 0)
        result = EVP_PKEY_fromdata(make, &key, selection, params) > 0 ? 0 : IDM_E_CORRUPT;
    EVP_PKEY_CTX_free(make);
    OSSL_PARAM_free(params);
    *ret = key;
    return result;
}

static const struct curve {
    TPMI_ECC_CURVE id;
    const char *group;
    size_t bytes; /* of a coordinate */
} curves[] = {{TPM2_ECC_NIST_P256, SN_X9_62_prime256v1, 32},
              {TPM2_ECC_NIST_P384, SN_secp384r1, 48},
              {TPM2_ECC_NIST_P521, SN_secp521r1, P521_BYTES}};
#define COUNT_OF_CURVES (sizeof curves / sizeof *curves)

static const struct curve *curve_of(TPMI_ECC_CURVE id)
{
    for (size_t i = 0; i < COUNT_OF_CURVES; i++) {
        if (curves[i].id == id)
            return &curves[i];
    }
    return NULL;
}

static int make_curve(const char *group, EVP_PKEY **ret)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    int result = builder ? IDM_E_CRYPTO : IDM_E_MEMORY;
    if (builder && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group, 0))
        result = evp_from("EC", builder, EVP_PKEY_KEY_PARAMETERS, ret);
    OSSL_PARAM_BLD_free(builder);
    return result;
}

/* A key of this curve without its point. Working out a curve's constants takes four times as long as copying
 * them: each curve is kept, for this process, once it was needed. */
static int new_of_curve(const struct curve *curve, EVP_PKEY **ret)
{
    static EVP_PKEY *_Atomic kept[COUNT_OF_CURVES];
    EVP_PKEY *_Atomic *place = &kept[curve - curves];
    EVP_PKEY *first = atomic_load(place);
    if (!first) {
        EVP_PKEY *made = NULL;
        int result = make_curve(curve->group, &made);
        if (result < 0)
            return result;
        if (atomic_compare_exchange_strong(place, &first, made))
            first = made;
        else /* another thread was quicker */
            EVP_PKEY_free(made);
    }
    *ret = EVP_PKEY_dup(first);
    return *ret ? 0 : IDM_E_MEMORY;
}

/* A point is on its curve, or there is no key: EC_POINT_oct2point looks, and with cofactor 1, as the NIST curves
 * have it, no more is to be asked. */
static int evp_ecc(const TPMT_PUBLIC *area, EVP_PKEY **ret)
{
    const struct curve *curve = curve_of(area->parameters.eccDetail.curveID);
    const TPM2B_ECC_PARAMETER *x = &area->unique.ecc.x;
    const TPM2B_ECC_PARAMETER *y = &area->unique.ecc.y;
    if (!curve || x->size > curve->bytes || y->size > curve->bytes)
        return IDM_E_CORRUPT;
    /* Some chips drop leading zeros of a coordinate; SEC 1, 2.3.3 wants them. */
    uint8_t point[1 + 2 * P521_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
    memcpy(point + 1 + curve->bytes - x->size, x->buffer, x->size);
    memcpy(point + 1 + 2 * curve->bytes - y->size, y->buffer, y->size);
    EVP_PKEY *key = NULL;
    int result = new_of_curve(curve, &key);
    if (result == 0 && EVP_PKEY_set1_encoded_public_key(key, point, 1 + 2 * curve->bytes) != 1)
        result = IDM_E_CORRUPT;
    if (result < 0)
        EVP_PKEY_free(key);
    else
        *ret = key;
    return result;
}

static int evp_rsa(const TPMT_PUBLIC *area, EVP_PKEY **ret)
{
    const TPM2B_PUBLIC_KEY_RSA *modulus = &area->unique.rsa;
    uint32_t exponent = area->parameters.rsaDetail.exponent;
    if (modulus->size == 0 || (size_t)modulus->size * 8 != area->parameters.rsaDetail.keyBits ||
        !(modulus->buffer[0] & 0x80))
        return IDM_E_CORRUPT;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn(modulus->buffer, modulus->size, NULL);
    EVP_PKEY *key = NULL;
    int result = IDM_E_CRYPTO;
    if (builder && n && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_uint32(builder, OSSL_PKEY_PARAM_RSA_E,
                                   exponent ? exponent : RSA_EXPONENT))
        result = evp_from("RSA", builder, EVP_PKEY_PUBLIC_KEY, &key);
    EVP_PKEY_CTX *check = result == 0 ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
    if (result == 0 && (!check || EVP_PKEY_public_check(check) <= 0))
        result = IDM_E_CORRUPT;
    EVP_PKEY_CTX_free(check);
    BN_free(n);
    OSSL_PARAM_BLD_free(builder);
    if (result < 0)
        EVP_PKEY_free(key);
    else
        *ret = key;
    return result;
}

int idm_public_evp(const TPM2B_PUBLIC *area, EVP_PKEY **ret)
{
    if (area->publicArea.type == TPM2_ALG_ECC)
        return evp_ecc(&area->publicArea, ret);
    return area->publicArea.type == TPM2_ALG_RSA ? evp_rsa(&area->publicArea, ret) : IDM_E_CORRUPT;
}

int idm_public_key_info(const TPM2B_PUBLIC *area, struct idm_key_info *ret)
{
    EVP_PKEY *key = NULL;
    int result = idm_public_evp(area, &key);
    if (result < 0)
        return result;
    struct idm_key_info info = {0};
    result = idm_public_inspect(key, &info, NULL);
    info.algorithm = idm_public_algorithm(area);
    if (result == 0)
        *ret = info;
    EVP_PKEY_free(key);
    return result;
}
