/* SPDX-License-Identifier: BSD-2-Clause */
/* direct.c - signing here: with the software key in memory, or with the TPM itself. */
#include "backends/active/context.h"
#include "backends/store/lock.h"

#include <errno.h>
#include <string.h>

static const char what_sign[] = "sign with the device's key";

/* ---- a connection to the chip ---- */

/* Others must be able to open a device that only one may have open. The kernel's resource manager and
 * programs that listen on a socket serve many. */
static bool keeps_others_out(const char *tcti)
{
    return (strncmp(tcti, "device:", 7) == 0 && !strstr(tcti, "tpmrm")) ||
           strncmp(tcti, "mssim", 5) == 0;
}

static int open_chip(struct idm_active_ctx *ctx, struct idm_link *link,
                     const struct idm_signer_file *signer, uint32_t wait_ms, struct idm_error *err)
{
    if (link->tpm && strcmp(link->settings.tcti, signer->tcti) != 0) {
        idm_link_let_go(link);
        idm_tpm_free(link->tpm);
        link->tpm = NULL;
    }
    link->settings.wait_ms = wait_ms == UINT32_MAX ? signer->wait_ms : wait_ms;
    memcpy(link->settings.tcti, signer->tcti, sizeof link->settings.tcti);
    if (link->tpm) {
        idm_tpm_wait_anew(link->tpm);
        return 0;
    }
    link->used = false;
    if (!idm_link_may_open(signer->tcti)) {
        (void)idm_fail(err, IDM_E_REFUSED, what_sign,
                       "tpm2-abrmd was used before this process was forked, and answers no child");
        return idm_advise(err, "let the child sign first, or use idmode-signd"), IDM_E_REFUSED;
    }
    int rc = idm_tpm_open(&link->tpm, ctx->root, &link->settings, err);
    if (rc == 0)
        idm_tpm_is_outside(link->tpm, true);
    return rc;
}

/* ---- one signature ---- */

/* A handle is only a number: what signs there counts once its signature was good under the certificate.
 * Asked for the first one of a connection, after each change that idmode published, and now and then,
 * because others may move keys as well: looking costs a tenth of what the quickest chip takes. */
#define UNPROVEN_MAX 63u

struct place {
    struct idm_active_ctx *ctx;
    struct idm_link *link;
    const struct idm_active_key *key;
};

static bool is_proven(const struct place *at, uint64_t word)
{
    return word && word == at->link->proven_word && at->link->unproven < UNPROVEN_MAX &&
           memcmp(at->link->proven, at->key->reference.spki, IDM_SHA256_SIZE) == 0;
}

/* A signature that the chip gave, good for the caller: 0, MISMATCH, or CRYPTO. */
static int prove(const struct place *at, uint64_t word, const struct idm_to_sign *what,
                 const struct idm_signature *signature, struct idm_error *err)
{
    struct idm_link *link = at->link;
    link->proven_word = 0;
    int rc = idm_soft_verify(at->key->public_key, what, signature);
    if (rc == IDM_E_CRYPTO)
        return idm_fail(err, rc, what_sign, "OpenSSL cannot check the TPM's signature");
    if (rc) {
        (void)idm_fail(err, IDM_E_MISMATCH, what_sign,
                       "the TPM gave a signature that is not good under the certificate");
        return idm_advise(err, "run idmode boot, and see idmode status"), IDM_E_MISMATCH;
    }
    memcpy(link->proven, at->key->reference.spki, IDM_SHA256_SIZE);
    link->proven_word = word;
    link->unproven = 0;
    return 0;
}

static int sign_at(const struct place *at, const struct idm_signer *signer,
                   const struct idm_to_sign *what, struct idm_signature *ret, struct idm_error *err)
{
    struct idm_signature signature;
    uint64_t word = idm_active_word(at->ctx);
    int rc = idm_tpm_sign(at->link->tpm, signer, what->digest, what->hash, &signature, err);
    if (rc == 0 && is_proven(at, word))
        at->link->unproven++;
    else if (rc == 0)
        rc = prove(at, word, what, &signature, err);
    else
        at->link->proven_word = 0;
    if (rc == 0)
        *ret = signature;
    return rc;
}

/* ---- a key that stays loaded ---- */

void idm_link_let_go(struct idm_link *link)
{
    if (link->tpm && link->held.handle)
        idm_tpm_let_go(link->tpm, &link->held);
    link->held_word = 0;
}

/* What a reset took away must not sign on because it is loaded: each change that idmode publishes ends
 * it. Without a page there is nobody to say so. */
static bool may_hold(const struct place *at, uint64_t word)
{
    return word && (at->ctx->alone || idm_tpm_is_managed(at->link->settings.tcti));
}

/* Without a resource manager the handle may be another's by now: each signature is looked at. */
static int sign_held(const struct place *at, const struct idm_signer *signer, uint64_t word,
                     const struct idm_to_sign *what, struct idm_signature *ret,
                     struct idm_error *err)
{
    struct idm_link *link = at->link;
    struct idm_signature signature;
    if (link->held_word != word ||
        memcmp(link->held_spki, at->key->reference.spki, IDM_SHA256_SIZE) != 0)
        idm_link_let_go(link);
    memcpy(link->held_spki, at->key->reference.spki, IDM_SHA256_SIZE);
    link->held_word = word;
    int rc = IDM_E_MISMATCH;
    for (int attempt = 0; rc == IDM_E_MISMATCH && attempt < 2; attempt++) {
        rc = idm_tpm_sign_held(link->tpm, &link->held, signer, what->digest, what->hash, &signature,
                               err);
        if (rc == 0 && idm_tpm_is_managed(link->settings.tcti) && is_proven(at, word))
            link->unproven++;
        else if (rc == 0)
            rc = prove(at, word, what, &signature, err);
        if (rc == IDM_E_MISMATCH)
            link->held = (struct idm_tpm_held){0};
    }
    if (rc == 0)
        *ret = signature;
    return rc;
}

/* Without a resource manager, loaded and flushed at once: with the lock, because a few who do so fill the
 * chip, and would flush each other's keys. Who may not open the lock goes on without. */
static int sign_in_turn(const struct place *at, const struct idm_signer *signer,
                        const struct idm_to_sign *what, struct idm_signature *ret,
                        struct idm_error *err)
{
    struct idm_lock lock = {0};
    const struct idm_settings *settings = &at->link->settings;
    bool managed = idm_tpm_is_managed(settings->tcti);
    unsigned int wait_ms = settings->wait_ms ? IDM_BROKER_WAIT_MS : 0; /* others are as many */
    if (!managed &&
        idm_lock_take(&lock, at->ctx->root, wait_ms, "a signature", err) == IDM_E_LOCK) {
        (void)idm_fail(err, IDM_E_TPM_BUSY, what_sign, "another idmode is at work in the chip");
        return idm_advise(err, "use /dev/tpmrm0, or idmode-signd"), IDM_E_TPM_BUSY;
    }
    idm_tpm_is_outside(at->link->tpm, !lock.held);
    int rc = sign_at(at, signer, what, ret, err);
    idm_tpm_is_outside(at->link->tpm, true);
    idm_lock_release(&lock);
    return rc;
}

static int sign_by_file(const struct place *at, const struct idm_signer *signer,
                        const struct idm_to_sign *what, struct idm_signature *ret,
                        struct idm_error *err)
{
    uint64_t word = idm_active_word(at->ctx);
    return may_hold(at, word) ? sign_held(at, signer, word, what, ret, err)
                              : sign_in_turn(at, signer, what, ret, err);
}

/* ---- where the key is ---- */

/* Only these say something about one copy of the key; everything else is about the chip. */
static bool copy_failed(int rc)
{
    return rc == IDM_E_TPM_EMPTY || rc == IDM_E_TPM_UNFIT || rc == IDM_E_TPM_TAKEN ||
           rc == IDM_E_MISMATCH;
}

static int sign_by_chip(const struct place *at, const struct idm_to_sign *what,
                        struct idm_signature *ret, struct idm_error *err)
{
    const struct idm_signer_file *from = &at->key->signer;
    struct idm_signer by_handle = {.kind = IDM_SIGNER_HANDLE,
                                   .handle = from->handle,
                                   .algorithm = from->algorithm,
                                   .pss = what->pss};
    struct idm_signer by_file = {.kind = IDM_SIGNER_FILE,
                                 .key = &from->tss2,
                                 .handle = from->parent,
                                 .algorithm = from->algorithm,
                                 .pss = what->pss};
    int rc = idm_fail(err, IDM_E_TPM_EMPTY, what_sign, "no copy of the key is known");
    if (from->handle)
        rc = sign_at(at, &by_handle, what, ret, err);
    if (copy_failed(rc) && from->tss2.size)
        rc = sign_by_file(at, &by_file, what, ret, err);
    return rc;
}

int idm_active_sign_direct(struct idm_active_ctx *ctx, const struct idm_active_key *key,
                           const struct idm_to_sign *what, uint32_t wait_ms,
                           struct idm_signature *ret, struct idm_error *err)
{
    if (key->private_key)
        return idm_soft_sign(key->private_key, what, ret, err);
    if (what->pure && key->direct && !key->signer.software)
        return idm_fail(err, IDM_E_USAGE, what_sign, "a TPM's key signs digests");
    if (!key->direct || key->signer.software) {
        (void)idm_fail(err, IDM_E_UNREADABLE, what_sign,
                       "no broker is there, and this process may not use the key itself");
        return idm_advise(err, "start idmode-signd, or run as root"), IDM_E_UNREADABLE;
    }
    struct idm_link *link = idm_link_take(ctx, IDM_LINK_CHIP);
    if (!link)
        return idm_fail(err, IDM_E_MEMORY, what_sign, "out of memory");
    int rc = open_chip(ctx, link, &key->signer, wait_ms, err);
    if (rc) {
        idm_link_drop(link);
        return rc;
    }
    const struct place at = {.ctx = ctx, .link = link, .key = key};
    rc = sign_by_chip(&at, what, ret, err);
    /* A connection that was idle while the chip or its resource manager was started anew. */
    if (rc == IDM_E_TPM_ABSENT && link->used)
        rc = sign_by_chip(&at, what, ret, err);
    link->used = rc == 0;
    if (keeps_others_out(link->settings.tcti))
        idm_tpm_close(link->tpm);
    idm_link_put(ctx, IDM_LINK_CHIP, link);
    return rc;
}

int idm_active_sign(struct idm_active_ctx *ctx, const struct idm_active_key *key,
                    const struct idm_to_sign *what, struct idm_signature *ret,
                    struct idm_error *err)
{
    int saved = errno;
    int rc = IDM_E_ABSENT;
    if (!key->private_key)
        rc = idm_broker_sign(ctx, key, what, ret, err);
    if (rc == IDM_E_ABSENT)
        rc = idm_active_sign_direct(ctx, key, what, UINT32_MAX, ret, err);
    errno = saved;
    return rc;
}
