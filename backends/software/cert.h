/* SPDX-License-Identifier: BSD-2-Clause */
/* cert.h - certificates: read, issued.
 *
 *   profile, public key ──► TBSCertificate ──► hash ──► sign() ──► certificate ──► parsed again,
 *                                                         │                        verified ──► PEM
 *                              software key or TPM key ───┘
 *
 * One path for both kinds of key: what is issued never depends on where the key lives. Every
 * function leaves OpenSSL's error queue empty.
 */
#ifndef IDM_BACKENDS_SOFTWARE_CERT_H
#define IDM_BACKENDS_SOFTWARE_CERT_H

#include "backends/backends.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

/* The first certificate of `pem`; a chain may follow, and all of it must parse. IDM_E_CORRUPT also
 * when a self-signed certificate does not verify under its own key; IDM_E_MEMORY, IDM_E_CRYPTO. */
int idm_cert_inspect(const struct idm_bytes *pem, struct idm_cert_info *ret,
                     struct idm_error *err) IDM_NODISCARD;

/* The same, and its public key, which the caller frees with EVP_PKEY_free. A certificate whose SHA-256 is one
 * of known[0..known_count) was looked into before: its own signature is not verified again. */
int idm_cert_read(const struct idm_bytes *pem, const uint8_t known[][IDM_SHA256_SIZE],
                  size_t known_count, struct idm_cert_info *ret, EVP_PKEY **ret_key,
                  struct idm_error *err) IDM_NODISCARD;

/* All certificates of `pem` in their order, at least one, and the DER that the first was read from. The
 * caller frees *ret with its certificates; errors as idm_cert_inspect. */
int idm_chain_parse(const struct idm_bytes *pem, STACK_OF(X509) * *ret, struct idm_bytes *ret_der,
                    struct idm_error *err) IDM_NODISCARD;

/* Seconds since 1970, also where time_t ends in 2038. False: not a time. */
bool idm_cert_seconds(const ASN1_TIME *time, int64_t *ret);

/* Signs `hash` with the private key that belongs to the public key; 0 or a negative code, with *err
 * filled. */
typedef int (*idm_cert_sign_fn)(void *ctx, enum idm_digest digest, const uint8_t *hash,
                                struct idm_signature *ret, struct idm_error *err);

/* A self-signed certificate (RFC 5280) over `public_key`: v3, CA:FALSE, digitalSignature,
 * clientAuth and serverAuth, subject key identifier (RFC 7093, 2, method 1), random positive
 * 16-byte serial number, SHA-256 (SHA-384 for P-384, SHA-512 for P-521). *ret_pem is replaced by
 * one CERTIFICATE block. IDM_E_SETTINGS the profile's subject is invalid; IDM_E_USAGE its dates
 * are, or keys of this kind sign no digests; IDM_E_MISMATCH `algorithm` (unless IDM_ALG_NONE) is
 * not the key's, or the signature is not good under `public_key`; what `sign` returned;
 * IDM_E_CRYPTO, IDM_E_MEMORY. */
int idm_cert_issue(const struct idm_cert_profile *profile, EVP_PKEY *public_key,
                   enum idm_algorithm algorithm, idm_cert_sign_fn sign, void *sign_ctx,
                   struct idm_bytes *ret_pem, struct idm_error *err) IDM_NODISCARD;

#endif
