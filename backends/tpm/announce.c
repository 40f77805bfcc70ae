/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICE_PREFIX "device:"
/* /soc/bus@…/spi@…/tpm@…: real trees hold a TPM at most this deep. */
#define TREE_DEPTH_MAX  6
#define COMPATIBLE_MAX  256
#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static bool exists(const struct idm_tpm *tpm, const char *path)
{
    char full[2 * IDM_PATH_SIZE];
    struct stat st;
    int length = snprintf(full, sizeof full, "%s%s", tpm->root, path);
    return length > 0 && (size_t)length < sizeof full && lstat(full, &st) == 0;
}

static DIR *open_under_root(const struct idm_tpm *tpm, const char *path)
{
    char full[2 * IDM_PATH_SIZE];
    int length = snprintf(full, sizeof full, "%s%s", tpm->root, path);
    return length > 0 && (size_t)length < sizeof full ? opendir(full) : NULL;
}

static bool class_has_tpm(const struct idm_tpm *tpm)
{
    DIR *directory = open_under_root(tpm, "/sys/class/tpm");
    bool found = false;
    for (struct dirent *entry; directory && !found && (entry = readdir(directory));)
        found = strncmp(entry->d_name, "tpm", 3) == 0;
    if (directory)
        (void)closedir(directory);
    return found;
}

/* `compatible` is a list of NUL-terminated strings, the most specific first, as
 * "infineon,slb9670\0tcg,tpm_tis-spi\0" (Devicetree Specification 0.4, 2.3.1). */
static bool names_tpm(const char *list, size_t size)
{
    for (size_t at = 0; at < size; at += strnlen(list + at, size - at) + 1) {
        const char *device = memchr(list + at, ',', strnlen(list + at, size - at));
        device = device ? device + 1 : list + at;
        if (strncmp(list + at, "tcg,", 4) == 0 || strncmp(device, "tpm", 3) == 0)
            return true;
    }
    return false;
}

static bool node_is_tpm(int directory)
{
    char list[COMPATIBLE_MAX + 1] = "";
    int fd = openat(directory, "compatible", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, list, COMPATIBLE_MAX);
    (void)close(fd);
    return size > 0 && names_tpm(list, (size_t)size);
}

/* Takes over `directory`. Links are not followed and the depth is bounded, so it ends. */
/* NOLINTNEXTLINE(misc-no-recursion) */
static bool tree_has_tpm(int directory, int depth)
{
    bool found = node_is_tpm(directory);
    DIR *stream = depth > 0 && !found ? fdopendir(directory) : NULL;
    if (!stream) {
        (void)close(directory);
        return found;
    }
    for (struct dirent *entry; !found && (entry = readdir(stream));) {
        if (entry->d_name[0] == '.')
            continue;
        int child = openat(dirfd(stream), entry->d_name, DIRECTORY_FLAGS);
        if (child >= 0)
            found = tree_has_tpm(child, depth - 1);
    }
    (void)closedir(stream);
    return found;
}

static bool device_tree_has_tpm(const struct idm_tpm *tpm)
{
    /* /proc/device-tree is a link to the other, so it is opened by name, not as a node. */
    static const char *const trees[] = {"/sys/firmware/devicetree/base", "/proc/device-tree"};
    for (size_t i = 0; i < sizeof trees / sizeof trees[0]; i++) {
        DIR *top = open_under_root(tpm, trees[i]);
        int fd = top ? fcntl(dirfd(top), F_DUPFD_CLOEXEC, 0) : -1;
        if (top)
            (void)closedir(top);
        if (fd >= 0 && tree_has_tpm(fd, TREE_DEPTH_MAX))
            return true;
    }
    return false;
}

bool idm_tpm_announced_by_firmware(const struct idm_tpm *tpm)
{
    const char *tcti = tpm->settings->tcti;
    if (!tcti[0] || strcmp(tcti, "none") == 0)
        return false;
    if (strncmp(tcti, DEVICE_PREFIX, sizeof DEVICE_PREFIX - 1) != 0)
        return true;
    return exists(tpm, tcti + sizeof DEVICE_PREFIX - 1) || class_has_tpm(tpm) ||
           exists(tpm, "/sys/firmware/acpi/tables/TPM2") || device_tree_has_tpm(tpm);
}

enum idm_tri idm_tpm_announced(struct idm_tpm *tpm)
{
    if (tpm->settings->use == IDM_USE_NEVER)
        return IDM_NO;
    return idm_tpm_announced_by_firmware(tpm) ? IDM_YES : IDM_NO;
}
