/* SPDX-License-Identifier: BSD-2-Clause */
/* files.c - what the options name: files, and what is in them. */
#include "cli/verify/verify.h"

#include "verify/credential.h"
#include "verify/text.h"
#include "verify/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- files ---- */

static int read_fd(int fd, const char *name, struct idm_bytes *ret, struct idm_error *err)
{
    uint8_t *buffer = malloc(IDM_BYTES_MAX + 1);
    size_t size = 0;
    ssize_t got = 0;
    if (!buffer)
        return idm_fail(err, IDM_E_MEMORY, name, "%s", idm_error_sentence(IDM_E_MEMORY));
    while (size <= IDM_BYTES_MAX) {
        got = read(fd, buffer + size, IDM_BYTES_MAX + 1 - size);
        if (got > 0)
            size += (size_t)got;
        else if (got == 0 || errno != EINTR)
            break;
    }
    int result = 0;
    if (got < 0)
        result = idm_fail_errno(err, IDM_E_UNREADABLE, name, errno);
    else if (size > IDM_BYTES_MAX)
        result = idm_fail(err, IDM_E_USAGE, name, "it is larger than %u bytes", IDM_BYTES_MAX);
    else if (idm_bytes_set(ret, buffer, size) < 0)
        result = idm_fail(err, IDM_E_MEMORY, name, "%s", idm_error_sentence(IDM_E_MEMORY));
    OPENSSL_cleanse(buffer, IDM_BYTES_MAX + 1);
    free(buffer);
    return result;
}

int idm_verify_read(const char *path, struct idm_bytes *ret, struct idm_error *err)
{
    if (!path)
        return read_fd(STDIN_FILENO, "stdin", ret, err);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return idm_fail_errno(err, IDM_E_UNREADABLE, path, errno);
    int result = read_fd(fd, path, ret, err);
    (void)close(fd);
    return result;
}

int idm_verify_write(const char *path, const struct idm_bytes *bytes, struct idm_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0)
        return idm_fail_errno(err, IDM_E_STORAGE, path, errno);
    size_t done = 0;
    while (done < bytes->size) {
        ssize_t wrote = write(fd, bytes->data + done, bytes->size - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            break;
        done += (size_t)wrote;
    }
    bool good = done == bytes->size && fsync(fd) == 0;
    int saved = errno;
    if (close(fd) == 0 && good)
        return 0;
    (void)unlink(path); /* ours: O_EXCL made it */
    return idm_fail_errno(err, IDM_E_STORAGE, path, good ? errno : saved);
}

/* ---- what is in them ---- */

int idm_verify_trust(const struct idm_verify_options *options, struct idm_ek_trust *ret,
                     struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes roots = {0};
    _cleanup_bytes_ struct idm_bytes others = {0};
    int result = idm_verify_read(options->roots, &roots, err);
    if (result == 0 && options->intermediates)
        result = idm_verify_read(options->intermediates, &others, err);
    return result ? result
                  : idm_ek_trust_set(ret, &roots, options->intermediates ? &others : NULL, err);
}

/* A JSON document begins with its brace, or white space before it; no TPM2B_PUBLIC does: its size is not
 * that large. */
static bool is_json(const struct idm_bytes *bytes)
{
    size_t i = 0;
    while (i < bytes->size && bytes->data[i] && strchr(" \t\r\n", bytes->data[i]))
        i++;
    return i < bytes->size && bytes->data[i] == '{';
}

static int choose(const struct idm_bytes *text, const struct idm_verify_options *options,
                  TPM2B_PUBLIC *ret, struct idm_error *err, struct idm_refused *refused)
{
    struct idm_ek_document document = {0};
    struct idm_ek_finding findings[IDM_LIST_MAX];
    struct idm_ek_trust trust = {0};
    const struct idm_ek_finding *chosen = NULL;
    int result = idm_ek_document_read(text, &document, err);
    if (result == IDM_E_CORRUPT)
        result = idm_refuse(refused, IDM_REFUSAL_FORMAT, "%s", err->why);
    if (result == 0 && options->roots)
        result = idm_verify_trust(options, &trust, err);
    if (result == 0)
        result =
            idm_ek_examine(&document, options->roots ? &trust : NULL, time(NULL), findings, err);
    if (result == 0)
        result = idm_ek_choose(findings, document.count, options->template, !options->roots,
                               &chosen, refused);
    if (result == 0)
        *ret = chosen->area;
    idm_ek_trust_free(&trust);
    idm_ek_document_free(&document);
    return result;
}

int idm_verify_ek_area(const struct idm_verify_options *options, TPM2B_PUBLIC *ret,
                       struct idm_error *err, struct idm_refused *refused)
{
    _cleanup_bytes_ struct idm_bytes bytes = {0};
    int result = idm_verify_read(options->ek, &bytes, err);
    if (result < 0 || is_json(&bytes))
        return result ? result : choose(&bytes, options, ret, err, refused);
    if (options->roots)
        return idm_fail(err, IDM_E_USAGE, options->ek, "a bare public area has no certificate");
    if (idm_wire_public(&bytes, ret) < 0)
        return idm_fail(err, IDM_E_CORRUPT, options->ek, "neither JSON nor a TPM2B_PUBLIC");
    return 0;
}

int idm_verify_ak_name(const char *path, TPM2B_NAME *ret, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes bytes = {0};
    struct idm_ak_document document = {0};
    TPM2B_PUBLIC area;
    int result = idm_verify_read(path, &bytes, err);
    if (result == 0 && is_json(&bytes)) {
        result = idm_ak_document_read(&bytes, &document, err);
        idm_bytes_move(&bytes, &document.public);
        idm_ak_document_free(&document);
    }
    if (result < 0)
        return result;
    result = idm_wire_public(&bytes, &area);
    if (result == 0)
        result = idm_wire_name(&area, ret);
    return result ? idm_fail(err, IDM_E_CORRUPT, path, "neither JSON nor a TPM2B_PUBLIC") : 0;
}

/* ---- the question ---- */

static int bare_secret(struct idm_bytes *bytes, struct idm_challenge *ret, struct idm_error *err)
{
    if (bytes->size == 0 || bytes->size > IDM_SECRET_MAX)
        return idm_fail(err, IDM_E_CORRUPT, "--secret",
                        "neither the file of a challenge nor a secret of 1 to %u bytes",
                        IDM_SECRET_MAX);
    idm_bytes_move(&ret->secret, bytes);
    return 0;
}

static int take_secret(const struct idm_verify_options *options, struct idm_challenge *ret,
                       struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes bytes = {0};
    if (!options->secret)
        return 0;
    int result = idm_verify_read(options->secret, &bytes, err);
    if (result < 0)
        return result;
    return is_json(&bytes) ? idm_challenge_read(&bytes, ret, err) : bare_secret(&bytes, ret, err);
}

static int take_nonce(const struct idm_verify_options *options, struct idm_challenge *ret,
                      struct idm_error *err)
{
    if (options->nonce && idm_text_hex(options->nonce, &ret->nonce) < 0)
        return idm_fail(err, IDM_E_USAGE, "--nonce", "it is not lower-case hex");
    if (ret->nonce.size < IDM_NONCE_MIN || ret->nonce.size > IDM_NONCE_MAX)
        return idm_fail(err, IDM_E_USAGE, "--nonce", "%u to %u bytes in hex are needed",
                        IDM_NONCE_MIN, IDM_NONCE_MAX);
    return 0;
}

/* A secret that was activated says nothing about the AK that signs, unless it is known for which AK the
 * credential was made: whoever owns any chip could sign with another key. */
static int take_ak(const struct idm_verify_options *options, struct idm_challenge *ret,
                   struct idm_error *err)
{
    TPM2B_NAME name;
    if (!options->ak && ret->ak.size)
        return 0;
    if (!options->ak) {
        (void)idm_fail(err, IDM_E_USAGE, options->secret ? "--secret" : "--ak",
                       "it does not say which AK was activated");
        (void)idm_advise(err, "name the AK with --ak FILE, or give the file of `challenge`");
        return IDM_E_USAGE;
    }
    int result = idm_verify_ak_name(options->ak, &name, err);
    if (result == 0 && ret->ak.size && !idm_wire_same_name(&name, &ret->ak))
        return idm_fail(err, IDM_E_USAGE, "--ak", "the challenge was made for another AK");
    if (result == 0)
        ret->ak = name;
    return result;
}

int idm_verify_question(const struct idm_verify_options *options, struct idm_challenge *ret,
                        struct idm_error *err)
{
    struct idm_challenge question = {0};
    int result = take_secret(options, &question, err);
    if (result == 0)
        result = take_nonce(options, &question, err);
    if (result == 0)
        result = take_ak(options, &question, err);
    if (result < 0)
        idm_challenge_free(&question);
    else
        *ret = question;
    return result;
}
