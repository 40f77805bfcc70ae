/* SPDX-License-Identifier: BSD-2-Clause */
/* attest.h - one attestation by an AK, and the keys that it speaks of.
 *
 *     parents ─► qualified Name of the AK ┐
 *     AK, exactly what an AK must be ─────┴► signature, magic, type, signer, nonce ─► what the chip said
 *
 * Pure; any thread. */
#ifndef IDM_VERIFY_ATTEST_H
#define IDM_VERIFY_ATTEST_H

#include "verify/document.h"
#include "verify/nonce.h"
#include "verify/refused.h"

#include <openssl/evp.h>
#include <tss2/tss2_tpm2_types.h>

/* An AK that was looked at. The caller frees it with idm_ak_key_free, also after a failure. */
struct idm_ak_key {
    TPM2B_PUBLIC area;
    TPM2B_NAME name;
    TPM2B_NAME qualified; /* empty: its parents are not known */
    EVP_PKEY *key;
};
void idm_ak_key_free(struct idm_ak_key *ak);

/* public: a TPM2B_PUBLIC, exactly as docs/attestation.md says. parents: from its own up to the primary key;
 * NULL or empty: unknown. REFUSED (AK, PARENTS), MEMORY, CRYPTO. */
int idm_ak_key_open(const struct idm_bytes *public, const struct idm_list *parents,
                    struct idm_ak_key *ret, struct idm_refused *refused) IDM_NODISCARD;

/* The qualified Name of a key called `name` below `parents`, a key of the owner's hierarchy. Each parent
 * must be a storage key that cannot leave its chip. REFUSED (PARENTS), CRYPTO. */
int idm_parents_trace(const struct idm_list *parents, const TPM2B_NAME *name, TPM2B_NAME *ret,
                      struct idm_refused *refused) IDM_NODISCARD;

/* Is this what the chip itself composed, of that type (TPM2_ST_ATTEST_…), and signed with this AK, for the
 * value `q` of nonce.h? The AK's qualified Name is compared where it is known. REFUSED (FORMAT, SIGNATURE,
 * MAGIC, TYPE, AK, NONCE), CRYPTO. */
int idm_attest_check(const struct idm_ak_key *ak, const struct idm_part *part, TPMI_ST_ATTEST type,
                     const uint8_t *q, size_t q_size, TPMS_ATTEST *ret,
                     struct idm_refused *refused) IDM_NODISCARD;

/* A device key as the AK certified it. */
struct idm_device_key {
    TPM2B_PUBLIC area;
    TPM2B_NAME name;
    EVP_PKEY *key;
    struct idm_bytes spki; /* DER SubjectPublicKeyInfo */
    bool traced;           /* its parents are given, and lead to it */
    TPMS_ATTEST attested;  /* TPM2_Certify */
};
void idm_device_key_done(struct idm_device_key *device);

/* Certified by the AK, made in the chip, never leaving it; the first certificate is for it. The caller frees
 * *ret with idm_device_key_done, also after a failure. REFUSED (any of the above, DEVICE, PARENTS, CERTIFICATE);
 * CRYPTO, MEMORY. */
int idm_device_key_check(const struct idm_ak_key *ak, const struct idm_device_part *part,
                         const uint8_t *q, size_t q_size, struct idm_device_key *ret,
                         struct idm_refused *refused) IDM_NODISCARD;

/* The public key in a DER certificate, the caller's to free; NULL: there is none. */
EVP_PKEY *idm_certificate_key(const struct idm_bytes *der);

#endif
