/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/platform/fingerprint.h"

#include "backends/store/inroot.h"

#include <linux/fs.h>
#include <openssl/evp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static const char *slot_path(const struct idm_settings *settings, const char *slot)
{
    if (!*slot)
        return NULL;
    for (size_t i = 0; i < IDM_SLOTS; i++)
        if (strcmp(settings->slots[i].name, slot) == 0 && settings->slots[i].path[0])
            return settings->slots[i].path;
    return NULL;
}

/* Opens the slot and finds its size. */
static int open_slot(const char *root, const char *path, const char *what, int *ret_fd,
                     uint64_t *ret_size, struct idm_error *err)
{
    struct stat st;
    _cleanup_close_ int root_fd = idm_inroot_root(root);
    if (root_fd < 0)
        return idm_fail(err, IDM_E_UNREADABLE, what, "the root directory: %s", strerror(errno));
    /* O_NONBLOCK: a FIFO must not hang, it is refused below */
    _cleanup_close_ int fd = idm_inroot_open(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0)
        return idm_fail(err, IDM_E_UNREADABLE, what, "%s: %s", path, strerror(errno));
    uint64_t size = 0;
    if (S_ISREG(st.st_mode))
        size = (uint64_t)st.st_size;
    else if (!S_ISBLK(st.st_mode) || ioctl(fd, BLKGETSIZE64, &size) < 0 || size == 0)
        return idm_fail(err, IDM_E_UNREADABLE, what,
                        "%s is neither a file nor a block device with a size", path);
    *ret_fd = fd;
    *ret_size = size;
    fd = -1;
    return 0;
}

static int hash_range(EVP_MD_CTX *md, int fd, uint64_t offset, uint64_t length, const char *what,
                      struct idm_error *err)
{
    uint8_t block[32768];
    while (length > 0) {
        size_t want = length < sizeof block ? (size_t)length : sizeof block;
        ssize_t n = pread(fd, block, want, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return idm_fail(err, IDM_E_UNREADABLE, what, "at byte %llu: %s",
                            (unsigned long long)offset,
                            n < 0 ? strerror(errno) : "it ends before its size");
        if (EVP_DigestUpdate(md, block, (size_t)n) != 1)
            return idm_fail(err, IDM_E_CRYPTO, what, "SHA-256 failed");
        offset += (uint64_t)n;
        length -= (uint64_t)n;
    }
    return 0;
}

static int hash_slot(EVP_MD_CTX *md, int fd, uint64_t size, const char *what,
                     uint8_t ret_hash[IDM_SHA256_SIZE], struct idm_error *err)
{
    uint8_t little[8], hash[EVP_MAX_MD_SIZE];
    uint64_t head = size < IDM_FINGERPRINT_HEAD ? size : IDM_FINGERPRINT_HEAD;
    uint64_t tail = size < IDM_FINGERPRINT_TAIL ? size : IDM_FINGERPRINT_TAIL;
    for (unsigned int i = 0; i < sizeof little; i++)
        little[i] = (uint8_t)(size >> (8 * i));
    if (EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1 ||
        EVP_DigestUpdate(md, little, sizeof little) != 1)
        return idm_fail(err, IDM_E_CRYPTO, what, "SHA-256 failed");
    int r = hash_range(md, fd, 0, head, what, err);
    if (r == 0)
        r = hash_range(md, fd, size - tail, tail, what, err);
    if (r < 0)
        return r;
    unsigned int length = 0;
    if (EVP_DigestFinal_ex(md, hash, &length) != 1 || length != IDM_SHA256_SIZE)
        return idm_fail(err, IDM_E_CRYPTO, what, "SHA-256 failed");
    memcpy(ret_hash, hash, IDM_SHA256_SIZE);
    return 0;
}

int idm_slot_fingerprint(const char *root, const struct idm_settings *settings, const char *slot,
                         uint8_t ret_hash[IDM_SHA256_SIZE], struct idm_error *err)
{
    char what[160];
    (void)snprintf(what, sizeof what, "fingerprint of slot %s", *slot ? slot : "(unknown)");
    const char *path = slot_path(settings, slot);
    if (!path) {
        (void)idm_fail(err, IDM_E_UNREADABLE, what, "its path is not known");
        (void)idm_advise(err, "name it in [image] slots");
        return IDM_E_UNREADABLE;
    }
    _cleanup_close_ int fd = -1;
    uint64_t size = 0;
    int r = open_slot(root, path, what, &fd, &size, err);
    if (r < 0)
        return r;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (!md)
        return idm_fail(err, IDM_E_MEMORY, what, "out of memory");
    r = hash_slot(md, fd, size, what, ret_hash, err);
    EVP_MD_CTX_free(md);
    return r;
}
