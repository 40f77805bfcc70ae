/* SPDX-License-Identifier: BSD-2-Clause */
/* template.h - the endorsement keys that a chip may have a certificate for, and the attestation key.
 *
 * TCG EK Credential Profile for TPM Family 2.0, 2.5: B.3 (low range: the unique part may hold a nonce from
 * NV), B.4 (high range), B.6 (policies), 2.2.1.4 and 2.2.1.5 (NV indices). Pure; no TPM is asked.
 */
#ifndef IDM_BACKENDS_ATTEST_TEMPLATE_H
#define IDM_BACKENDS_ATTEST_TEMPLATE_H

#include "backends/tpm/public.h"

/* All NV indices of the profile; certificate chains are in the second range. */
#define IDM_EK_NV_FIRST    0x01c00000u
#define IDM_EK_NV_LAST     0x01c001ffu
#define IDM_EK_CHAIN_FIRST 0x01c00100u

struct idm_ek_kind {
    const char *name; /* "L-1" */
    TPMI_ALG_PUBLIC type;
    uint16_t size; /* RSA: bits; ECC: TPM2_ECC_… */
    TPMI_ALG_HASH hash;
    uint32_t certificate, nonce, template; /* NV indices; 0: the profile has none */
    bool high;
};

#define IDM_EK_KINDS 8u
extern const struct idm_ek_kind idm_ek_kinds[IDM_EK_KINDS];

/* The default template of that kind. */
void idm_ek_template(const struct idm_ek_kind *kind, TPM2B_PUBLIC *ret);
/* Puts the chip's nonce over the front of a template's unique part; one that is too long is cut. */
void idm_ek_add_nonce(const uint8_t *nonce, size_t size, TPM2B_PUBLIC *area);
/* A TPMT_PUBLIC from NV in place of the default. CORRUPT: none, or one that is no endorsement key:
 * restricted, decrypt, fixedTPM, fixedParent, and of the kind's type. */
int idm_ek_template_given(const struct idm_ek_kind *kind, const uint8_t *bytes, size_t size,
                          TPM2B_PUBLIC *ret) IDM_NODISCARD;

enum idm_ek_policy {
    IDM_EK_POLICY_A,    /* PolicySecret(TPM_RH_ENDORSEMENT) */
    IDM_EK_POLICY_B,    /* PolicyOR(A, PolicyAuthorizeNV(…)) */
    IDM_EK_POLICY_NONE, /* its (empty) authorisation alone */
    IDM_EK_POLICY_OTHER,
};
enum idm_ek_policy idm_ek_policy_of(const TPM2B_PUBLIC *area);
/* The two branches of policy B for that nameAlg, as TPM2_PolicyOR takes them. */
void idm_ek_policy_branches(TPMI_ALG_HASH hash, TPML_DIGEST *ret);

/* Name of an object whose nameAlg is SHA-256, SHA-384 or SHA-512. CORRUPT, CRYPTO. */
int idm_ek_name(const TPM2B_PUBLIC *area, TPM2B_NAME *ret) IDM_NODISCARD;

/* restricted and sign: it signs only what the chip composes itself (part 1, 25.2.3) */
#define IDM_ATTRIBUTES_ATTESTATION (IDM_ATTRIBUTES_DEVICE | TPMA_OBJECT_RESTRICTED)
/* ECC P-256, ECDSA with SHA-256: every chip that can hold the epoch parent has it. */
void idm_template_attestation(TPM2B_PUBLIC *ret);

#endif
