/* SPDX-License-Identifier: BSD-2-Clause */
/* qualify.h - what an attestation answers: nonce and secret of one controller, for one purpose.
 *
 *     Q(label)       = SHA-256("idmode attest " label 0x00  u16(size) nonce  u16(size) secret)
 *     Q(label, text) = SHA-256(the same  SHA-256(text))
 *
 * Sizes are big-endian. Each purpose has a label of its own, so that nothing that was signed for one can
 * be shown for another. Pure; any thread; docs/attestation.md is the protocol.
 */
#ifndef IDM_BACKENDS_ATTEST_QUALIFY_H
#define IDM_BACKENDS_ATTEST_QUALIFY_H

#include "backends/bytes.h"

#define IDM_ATTEST_NONCE_MIN  16u
#define IDM_ATTEST_NONCE_MAX  64u
#define IDM_ATTEST_SECRET_MAX 64u /* the largest digest of an EK's nameAlg: SHA-512 */

struct idm_attest_challenge {
    uint8_t nonce[IDM_ATTEST_NONCE_MAX];
    size_t nonce_size;
    uint8_t secret[IDM_ATTEST_SECRET_MAX]; /* the caller's to wipe */
    size_t secret_size;                    /* 0: no credential was activated */
};

/* `label` is one of device, counter, quote, evidence, successor. `text` NULL: none. USAGE: a size
 * that is out of bounds, or a label longer than 32; CRYPTO. */
int idm_attest_qualify(const char *label, const struct idm_attest_challenge *challenge,
                       const void *text, size_t text_size,
                       uint8_t ret[IDM_SHA256_SIZE]) IDM_NODISCARD;

/* The nonce from its hexadecimal digits. USAGE. */
int idm_attest_nonce(const char *hex, struct idm_attest_challenge *ret,
                     struct idm_error *err) IDM_NODISCARD;

#endif
