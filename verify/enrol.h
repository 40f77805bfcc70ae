/* SPDX-License-Identifier: BSD-2-Clause */
/* enrol.h - the controller's first round: which of the chip's EKs can be believed, and a challenge to it.
 *
 *     idmode-ek ──► each key: UNMADE │ BARE │ CERTIFIED │ REFUSED ──► one is chosen
 *     idmode-ak ──► exactly an AK ──────────────────────────────────────┴─► credential, and what to remember
 *
 * Pure but for random numbers; any thread. */
#ifndef IDM_VERIFY_ENROL_H
#define IDM_VERIFY_ENROL_H

#include "verify/attest.h"
#include "verify/ek.h"

enum idm_ek_state {
    IDM_EK_UNMADE,    /* a certificate, but the chip could not make its key: not used */
    IDM_EK_BARE,      /* no certificate: any chip, or software, may have made it */
    IDM_EK_CERTIFIED, /* its maker vouches for it; where there are no roots: it fits its certificate */
    IDM_EK_REFUSED,
};

struct idm_ek_finding {
    enum idm_ek_state state;
    const char *template; /* static; NULL: none that is known */
    TPM2B_PUBLIC area;
    TPM2B_NAME name;
    struct idm_ek_cert cert;
    char why[256]; /* UNMADE, REFUSED */
};

/* trust NULL: certificates are compared with their keys, and no more. ret has place for all entries. 0 also
 * when keys are refused; MEMORY, CRYPTO. */
int idm_ek_examine(const struct idm_ek_document *document, const struct idm_ek_trust *trust,
                   int64_t now, struct idm_ek_finding ret[IDM_LIST_MAX],
                   struct idm_error *err) IDM_NODISCARD;

/* The key to challenge: the first certified one (or the one of that template, NULL: any), else the first bare
 * one where `bare` is fine. REFUSED: none, or one of them is false: a chip does not hold such a thing beside
 * a good one. */
int idm_ek_choose(const struct idm_ek_finding findings[], size_t count, const char *template,
                  bool bare, const struct idm_ek_finding **ret,
                  struct idm_refused *refused) IDM_NODISCARD;

/* ---- challenge ---- */

/* What the controller remembers. Secret: the file of `idmode-verify challenge`, 0600. */
struct idm_challenge {
    char service[IDM_SERVICE_SIZE];
    TPM2B_NAME ek, ak;
    struct idm_bytes nonce, secret; /* 32 bytes each */
};
void idm_challenge_free(struct idm_challenge *challenge);

/* For the AK of that document (idmode-ak) in the chip with that EK: a credential file for the device, and
 * what to remember. Both are replaced. REFUSED: the AK is not exactly one; CRYPTO, MEMORY. */
int idm_challenge_make(const TPM2B_PUBLIC *ek, const struct idm_ak_document *ak,
                       struct idm_challenge *ret, struct idm_bytes *ret_credential,
                       struct idm_refused *refused) IDM_NODISCARD;

/* As JSON text, and back. MEMORY; CORRUPT. */
int idm_challenge_write(const struct idm_challenge *challenge, struct idm_bytes *ret) IDM_NODISCARD;
int idm_challenge_read(const struct idm_bytes *text, struct idm_challenge *ret,
                       struct idm_error *err) IDM_NODISCARD;

/* A Name of at most sizeof(TPM2B_NAME.name) bytes. CORRUPT when larger or empty. */
int idm_name_set(const struct idm_bytes *bytes, TPM2B_NAME *ret) IDM_NODISCARD;

#endif
