/* SPDX-License-Identifier: BSD-2-Clause */
/* sign.c - a signature by the identity in use. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    enum idm_digest digest;
} digests[] = {{"sha256", IDM_SHA256}, {"sha384", IDM_SHA384}, {"sha512", IDM_SHA512}};

static int hash_stream(int fd, const char *name, uint8_t ret_hash[EVP_MAX_MD_SIZE],
                       struct idm_error *err)
{
    uint8_t buffer[16384];
    size_t held = 0; /* the first bytes, until the label can be told */
    const size_t label = sizeof IDM_LABEL_PREFIX - 1;
    ssize_t size = 0;
    bool labelled = false;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestInit_ex(ctx, EVP_get_digestbyname(name), NULL) == 1;
    while (good && (size = read(fd, buffer + held, sizeof buffer - held)) != 0) {
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            break;
        held += (size_t)size;
        if (held < label)
            continue;
        labelled = labelled || memcmp(buffer, IDM_LABEL_PREFIX, label) == 0;
        break;
    }
    good = good && size >= 0 && EVP_DigestUpdate(ctx, buffer, held) == 1;
    while (good && (size = read(fd, buffer, sizeof buffer)) != 0) {
        if (size < 0 && errno == EINTR)
            continue;
        good = size > 0 && EVP_DigestUpdate(ctx, buffer, (size_t)size) == 1;
    }
    int read_errno = size < 0 ? errno : 0;
    good = good && EVP_DigestFinal_ex(ctx, ret_hash, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    if (labelled) {
        (void)idm_fail(err, IDM_E_REFUSED, "sign",
                       "the input begins with \"" IDM_LABEL_PREFIX
                       "\", as idmode's own statements do");
        return idm_advise(err, "sign something else: such a signature could be taken for ours");
    }
    if (read_errno)
        return idm_fail_errno(err, IDM_E_UNREADABLE, "read the input", read_errno);
    return good ? 0 : idm_fail(err, IDM_E_CRYPTO, "sign", "the digest failed");
}

static int hash_input(const struct idm_options *options, const char *name,
                      uint8_t ret_hash[EVP_MAX_MD_SIZE], struct idm_error *err)
{
    if (!options->in)
        return hash_stream(options->reach->input, name, ret_hash, err);
    int fd = open(options->in, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return idm_fail_errno(err, IDM_E_UNREADABLE, options->in, errno);
    int rc = hash_stream(fd, name, ret_hash, err);
    (void)close(fd);
    return rc;
}

int idm_write_out(const struct idm_options *options, const void *data, size_t size,
                  struct idm_error *err)
{
    bool good = false;
    if (options->out) {
        FILE *out = fopen(options->out, "we");
        if (!out)
            return idm_fail_errno(err, IDM_E_STORAGE, options->out, errno);
        good = fwrite(data, 1, size, out) == size;
        good = fclose(out) == 0 && good;
    } else {
        good = fwrite(data, 1, size, stdout) == size && fflush(stdout) == 0;
    }
    return good ? 0 : idm_fail_errno(err, IDM_E_STORAGE, "write the output", errno);
}

int idm_command_sign(const struct idm_options *options)
{
    _cleanup_session_ struct idm_session s = {0};
    uint8_t hash[EVP_MAX_MD_SIZE];
    struct idm_signature signature = {0};
    struct idm_error err = {0};
    const char *name = options->digest ? options->digest : "sha256";
    size_t i = 0;
    while (i < sizeof digests / sizeof *digests && strcmp(digests[i].name, name) != 0)
        i++;
    if (i == sizeof digests / sizeof *digests) {
        (void)idm_fail(&err, IDM_E_USAGE, "--digest", "it is sha256, sha384 or sha512");
        return idm_say_error(options, "sign", &err);
    }
    if (hash_input(options, name, hash, &err))
        return idm_say_error(options, "sign", &err);
    int rc = idm_session_open(&s, options, false);
    if (rc)
        return rc;
    rc = idm_engine_look(s.engine, &err);
    if (rc == 0)
        rc = idm_engine_sign(s.engine, digests[i].digest, hash, &signature, &err);
    if (rc)
        return idm_say_error(options, "sign", &err);
    if ((!options->json || options->out) &&
        idm_write_out(options, signature.data, signature.size, &err))
        return idm_say_error(options, "sign", &err);
    if (options->json) {
        char hex[2 * IDM_SIG_MAX + 1];
        idm_hex(signature.data, signature.size, hex);
        idm_say_json(json_pack("{s:s, s:s}", "digest", name, "signature", hex));
    }
    return IDM_EXIT_DONE;
}
