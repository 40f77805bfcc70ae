/* SPDX-License-Identifier: BSD-2-Clause */
/* pem.h - PEM (RFC 7468), read strictly: what was torn, edited or overwritten does not parse.
 *
 *     text, ignored               as OpenSSL's tools write it before a block
 *     -----BEGIN LABEL-----
 *     base64, canonical           any line length; LF or CRLF; blanks at the end of a line
 *     -----END LABEL-----
 *     ...                         further blocks
 *
 * OpenSSL's own reader skips what it does not understand and ignores stray bits in the last base64
 * group. Here a zero byte or another control character anywhere, a line of dashes that is no
 * boundary, a boundary without its partner, and base64 that is not the only way to write its bytes
 * are damage.
 */
#ifndef IDM_BACKENDS_SOFTWARE_PEM_H
#define IDM_BACKENDS_SOFTWARE_PEM_H

#include "backends/bytes.h"

struct idm_pem_block {
    char label[64];       /* "CERTIFICATE" */
    bool encrypted;       /* RFC 1421 headers say so; der is empty then */
    struct idm_bytes der; /* owned */
};

/* Where the next block is looked for; starts as {.at = data, .left = size}. Borrows the text. */
struct idm_pem_cursor {
    const char *at;
    size_t left;
};

/* The next block, replacing (and wiping) what *ret held; an empty label: none follows.
 * IDM_E_CORRUPT, IDM_E_MEMORY. `what` is for the error: "read the certificate". */
int idm_pem_next(struct idm_pem_cursor *cursor, const char *what, struct idm_pem_block *ret,
                 struct idm_error *err) IDM_NODISCARD;

/* Wipes and frees what the block holds; NULL is fine. */
void idm_pem_block_free(struct idm_pem_block *block);
#define _cleanup_pem_block_ __attribute__((cleanup(idm_pem_block_free)))

/* Appends one block over der[0..size) to *text, 64 characters a line as OpenSSL writes it.
 * IDM_E_MEMORY; IDM_E_USAGE when *text would grow over IDM_BYTES_MAX. */
int idm_pem_append(struct idm_bytes *text, const char *label, const void *der,
                   size_t size) IDM_NODISCARD;

#endif
