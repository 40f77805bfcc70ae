/* SPDX-License-Identifier: BSD-2-Clause */
/* context.h - inside backends/active: the context and its connections.
 *
 *     idle brokers ─► fd ─► fd            taken for one signature, then put back on top; so there are
 *     idle chips   ─► tpm                 never more than threads that signed at the same time
 *
 * One lock for all lists of the process, held for a few instructions, and by fork(2) itself, so that a
 * child finds it free. What a child inherits it never uses and never closes: an ESAPI context may have a
 * thread or a D-Bus connection of the parent's behind it.
 */
#ifndef IDM_BACKENDS_ACTIVE_CONTEXT_H
#define IDM_BACKENDS_ACTIVE_CONTEXT_H

#include "backends/active/active.h"
#include "backends/tpm/tpm.h"

enum idm_link_kind { IDM_LINK_BROKER, IDM_LINK_CHIP, IDM_LINK_KINDS };

struct idm_link {
    struct idm_link *next;
    unsigned int forks; /* of the process that opened it */
    bool used;          /* it has carried something: it may have gone stale since */
    int fd;             /* BROKER; -1: not open */
    struct idm_tpm *tpm;
    struct idm_settings settings; /* CHIP: what `tpm` borrows */
    /* CHIP: a signature of this key was good under its certificate, and the page has not changed since. */
    uint8_t proven[IDM_SHA256_SIZE];
    uint64_t proven_word;
    unsigned int unproven; /* signatures since */
    /* CHIP: the key of `held_spki` stays loaded, as long as the page says held_word. */
    struct idm_tpm_held held;
    uint8_t held_spki[IDM_SHA256_SIZE];
    uint64_t held_word;
};

struct idm_active_ctx {
    char root[IDM_PATH_SIZE * 4];
    char tcti[IDM_PATH_SIZE]; /* empty: what boot used */
    bool alone;               /* no other program of idmode's has the chip, but for a while */
    const void *_Atomic page; /* struct idm_page, once it is there */
    struct idm_link *idle[IDM_LINK_KINDS];
    struct idm_link *inherited; /* of a parent; kept, so that nothing is lost without a name */
};

/* An idle connection of this process, or a new, closed one. NULL: no memory. */
struct idm_link *idm_link_take(struct idm_active_ctx *ctx, enum idm_link_kind kind);
/* Keeps it for the next one. */
void idm_link_put(struct idm_active_ctx *ctx, enum idm_link_kind kind, struct idm_link *link);
/* Before the chip is opened. False: by tpm2-abrmd, which an ancestor of this process has used: it would hang. */
bool idm_link_may_open(const char *tcti);
/* Closes it. */
void idm_link_drop(struct idm_link *link);

/* The mode page's word; 0: there is no page yet. */
uint64_t idm_active_word(struct idm_active_ctx *ctx);

/* direct.c: what the connection keeps loaded is flushed. */
void idm_link_let_go(struct idm_link *link);

/* client.c. ABSENT: no socket is there. */
int idm_broker_sign(struct idm_active_ctx *ctx, const struct idm_active_key *key,
                    const struct idm_to_sign *what, struct idm_signature *ret,
                    struct idm_error *err) IDM_NODISCARD;
bool idm_broker_is_there(const struct idm_active_ctx *ctx);

/* soft.c: by an EVP_PKEY of idm_active_libctx(). */
int idm_soft_sign(EVP_PKEY *key, const struct idm_to_sign *what, struct idm_signature *ret,
                  struct idm_error *err) IDM_NODISCARD;
/* 0, MISMATCH, or CRYPTO: OpenSSL cannot tell. */
int idm_soft_verify(EVP_PKEY *key, const struct idm_to_sign *what,
                    const struct idm_signature *signature) IDM_NODISCARD;

#endif
