/* SPDX-License-Identifier: BSD-2-Clause */
/* key.c - import and adopt: a key that idmode did not make becomes the device's. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX                                                                                   \
    65536u /* an RSA-4096 key with comments: 4 KiB; a chain with its CA's text: 30 KiB */

static int read_fd(int fd, const char *path, struct idm_bytes *ret, struct idm_error *err)
{
    uint8_t buffer[FILE_MAX];
    size_t size = 0;
    ssize_t got = 0;
    struct stat st;
    int rc = 0;
    if (fstat(fd, &st) != 0)
        return idm_fail_errno(err, IDM_E_UNREADABLE, path, errno);
    if (!S_ISREG(st.st_mode))
        return idm_fail(err, IDM_E_USAGE, path, "it is no regular file");
    while (size < sizeof buffer && (got = read(fd, buffer + size, sizeof buffer - size)) != 0) {
        if (got > 0)
            size += (size_t)got;
        else if (errno != EINTR)
            break;
    }
    if (got < 0)
        rc = idm_fail_errno(err, IDM_E_UNREADABLE, path, errno);
    else if (size == sizeof buffer)
        rc = idm_fail(err, IDM_E_USAGE, path, "it is larger than any key or chain");
    else if (idm_bytes_set(ret, buffer, size))
        rc = idm_fail(err, IDM_E_MEMORY, path, "%s", idm_error_sentence(IDM_E_MEMORY));
    OPENSSL_cleanse(buffer, sizeof buffer);
    return rc;
}

int idm_read_given(const char *path, struct idm_bytes *ret, struct idm_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return idm_fail_errno(err, IDM_E_UNREADABLE, path, errno);
    int rc = read_fd(fd, path, ret, err);
    (void)close(fd);
    return rc;
}

static int give(const struct idm_options *options, struct idm_ask *ask, const char *path)
{
    _cleanup_bytes_ struct idm_bytes key = {0};
    struct idm_error err = {0};
    if (path && idm_read_given(path, &key, &err))
        return idm_say_error(options, options->word[0], &err);
    ask->key = path ? &key : NULL;
    int rc = idm_run_request(options, ask, false);
    ask->key = NULL;
    return rc;
}

int idm_command_import(const struct idm_options *options)
{
    if (!options->key)
        return idm_misuse(options, "import", "say which key: --key FILE");
    struct idm_ask ask = {.kind = IDM_REQ_IMPORT};
    int rc = give(options, &ask, options->key);
    if (rc == IDM_EXIT_DONE)
        idm_warn(options, "import: %s still holds the private key: destroy it", options->key);
    return rc;
}

/* 0x and hexadecimal digits are a handle; everything else names a file. */
static bool parse_handle(const char *text, uint32_t *ret)
{
    char *end = NULL;
    if (strncmp(text, "0x", 2) != 0)
        return false;
    errno = 0;
    unsigned long value = strtoul(text, &end, 16);
    if (errno || *end || end == text + 2 || value == 0 || value > UINT32_MAX)
        return false;
    *ret = (uint32_t)value;
    return true;
}

int idm_command_adopt(const struct idm_options *options)
{
    struct idm_ask ask = {.kind = IDM_REQ_ADOPT, .imported = options->imported};
    const char *path = parse_handle(options->word[1], &ask.handle) ? NULL : options->word[1];
    return give(options, &ask, path);
}
