/* SPDX-License-Identifier: BSD-2-Clause */
/* public.h - public areas of TPM objects: our templates, what counts as ours, Names, public keys.
 *
 * Pure: no TPM is asked. TPM 2.0 Library Specification rev. 1.59; part 2, 8.3 object attributes,
 * 12.2 public areas; part 1, 16 Names.
 */
#ifndef IDM_BACKENDS_TPM_PUBLIC_H
#define IDM_BACKENDS_TPM_PUBLIC_H

#include "backends/backends.h"

#include <openssl/evp.h>
#include <tss2/tss2_tpm2_types.h>

/* fixedTPM, fixedParent, userWithAuth, noDA (part 2, 8.3). noDA: a key without it locks after a few
 * power cuts in use, even with an empty authorisation. */
#define IDM_ATTRIBUTES_COMMON                                                                      \
    (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA)
#define IDM_ATTRIBUTES_DEVICE                                                                      \
    (IDM_ATTRIBUTES_COMMON | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_SIGN_ENCRYPT)
#define IDM_ATTRIBUTES_STORAGE                                                                     \
    (IDM_ATTRIBUTES_COMMON | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED |            \
     TPMA_OBJECT_DECRYPT)
/* A key from outside: neither made here nor bound to this chip, so fixedTPM, fixedParent and
 * sensitiveDataOrigin are not its to claim (part 2, 8.3.3.2 to 8.3.3.4). Its policy is empty: nothing
 * can satisfy it, so it is never duplicated out again. */
#define IDM_ATTRIBUTES_IMPORTED                                                                    \
    (TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT)
#define IDM_ATTRIBUTES_SEALED IDM_ATTRIBUTES_COMMON

/* Storage key, ECC P-256 with AES-128-CFB: SRK (unique empty: handle 0x40000001 in a TSS2 file
 * means exactly this primary) and epoch parent. */
void idm_template_storage(TPM2B_PUBLIC *ret);
/* Endorsement key, ECC P-256 (TCG EK Credential Profile 2.5, B.3.4, template L-2). */
void idm_template_ek(TPM2B_PUBLIC *ret);
/* Device key; USAGE for IDM_ALG_NONE. */
int idm_template_device(enum idm_algorithm algorithm, TPM2B_PUBLIC *ret) IDM_NODISCARD;
/* Device key that was made outside; USAGE for IDM_ALG_NONE. */
int idm_template_imported(enum idm_algorithm algorithm, TPM2B_PUBLIC *ret) IDM_NODISCARD;
/* Sealed data object. */
void idm_template_sealed(TPM2B_PUBLIC *ret);

/* Is this what our templates make (any unique part)? */
bool idm_public_is(const TPM2B_PUBLIC *area, enum idm_tpm_role role);
/* Is this what idm_template_imported makes? */
bool idm_public_is_imported(const TPM2B_PUBLIC *area);
/* Can objects be created under it with an empty authorisation: restricted decrypt, fixedTPM,
 * userWithAuth, SHA-256 Name, ECC or RSA? */
bool idm_public_is_storage(const TPM2B_PUBLIC *area);
/* Equal but for the unique part (of ECC and RSA keys and sealed data). */
bool idm_public_same_template(const TPM2B_PUBLIC *a, const TPM2B_PUBLIC *b);
/* idmode's algorithm for a signing key, IDM_ALG_NONE for any other. */
enum idm_algorithm idm_public_algorithm(const TPM2B_PUBLIC *area);

/* A TPM2B_PUBLIC that is exactly bytes[0..size): what a TPM would write, nothing behind it, its
 * size field right (which tpm2-tss ignores). CORRUPT. */
int idm_public_parse(const uint8_t *bytes, size_t size, TPM2B_PUBLIC *ret) IDM_NODISCARD;
/* CORRUPT when nameAlg is not SHA-256. */
int idm_public_name(const TPM2B_PUBLIC *area, uint8_t ret_name[IDM_NAME_SIZE]) IDM_NODISCARD;
/* The key, owned by the caller. CORRUPT: not an RSA or NIST P key, or the point is not on its
 * curve; CRYPTO, MEMORY. */
int idm_public_evp(const TPM2B_PUBLIC *area, EVP_PKEY **ret) IDM_NODISCARD;
/* Algorithm and SHA-256 of the SubjectPublicKeyInfo; errors as idm_public_evp. */
int idm_public_key_info(const TPM2B_PUBLIC *area, struct idm_key_info *ret) IDM_NODISCARD;

#endif
