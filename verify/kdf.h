/* SPDX-License-Identifier: BSD-2-Clause */
/* kdf.h - the two key derivation functions of TPM 2.0 Library Specification part 1, 11.4.10, by OpenSSL.
 *
 *     KDFa   SP 800-108 counter mode, HMAC      OpenSSL: KBKDF, separator and length field on
 *     KDFe   SP 800-56A concatenation           OpenSSL: SSKDF, info = label ‖ 0 ‖ PartyU ‖ PartyV
 *
 * Pure functions; any thread, fork is harmless. `label` without its NUL: both put it there. What they
 * return is a secret of the caller's to wipe. */
#ifndef IDM_VERIFY_KDF_H
#define IDM_VERIFY_KDF_H

#include "backends/bytes.h"

#include <tss2/tss2_tpm2_types.h>

/* The digest of a TPM_ALG_ID as OpenSSL names it, and its size; NULL for any but SHA-256, -384, -512. */
const char *idm_digest_name(unsigned int algorithm, size_t *ret_size);

/* ret_key[0..key_size) from `secret`; context may be NULL with size 0. CRYPTO; USAGE for a digest that is
 * none of the three. */
int idm_kdfa(unsigned int digest, const void *secret, size_t secret_size, const char *label,
             const void *context, size_t context_size, uint8_t *ret_key,
             size_t key_size) IDM_NODISCARD;

/* The same for a shared ECC coordinate z and the x coordinates of both parties, as the TPM holds them.
 * USAGE also when a coordinate is larger than 66 bytes (P-521). */
int idm_kdfe(unsigned int digest, const void *z, size_t z_size, const char *label,
             const TPM2B_ECC_PARAMETER *party_u, const TPM2B_ECC_PARAMETER *party_v,
             uint8_t *ret_key, size_t key_size) IDM_NODISCARD;

#endif
