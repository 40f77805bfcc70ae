/* SPDX-License-Identifier: BSD-2-Clause */
/* nonce.h - Q(label): what ties each part of the evidence to one question and one activated secret. Pure. */
#ifndef IDM_VERIFY_NONCE_H
#define IDM_VERIFY_NONCE_H

#include "backends/bytes.h"

#define IDM_NONCE_MIN 16u
#define IDM_NONCE_MAX 64u

#define IDM_Q_DEVICE    "device"
#define IDM_Q_COUNTER   "counter"
#define IDM_Q_QUOTE     "quote"
#define IDM_Q_EVIDENCE  "evidence"  /* with the body */
#define IDM_Q_SUCCESSOR "successor" /* with the body */

/* The controller's question. Borrowed. */
struct idm_question {
    const struct idm_bytes *nonce;  /* IDM_NONCE_MIN to IDM_NONCE_MAX bytes */
    const struct idm_bytes *secret; /* what the credential carries; empty: none */
};

/* SHA-256("idmode attest " label 0x00 u16(size) nonce u16(size) secret [SHA-256(text)]); text NULL: none.
 * USAGE: a nonce or secret of another size; CRYPTO. */
int idm_question_hash(const struct idm_question *question, const char *label,
                      const struct idm_bytes *text,
                      uint8_t ret_hash[IDM_SHA256_SIZE]) IDM_NODISCARD;

#endif
