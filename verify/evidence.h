/* SPDX-License-Identifier: BSD-2-Clause */
/* evidence.h - is this device's identity in the chip that we asked? docs/attestation.md, "evidence".
 *
 *     document ─► AK is the activated one ─► quote covers the body ─► device key, counter: the same chip,
 *     the same boot ─► record: signed by that key, at that counter ─► epoch ─► (old key vouches)
 *
 * Whatever is not proven is refused; what only the device's software says is kept apart. One document at a
 * time in a thread; nothing is kept between calls. */
#ifndef IDM_VERIFY_EVIDENCE_H
#define IDM_VERIFY_EVIDENCE_H

#include "verify/document.h"
#include "verify/nonce.h"
#include "verify/refused.h"

#include <tss2/tss2_tpm2_types.h>

/* What the controller asked and insists on. Borrowed for the call. */
struct idm_policy {
    struct idm_question question;
    TPM2B_NAME ak_name;   /* of the AK that was activated */
    struct idm_pcrs pcrs; /* the selection that was asked for */
    uint32_t min_epoch;   /* 0: any */
    bool without_counter; /* accept a chip in which idmode could make no counter */
    bool adopted;         /* accept a key whose parents nobody knows */
    const struct idm_bytes
        *known; /* DER: the certificate that the controller knows; NULL: it asks for no
                                      succession */
};

struct idm_findings {
    char service[IDM_SERVICE_SIZE];
    TPM2B_NAME ak_name, device_name;
    uint8_t spki[IDM_SHA256_SIZE];  /* SHA-256 of the device key's SubjectPublicKeyInfo */
    uint8_t cert[IDM_SHA256_SIZE];  /* of the certificate's DER */
    uint8_t ek_name[IDM_NAME_SIZE]; /* of the P-256 EK that the record names; zero: none */
    bool prepared;                  /* the identity waits for `migrate commit` */
    uint32_t epoch;                 /* of this identity */
    bool has_counter;
    uint32_t counter_index;
    uint64_t counter;
    uint32_t reset_count, restart_count; /* plus a secret of the chip: equal or not, no more */
    bool traced;                         /* the device key's parents are known */
    bool same_parent;    /* AK and device key: destroyed by the same factory reset */
    bool succession;     /* the old certificate's key named this one its successor */
    bool succession_now; /* and signed this very evidence */
    uint8_t old_cert[IDM_SHA256_SIZE];
    struct idm_pcrs pcrs;
    struct idm_claims claims;
};

/* Proven: 0, *ret filled. REFUSED with *refused filled; MEMORY, CRYPTO, USAGE (the nonce's size) otherwise. */
int idm_evidence_verify(const struct idm_bytes *text, const struct idm_policy *policy,
                        struct idm_findings *ret, struct idm_refused *refused) IDM_NODISCARD;

#endif
