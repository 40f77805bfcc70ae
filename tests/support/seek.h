/* SPDX-License-Identifier: BSD-2-Clause */
/* seek.h - is a private key anywhere in these bytes, whatever it is written as?
 *
 *     scalar, 32 bytes ──┬─ first half ──┬─ raw          DER: SEC1 and PKCS#8 hold the scalar as it is
 *                        └─ second half  ├─ reversed     a big number in memory
 *                                        ├─ hexadecimal  either case, colons and blanks between
 *                                        └─ base64       PEM: three ways to lie in groups of three
 *                                                        bytes, lines of any length
 *
 * Halves, so that a torn file or a piece of an old block is found too: 16 bytes are never there by
 * chance. A key that is encrypted, compressed or sealed is not found, which is the point. P-256
 * alone. Nothing here knows Criterion.
 */
#ifndef IDM_TESTS_SUPPORT_SEEK_H
#define IDM_TESTS_SUPPORT_SEEK_H

#include <stddef.h>

#define IDM_SEEK_SCALAR     32u
#define IDM_SEEK_HALF       (IDM_SEEK_SCALAR / 2)
#define IDM_SEEK_FORMS      12u
#define IDM_SEEK_WHERE_SIZE 2048u

struct idm_seek_form {
    const char *name; /* static: "raw", … */
    unsigned char bytes[2 * IDM_SEEK_HALF];
    size_t size;
    int as_text; /* sought after blanks and colons are taken out */
};

struct idm_seek {
    unsigned char scalar[IDM_SEEK_SCALAR];
    struct idm_seek_form forms[IDM_SEEK_FORMS];
    size_t count;
};

/* Learns a plain P-256 private key (PEM). -1: it is none. */
int idm_seek_learn(struct idm_seek *ret, const char *pem, size_t size);

/* The name of the first form that is in there, NULL for none; also NULL without memory, so `size`
 * is the caller's to bound. */
const char *idm_seek_in(const struct idm_seek *seek, const void *data, size_t size);

/* Looks through every regular file below a real path, links not followed. How many hold the key,
 * -1 when one could not be read; ret_where gets " path (form)" of each below `dir`, as far as it
 * fits. */
int idm_seek_tree(const struct idm_seek *seek, const char *dir,
                  char ret_where[IDM_SEEK_WHERE_SIZE]);

#endif
