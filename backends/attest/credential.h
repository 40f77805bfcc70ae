/* SPDX-License-Identifier: BSD-2-Clause */
/* credential.h - the file that tpm2_makecredential writes and tpm2_activatecredential reads.
 *
 *     0xBADCC0DE  version 1  TPM2B_ID_OBJECT  TPM2B_ENCRYPTED_SECRET        all big-endian
 *
 * It comes from outside: read strictly, to the last byte. Pure; no TPM is asked. Part 2, 12.4.3 and
 * 11.4.33.
 */
#ifndef IDM_BACKENDS_ATTEST_CREDENTIAL_H
#define IDM_BACKENDS_ATTEST_CREDENTIAL_H

#include "backends/bytes.h"

#include <tss2/tss2_tpm2_types.h>

struct idm_credential {
    TPM2B_ID_OBJECT blob;
    TPM2B_ENCRYPTED_SECRET secret;
    TPMI_ALG_HASH hash;   /* SHA-256, SHA-384 or SHA-512: by the size of the integrity HMAC */
    TPMI_ALG_PUBLIC type; /* RSA or ECC: by the shape of the encrypted secret */
    uint16_t key_size;    /* bytes of an RSA modulus; of the longer coordinate of a point */
};

/* REFUSED: nothing that a tool of this format writes. */
int idm_credential_parse(const struct idm_bytes *file, struct idm_credential *ret,
                         struct idm_error *err) IDM_NODISCARD;

#endif
