/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/library/library.h"

#include "backends/active/page.h"
#include "backends/store/inroot.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define POLL_MS 50 /* before the first boot there is nothing to sleep on */

static const char statement_label[] = "idmode "; /* engine.h, IDM_LABEL_PREFIX */
static _Thread_local char last_error[640];

/* ---- errors ---- */

static int public_code(int code)
{
    switch (code) {
    case IDM_E_USAGE:
        return IDMODE_E_USAGE;
    case IDM_E_MEMORY:
        return IDMODE_E_MEMORY;
    case IDM_E_HELD:
    case IDM_E_ABSENT:
    case IDM_E_MISMATCH:
        return IDMODE_E_NONE;
    case IDM_E_REFUSED:
        return IDMODE_E_DENIED;
    case IDM_E_TPM_BUSY:
    case IDM_E_TPM_ABSENT:
        return IDMODE_E_BUSY;
    case IDM_E_UNREADABLE:
    case IDM_E_CORRUPT:
    case IDM_E_NEWER:
        return IDMODE_E_UNREADABLE;
    case IDM_E_CRYPTO:
        return IDMODE_E_CRYPTO;
    default:
        return IDMODE_E_TPM;
    }
}

int idmode_fail(const struct idm_error *err)
{
    idm_error_text(err, last_error, sizeof last_error);
    return public_code(err->code);
}

static int misuse(const char *what, const char *why)
{
    struct idm_error err = {0};
    (void)idm_fail(&err, IDM_E_USAGE, what, "%s", why);
    return idmode_fail(&err);
}

IDMODE_PUBLIC const char *idmode_error(void)
{
    return last_error;
}

/* ---- the lock ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void idmode_lock(void)
{
    (void)pthread_mutex_lock(&lock);
}

void idmode_unlock(void)
{
    (void)pthread_mutex_unlock(&lock);
}

/* After those of backends/active, whose lock is taken under this one: fork takes the youngest first. */
static bool register_handlers(void)
{
    static bool registered;
    idmode_lock();
    if (!registered)
        registered = pthread_atfork(idmode_lock, idmode_unlock, idmode_unlock) == 0;
    idmode_unlock();
    return registered;
}

/* ---- open and close ---- */

IDMODE_PUBLIC int idmode_open(idmode **ret, const char *root)
{
    char path[PATH_MAX];
    struct idm_error err = {0};
    const char *tcti = secure_getenv("IDMODE_TCTI");
    if (!ret)
        return misuse("idmode_open", "no place for the result");
    const char *from = root ? root : secure_getenv("IDMODE_ROOT");
    from = from ? from : "";
    size_t length = strlen(from);
    while (length && from[length - 1] == '/')
        length--;
    if (length >= sizeof path)
        return misuse("idmode_open", "the root directory's path is too long");
    memcpy(path, from, length);
    path[length] = 0;
    idmode *id = calloc(1, sizeof *id);
    if (!id)
        return idm_fail(&err, IDM_E_MEMORY, "idmode_open", "out of memory"), idmode_fail(&err);
    int rc = idm_active_open(&id->active, path, tcti && *tcti ? tcti : NULL, &err);
    if (rc == 0 && !register_handlers()) {
        idm_active_close(id->active);
        rc = idm_fail(&err, IDM_E_MEMORY, "idmode_open", "out of memory");
    }
    if (rc) {
        free(id);
        return idmode_fail(&err);
    }
    *ret = id;
    return IDMODE_OK;
}

IDMODE_PUBLIC void idmode_close(idmode *id)
{
    if (!id)
        return;
    idmode_identity_free(id->identity);
    idm_page_unmap(atomic_load(&id->page));
    idm_active_close(id->active);
    free(id);
}

/* ---- mode ---- */

/* Two threads may both map it; one mapping is kept. */
static __attribute__((noinline, cold)) const struct idm_page *map_page(const idmode *id)
{
    const void *page = NULL;
    const void *mapped = idm_page_map(idm_active_root(id->active));
    if (!mapped)
        return NULL;
    if (atomic_compare_exchange_strong(&((idmode *)id)->page, &page, mapped))
        return mapped;
    idm_page_unmap(mapped);
    return page;
}

static inline const struct idm_page *page_of(const idmode *id)
{
    const void *page = atomic_load_explicit(&id->page, memory_order_acquire);
    return page ? page : map_page(id);
}

static inline uint64_t word_of(const idmode *id)
{
    const struct idm_page *page = page_of(id);
    return page ? idm_page_word(page) : 0;
}

uint64_t idmode_word(const idmode *id)
{
    return word_of(id);
}

IDMODE_PUBLIC enum idmode_mode idmode_get_mode(const idmode *id)
{
    unsigned int mode = id ? idm_page_mode(word_of(id)) : 0;
    return mode <= IDMODE_MODE_TPM ? (enum idmode_mode)mode : IDMODE_MODE_UNKNOWN;
}

IDMODE_PUBLIC uint32_t idmode_get_generation(const idmode *id)
{
    return id ? idm_page_generation(word_of(id)) : 0;
}

IDMODE_PUBLIC uint32_t idmode_get_epoch(const idmode *id)
{
    return id ? idm_page_epoch(word_of(id)) : 0;
}

IDMODE_PUBLIC const char *idmode_mode_name(enum idmode_mode mode)
{
    switch (mode) {
    case IDMODE_MODE_NONE:
        return "none";
    case IDMODE_MODE_SOFTWARE:
        return "software";
    case IDMODE_MODE_TPM:
        return "tpm";
    case IDMODE_MODE_UNKNOWN:
        break;
    }
    return "unknown";
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

IDMODE_PUBLIC int idmode_wait(idmode *id, uint32_t generation, int timeout_ms)
{
    if (!id)
        return misuse("idmode_wait", "no device");
    int64_t end = now_ms() + timeout_ms;
    for (;;) {
        const struct idm_page *page = page_of(id);
        int64_t left = timeout_ms < 0 ? POLL_MS : end - now_ms();
        if (!page && generation != 0)
            return 1;
        if (page)
            return idm_page_wait(page, generation, timeout_ms < 0 ? -1 : left > 0 ? (int)left : 0);
        if (left <= 0)
            return 0;
        long pause_ms = left < POLL_MS ? (long)left : POLL_MS;
        (void)nanosleep(&(struct timespec){.tv_nsec = pause_ms * 1000000}, NULL);
    }
}

/* ---- documents ---- */

IDMODE_PUBLIC int idmode_get_status(idmode *id, char **ret_json)
{
    static const char what[] = "read the status";
    char path[PATH_MAX];
    struct idm_error err = {0};
    struct stat st;
    if (!id || !ret_json)
        return misuse("idmode_get_status", "a NULL");
    (void)snprintf(path, sizeof path, "%s/run/idmode/status.json", idm_active_root(id->active));
    _cleanup_close_ int fd =
        idm_fd_above_stdio(open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (fd < 0 || fstat(fd, &st) < 0)
        return idm_fail_errno(&err, IDM_E_UNREADABLE, what, errno), idmode_fail(&err);
    if (!S_ISREG(st.st_mode) || st.st_size > IDM_BYTES_MAX)
        return idm_fail(&err, IDM_E_CORRUPT, what, "it is no status"), idmode_fail(&err);
    char *text = calloc(1, (size_t)st.st_size + 1);
    if (!text)
        return idm_fail(&err, IDM_E_MEMORY, what, "out of memory"), idmode_fail(&err);
    if (read(fd, text, (size_t)st.st_size) != (ssize_t)st.st_size) {
        free(text);
        return idm_fail(&err, IDM_E_UNREADABLE, what, "it is cut short"), idmode_fail(&err);
    }
    *ret_json = text;
    return IDMODE_OK;
}

IDMODE_PUBLIC int idmode_get_certificate(idmode *id, char **ret_pem)
{
    struct idm_error err = {0};
    struct idm_active_key *key = NULL;
    if (!id || !ret_pem)
        return misuse("idmode_get_certificate", "a NULL");
    if (idm_active_load(id->active, false, &key, &err))
        return idmode_fail(&err);
    char *pem = strndup((const char *)key->chain.data, key->chain.size);
    idm_active_key_free(key);
    if (!pem)
        return idm_fail(&err, IDM_E_MEMORY, "read the certificate", "out of memory"),
               idmode_fail(&err);
    *ret_pem = pem;
    return IDMODE_OK;
}

/* ---- sign ---- */

static int sign(idmode *id, const struct idm_to_sign *what, struct idm_signature *ret,
                struct idm_error *err)
{
    struct idm_active_key *key = NULL;
    struct idm_to_sign as = *what;
    int rc = idm_active_load(id->active, false, &key, err);
    if (rc == 0) {
        as.pure = idm_active_is_pure(key->public_key);
        rc = idm_active_sign(id->active, key, &as, ret, err);
    }
    idm_active_key_free(key);
    return rc;
}

IDMODE_PUBLIC int idmode_sign(idmode *id, const char *digest, const void *message, size_t size,
                              unsigned char *signature, size_t *signature_size)
{
    static const char what[] = "idmode_sign";
    static const size_t label = sizeof statement_label - 1;
    struct idm_error err = {0};
    struct idm_signature made;
    struct idm_to_sign to_sign = {.message = message ? message : what, .message_size = size};
    size_t hash_size = 0;
    if (!id || !digest || (!message && size) || !signature || !signature_size)
        return misuse(what, "a NULL");
    if (!idm_active_digest(digest, &to_sign.digest, &hash_size))
        return misuse(what, "the digest is sha256, sha384 or sha512");
    if (size > IDM_MESSAGE_MAX || *signature_size < IDMODE_SIGNATURE_MAX)
        return misuse(what, "the message is too long, or the buffer too small");
    if (size >= label && memcmp(message, statement_label, label) == 0) {
        (void)idm_fail(&err, IDM_E_REFUSED, what,
                       "the message begins as idmode's own statements do");
        return idmode_fail(&err);
    }
    if (!idm_active_libctx() ||
        EVP_Q_digest(idm_active_libctx(), digest, NULL, message, size, to_sign.hash, NULL) != 1)
        (void)idm_fail(&err, IDM_E_CRYPTO, what, "the digest failed");
    else if (sign(id, &to_sign, &made, &err) == 0)
        err.code = 0;
    if (err.code)
        return idmode_fail(&err);
    memcpy(signature, made.data, made.size);
    *signature_size = made.size;
    return IDMODE_OK;
}
