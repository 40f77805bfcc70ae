/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/attest/attest.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

/* ---- device ---- */

int idm_attester_open(struct idm_attester *ret, const struct idm_options *options)
{
    struct idm_error err = {0};
    int rc = idm_session_open(&ret->session, options, false);
    if (rc)
        return rc;
    if (idm_tpm_open(&ret->tpm, options->root, &ret->session.settings, &err))
        return idm_say_error(options, "attest", &err);
    return 0;
}

void idm_attester_close(struct idm_attester *a)
{
    if (a->tpm)
        idm_ak_unload(a->tpm, a->loaded);
    idm_tpm_free(a->tpm);
    idm_ak_file_free(&a->keys);
    idm_session_close(&a->session);
    OPENSSL_cleanse(a, sizeof *a);
}

const char *idm_attester_service(const struct idm_attester *a)
{
    return a->session.options->service ? a->session.options->service : "";
}

/* ---- keys on file ---- */

static const enum idm_file key_files[] = {IDM_F_PERSIST_AKS, IDM_F_CONFIG_AKS};
#define PLACES (sizeof key_files / sizeof key_files[0])

/* Absent: no error, and no keys. */
static int read_place(struct idm_attester *a, enum idm_file file, struct idm_bytes *ret_bytes,
                      struct idm_ak_file *ret, struct idm_error *err)
{
    const struct idm_backends *be = &a->session.backends;
    int rc = be->file_read(be->self, file, ret_bytes, err);
    if (rc == IDM_E_ABSENT)
        return 0;
    return rc ? rc : idm_ak_file_decode(ret_bytes, ret, err);
}

static int write_place(struct idm_attester *a, enum idm_file file, const struct idm_bytes *bytes,
                       struct idm_error *err)
{
    const struct idm_backends *be = &a->session.backends;
    return be->file_write(be->self, file, bytes->data, bytes->size, err);
}

/* One copy serves as well as two; the other is written again. */
static void heal(struct idm_attester *a, enum idm_file file, const struct idm_bytes *good)
{
    struct idm_error err = {0};
    char text[640];
    if (write_place(a, file, good, &err) == 0)
        return;
    idm_error_text(&err, text, sizeof text);
    idm_warn(a->session.options, "attest: the second copy of the keys: %s", text);
}

/* The first copy counts where it is good: it is written first. What only a newer program may read is left
 * alone. */
static int read_keys(struct idm_attester *a, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes first = {0};
    _cleanup_bytes_ struct idm_bytes second = {0};
    struct idm_error second_err = {0};
    _cleanup_ak_file_ struct idm_ak_file other = {0};
    int rc = read_place(a, key_files[0], &first, &a->keys, err);
    int second_rc = read_place(a, key_files[1], &second, &other, &second_err);
    if (rc == IDM_E_NEWER)
        return rc;
    if (second_rc == IDM_E_NEWER)
        return *err = second_err, second_rc;
    bool use_second = second_rc == 0 && second.data && (rc || !first.data);
    if (use_second) {
        a->keys = other;
        other = (struct idm_ak_file){0};
        heal(a, key_files[0], &second);
        return 0;
    }
    if (rc)
        return idm_advise(err,
                          "remove attest.keys in both places: services must activate new keys"),
               rc;
    if (first.data && (second_rc || !idm_bytes_equal(&first, &second)))
        heal(a, key_files[1], &first);
    return 0;
}

static int write_keys(struct idm_attester *a, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes bytes = {0};
    int rc = idm_ak_file_encode(&a->keys, &bytes, err);
    for (size_t i = 0; rc == 0 && i < PLACES; i++)
        rc = write_place(a, key_files[i], &bytes, err);
    return rc;
}

/* Keys below another parent than the recorded one died with it, whoever kept the file. */
static void drop_dead_keys(struct idm_attester *a)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->keys.count; i++) {
        uint8_t name[IDM_NAME_SIZE];
        bool alive = idm_public_name(&a->keys.keys[i].parents[0], name) == 0 &&
                     memcmp(name, a->parent.name, IDM_NAME_SIZE) == 0;
        if (alive && kept != i)
            a->keys.keys[kept] = a->keys.keys[i];
        kept += alive;
    }
    a->keys.count = kept;
}

int idm_attester_look(struct idm_attester *a, struct idm_error *err)
{
    const char *service = idm_attester_service(a);
    if (!idm_ak_service_is_good(service))
        return idm_fail(err, IDM_E_USAGE, "--service",
                        "it is up to 32 of A-Z a-z 0-9 . _ -, and does not begin with a dot");
    int rc = idm_engine_look(a->session.engine, err);
    if (rc)
        return rc;
    const struct idm_record *r = idm_engine_record(a->session.engine);
    if (!r || idm_all_zero(r->parent_name, IDM_NAME_SIZE)) {
        (void)idm_fail(err, IDM_E_REFUSED, "attest",
                       "this device has no keys in a TPM: its identity is a software key");
        return idm_advise(err, "idmode migrate prepare makes them"), IDM_E_REFUSED;
    }
    a->parent =
        (struct idm_ak_parent){.handle = r->parent_handle,
                               .srk_handle = r->weak_parent ? r->parent_handle : r->srk_handle};
    memcpy(a->parent.name, r->parent_name, IDM_NAME_SIZE);
    rc = read_keys(a, err);
    if (rc)
        return rc;
    drop_dead_keys(a);
    a->ak = idm_ak_file_find(&a->keys, service);
    return 0;
}

int idm_attester_make_key(struct idm_attester *a, struct idm_error *err)
{
    struct idm_ak made;
    int rc = idm_ak_create(a->tpm, &a->parent, idm_attester_service(a), &made, err);
    if (rc == 0)
        rc = idm_ak_file_put(&a->keys, &made, err);
    if (rc == 0)
        rc = write_keys(a, err);
    if (rc == 0)
        a->ak = idm_ak_file_find(&a->keys, made.service);
    return rc;
}

/* ---- challenge ---- */

int idm_attester_activate(struct idm_attester *a, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes file = {0};
    struct idm_credential credential;
    const char *path = a->session.options->credential;
    int rc = 0;
    if (!a->ak) {
        (void)idm_fail(err, IDM_E_REFUSED, "attest",
                       "there is no attestation key for this service");
        return idm_advise(err, "idmode attest ak makes it"), IDM_E_REFUSED;
    }
    if (path) {
        rc = idm_read_given(path, &file, err);
        if (rc == 0)
            rc = idm_credential_parse(&file, &credential, err);
    }
    if (rc == 0)
        rc = idm_ak_load(a->tpm, &a->parent, a->ak, &a->loaded, err);
    if (rc == 0 && path)
        rc = idm_ak_activate(a->tpm, a->loaded, &credential, &a->challenge, err);
    return rc;
}

int idm_attester_begin(struct idm_attester *a, struct idm_error *err)
{
    int rc = idm_attest_nonce(a->session.options->nonce, &a->challenge, err);
    if (rc == 0)
        rc = idm_attester_look(a, err);
    return rc ? rc : idm_attester_activate(a, err);
}

int idm_attester_qualify(const struct idm_attester *a, const char *label, const char *text,
                         uint8_t ret[IDM_SHA256_SIZE], struct idm_error *err)
{
    int rc = idm_attest_qualify(label, &a->challenge, text, text ? strlen(text) : 0, ret);
    return rc ? idm_fail(err, rc, "attest", "%s", idm_error_sentence(rc)) : 0;
}

/* ---- documents ---- */

int idm_attest_print(const struct idm_options *options, json_t *document, bool compact,
                     struct idm_error *err)
{
    char *text = document ? json_dumps(document, compact ? JSON_COMPACT : JSON_INDENT(2)) : NULL;
    json_decref(document);
    size_t length = text ? strlen(text) : 0;
    if (!text)
        return idm_fail(err, IDM_E_MEMORY, "attest", "%s", idm_error_sentence(IDM_E_MEMORY));
    text[length] = '\n'; /* in place of its zero */
    int rc = idm_write_out(options, text, length + 1, err);
    free(text);
    return rc;
}

json_t *idm_attest_hex(const uint8_t *data, size_t size)
{
    char text[2 * IDM_ATTEST_NONCE_MAX + 5];
    if (2 * size >= sizeof text)
        return NULL;
    idm_hex(data, size, text);
    return json_string(text);
}

json_t *idm_attest_chain(const struct idm_bytes *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->size);
    json_t *list = json_array();
    X509 *x509 = NULL;
    bool good = bio && list;
    while (good && (x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        unsigned char *der = NULL;
        int size = i2d_X509(x509, &der);
        good = size > 0 && json_array_append_new(list, idm_json_base64(der, (size_t)size)) == 0;
        OPENSSL_free(der);
        X509_free(x509);
    }
    good = good && json_array_size(list) > 0;
    BIO_free(bio);
    ERR_clear_error(); /* "no start line" is how the end is told */
    if (good)
        return list;
    json_decref(list);
    return NULL;
}
