/* SPDX-License-Identifier: BSD-2-Clause */
/* key_parse.h - from the bytes of a key file to OpenSSL's key; used by key.c alone. */
#ifndef IDM_BACKENDS_SOFTWARE_KEY_PARSE_H
#define IDM_BACKENDS_SOFTWARE_KEY_PARSE_H

#include "backends/bytes.h"

#include <openssl/evp.h>

/* The one private key in `pem`, structure checked, but not yet that its halves belong together.
 * IDM_E_CORRUPT, IDM_E_MEMORY, IDM_E_CRYPTO. The caller frees *ret and empties the error queue. */
int idm_key_parse(const struct idm_bytes *pem, const char *what, EVP_PKEY **ret,
                  struct idm_error *err) IDM_NODISCARD;

#endif
