/* SPDX-License-Identifier: BSD-2-Clause */
/* attest.h - libexec/idmode/attest, the program behind `idmode attest`. A program of its own, so that
 * devices which attest to nobody need not carry it.
 *
 *     main.c      words and options                 attester.c  device, attestation keys, challenge
 *     keys.c      ek, ak, activate                  evidence.c  evidence         parts.c  quote, certify
 *
 * docs/attestation.md says what each document means.
 */
#ifndef IDM_CLI_ATTEST_ATTEST_H
#define IDM_CLI_ATTEST_ATTEST_H

#include "backends/attest/attest.h"
#include "cli/cli.h"

/* A device that is asked to attest. */
struct idm_attester {
    struct idm_session session;
    struct idm_tpm *tpm;
    struct idm_ak_file keys;
    struct idm_ak_parent parent;
    const struct idm_ak *ak;               /* of the service that is asked for; NULL: it has none */
    uint32_t loaded;                       /* 0: it is not loaded */
    struct idm_attest_challenge challenge; /* wiped at the end */
};

/* Session and connection; no identity is looked at. Not 0: the exit code, after its message. */
int idm_attester_open(struct idm_attester *ret, const struct idm_options *options);
void idm_attester_close(struct idm_attester *a);
#define _cleanup_attester_ __attribute__((cleanup(idm_attester_close)))

/* The identity in use, its parent, and the attestation keys that are on file. HELD; REFUSED: the TPM holds
 * nothing of this device yet. a->ak may be NULL. */
int idm_attester_look(struct idm_attester *a, struct idm_error *err) IDM_NODISCARD;
/* Makes the key of that service, in both places. */
int idm_attester_make_key(struct idm_attester *a, struct idm_error *err) IDM_NODISCARD;
/* idm_attester_look, the nonce, the key loaded, and the secret of --credential where it is given. REFUSED
 * too: there is no key for that service. */
int idm_attester_begin(struct idm_attester *a, struct idm_error *err) IDM_NODISCARD;
/* The key loaded, and the secret of --credential. */
int idm_attester_activate(struct idm_attester *a, struct idm_error *err) IDM_NODISCARD;

const char *idm_attester_service(const struct idm_attester *a);
/* Q(label), Q(label, text). */
int idm_attester_qualify(const struct idm_attester *a, const char *label, const char *text,
                         uint8_t ret[IDM_SHA256_SIZE], struct idm_error *err) IDM_NODISCARD;

/* Prints the document (and frees it), indented unless `compact`, to --out or stdout; NULL is MEMORY. */
int idm_attest_print(const struct idm_options *options, json_t *document, bool compact,
                     struct idm_error *err) IDM_NODISCARD;
json_t *idm_attest_hex(const uint8_t *data, size_t size);
/* PEM certificates as a list of base64 DER. NULL: one of them is damaged, or no memory. */
json_t *idm_attest_chain(const struct idm_bytes *pem);
/* {"sha256": {"0": hex}} */
json_t *idm_attest_pcr_values(const struct idm_pcrs *pcrs);
/* --pcrs, or SHA-256 of 0 to 7. */
int idm_attest_pcrs_asked(const struct idm_options *options, struct idm_pcrs *ret,
                          struct idm_error *err) IDM_NODISCARD;
/* The `device` member: the key in use or the prepared one, certified. */
int idm_attest_device_part(struct idm_attester *a, json_t **ret,
                           struct idm_error *err) IDM_NODISCARD;

/* The commands; after idm_attester_open. */
int idm_attest_ek(struct idm_attester *a, struct idm_error *err) IDM_NODISCARD;
int idm_attest_ak(struct idm_attester *a, struct idm_error *err) IDM_NODISCARD;
int idm_attest_activate(struct idm_attester *a, struct idm_error *err) IDM_NODISCARD;
int idm_attest_evidence(struct idm_attester *a, struct idm_error *err) IDM_NODISCARD;
int idm_attest_quote_alone(struct idm_attester *a, struct idm_error *err) IDM_NODISCARD;
int idm_attest_certify_alone(struct idm_attester *a, struct idm_error *err) IDM_NODISCARD;

#endif
