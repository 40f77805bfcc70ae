/* SPDX-License-Identifier: BSD-2-Clause */
/* request.h - to and from a certification authority.
 *
 *     subject, public key ──► request (PKCS #10) ──► CA ──► certificate, chain ──► does it fit?
 *
 * Thread-safe. Every function leaves OpenSSL's error queue empty.
 */
#ifndef IDM_BACKENDS_SOFTWARE_REQUEST_H
#define IDM_BACKENDS_SOFTWARE_REQUEST_H

#include "backends/software/cert.h"

/* A certification request (RFC 2986) over `public_key`: the subject, and as requested extensions (RFC
 * 2985, 5.4.2) digitalSignature, clientAuth and serverAuth. What it proves is possession: it is verified
 * under `public_key` before it is returned. *ret_pem is replaced by one CERTIFICATE REQUEST block.
 * IDM_E_SETTINGS the subject is invalid; IDM_E_USAGE keys of this kind sign no digests; IDM_E_MISMATCH
 * the signature is another key's; what `sign` returned; IDM_E_CRYPTO, IDM_E_MEMORY. */
int idm_request_issue(const char *subject, EVP_PKEY *public_key, idm_cert_sign_fn sign,
                      void *sign_ctx, struct idm_bytes *ret_pem,
                      struct idm_error *err) IDM_NODISCARD;

/* May `pem` be what a device shows its TLS peers? The device's certificate first, then each issuer in
 * turn, the root or not; every one valid at `now` (seconds since 1970), every issuer a CA that may sign
 * certificates, the device's own certificate no CA and fit for TLS clients, and nothing so weak that
 * OpenSSL refuses to show it (security level 2, Debian's). Who is trusted is the peers' business.
 * *ret_pem is replaced by the PEM blocks alone, at most IDM_CHAIN_MAX bytes. IDM_E_REFUSED with the
 * reason; IDM_E_CORRUPT no good PEM certificates; IDM_E_CRYPTO, IDM_E_MEMORY. */
#define IDM_CHAIN_MAX                                                                              \
    16384u /* a quarter of the room that is made sure of; five RSA-4096 certificates: 10 KiB */
int idm_chain_check(const struct idm_bytes *pem, int64_t now, struct idm_cert_info *ret,
                    struct idm_bytes *ret_pem, struct idm_error *err) IDM_NODISCARD;

#endif
