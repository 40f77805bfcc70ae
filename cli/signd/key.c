/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/signd/signd.h"

#include "backends/active/page.h"
#include "backends/tpm/tpm.h"

#include <string.h>

static uint64_t word_of(struct idm_keyring *ring)
{
    if (!ring->page)
        ring->page = idm_page_map(idm_active_root(ring->ctx));
    return ring->page ? idm_page_word(ring->page) : 0;
}

static bool is(const struct idm_active_key *key, const uint8_t spki[IDM_SHA256_SIZE])
{
    return key && memcmp(key->reference.spki, spki, IDM_SHA256_SIZE) == 0;
}

static void let_go(struct idm_keyring *ring)
{
    if (ring->let_go_at)
        idm_worker_let_go(ring->worker);
    ring->let_go_at = 0;
}

/* What was in use until now. A software key stays for a moment where the device moved to its TPM; one
 * that was reset, or is in doubt, is gone at once. */
static void retire(struct idm_keyring *ring, struct idm_active_key *old)
{
    bool moved = old && old->private_key && ring->key && !ring->key->signer.software;
    idm_active_key_free(ring->former);
    ring->former = NULL;
    let_go(ring); /* loaded, it would outlive its own reset */
    if (moved) {
        ring->former = old;
        ring->former_end = idm_signd_now_ms() + IDM_SIGND_FORMER_MS;
        return;
    }
    idm_active_key_free(old);
}

/* The identity in use, read again when the page says that it is another one. */
static int refresh(struct idm_keyring *ring, struct idm_error *err)
{
    uint64_t word = word_of(ring);
    if (ring->key && word && word == ring->word)
        return 0;
    struct idm_active_key *old = ring->key;
    struct idm_active_key *now = NULL;
    int rc = idm_active_load(ring->ctx, true, &now, err);
    ring->key = now;
    ring->word = word;
    retire(ring, old);
    return rc;
}

int idm_keyring_find(struct idm_keyring *ring, const uint8_t spki[IDM_SHA256_SIZE],
                     struct idm_active_key **ret, struct idm_error *err)
{
    struct idm_error failure = {0};
    int rc = refresh(ring, &failure);
    (void)idm_keyring_tidy(ring);
    struct idm_active_key *found = rc == 0 && is(ring->key, spki) ? ring->key
                                   : is(ring->former, spki)       ? ring->former
                                                                  : NULL;
    if (found) {
        *ret = found;
        return 0;
    }
    if (rc) {
        if (err)
            *err = failure;
        return rc;
    }
    (void)idm_fail(err, IDM_E_HELD, "sign with the device's key",
                   "the device uses another identity by now");
    return idm_advise(err, "load key and certificate again"), IDM_E_HELD;
}

void idm_keyring_uses_chip(struct idm_keyring *ring, const struct idm_active_key *key)
{
    if (key->signer.tss2.size)
        ring->let_go_at =
            idm_signd_now_ms() +
            (idm_tpm_is_managed(key->signer.tcti) ? IDM_SIGND_HOLD_MANAGED_MS : IDM_SIGND_HOLD_MS);
}

uint32_t idm_keyring_wait(const struct idm_keyring *ring)
{
    uint32_t wait_ms = ring->key ? ring->key->signer.wait_ms : 0;
    return wait_ms < IDM_SIGND_WAIT_MAX_MS ? wait_ms : IDM_SIGND_WAIT_MAX_MS;
}

/* ms until `end`, and 0 when it has come; -1: there is no end. */
static int left_until(int64_t end)
{
    int64_t left = end ? end - idm_signd_now_ms() : -1;
    return end && left <= 0 ? 0 : (int)left;
}

int idm_keyring_tidy(struct idm_keyring *ring)
{
    int former = ring->former ? left_until(ring->former_end) : -1;
    int loaded = left_until(ring->let_go_at);
    if (former == 0) {
        idm_active_key_free(ring->former);
        ring->former = NULL;
        former = -1;
    }
    if (loaded == 0) {
        let_go(ring);
        loaded = -1;
    }
    return former < 0 || (loaded >= 0 && loaded < former) ? loaded : former;
}

void idm_keyring_free(struct idm_keyring *ring)
{
    idm_active_key_free(ring->key);
    idm_active_key_free(ring->former);
    idm_page_unmap(ring->page);
    idm_active_close(ring->ctx);
}
