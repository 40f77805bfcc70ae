/* SPDX-License-Identifier: BSD-2-Clause */
/* credential.h - TPM2_MakeCredential without a TPM (TPM 2.0 Library Specification part 1, 24 and C.6).
 *
 *     seed ── to the EK: RSA-OAEP, or ECDH with a fresh point ──────────────► encrypted secret
 *       ├ KDFa "STORAGE", AK's Name ── AES-CFB ── secret ─────► encIdentity ┐
 *       └ KDFa "INTEGRITY" ── HMAC over encIdentity ‖ AK's Name ► integrity ┴► ID object
 *
 * Only the chip that holds the EK opens it, and only while an object of exactly that Name is loaded in
 * it. The file is tpm2-tools' own: magic 0xBADCC0DE, version 1, TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET.
 * Pure but for the random numbers; any thread. */
#ifndef IDM_VERIFY_CREDENTIAL_H
#define IDM_VERIFY_CREDENTIAL_H

#include "backends/bytes.h"

#include <tss2/tss2_tpm2_types.h>

#define IDM_SECRET_MAX 32u /* the digest of every EK's Name is at least that */

/* The credential for the object called `name` in the chip of `ek`, of secret[0..size). *ret_file is
 * replaced. USAGE: no secret, one larger than IDM_SECRET_MAX, or an empty Name; CORRUPT: `ek` is not a
 * restricted decryption key of RSA or NIST P with AES-CFB; CRYPTO, MEMORY. */
int idm_credential_make(const TPM2B_PUBLIC *ek, const TPM2B_NAME *name, const void *secret,
                        size_t size, struct idm_bytes *ret_file,
                        struct idm_error *err) IDM_NODISCARD;

#endif
