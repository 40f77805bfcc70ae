/* SPDX-License-Identifier: BSD-2-Clause */
/* wrap.h - the outer wrap of a duplicate, made in software for a parent whose public area is known.
 *
 * TPM 2.0 Library Specification rev. 1.59, part 1: 23.3.2.3 outer duplication wrapper, 11.4.10 KDFa
 * and KDFe, annexes B.10.3 and C.6.3 the seed's protection by an RSA and an ECC parent.
 *
 *     seed      random; RSA: OAEP under the parent, label "DUPLICATE"; ECC: KDFe("DUPLICATE") of an
 *               ephemeral Diffie-Hellman with the parent, whose public point goes along
 *     duplicate HMAC(KDFa(seed, "INTEGRITY"), encrypted ‖ Name) ‖ encrypted
 *     encrypted CFB(KDFa(seed, "STORAGE", Name), IV 0, TPM2B_SENSITIVE)
 *
 * Pure but for random numbers: no TPM is asked. Secrets are wiped.
 */
#ifndef IDM_BACKENDS_TPM_WRAP_H
#define IDM_BACKENDS_TPM_WRAP_H

#include "backends/error.h"

#include <tss2/tss2_tpm2_types.h>

struct idm_wrapped {
    TPM2B_PRIVATE duplicate;
    TPM2B_ENCRYPTED_SECRET seed;
};

/* Only the TPM that holds `parent` can open it. CORRUPT: the parent is no storage key with a SHA-256
 * Name and AES-CFB, or its public key is none; CRYPTO, MEMORY. *ret is untouched on failure. */
int idm_wrap(const TPM2B_PUBLIC *parent, const TPM2B_PUBLIC *object,
             const TPM2B_SENSITIVE *sensitive, struct idm_wrapped *ret) IDM_NODISCARD;

#endif
