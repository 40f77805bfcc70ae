/* SPDX-License-Identifier: BSD-2-Clause */
/* tss2file.h - TSS2 PRIVATE KEY: a TPM key in a PEM file. It holds no secret: the private part is
 * encrypted by its parent inside the chip.
 *
 *     -----BEGIN TSS2 PRIVATE KEY-----         draft-bottomley-tpm2-keys, "ASN.1 Specification for
 *     TPMKey ::= SEQUENCE {                    TPM 2.0 Key Files", 3.1
 *       type       OBJECT IDENTIFIER           2.23.133.10.1.3, id-loadablekey
 *       emptyAuth  [0] EXPLICIT BOOLEAN TRUE   without it other programs prompt for a password
 *       parent     INTEGER                     handle
 *       pubkey     OCTET STRING                TPM2B_PUBLIC
 *       privkey    OCTET STRING                TPM2B_PRIVATE
 *     }
 *
 * Read strictly: one PEM block, DER, no field that idmode would have to honour and cannot (policy,
 * secret, a password). Accepted beyond what is written: parent 0, the negative INTEGERs that some
 * programs write for handles from 0x80000000, and TRUE as 1.
 */
#ifndef IDM_BACKENDS_TPM_TSS2FILE_H
#define IDM_BACKENDS_TPM_TSS2FILE_H

#include "backends/backends.h"

#include <tss2/tss2_tpm2_types.h>

/* An RSA-4096 key takes 2.3 KiB. */
#define IDM_TSS2_FILE_MAX 8192u

struct idm_tss2_key {
    uint32_t parent; /* as named in the file */
    TPM2B_PUBLIC public_area;
    TPM2B_PRIVATE private_area;
};

/* PEM of `key`. CRYPTO, MEMORY. */
int idm_tss2_encode(const struct idm_tss2_key *key, struct idm_bytes *ret_pem,
                    struct idm_error *err) IDM_NODISCARD;
/* CORRUPT: not one good TSS2 PRIVATE KEY, larger than IDM_TSS2_FILE_MAX, or with a Name that is not
 * SHA-256. */
int idm_tss2_decode(const struct idm_bytes *pem, struct idm_tss2_key *ret,
                    struct idm_error *err) IDM_NODISCARD;
/* Name and public key from the file alone. CORRUPT as above, and when the public area is not a key
 * that OpenSSL takes; CRYPTO, MEMORY. */
int idm_tss2_inspect(const struct idm_bytes *pem, struct idm_tss2_info *ret,
                     struct idm_error *err) IDM_NODISCARD;

#endif
