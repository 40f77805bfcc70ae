/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/active/context.h"

#include "backends/active/page.h"
#include "backends/store/inroot.h"

#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER; /* taken before `lists` */
static pthread_mutex_t lists = PTHREAD_MUTEX_INITIALIZER;
static unsigned int forks; /* under `lists` */
static OSSL_LIB_CTX *_Atomic libctx;

/* ---- once per process: what fails for want of memory is tried again ---- */

static void before_fork(void)
{
    (void)pthread_mutex_lock(&making);
    (void)pthread_mutex_lock(&lists);
}

static void after_fork_in_parent(void)
{
    (void)pthread_mutex_unlock(&lists);
    (void)pthread_mutex_unlock(&making);
}

static void after_fork_in_child(void)
{
    forks++;
    after_fork_in_parent();
}

static bool register_handlers(void)
{
    static bool registered;
    (void)pthread_mutex_lock(&making);
    if (!registered)
        registered = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
    (void)pthread_mutex_unlock(&making);
    return registered;
}

/* An algorithm whose first look-up finds no memory is unknown to its library context for ever. So all that
 * we use are looked up here, and a context that does not know them is made anew. */
static bool knows_all(OSSL_LIB_CTX *ctx)
{
    static const char *const digests[] = {"SHA256", "SHA384", "SHA512"};
    static const struct {
        const char *key, *signature;
    } kinds[] = {{"EC", "ECDSA"}, {"RSA", "RSA"}, {"ED25519", "ED25519"}, {"ED448", "ED448"}};
    static const char *const structures[] = {"input=der,structure=SubjectPublicKeyInfo",
                                             "input=der,structure=PrivateKeyInfo"};
    static const char public_part[] = "output=der,structure=SubjectPublicKeyInfo";
    unsigned char byte = 0;
    bool good = RAND_priv_bytes_ex(ctx, &byte, 1, 0) == 1; /* ECDSA wants random numbers */
    for (size_t i = 0; good && i < sizeof digests / sizeof *digests; i++) {
        EVP_MD *md = EVP_MD_fetch(ctx, digests[i], NULL);
        good = md != NULL;
        EVP_MD_free(md);
    }
    for (size_t i = 0; good && i < sizeof kinds / sizeof *kinds; i++) {
        EVP_KEYMGMT *key = EVP_KEYMGMT_fetch(ctx, kinds[i].key, NULL);
        EVP_SIGNATURE *signature = EVP_SIGNATURE_fetch(ctx, kinds[i].signature, NULL);
        OSSL_ENCODER *encoder = OSSL_ENCODER_fetch(ctx, kinds[i].key, public_part);
        good = key && signature && encoder;
        OSSL_ENCODER_free(encoder);
        EVP_KEYMGMT_free(key);
        EVP_SIGNATURE_free(signature);
        for (size_t j = 0; good && j < sizeof structures / sizeof *structures; j++) {
            OSSL_DECODER *decoder = OSSL_DECODER_fetch(ctx, kinds[i].key, structures[j]);
            good = decoder != NULL;
            OSSL_DECODER_free(decoder);
        }
    }
    return good;
}

/* Without memory for its default context, which idm_sha256 uses, OpenSSL 3.0 follows a null pointer. */
static OSSL_LIB_CTX *make(void)
{
    OSSL_LIB_CTX *made = OSSL_LIB_CTX_get0_global_default() ? OSSL_LIB_CTX_new() : NULL;
    (void)ERR_set_mark();
    bool good = made && OSSL_PROVIDER_load(made, "default") && knows_all(made);
    (void)ERR_pop_to_mark();
    if (good)
        return made;
    OSSL_LIB_CTX_free(made);
    return NULL;
}

OSSL_LIB_CTX *idm_active_libctx(void)
{
    OSSL_LIB_CTX *found = atomic_load_explicit(&libctx, memory_order_acquire);
    if (found)
        return found;
    (void)pthread_mutex_lock(&making);
    found = atomic_load_explicit(&libctx, memory_order_relaxed);
    if (!found) {
        found = make();
        atomic_store_explicit(&libctx, found, memory_order_release);
    }
    (void)pthread_mutex_unlock(&making);
    return found;
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

/* Its client library talks through one D-Bus connection of the process, whose thread a child does not have. */
bool idm_link_may_open(const char *tcti)
{
    static unsigned int
        opened; /* under `lists`: forks + 1 of the process that did so; 0: none has */
    if (!strstr(tcti, "tabrmd"))
        return true;
    (void)pthread_mutex_lock(&lists);
    bool may = opened == 0 || opened == forks + 1;
    if (may)
        opened = forks + 1;
    (void)pthread_mutex_unlock(&lists);
    return may;
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
    struct idm_active_ctx *ctx = register_handlers() ? calloc(1, sizeof *ctx) : NULL;
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
