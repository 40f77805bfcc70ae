/* SPDX-License-Identifier: BSD-2-Clause */
/* load.c - from the files in /run to a key. */
#include "backends/active/context.h"
#include "backends/software/pem.h"
#include "backends/store/inroot.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define RUN_REFERENCE "/run/idmode/device.key.pem"
#define RUN_CERT      "/run/idmode/device.cert.pem"
#define RUN_SIGNER    "/run/idmode/signer"
#define RUN_MODE      "/run/idmode/mode"

/* The files change one after another: who reads between two of them reads again. */
#define ATTEMPTS 20
#define PAUSE_NS 5000000L

static const char what_load[] = "use the device's identity";

/* ---- files ---- */

static int read_fd(int fd, const char *what, struct idm_bytes *ret, struct idm_error *err)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return idm_fail_errno(err, IDM_E_UNREADABLE, what, errno);
    if (!S_ISREG(st.st_mode))
        return idm_fail(err, IDM_E_UNREADABLE, what, "it is no regular file");
    if (st.st_size > IDM_BYTES_MAX)
        return idm_fail(err, IDM_E_CORRUPT, what, "it is too large");
    _cleanup_bytes_ struct idm_bytes bytes = {0};
    int rc = idm_bytes_set(&bytes, NULL, (size_t)st.st_size);
    if (rc)
        return idm_fail(err, rc, what, "out of memory");
    for (size_t done = 0; done < bytes.size;) {
        ssize_t n = read(fd, bytes.data + done, bytes.size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return idm_fail(err, IDM_E_UNREADABLE, what, "it changed while it was read");
        done += (size_t)n;
    }
    idm_bytes_move(ret, &bytes);
    return 0;
}

/* A file of /run, which is root's and holds no links. */
static int read_run(const struct idm_active_ctx *ctx, const char *path, struct idm_bytes *ret,
                    struct idm_error *err)
{
    char full[PATH_MAX];
    (void)snprintf(full, sizeof full, "%s%s", ctx->root, path);
    _cleanup_close_ int fd = open(full, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return read_fd(fd, path, ret, err);
}

/* A file that the configuration names: links are followed, but not out of the root. Sandboxes and old
 * kernels know no openat2(2); on the machine itself there is nothing to stay inside of, and elsewhere the
 * key that is found must still be the certificate's. */
static int read_in_root(const struct idm_active_ctx *ctx, const char *path, struct idm_bytes *ret,
                        struct idm_error *err)
{
    static const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    char full[PATH_MAX];
    _cleanup_close_ int root = ctx->root[0] ? idm_inroot_root(ctx->root) : -1;
    _cleanup_close_ int fd = root < 0 ? -1 : idm_inroot_open(root, path, flags);
    if (fd < 0 && (!ctx->root[0] || errno == ENOSYS || errno == EPERM)) {
        (void)snprintf(full, sizeof full, "%s%s", ctx->root, path);
        fd = idm_fd_above_stdio(open(full, flags));
    }
    return read_fd(fd, path, ret, err);
}

/* ---- why there is no identity ---- */

static int not_in_use(const struct idm_active_ctx *ctx, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes mode = {0};
    if (read_run(ctx, RUN_MODE, &mode, NULL) || !mode.data) {
        (void)idm_fail(err, IDM_E_HELD, what_load, "idmode boot has not run in this boot");
        return idm_advise(err, "run idmode boot before the programs that use TLS"), IDM_E_HELD;
    }
    size_t length = strcspn((const char *)mode.data, "\n");
    (void)idm_fail(err, IDM_E_HELD, what_load, "no identity is in use (mode %.*s)",
                   (int)(length < 16 ? length : 16), (const char *)mode.data);
    return idm_advise(err, "see idmode status"), IDM_E_HELD;
}

/* ---- public part ---- */

int idm_active_spki(const EVP_PKEY *key, uint8_t ret[IDM_SHA256_SIZE])
{
    unsigned char *der = NULL;
    EVP_PKEY *canonical = EVP_PKEY_dup((EVP_PKEY *)key);
    bool good = canonical != NULL;
    if (good && EVP_PKEY_is_a(canonical, "EC"))
        good =
            EVP_PKEY_set_utf8_string_param(canonical, OSSL_PKEY_PARAM_EC_ENCODING,
                                           OSSL_PKEY_EC_ENCODING_GROUP) == 1 &&
            EVP_PKEY_set_utf8_string_param(canonical, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                           OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) == 1;
    int size = good ? i2d_PUBKEY(canonical, &der) : -1;
    int rc = size > 0 ? idm_sha256(der, (size_t)size, ret) : IDM_E_CRYPTO;
    OPENSSL_free(der);
    EVP_PKEY_free(canonical);
    return rc;
}

/* The key of the first certificate. NULL: not understood. */
static EVP_PKEY *key_of_chain(const struct idm_bytes *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->size);
    X509 *cert = X509_new_ex(idm_active_libctx(), NULL);
    EVP_PKEY *key = NULL;
    if (bio && cert && PEM_read_bio_X509(bio, &cert, NULL, NULL))
        key = X509_get_pubkey(cert);
    X509_free(cert);
    BIO_free(bio);
    return key;
}

/* 0, MISMATCH; CRYPTO: OpenSSL cannot tell. */
static int check_key(const EVP_PKEY *key, const uint8_t spki[IDM_SHA256_SIZE], const char *what,
                     const char *why, struct idm_error *err)
{
    uint8_t hash[IDM_SHA256_SIZE];
    if (!key || idm_active_spki(key, hash))
        return idm_fail(err, IDM_E_CRYPTO, what, "OpenSSL does not take it");
    return memcmp(hash, spki, sizeof hash) == 0 ? 0
                                                : idm_fail(err, IDM_E_MISMATCH, what, "%s", why);
}

/* 0, HELD, CRYPTO, or MISMATCH when certificate and reference are not of one identity: read again. */
static int load_public(struct idm_active_ctx *ctx, struct idm_active_key *key,
                       struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes pem = {0};
    int rc = read_run(ctx, RUN_REFERENCE, &pem, err);
    if (rc == 0)
        rc = idm_reference_read(pem.data, pem.size, &key->reference, err);
    if (rc == 0)
        rc = read_run(ctx, RUN_CERT, &key->chain, err);
    if (rc == IDM_E_ABSENT)
        return not_in_use(ctx, err);
    if (rc)
        return rc;
    EVP_PKEY_free(key->public_key);
    key->public_key = key_of_chain(&key->chain);
    return check_key(key->public_key, key->reference.spki, what_load,
                     "the certificate in /run/idmode is not that of the key", err);
}

/* ---- how it signs ---- */

/* Checked strictly at boot (software/key.h), and here against the certificate. Old images write the
 * curve's name in a block of its own before the key. NULL: no key of ours. */
static EVP_PKEY *parse_private(const struct idm_bytes *pem)
{
    struct idm_pem_cursor cursor = {.at = (const char *)pem->data, .left = pem->size};
    _cleanup_pem_block_ struct idm_pem_block block = {0};
    do {
        if (idm_pem_next(&cursor, what_load, &block, NULL) || !block.label[0] || block.encrypted)
            return NULL;
    } while (strcmp(block.label, "EC PARAMETERS") == 0);
    const unsigned char *at = block.der.data;
    return d2i_AutoPrivateKey_ex(NULL, &at, (long)block.der.size, idm_active_libctx(), NULL);
}

static int load_private(struct idm_active_ctx *ctx, struct idm_active_key *key,
                        struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes pem = {0};
    int rc = read_in_root(ctx, key->signer.key_file, &pem, err);
    if (rc)
        return rc;
    key->private_key = parse_private(&pem);
    rc = check_key(key->private_key, key->reference.spki, key->signer.key_file,
                   "it does not hold the key of the identity in use", err);
    if (rc) {
        EVP_PKEY_free(key->private_key);
        key->private_key = NULL;
    }
    return rc;
}

/* Root's file: who may not read it needs the broker, and learns so when it signs. */
static int load_signer(struct idm_active_ctx *ctx, struct idm_active_key *key,
                       struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes text = {0};
    idm_signer_file_free(&key->signer);
    key->direct = false;
    if (read_run(ctx, RUN_SIGNER, &text, NULL))
        return 0;
    int rc = idm_signer_file_read(&text, &key->signer, err);
    if (rc)
        return rc;
    if (memcmp(key->signer.spki, key->reference.spki, IDM_SHA256_SIZE) != 0)
        return idm_fail(err, IDM_E_MISMATCH, what_load,
                        "the files in /run/idmode are of two identities");
    if (ctx->tcti[0])
        memcpy(key->signer.tcti, ctx->tcti, sizeof key->signer.tcti);
    key->direct = true;
    return 0;
}

static int load_once(struct idm_active_ctx *ctx, bool reads_key, struct idm_active_key *key,
                     struct idm_error *err)
{
    int rc = load_public(ctx, key, err);
    if (rc == 0)
        rc = load_signer(ctx, key, err);
    if (rc || !key->direct || !key->signer.software || (!reads_key && idm_broker_is_there(ctx)))
        return rc;
    return load_private(ctx, key, err);
}

int idm_active_load(struct idm_active_ctx *ctx, bool reads_key, struct idm_active_key **ret,
                    struct idm_error *err)
{
    static const struct timespec pause = {.tv_nsec = PAUSE_NS};
    int saved = errno;
    struct idm_active_key *key = idm_active_libctx() ? calloc(1, sizeof *key) : NULL;
    if (!key)
        return idm_fail(err, IDM_E_MEMORY, what_load, "out of memory");
    key->refs = 1;
    key->ctx = ctx;
    int rc = IDM_E_MISMATCH;
    (void)ERR_set_mark();
    for (int attempt = 0; rc == IDM_E_MISMATCH && attempt < ATTEMPTS; attempt++) {
        if (attempt)
            (void)nanosleep(&pause, NULL);
        rc = load_once(ctx, reads_key, key, err);
    }
    (void)ERR_pop_to_mark();
    errno = saved;
    if (rc)
        idm_active_key_free(key);
    else
        *ret = key;
    return rc;
}

struct idm_active_key *idm_active_key_up(struct idm_active_key *key)
{
    (void)atomic_fetch_add_explicit(&key->refs, 1, memory_order_relaxed);
    return key;
}

void idm_active_key_free(struct idm_active_key *key)
{
    if (!key || atomic_fetch_sub_explicit(&key->refs, 1, memory_order_acq_rel) != 1)
        return;
    EVP_PKEY_free(key->public_key);
    EVP_PKEY_free(key->private_key);
    idm_bytes_free(&key->chain);
    idm_signer_file_free(&key->signer);
    free(key);
}
