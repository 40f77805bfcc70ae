/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/attest/template.h"

#include <openssl/evp.h>
#include <string.h>
#include <tss2/tss2_mu.h>

const struct idm_ek_kind idm_ek_kinds[IDM_EK_KINDS] = {
    {"L-1", TPM2_ALG_RSA, 2048, TPM2_ALG_SHA256, 0x01c00002, 0x01c00003, 0x01c00004, false},
    {"L-2", TPM2_ALG_ECC, TPM2_ECC_NIST_P256, TPM2_ALG_SHA256, 0x01c0000a, 0x01c0000b, 0x01c0000c,
     false},
    {"H-1", TPM2_ALG_RSA, 2048, TPM2_ALG_SHA256, 0x01c00012, 0, 0x01c00013, true},
    {"H-2", TPM2_ALG_ECC, TPM2_ECC_NIST_P256, TPM2_ALG_SHA256, 0x01c00014, 0, 0x01c00015, true},
    {"H-3", TPM2_ALG_ECC, TPM2_ECC_NIST_P384, TPM2_ALG_SHA384, 0x01c00016, 0, 0x01c00017, true},
    {"H-4", TPM2_ALG_ECC, TPM2_ECC_NIST_P521, TPM2_ALG_SHA512, 0x01c00018, 0, 0x01c00019, true},
    {"H-6", TPM2_ALG_RSA, 3072, TPM2_ALG_SHA384, 0x01c0001c, 0, 0x01c0001d, true},
    {"H-7", TPM2_ALG_RSA, 4096, TPM2_ALG_SHA384, 0x01c0001e, 0, 0x01c0001f, true},
};

/* B.6.1 to B.6.5. A: PolicySecret(TPM_RH_ENDORSEMENT); C: PolicyAuthorizeNV(0x01C07F01 to ...03);
 * B: PolicyOR(A, C). */
static const struct policies {
    TPMI_ALG_HASH hash;
    uint16_t size;
    uint8_t a[64], b[64], c[64];
} policies[] = {
    {TPM2_ALG_SHA256,
     32,
     {0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
      0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
      0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa},
     {0xca, 0x3d, 0x0a, 0x99, 0xa2, 0xb9, 0x39, 0x06, 0xf7, 0xa3, 0x34,
      0x24, 0x14, 0xef, 0xcf, 0xb3, 0xa3, 0x85, 0xd4, 0x4c, 0xd1, 0xfd,
      0x45, 0x90, 0x89, 0xd1, 0x9b, 0x50, 0x71, 0xc0, 0xb7, 0xa0},
     {0x37, 0x67, 0xe2, 0xed, 0xd4, 0x3f, 0xf4, 0x5a, 0x3a, 0x7e, 0x1e,
      0xae, 0xfc, 0xef, 0x78, 0x64, 0x3d, 0xca, 0x96, 0x46, 0x32, 0xe7,
      0xaa, 0xd8, 0x2c, 0x67, 0x3a, 0x30, 0xd8, 0x63, 0x3f, 0xde}},
    {TPM2_ALG_SHA384,
     48,
     {0x8b, 0xbf, 0x22, 0x66, 0x53, 0x7c, 0x17, 0x1c, 0xb5, 0x6e, 0x40, 0x3c,
      0x4d, 0xc1, 0xd4, 0xb6, 0x4f, 0x43, 0x26, 0x11, 0xdc, 0x38, 0x6e, 0x6f,
      0x53, 0x20, 0x50, 0xc3, 0x27, 0x8c, 0x93, 0x0e, 0x14, 0x3e, 0x8b, 0xb1,
      0x13, 0x38, 0x24, 0xcc, 0xb4, 0x31, 0x05, 0x38, 0x71, 0xc6, 0xdb, 0x53},
     {0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc,
      0xf5, 0xfd, 0x3a, 0x1a, 0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4,
      0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca, 0xcb, 0x47, 0xba, 0x09,
      0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12},
     {0xd6, 0x03, 0x2c, 0xe6, 0x1f, 0x2f, 0xb3, 0xc2, 0x40, 0xeb, 0x3c, 0xf6,
      0xa3, 0x32, 0x37, 0xef, 0x2b, 0x6a, 0x16, 0xf4, 0x29, 0x3c, 0x22, 0xb4,
      0x55, 0xe2, 0x61, 0xcf, 0xfd, 0x21, 0x7a, 0xd5, 0xb4, 0x94, 0x7c, 0x2d,
      0x73, 0xe6, 0x30, 0x05, 0xee, 0xd2, 0xdc, 0x2b, 0x35, 0x93, 0xd1, 0x65}},
    {TPM2_ALG_SHA512,
     64,
     {0x1e, 0x3b, 0x76, 0x50, 0x2c, 0x8a, 0x14, 0x25, 0xaa, 0x0b, 0x7b, 0x3f, 0xc6,
      0x46, 0xa1, 0xb0, 0xfa, 0xe0, 0x63, 0xb0, 0x3b, 0x53, 0x68, 0xf9, 0xc4, 0xcd,
      0xde, 0xca, 0xff, 0x08, 0x91, 0xdd, 0x68, 0x2b, 0xac, 0x1a, 0x85, 0xd4, 0xd8,
      0x32, 0xb7, 0x81, 0xea, 0x45, 0x19, 0x15, 0xde, 0x5f, 0xc5, 0xbf, 0x0d, 0xc4,
      0xa1, 0x91, 0x7c, 0xd4, 0x2f, 0xa0, 0x41, 0xe3, 0xf9, 0x98, 0xe0, 0xee},
     {0xb8, 0x22, 0x1c, 0xa6, 0x9e, 0x85, 0x50, 0xa4, 0x91, 0x4d, 0xe3, 0xfa, 0xa6,
      0xa1, 0x8c, 0x07, 0x2c, 0xc0, 0x12, 0x08, 0x07, 0x3a, 0x92, 0x8d, 0x5d, 0x66,
      0xd5, 0x9e, 0xf7, 0x9e, 0x49, 0xa4, 0x29, 0xc4, 0x1a, 0x6b, 0x26, 0x95, 0x71,
      0xd5, 0x7e, 0xdb, 0x25, 0xfb, 0xdb, 0x18, 0x38, 0x42, 0x56, 0x08, 0xb4, 0x13,
      0xcd, 0x61, 0x6a, 0x5f, 0x6d, 0xb5, 0xb6, 0x07, 0x1a, 0xf9, 0x9b, 0xea},
     {0x58, 0x9e, 0xe1, 0xe1, 0x46, 0x54, 0x47, 0x16, 0xe8, 0xde, 0xaf, 0xe6, 0xdb,
      0x24, 0x7b, 0x01, 0xb8, 0x1e, 0x9f, 0x9c, 0x7d, 0xd1, 0x6b, 0x81, 0x4a, 0xa1,
      0x59, 0x13, 0x87, 0x49, 0x10, 0x5f, 0xba, 0x53, 0x88, 0xdd, 0x1d, 0xea, 0x70,
      0x2f, 0x35, 0x24, 0x0c, 0x18, 0x49, 0x33, 0x12, 0x1e, 0x2c, 0x61, 0xb8, 0xf5,
      0x0d, 0x3e, 0xf9, 0x13, 0x93, 0xa4, 0x9a, 0x38, 0xc3, 0xf7, 0x3f, 0xc8}},
};
#define POLICIES (sizeof policies / sizeof policies[0])

static const struct policies *policies_for(TPMI_ALG_HASH hash)
{
    for (size_t i = 0; i < POLICIES; i++)
        if (policies[i].hash == hash)
            return &policies[i];
    return NULL;
}

void idm_ek_policy_branches(TPMI_ALG_HASH hash, TPML_DIGEST *ret)
{
    const struct policies *p = policies_for(hash);
    *ret = (TPML_DIGEST){0};
    if (!p)
        return;
    ret->count = 2;
    ret->digests[0].size = ret->digests[1].size = p->size;
    memcpy(ret->digests[0].buffer, p->a, p->size);
    memcpy(ret->digests[1].buffer, p->c, p->size);
}

enum idm_ek_policy idm_ek_policy_of(const TPM2B_PUBLIC *area)
{
    const TPM2B_DIGEST *policy = &area->publicArea.authPolicy;
    const struct policies *p = policies_for(area->publicArea.nameAlg);
    if (p && policy->size == p->size && memcmp(policy->buffer, p->a, p->size) == 0)
        return IDM_EK_POLICY_A;
    if (p && policy->size == p->size && memcmp(policy->buffer, p->b, p->size) == 0)
        return IDM_EK_POLICY_B;
    return area->publicArea.objectAttributes & TPMA_OBJECT_USERWITHAUTH ? IDM_EK_POLICY_NONE
                                                                        : IDM_EK_POLICY_OTHER;
}

static void fill_policy(const struct idm_ek_kind *kind, TPM2B_DIGEST *ret)
{
    const struct policies *p = policies_for(kind->hash);
    ret->size = p->size;
    memcpy(ret->buffer, kind->high ? p->b : p->a, p->size);
}

static void fill_rsa(const struct idm_ek_kind *kind, const TPMT_SYM_DEF_OBJECT *cipher,
                     TPMT_PUBLIC *ret)
{
    ret->parameters.rsaDetail = (TPMS_RSA_PARMS){
        .symmetric = *cipher, .scheme.scheme = TPM2_ALG_NULL, .keyBits = kind->size};
    ret->unique.rsa.size = kind->high ? 0 : kind->size / 8; /* of zeros */
}

static void fill_ecc(const struct idm_ek_kind *kind, const TPMT_SYM_DEF_OBJECT *cipher,
                     TPMT_PUBLIC *ret)
{
    ret->parameters.eccDetail = (TPMS_ECC_PARMS){.symmetric = *cipher,
                                                 .scheme.scheme = TPM2_ALG_NULL,
                                                 .curveID = kind->size,
                                                 .kdf.scheme = TPM2_ALG_NULL};
    ret->unique.ecc.x.size = ret->unique.ecc.y.size = kind->high ? 0 : 32;
}

void idm_ek_template(const struct idm_ek_kind *kind, TPM2B_PUBLIC *ret)
{
    const TPMT_SYM_DEF_OBJECT cipher = {.algorithm = TPM2_ALG_AES,
                                        .keyBits.aes = kind->hash == TPM2_ALG_SHA256 ? 128 : 256,
                                        .mode.aes = TPM2_ALG_CFB};
    *ret = (TPM2B_PUBLIC){
        .publicArea = {.type = kind->type,
                       .nameAlg = kind->hash,
                       .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                           TPMA_OBJECT_SENSITIVEDATAORIGIN |
                                           TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED |
                                           TPMA_OBJECT_DECRYPT |
                                           (kind->high ? TPMA_OBJECT_USERWITHAUTH : 0)}};
    fill_policy(kind, &ret->publicArea.authPolicy);
    if (kind->type == TPM2_ALG_RSA)
        fill_rsa(kind, &cipher, &ret->publicArea);
    else
        fill_ecc(kind, &cipher, &ret->publicArea);
}

void idm_ek_add_nonce(const uint8_t *nonce, size_t size, TPM2B_PUBLIC *area)
{
    TPMU_PUBLIC_ID *unique = &area->publicArea.unique;
    bool rsa = area->publicArea.type == TPM2_ALG_RSA;
    uint8_t *buffer = rsa ? unique->rsa.buffer : unique->ecc.x.buffer;
    size_t room = rsa ? area->publicArea.parameters.rsaDetail.keyBits / 8u : 32;
    if (room > sizeof unique->rsa.buffer)
        return;
    if (rsa)
        unique->rsa.size = (UINT16)room;
    else
        unique->ecc.x.size = unique->ecc.y.size = (UINT16)room;
    memcpy(buffer, nonce, size < room ? size : room);
}

int idm_ek_template_given(const struct idm_ek_kind *kind, const uint8_t *bytes, size_t size,
                          TPM2B_PUBLIC *ret)
{
    const TPMA_OBJECT needed = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                               TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED |
                               TPMA_OBJECT_DECRYPT;
    TPM2B_PUBLIC area = {0};
    size_t at = 0;
    if (Tss2_MU_TPMT_PUBLIC_Unmarshal(bytes, size, &at, &area.publicArea) != TSS2_RC_SUCCESS ||
        area.publicArea.type != kind->type ||
        (area.publicArea.objectAttributes & needed) != needed ||
        area.publicArea.objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT)
        return IDM_E_CORRUPT;
    *ret = area;
    return 0;
}

static const EVP_MD *digest_of(TPMI_ALG_HASH hash)
{
    switch (hash) {
    case TPM2_ALG_SHA256:
        return EVP_sha256();
    case TPM2_ALG_SHA384:
        return EVP_sha384();
    case TPM2_ALG_SHA512:
        return EVP_sha512();
    default:
        return NULL;
    }
}

int idm_ek_name(const TPM2B_PUBLIC *area, TPM2B_NAME *ret)
{
    uint8_t bytes[sizeof(TPM2B_PUBLIC)];
    size_t size = 0;
    unsigned int digest_size = 0;
    TPMI_ALG_HASH hash = area->publicArea.nameAlg;
    const EVP_MD *md = digest_of(hash);
    if (!md || Tss2_MU_TPMT_PUBLIC_Marshal(&area->publicArea, bytes, sizeof bytes, &size) !=
                   TSS2_RC_SUCCESS)
        return IDM_E_CORRUPT;
    TPM2B_NAME computed = {.name = {(BYTE)(hash >> 8), (BYTE)hash}};
    if (EVP_Digest(bytes, size, computed.name + 2, &digest_size, md, NULL) != 1)
        return IDM_E_CRYPTO;
    computed.size = (UINT16)(2 + digest_size);
    *ret = computed;
    return 0;
}

void idm_template_attestation(TPM2B_PUBLIC *ret)
{
    *ret = (TPM2B_PUBLIC){.publicArea = {.type = TPM2_ALG_ECC,
                                         .nameAlg = TPM2_ALG_SHA256,
                                         .objectAttributes = IDM_ATTRIBUTES_ATTESTATION,
                                         .parameters.eccDetail = {
                                             .symmetric.algorithm = TPM2_ALG_NULL,
                                             .scheme = {.scheme = TPM2_ALG_ECDSA,
                                                        .details.ecdsa.hashAlg = TPM2_ALG_SHA256},
                                             .curveID = TPM2_ECC_NIST_P256,
                                             .kdf.scheme = TPM2_ALG_NULL}}};
}
