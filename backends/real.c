/* SPDX-License-Identifier: BSD-2-Clause */
/* real.c - the real device as struct idm_backends: files, OpenSSL, ESAPI, boot environment. Each
 * function here only finds the part behind `self`; what it does stands with that part. */
#include "backends/backends.h"

#include "backends/bootenv/bootenv.h"
#include "backends/platform/fingerprint.h"
#include "backends/platform/machine.h"
#include "backends/platform/trace.h"
#include "backends/software/cert.h"
#include "backends/software/key.h"
#include "backends/software/request.h"
#include "backends/store/store.h"
#include "backends/tpm/tpm.h"
#include "backends/tpm/tss2file.h"

#include <stdio.h>
#include <stdlib.h>

/* The certificates read last. Reading one takes as long as all the rest of a steady boot: each is read
 * once, to be looked into, to verify the proof and to be told about. */
#define CERTS_KEPT 3u /* of the TPM, of the legacy pair, and a new one beside */

struct kept_cert {
    struct idm_bytes pem;
    struct idm_cert_info info;
    EVP_PKEY *key;
};

struct real {
    char root[IDM_PATH_SIZE];
    const struct idm_settings *settings;
    struct idm_store *store;
    struct idm_tpm *tpm;
    struct kept_cert certs[CERTS_KEPT];
    size_t certs_next;
    uint8_t known_certs[2][IDM_SHA256_SIZE]; /* zeros are no certificate's hash */
    struct idm_bootenv_query *query;         /* NULL: not begun, or ended */
};

static struct idm_store *store_of(void *self)
{
    return ((struct real *)self)->store;
}

/* A chip may keep us waiting for half a minute: no file system is kept busy by us meanwhile. */
static struct idm_tpm *tpm_of(void *self)
{
    struct real *real = self;
    idm_store_let_go(real->store);
    return real->tpm;
}

/* ---- files ---- */

static int file_read(void *self, enum idm_file file, struct idm_bytes *ret, struct idm_error *err)
{
    return idm_store_read(store_of(self), file, ret, err);
}

static int file_write(void *self, enum idm_file file, const void *data, size_t size,
                      struct idm_error *err)
{
    return idm_store_write(store_of(self), file, data, size, err);
}

static int file_remove(void *self, enum idm_file file, struct idm_error *err)
{
    return idm_store_remove(store_of(self), file, err);
}

static enum idm_place_state place_state(void *self, enum idm_place place)
{
    return idm_store_place_state(store_of(self), place);
}

static enum idm_room place_room(void *self, enum idm_place place, size_t size)
{
    return idm_store_place_room(store_of(self), place, size);
}

static bool place_is_mount(void *self, enum idm_place place)
{
    return idm_store_place_is_mount(store_of(self), place);
}

static bool place_is_volatile(void *self, enum idm_place place)
{
    return idm_store_place_is_volatile(store_of(self), place);
}

/* ---- keys and certificates ---- */

static int key_inspect(void *self, const struct idm_bytes *pem, struct idm_key_info *ret,
                       struct idm_error *err)
{
    (void)self;
    return idm_key_inspect(pem, ret, err);
}

static void drop_cert(struct kept_cert *kept)
{
    idm_bytes_free(&kept->pem);
    EVP_PKEY_free(kept->key);
    *kept = (struct kept_cert){0};
}

static int read_cert(struct real *real, const struct idm_bytes *pem, const struct kept_cert **ret,
                     struct idm_error *err)
{
    struct kept_cert fresh = {0};
    for (size_t i = 0; i < CERTS_KEPT; i++) {
        if (real->certs[i].key && idm_bytes_equal(&real->certs[i].pem, pem)) {
            *ret = &real->certs[i];
            return 0;
        }
    }
    int rc =
        idm_cert_read(pem, real->known_certs, sizeof real->known_certs / sizeof *real->known_certs,
                      &fresh.info, &fresh.key, err);
    if (rc == 0) {
        rc = idm_bytes_set(&fresh.pem, pem->data, pem->size);
        if (rc)
            (void)idm_fail(err, rc, "read the certificate", "%s", idm_error_sentence(rc));
    }
    if (rc) {
        drop_cert(&fresh);
        return rc;
    }
    struct kept_cert *place = &real->certs[real->certs_next++ % CERTS_KEPT];
    drop_cert(place);
    *place = fresh;
    *ret = place;
    return 0;
}

static void certs_known(void *self, const uint8_t software[IDM_SHA256_SIZE],
                        const uint8_t tpm[IDM_SHA256_SIZE])
{
    struct real *real = self;
    memcpy(real->known_certs[0], software, IDM_SHA256_SIZE);
    memcpy(real->known_certs[1], tpm, IDM_SHA256_SIZE);
}

static int cert_inspect(void *self, const struct idm_bytes *pem, struct idm_cert_info *ret,
                        struct idm_error *err)
{
    const struct kept_cert *cert = NULL;
    int rc = read_cert(self, pem, &cert, err);
    if (rc == 0)
        *ret = cert->info;
    return rc;
}

static int tss2_inspect(void *self, const struct idm_bytes *pem, struct idm_tss2_info *ret,
                        struct idm_error *err)
{
    (void)self;
    return idm_tss2_inspect(pem, ret, err);
}

static int key_generate(void *self, enum idm_algorithm algorithm, struct idm_bytes *ret_pem,
                        struct idm_error *err)
{
    (void)self;
    return idm_key_generate(algorithm, ret_pem, err);
}

static int sign(void *self, const struct idm_signer *signer, enum idm_digest digest,
                const uint8_t *hash, struct idm_signature *ret, struct idm_error *err)
{
    if (signer->kind == IDM_SIGNER_SOFTWARE)
        return idm_key_sign(signer->key, digest, hash, ret, err);
    return idm_tpm_sign(tpm_of(self), signer, digest, hash, ret, err);
}

static int verify(void *self, const struct idm_bytes *cert_pem, enum idm_digest digest,
                  const uint8_t *hash, const struct idm_signature *signature, struct idm_error *err)
{
    const struct kept_cert *cert = NULL;
    int rc = read_cert(self, cert_pem, &cert, err);
    return rc ? rc : idm_public_verify(cert->key, digest, hash, signature, err);
}

struct issuing {
    void *self;
    const struct idm_signer *signer;
};

static int sign_certificate(void *ctx, enum idm_digest digest, const uint8_t *hash,
                            struct idm_signature *ret, struct idm_error *err)
{
    const struct issuing *issuing = ctx;
    return sign(issuing->self, issuing->signer, digest, hash, ret, err);
}

static int cert_issue(void *self, const struct idm_cert_profile *profile,
                      const struct idm_signer *signer, struct idm_bytes *ret_pem,
                      struct idm_error *err)
{
    struct issuing issuing = {.self = self, .signer = signer};
    EVP_PKEY *public_key = NULL;
    int rc = signer->kind == IDM_SIGNER_SOFTWARE
                 ? idm_key_public(signer->key, &public_key, err)
                 : idm_tpm_public_key(tpm_of(self), signer, &public_key, err);
    if (rc == 0)
        rc = idm_cert_issue(profile, public_key, signer->algorithm, sign_certificate, &issuing,
                            ret_pem, err);
    EVP_PKEY_free(public_key);
    return rc;
}

static int cert_request(void *self, const char *subject, const struct idm_bytes *cert_pem,
                        const struct idm_signer *signer, struct idm_bytes *ret_pem,
                        struct idm_error *err)
{
    struct issuing issuing = {.self = self, .signer = signer};
    const struct kept_cert *cert = NULL;
    int rc = read_cert(self, cert_pem, &cert, err);
    return rc ? rc
              : idm_request_issue(subject, cert->key, sign_certificate, &issuing, ret_pem, err);
}

static int cert_check(void *self, const struct idm_bytes *pem, int64_t now,
                      struct idm_cert_info *ret, struct idm_bytes *ret_pem, struct idm_error *err)
{
    (void)self;
    return idm_chain_check(pem, now, ret, ret_pem, err);
}

/* ---- TPM ---- */

static enum idm_tri tpm_announced(void *self)
{
    return idm_tpm_announced(tpm_of(self));
}

static int tpm_info(void *self, struct idm_tpm_info *ret, struct idm_error *err)
{
    return idm_tpm_info(tpm_of(self), ret, err);
}

static int tpm_object(void *self, uint32_t handle, enum idm_tpm_role role,
                      struct idm_tpm_object_info *ret, struct idm_error *err)
{
    return idm_tpm_object(tpm_of(self), handle, role, ret, err);
}

static int tpm_persistent(void *self, uint32_t ret_handles[IDM_TPM_PERSISTENT_MAX],
                          size_t *ret_count, struct idm_error *err)
{
    return idm_tpm_persistent(tpm_of(self), ret_handles, ret_count, err);
}

static int tpm_srk_name(void *self, uint32_t handle, uint8_t ret_name[IDM_NAME_SIZE],
                        struct idm_error *err)
{
    return idm_tpm_srk_name(tpm_of(self), handle, ret_name, err);
}

static int tpm_ek_name(void *self, uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err)
{
    return idm_tpm_ek_name(tpm_of(self), ret_name, err);
}

static int tpm_counter_read(void *self, uint32_t index, uint64_t *ret_value, struct idm_error *err)
{
    return idm_tpm_counter_read(tpm_of(self), index, ret_value, err);
}

static int tpm_counter_make(void *self, uint32_t index, struct idm_error *err)
{
    return idm_tpm_counter_make(tpm_of(self), index, err);
}

static int tpm_counter_increment(void *self, uint32_t index, struct idm_error *err)
{
    return idm_tpm_counter_increment(tpm_of(self), index, err);
}

static int tpm_parent_make(void *self, uint32_t srk_handle, uint32_t parent_handle,
                           uint8_t ret_name[IDM_NAME_SIZE], struct idm_error *err)
{
    return idm_tpm_parent_make(tpm_of(self), srk_handle, parent_handle, ret_name, err);
}

static int tpm_key_create(void *self, uint32_t parent_handle,
                          const uint8_t parent_name[IDM_NAME_SIZE], enum idm_algorithm algorithm,
                          struct idm_bytes *ret_tss2, struct idm_error *err)
{
    return idm_tpm_key_create(tpm_of(self), parent_handle, parent_name, algorithm, ret_tss2, err);
}

static int tpm_key_import(void *self, uint32_t parent_handle,
                          const uint8_t parent_name[IDM_NAME_SIZE], const struct idm_bytes *key_pem,
                          struct idm_bytes *ret_tss2, struct idm_error *err)
{
    return idm_tpm_key_import(tpm_of(self), parent_handle, parent_name, key_pem, ret_tss2, err);
}

static int tpm_key_check(void *self, const struct idm_signer *signer, bool imported,
                         struct idm_tpm_object_info *ret, struct idm_error *err)
{
    return idm_tpm_key_check(tpm_of(self), signer, imported, ret, err);
}

static int tpm_key_persist(void *self, const struct idm_bytes *tss2, uint32_t parent_handle,
                           uint32_t handle, struct idm_error *err)
{
    return idm_tpm_key_persist(tpm_of(self), tss2, parent_handle, handle, err);
}

static int tpm_evict(void *self, uint32_t handle, const uint8_t name[IDM_NAME_SIZE],
                     struct idm_error *err)
{
    return idm_tpm_evict(tpm_of(self), handle, name, err);
}

static int tpm_seal(void *self, uint32_t parent_handle, const uint8_t parent_name[IDM_NAME_SIZE],
                    const struct idm_bytes *plain, struct idm_bytes *ret_envelope,
                    struct idm_error *err)
{
    return idm_tpm_seal(tpm_of(self), parent_handle, parent_name, plain, ret_envelope, err);
}

static int tpm_unseal(void *self, uint32_t parent_handle, const uint8_t parent_name[IDM_NAME_SIZE],
                      const struct idm_bytes *envelope, struct idm_bytes *ret_plain,
                      struct idm_error *err)
{
    return idm_tpm_unseal(tpm_of(self), parent_handle, parent_name, envelope, ret_plain, err);
}

static int tpm_clear(void *self, struct idm_error *err)
{
    return idm_tpm_clear(tpm_of(self), err);
}

static int tpm_may_clear(void *self, struct idm_error *err)
{
    return idm_tpm_may_clear(tpm_of(self), err);
}

static void tpm_close(void *self)
{
    idm_tpm_close(tpm_of(self));
}

/* ---- the machine ---- */

static int platform(void *self, struct idm_platform *ret, struct idm_error *err)
{
    const struct real *real = self;
    return idm_machine_read(real->root, real->settings, ret, err);
}

static void bootenv_begin(void *self)
{
    struct real *real = self;
    if (!real->query)
        real->query = idm_bootenv_begin(real->root, real->settings, IDM_BOOTENV_LIMIT_MS);
}

static void bootenv(void *self, struct idm_bootenv *ret)
{
    struct real *real = self;
    bootenv_begin(self);
    struct idm_bootenv_query *query = real->query;
    real->query = NULL;
    if (idm_bootenv_end(query, ret, NULL) < 0)
        return; /* ret->said has the reason */
}

static int slot_fingerprint(void *self, const char *slot, uint8_t ret_hash[IDM_SHA256_SIZE],
                            struct idm_error *err)
{
    const struct real *real = self;
    return idm_slot_fingerprint(real->root, real->settings, slot, ret_hash, err);
}

static int page_publish(void *self, unsigned int mode, uint32_t epoch, struct idm_error *err)
{
    return idm_store_page(store_of(self), mode, epoch, err);
}

static void trace(void *self, const char *line)
{
    const struct real *real = self;
    idm_trace_line(real->root, real->settings->verbose ? IDM_TRACE_STDERR : IDM_TRACE_FILE, line);
}

/* ---- open and close ---- */

static const struct idm_backends functions = {
    .file_read = file_read,
    .file_write = file_write,
    .file_remove = file_remove,
    .place_state = place_state,
    .place_room = place_room,
    .place_is_mount = place_is_mount,
    .place_is_volatile = place_is_volatile,
    .key_inspect = key_inspect,
    .certs_known = certs_known,
    .cert_inspect = cert_inspect,
    .tss2_inspect = tss2_inspect,
    .key_generate = key_generate,
    .cert_issue = cert_issue,
    .cert_request = cert_request,
    .cert_check = cert_check,
    .sign = sign,
    .verify = verify,
    .tpm_announced = tpm_announced,
    .tpm_info = tpm_info,
    .tpm_object = tpm_object,
    .tpm_persistent = tpm_persistent,
    .tpm_srk_name = tpm_srk_name,
    .tpm_ek_name = tpm_ek_name,
    .tpm_counter_read = tpm_counter_read,
    .tpm_counter_make = tpm_counter_make,
    .tpm_counter_increment = tpm_counter_increment,
    .tpm_parent_make = tpm_parent_make,
    .tpm_key_create = tpm_key_create,
    .tpm_key_import = tpm_key_import,
    .tpm_key_check = tpm_key_check,
    .tpm_key_persist = tpm_key_persist,
    .tpm_evict = tpm_evict,
    .tpm_seal = tpm_seal,
    .tpm_unseal = tpm_unseal,
    .tpm_clear = tpm_clear,
    .tpm_may_clear = tpm_may_clear,
    .tpm_close = tpm_close,
    .platform = platform,
    .bootenv_begin = bootenv_begin,
    .bootenv = bootenv,
    .slot_fingerprint = slot_fingerprint,
    .page_publish = page_publish,
    .trace = trace,
};

int idm_backends_open(struct idm_backends *ret, const char *root,
                      const struct idm_settings *settings, struct idm_error *err)
{
    struct real *real = calloc(1, sizeof *real);
    if (!real)
        return idm_fail(err, IDM_E_MEMORY, "start", "%s", idm_error_sentence(IDM_E_MEMORY));
    (void)snprintf(real->root, sizeof real->root, "%s", root);
    real->settings = settings;
    int rc = idm_store_open(&real->store, root, settings, err);
    if (rc == 0)
        rc = idm_tpm_open(&real->tpm, root, settings, err);
    if (rc) {
        idm_store_close(real->store);
        free(real);
        return rc;
    }
    *ret = functions;
    ret->self = real;
    return 0;
}

void idm_backends_close(struct idm_backends *backends)
{
    struct real *real = backends ? backends->self : NULL;
    if (!real)
        return;
    idm_bootenv_drop(real->query);
    idm_tpm_free(real->tpm);
    idm_store_close(real->store);
    for (size_t i = 0; i < CERTS_KEPT; i++)
        drop_cert(&real->certs[i]);
    free(real);
    backends->self = NULL;
}
