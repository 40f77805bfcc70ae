/* SPDX-License-Identifier: BSD-2-Clause */
/* key.h - private keys that software can read, and what any public key looks like to idmode.
 *
 *     PEM file ──► strict PEM ──► structure ──► EVP_PKEY_check ──► SHA-256 of the public key
 *                     │               │               │
 *                     └───────────────┴───────────────┴──► IDM_E_CORRUPT, with the reason
 *
 * Accepted: one unencrypted private key in PKCS #8 (RFC 5208), SEC 1 (RFC 5915; an EC PARAMETERS
 * block that fits may stand before it) or PKCS #1 (RFC 8017) form, of at least 112 bits of security
 * (RSA-2048, NIST SP 800-57 part 1, table 2), that can sign. No function prompts. Every function
 * leaves OpenSSL's error queue empty; private keys live only inside OpenSSL, which wipes them.
 */
#ifndef IDM_BACKENDS_SOFTWARE_KEY_H
#define IDM_BACKENDS_SOFTWARE_KEY_H

#include "backends/backends.h"

#include <openssl/evp.h>

/* What the key in `pem` is. IDM_E_CORRUPT when it is not exactly one good key, IDM_E_MEMORY,
 * IDM_E_CRYPTO when OpenSSL is not able to read any key. */
int idm_key_inspect(const struct idm_bytes *pem, struct idm_key_info *ret,
                    struct idm_error *err) IDM_NODISCARD;

/* A new key: EC PARAMETERS and EC PRIVATE KEY, or RSA PRIVATE KEY, as old images wrote it. *ret_pem
 * is replaced. IDM_E_USAGE for IDM_ALG_NONE; IDM_E_CRYPTO, IDM_E_MEMORY. */
int idm_key_generate(enum idm_algorithm algorithm, struct idm_bytes *ret_pem,
                     struct idm_error *err) IDM_NODISCARD;

/* Signs `hash`, which has the size of `digest`. The signature is verified under the public half in
 * the file before it is returned (IDM_E_CORRUPT: the halves do not belong together). IDM_E_CRYPTO
 * also for a key that signs no digests (Ed25519). */
int idm_key_sign(const struct idm_bytes *pem, enum idm_digest digest, const uint8_t *hash,
                 struct idm_signature *ret, struct idm_error *err) IDM_NODISCARD;

/* The public half alone of the key in `pem`; errors as idm_key_inspect. The caller frees *ret with
 * EVP_PKEY_free. */
int idm_key_public(const struct idm_bytes *pem, EVP_PKEY **ret,
                   struct idm_error *err) IDM_NODISCARD;

/* DER SubjectPublicKeyInfo (RFC 5280, 4.1) of `key` in its one canonical form: named curve and
 * uncompressed point (RFC 5480, 2.1.1 and 2.2), however the key was encoded. *ret_der is replaced.
 * IDM_E_CRYPTO, IDM_E_MEMORY. */
int idm_public_spki(const EVP_PKEY *key, struct idm_bytes *ret_der,
                    struct idm_error *err) IDM_NODISCARD;

/* Algorithm and hash of a public key (or of a key pair's public half). Errors as idm_public_spki.
 */
int idm_public_inspect(const EVP_PKEY *key, struct idm_key_info *ret,
                       struct idm_error *err) IDM_NODISCARD;

/* Verifies a signature over `hash`: 0, or IDM_E_MISMATCH; IDM_E_CRYPTO when keys of this kind
 * verify no digests. */
int idm_public_verify(EVP_PKEY *key, enum idm_digest digest, const uint8_t *hash,
                      const struct idm_signature *signature, struct idm_error *err) IDM_NODISCARD;

#endif
