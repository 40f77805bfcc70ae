/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's files, as a test reads, damages and copies them. */
#include "tests/support/device.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TREE_FDS 16
#define LARGEST  (8 * 1024 * 1024) /* nothing on this device is larger: a bug then */

static const char *const KEPT[] = {"config", "persist"};

void idm_device_path(const struct idm_device *device, const char *path,
                     char ret_path[IDM_DEVICE_PATH_SIZE])
{
    snprintf(ret_path, IDM_DEVICE_PATH_SIZE, "%s%s", device->root, path);
}

bool idm_device_exists(const struct idm_device *device, const char *path)
{
    char real[IDM_DEVICE_PATH_SIZE];
    struct stat st;

    idm_device_path(device, path, real);
    return lstat(real, &st) == 0;
}

int idm_device_read(struct idm_device *device, const char *path, char **ret_data, size_t *ret_size)
{
    char real[IDM_DEVICE_PATH_SIZE];
    FILE *file;
    struct stat st;
    char *data;
    size_t size;

    idm_device_path(device, path, real);
    file = fopen(real, "re");
    if (file == NULL)
        return idm_device_fail(device, "read %s: %s", real, strerror(errno));
    if (fstat(fileno(file), &st) != 0 || st.st_size > LARGEST) {
        fclose(file);
        return idm_device_fail(device, "read %s: larger than any file here", real);
    }
    size = (size_t)st.st_size;
    data = malloc(size + 1);
    if (data == NULL || fread(data, 1, size, file) != size) {
        free(data);
        fclose(file);
        return idm_device_fail(device, "read %s: incomplete", real);
    }
    fclose(file);
    data[size] = '\0';
    *ret_data = data;
    if (ret_size != NULL)
        *ret_size = size;
    return 0;
}

static int make_parents(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int failed = mkdir(path, 0755) != 0 && errno != EEXIST;

        *slash = '/';
        if (failed)
            return -1;
    }
    return 0;
}

int idm_device_write(struct idm_device *device, const char *path, const void *data, size_t size)
{
    char real[IDM_DEVICE_PATH_SIZE];
    FILE *file = NULL;
    bool written;

    idm_device_path(device, path, real);
    if (make_parents(real) == 0)
        file = fopen(real, "we");
    if (file == NULL)
        return idm_device_fail(device, "write %s: %s", real, strerror(errno));
    written = fwrite(data, 1, size, file) == size;
    if (fclose(file) != 0 || !written)
        return idm_device_fail(device, "write %s: %s", real, strerror(errno));
    return 0;
}

int idm_device_write_text(struct idm_device *device, const char *path, const char *text)
{
    return idm_device_write(device, path, text, strlen(text));
}

int idm_device_tear(struct idm_device *device, const char *path)
{
    char real[IDM_DEVICE_PATH_SIZE];
    struct stat st;

    idm_device_path(device, path, real);
    if (stat(real, &st) != 0 || truncate(real, st.st_size / 2) != 0)
        return idm_device_fail(device, "tear %s: %s", real, strerror(errno));
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* A program that nobody waits for (`idmode hooks`) may still write there: what it makes goes with it, in another
 * attempt. On a device the power would have ended it. */
#define ATTEMPTS 1000
#define PAUSE_NS 10000000L /* 10 ms */

int idm_device_remove_tree(const char *real_path)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    struct stat st;

    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (nftw(real_path, remove_entry, TREE_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 ||
            (errno == ENOENT && lstat(real_path, &st) != 0 && errno == ENOENT))
            return 0;
        if (errno != ENOTEMPTY && errno != ENOENT)
            return -1;
        nanosleep(&pause, NULL);
    }
    errno = ENOTEMPTY;
    return -1;
}

int idm_device_delete(struct idm_device *device, const char *path)
{
    char real[IDM_DEVICE_PATH_SIZE];

    idm_device_path(device, path, real);
    if (idm_device_remove_tree(real) != 0)
        return idm_device_fail(device, "delete %s: %s", real, strerror(errno));
    return 0;
}

static int copy_bytes(int from, int to)
{
    char buffer[16384];
    ssize_t n;

    while ((n = read(from, buffer, sizeof(buffer))) > 0) {
        if (write(to, buffer, (size_t)n) != n)
            return -1;
    }
    return n < 0 ? -1 : 0;
}

static int copy_file(const char *from, const char *to, const struct stat *st)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    int source = open(from, O_RDONLY | O_CLOEXEC);
    int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st->st_mode & 07777);
    int result = -1;

    if (source >= 0 && target >= 0 && copy_bytes(source, target) == 0 &&
        fchmod(target, st->st_mode & 07777) == 0 && futimens(target, times) == 0)
        result = 0;
    if (source >= 0)
        close(source);
    if (target >= 0 && close(target) != 0)
        result = -1;
    return result;
}

static int copy_link(const char *from, const char *to)
{
    char text[IDM_DEVICE_PATH_SIZE];
    ssize_t n = readlink(from, text, sizeof(text) - 1);

    if (n < 0)
        return -1;
    text[n] = '\0';
    return symlink(text, to);
}

static int copy_entry(const FTSENT *entry, const char *to)
{
    const struct timespec times[2] = {entry->fts_statp->st_atim, entry->fts_statp->st_mtim};

    switch (entry->fts_info) {
    case FTS_D:
        return mkdir(to, 0700);
    case FTS_DP: /* what was copied into it has touched it */
        if (chmod(to, entry->fts_statp->st_mode & 07777) != 0)
            return -1;
        return utimensat(AT_FDCWD, to, times, 0);
    case FTS_F:
        return copy_file(entry->fts_accpath, to, entry->fts_statp);
    case FTS_SL:
    case FTS_SLNONE:
        return copy_link(entry->fts_accpath, to);
    default: /* a socket or a pipe belongs to a process, not to the disk */
        return entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR ? -1 : 0;
    }
}

/* Keeps modes and times as an image of the file system would. In this process: a test that cuts the
 * power a hundred times copies as often. */
int idm_device_replace_tree(struct idm_device *device, const char *from, const char *to)
{
    char root[IDM_DEVICE_PATH_SIZE], path[2 * IDM_DEVICE_PATH_SIZE];
    char *const roots[] = {root, NULL};
    const FTSENT *entry;
    int result = 0;
    FTS *tree;

    snprintf(root, sizeof(root), "%s", from);
    if (idm_device_remove_tree(to) != 0)
        return idm_device_fail(device, "remove %s: %s", to, strerror(errno));
    tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    while (tree != NULL && result == 0 && (entry = fts_read(tree)) != NULL) {
        snprintf(path, sizeof(path), "%s%s", to, entry->fts_path + strlen(root));
        result = copy_entry(entry, path);
    }
    if (tree == NULL || result != 0)
        result = idm_device_fail(device, "copy %s to %s: %s", from, to, strerror(errno));
    if (tree != NULL)
        fts_close(tree);
    return result;
}

int idm_device_snapshot(struct idm_device *device, const char *name)
{
    char from[IDM_DEVICE_PATH_SIZE], to[IDM_DEVICE_PATH_SIZE];

    for (size_t i = 0; i < sizeof(KEPT) / sizeof(KEPT[0]); i++) {
        snprintf(from, sizeof(from), "%s/%s", device->root, KEPT[i]);
        snprintf(to, sizeof(to), "%s/snapshots/%s/%s", device->base, name, KEPT[i]);
        if (make_parents(to) != 0)
            return idm_device_fail(device, "make %s: %s", to, strerror(errno));
        if (idm_device_replace_tree(device, from, to) != 0)
            return -1;
    }
    return 0;
}

int idm_device_restore(struct idm_device *device, const char *name)
{
    char from[IDM_DEVICE_PATH_SIZE], to[IDM_DEVICE_PATH_SIZE];

    for (size_t i = 0; i < sizeof(KEPT) / sizeof(KEPT[0]); i++) {
        snprintf(from, sizeof(from), "%s/snapshots/%s/%s", device->base, name, KEPT[i]);
        snprintf(to, sizeof(to), "%s/%s", device->root, KEPT[i]);
        if (access(from, F_OK) != 0)
            return idm_device_fail(device, "no snapshot %s", name);
        if (idm_device_replace_tree(device, from, to) != 0)
            return -1;
    }
    return 0;
}
