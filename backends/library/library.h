/* SPDX-License-Identifier: BSD-2-Clause */
/* library.h - inside libidmode: what its files share.
 *
 *     library.c   open, mode, status, certificate, sign        identity.c   SSL_CTX
 */
#ifndef IDM_BACKENDS_LIBRARY_LIBRARY_H
#define IDM_BACKENDS_LIBRARY_LIBRARY_H

#include "backends/active/active.h"
#include "include/idmode.h"

struct identity; /* identity.c: loaded for OpenSSL, counted */

struct idmode {
    struct idm_active_ctx *active;
    const void *_Atomic page;  /* struct idm_page, mapped once it is there */
    struct identity *identity; /* this and below: under idmode_lock */
    uint64_t word;             /* the page's, when it was loaded */
};

/* One lock for all of a process, held by fork(2) itself, so that a child never finds it taken by a thread
 * that it does not have. A load under it takes a few milliseconds. */
void idmode_lock(void);
void idmode_unlock(void);

/* The page's word; 0: there is none yet. */
uint64_t idmode_word(const idmode *id);
/* Keeps the text for idmode_error, and gives the public code. */
int idmode_fail(const struct idm_error *err);
void idmode_identity_free(struct identity *identity);

#define IDMODE_PUBLIC __attribute__((visibility("default")))

#endif
