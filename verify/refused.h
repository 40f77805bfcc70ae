/* SPDX-License-Identifier: BSD-2-Clause */
/* refused.h - why something is refused: a stable word for programs, a sentence for people. */
#ifndef IDM_VERIFY_REFUSED_H
#define IDM_VERIFY_REFUSED_H

#include "backends/error.h"

/* word as it stands in JSON, what it means */
#define IDM_REFUSALS(X)                                                                            \
    X(IDM_REFUSAL_FORMAT, "format", "the document is not what docs/attestation.md describes")      \
    X(IDM_REFUSAL_NO_CERTIFICATE, "no-certificate", "the chip has no certificate of its maker")    \
    X(IDM_REFUSAL_EK, "ek", "the EK's certificate is not its maker's, or another key's")           \
    X(IDM_REFUSAL_AK, "ak", "the AK is not the one that was activated, or not what an AK must be") \
    X(IDM_REFUSAL_PARENTS, "parents", "the parents do not lead to the key")                        \
    X(IDM_REFUSAL_SIGNATURE, "signature", "the AK did not sign this")                              \
    X(IDM_REFUSAL_MAGIC, "magic", "no TPM composed what was signed")                               \
    X(IDM_REFUSAL_TYPE, "type", "it is an attestation of another kind")                            \
    X(IDM_REFUSAL_NONCE, "nonce", "it answers another question")                                   \
    X(IDM_REFUSAL_PCRS, "pcrs", "other PCRs than asked, or other values than quoted")              \
    X(IDM_REFUSAL_DEVICE, "device", "the device key is not one that only this chip can have")      \
    X(IDM_REFUSAL_CERTIFICATE, "certificate", "the certificate is not for the device key")         \
    X(IDM_REFUSAL_COUNTER, "counter", "the counter is none, or not idmode's")                      \
    X(IDM_REFUSAL_CLOCK, "clock", "the chip's clock is not safe, or it was reset between parts")   \
    X(IDM_REFUSAL_RECORD, "record", "the record is damaged, unsigned or of another identity")      \
    X(IDM_REFUSAL_ROLLED_BACK, "rolled-back",                                                      \
      "the record is not the one that the counter stands for")                                     \
    X(IDM_REFUSAL_EPOCH, "epoch", "the identity is older than it may be")                          \
    X(IDM_REFUSAL_SUCCESSOR, "successor", "the old key did not vouch for the new certificate")

enum idm_refusal {
    IDM_REFUSAL_NONE,
#define IDM_REFUSAL_ENUM(id, word, meaning) id,
    IDM_REFUSALS(IDM_REFUSAL_ENUM)
#undef IDM_REFUSAL_ENUM
};

struct idm_refused {
    enum idm_refusal refusal; /* NONE: nothing was refused */
    char why[256];
};

/* Static strings; "none" and "" for NONE. */
const char *idm_refusal_word(enum idm_refusal refusal);
const char *idm_refusal_meaning(enum idm_refusal refusal);

/* Fills *refused (never NULL) and returns IDM_E_REFUSED. */
int idm_refuse(struct idm_refused *refused, enum idm_refusal refusal, const char *format, ...)
    IDM_PRINTF(3, 4);

#endif
