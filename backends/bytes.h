/* SPDX-License-Identifier: BSD-2-Clause */
/* bytes.h - a bounded, owned run of bytes, wiped when it goes.
 *
 *     struct idm_bytes b = {0};                  empty, owns nothing
 *     _cleanup_bytes_ struct idm_bytes b = {0};  freed and wiped at the end of the scope
 *
 * One bound for everything that idmode reads: IDM_BYTES_MAX. Nothing that belongs to an identity is
 * larger, so a larger file is damage or an attack and is refused before it is read whole.
 */
#ifndef IDM_BACKENDS_BYTES_H
#define IDM_BACKENDS_BYTES_H

#include "backends/error.h"

#include <stddef.h>
#include <stdint.h>

#define IDM_BYTES_MAX   (256u * 1024u)
#define IDM_SHA256_SIZE 32u  /* FIPS 180-4 */
#define IDM_NAME_SIZE   34u  /* TPM 2.0 part 1, 16: nameAlg (2) and a SHA-256 digest */
#define IDM_SIG_MAX     512u /* DER ECDSA P-384: 104; RSA-2048: 256 */

struct idm_bytes {
    uint8_t *data; /* malloc'ed; data[size] is always 0 when data is set; NULL: empty */
    size_t size;   /* without that 0 */
};

/* Replaces *b (wiping what it held) by a copy of data[0..size). IDM_E_MEMORY, or IDM_E_USAGE when
 * size is over IDM_BYTES_MAX; *b is untouched on failure. data NULL: `size` zeros. */
int idm_bytes_set(struct idm_bytes *b, const void *data, size_t size) IDM_NODISCARD;

/* Wipes, frees and zeroes *b; NULL is fine. */
void idm_bytes_free(struct idm_bytes *b);

/* Moves *from into *to (wiping what *to held); *from is empty afterwards. */
void idm_bytes_move(struct idm_bytes *to, struct idm_bytes *from);

bool idm_bytes_equal(const struct idm_bytes *a, const struct idm_bytes *b);

#define _cleanup_bytes_ __attribute__((cleanup(idm_bytes_free)))

/* SHA-256 of data[0..size). IDM_E_CRYPTO. */
int idm_sha256(const void *data, size_t size, uint8_t ret_hash[IDM_SHA256_SIZE]) IDM_NODISCARD;

/* Lower-case hex of data[0..size), terminated; ret_text holds 2 * size + 1. */
void idm_hex(const uint8_t *data, size_t size, char *ret_text);

/* True when all bytes are zero: how "not recorded" looks in hashes and Names. */
bool idm_all_zero(const uint8_t *data, size_t size);

#endif
