/* SPDX-License-Identifier: BSD-2-Clause */
/* ek.h - is this endorsement key in a real TPM? Its maker's certificate says so.
 *
 *     roots ──► (intermediates) ──► EK certificate ── the same public key as ── EK's public area
 *                                     ├ SAN: maker, model, version (TCG EK Credential Profile 2.5, 3.2.9)
 *                                     ├ EKU 2.23.133.8.1, where there is an EKU (3.2.16)
 *                                     └ critical extensions: those that OpenSSL knows, and the profile's own
 *
 * Revocation is not looked up. Not for two threads at once on one struct; fork is harmless. */
#ifndef IDM_VERIFY_EK_H
#define IDM_VERIFY_EK_H

#include "backends/bytes.h"

#include <openssl/x509.h>
#include <tss2/tss2_tpm2_types.h>

#define IDM_EK_TEXT_SIZE 64u

struct idm_ek_cert {
    char manufacturer[IDM_EK_TEXT_SIZE]; /* "id:494E5443", as the TCG's vendor list spells it */
    char model[IDM_EK_TEXT_SIZE];
    char version[IDM_EK_TEXT_SIZE];
    char issuer[256]; /* RFC 2253, cut when longer */
    uint8_t sha256[IDM_SHA256_SIZE];
};

/* Certificates that are trusted, and others that only help to build the chain. */
struct idm_ek_trust {
    X509_STORE *roots;
    STACK_OF(X509) * others;
};

/* roots: PEM, every certificate in it is trusted, self-signed or not. others: PEM, may be NULL. CORRUPT,
 * MEMORY, CRYPTO. The caller frees *ret with idm_ek_trust_free, also after a failure. */
int idm_ek_trust_set(struct idm_ek_trust *ret, const struct idm_bytes *roots,
                     const struct idm_bytes *others, struct idm_error *err) IDM_NODISCARD;
void idm_ek_trust_free(struct idm_ek_trust *trust); /* zeroed is fine */

/* Which template of the profile made it ("L-1" to "H-7"); "own": the maker's, a restricted decryption key that
 * cannot leave its chip; NULL: no endorsement key. Static. */
const char *idm_ek_template_name(const TPM2B_PUBLIC *area);

/* REFUSED, with the reason: a certificate of another key, not an EK's, no chain to the roots, out of its
 * dates at `now` (seconds since 1970). chain: DER certificates that came with it, untrusted. trust
 * NULL: no chain is asked for, the rest is. CORRUPT, MEMORY, CRYPTO. */
int idm_ek_certified(const struct idm_ek_trust *trust, const TPM2B_PUBLIC *ek,
                     const struct idm_bytes *cert, const struct idm_bytes *chain,
                     size_t chain_count, int64_t now, struct idm_ek_cert *ret,
                     struct idm_error *err) IDM_NODISCARD;

#endif
