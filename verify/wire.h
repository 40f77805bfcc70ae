/* SPDX-License-Identifier: BSD-2-Clause */
/* wire.h - what a TPM says, read strictly: structures, Names, signatures.
 *
 * TPM 2.0 Library Specification rev. 1.59, part 2. Every parser takes exactly the bytes that a TPM would
 * write: nothing behind them, every size and union selector right, checked by writing the structure again.
 * So two different documents never mean the same. Pure; any thread; nothing is kept. */
#ifndef IDM_VERIFY_WIRE_H
#define IDM_VERIFY_WIRE_H

#include "backends/bytes.h"

#include <openssl/evp.h>
#include <tss2/tss2_tpm2_types.h>

/* CORRUPT. */
int idm_wire_attest(const struct idm_bytes *bytes, TPMS_ATTEST *ret) IDM_NODISCARD;
int idm_wire_signature(const struct idm_bytes *bytes, TPMT_SIGNATURE *ret) IDM_NODISCARD;
int idm_wire_nv_public(const struct idm_bytes *bytes, TPM2B_NV_PUBLIC *ret) IDM_NODISCARD;
/* A TPM2B_PUBLIC, as tpm2-tools write it. */
int idm_wire_public(const struct idm_bytes *bytes, TPM2B_PUBLIC *ret) IDM_NODISCARD;

/* Part 1, 16: nameAlg ‖ H(the area). CORRUPT when nameAlg is none of SHA-256, -384, -512; CRYPTO. */
int idm_wire_name(const TPM2B_PUBLIC *area, TPM2B_NAME *ret) IDM_NODISCARD;
int idm_wire_nv_name(const TPM2B_NV_PUBLIC *area, TPM2B_NAME *ret) IDM_NODISCARD;
/* Part 1, 26.5: nameAlg ‖ H(the parent's qualified Name ‖ Name). */
int idm_wire_qualified(const TPM2B_NAME *parent, const TPM2B_NAME *name,
                       TPM2B_NAME *ret) IDM_NODISCARD;
/* The qualified Name of a hierarchy: its handle. */
void idm_wire_hierarchy(TPM2_HANDLE hierarchy, TPM2B_NAME *ret);

bool idm_wire_same_name(const TPM2B_NAME *a, const TPM2B_NAME *b);

/* DER SubjectPublicKeyInfo (RFC 5280, 4.1) of a public area, as idm_public_spki writes it for `key`, which is
 * the same key. *ret is replaced. CRYPTO, MEMORY. */
int idm_wire_spki(const TPM2B_PUBLIC *area, const EVP_PKEY *key,
                  struct idm_bytes *ret) IDM_NODISCARD;

/* Is `signature` good over message[0..size) under `key`, and made with the scheme that `area` (the key's
 * public area) prescribes? MISMATCH; CORRUPT: a scheme other than ECDSA, RSASSA and RSAPSS with SHA-256,
 * -384, -512; CRYPTO. */
int idm_wire_verify(EVP_PKEY *key, const TPM2B_PUBLIC *area, const void *message, size_t size,
                    const TPMT_SIGNATURE *signature) IDM_NODISCARD;

#endif
