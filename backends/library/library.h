/* SPDX-License-Identifier: BSD-2-Clause */
/* library.h - inside libidmode: what its files share.
 *
 *     library.c   open, mode, status, certificate, sign        identity.c   SSL_CTX
 */
#ifndef IDM_BACKENDS_LIBRARY_LIBRARY_H
#define IDM_BACKENDS_LIBRARY_LIBRARY_H

#include "backends/active/active.h"
#include "include/idmode.h"

#include <pthread.h>

struct identity; /* identity.c: loaded for OpenSSL, counted */

struct idmode {
    struct idm_active_ctx *active;
    const void *_Atomic page; /* struct idm_page, mapped once it is there */
    pthread_mutex_t lock;     /* of what follows */
    struct identity *identity;
    uint64_t word; /* the page's, when it was loaded */
};

/* The page's word; 0: there is none yet. */
uint64_t idmode_word(const idmode *id);
/* Keeps the text for idmode_error, and gives the public code. */
int idmode_fail(const struct idm_error *err);
void idmode_identity_free(struct identity *identity);

#define IDMODE_PUBLIC __attribute__((visibility("default")))

#endif
