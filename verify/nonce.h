/* SPDX-License-Identifier: BSD-2-Clause */
/* nonce.h - the controller's question, and Q(label) of it: what ties each part of the evidence to one nonce and
 * one activated secret. Pure. */
#ifndef IDM_VERIFY_NONCE_H
#define IDM_VERIFY_NONCE_H

#include "backends/attest/qualify.h"

#define IDM_NONCE_MIN IDM_ATTEST_NONCE_MIN
#define IDM_NONCE_MAX IDM_ATTEST_NONCE_MAX

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

/* idm_attest_qualify for it; text NULL: none. USAGE: a nonce or secret of another size; CRYPTO. */
int idm_question_hash(const struct idm_question *question, const char *label,
                      const struct idm_bytes *text,
                      uint8_t ret_hash[IDM_SHA256_SIZE]) IDM_NODISCARD;

#endif
