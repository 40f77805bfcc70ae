/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/active/context.h"

#include "backends/active/page.h"
#include "backends/store/inroot.h"

#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t lists = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned int forks; /* under `lists` */
static OSSL_LIB_CTX *libctx;

/* ---- once per process ---- */

static void before_fork(void)
{
    (void)pthread_mutex_lock(&lists);
}

static void after_fork_in_parent(void)
{
    (void)pthread_mutex_unlock(&lists);
}

static void after_fork_in_child(void)
{
    forks++;
    (void)pthread_mutex_unlock(&lists);
}

static void set_up(void)
{
    OSSL_LIB_CTX *made = OSSL_LIB_CTX_new();
    if (made && OSSL_PROVIDER_load(made, "default") &&
        pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0)
        libctx = made;
    else
        OSSL_LIB_CTX_free(made);
}

OSSL_LIB_CTX *idm_active_libctx(void)
{
    (void)pthread_once(&once, set_up);
    return libctx;
}

/* ---- connections ---- */

struct idm_link *idm_link_take(struct idm_active_ctx *ctx, enum idm_link_kind kind)
{
    struct idm_link *found = NULL;
    (void)pthread_mutex_lock(&lists);
    unsigned int now = forks;
    while (!found && ctx->idle[kind]) {
        struct idm_link *link = ctx->idle[kind];
        ctx->idle[kind] = link->next;
        if (link->forks == now) {
            found = link;
        } else {
            link->next = ctx->inherited;
            ctx->inherited = link;
        }
    }
    (void)pthread_mutex_unlock(&lists);
    if (found)
        return found;
    found = calloc(1, sizeof *found);
    if (found) {
        found->forks = now;
        found->fd = -1;
    }
    return found;
}

void idm_link_put(struct idm_active_ctx *ctx, enum idm_link_kind kind, struct idm_link *link)
{
    (void)pthread_mutex_lock(&lists);
    link->next = ctx->idle[kind];
    ctx->idle[kind] = link;
    (void)pthread_mutex_unlock(&lists);
}

void idm_link_drop(struct idm_link *link)
{
    if (!link)
        return;
    idm_link_let_go(link);
    idm_tpm_free(link->tpm);
    idm_close_fd(&link->fd);
    free(link);
}

void idm_active_let_go(struct idm_active_ctx *ctx)
{
    struct idm_link *link = idm_link_take(ctx, IDM_LINK_CHIP);
    if (!link)
        return;
    idm_link_let_go(link);
    idm_link_put(ctx, IDM_LINK_CHIP, link);
}

/* ---- context ---- */

int idm_active_open(struct idm_active_ctx **ret, const char *root, const char *tcti,
                    struct idm_error *err)
{
    static const char what[] = "use the device's identity";
    if (!idm_active_libctx())
        return idm_fail(err, IDM_E_CRYPTO, what, "OpenSSL has no default provider");
    struct idm_active_ctx *ctx = calloc(1, sizeof *ctx);
    if (!ctx)
        return idm_fail(err, IDM_E_MEMORY, what, "out of memory");
    int root_size = snprintf(ctx->root, sizeof ctx->root, "%s", root);
    int tcti_size = snprintf(ctx->tcti, sizeof ctx->tcti, "%s", tcti ? tcti : "");
    if ((size_t)root_size >= sizeof ctx->root || (size_t)tcti_size >= sizeof ctx->tcti) {
        free(ctx);
        return idm_fail(err, IDM_E_USAGE, what, "the root directory or the TCTI is too long");
    }
    *ret = ctx;
    return 0;
}

void idm_active_close(struct idm_active_ctx *ctx)
{
    if (!ctx)
        return;
    for (int kind = 0; kind < IDM_LINK_KINDS; kind++) {
        while (ctx->idle[kind]) {
            struct idm_link *link = idm_link_take(ctx, (enum idm_link_kind)kind);
            idm_link_drop(link);
        }
    }
    idm_page_unmap(atomic_load(&ctx->page));
    free(ctx);
}

void idm_active_is_alone(struct idm_active_ctx *ctx)
{
    ctx->alone = true;
}

/* Two threads may both map it; one mapping is kept. */
uint64_t idm_active_word(struct idm_active_ctx *ctx)
{
    const void *page = atomic_load_explicit(&ctx->page, memory_order_acquire);
    if (!page) {
        const void *mapped = idm_page_map(ctx->root);
        if (!mapped)
            return 0;
        if (atomic_compare_exchange_strong(&ctx->page, &page, mapped))
            page = mapped;
        else
            idm_page_unmap(mapped);
    }
    return idm_page_word(page);
}

const char *idm_active_root(const struct idm_active_ctx *ctx)
{
    return ctx->root;
}
