/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's files, as a test reads, damages and copies them. */
#include "tests/support/device.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

int idm_device_remove_tree(const char *real_path)
{
    if (nftw(real_path, remove_entry, TREE_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0 &&
        errno != ENOENT)
        return -1;
    return 0;
}

int idm_device_delete(struct idm_device *device, const char *path)
{
    char real[IDM_DEVICE_PATH_SIZE];

    idm_device_path(device, path, real);
    if (idm_device_remove_tree(real) != 0)
        return idm_device_fail(device, "delete %s: %s", real, strerror(errno));
    return 0;
}

/* cp keeps modes and times as an image of the file system would. */
static int replace_tree(struct idm_device *device, const char *from, const char *to)
{
    const char *const argv[] = {"cp", "-a", "-T", "--", from, to, NULL};
    _cleanup_run_ struct idm_run run = {0};

    if (idm_device_remove_tree(to) != 0)
        return idm_device_fail(device, "remove %s: %s", to, strerror(errno));
    if (idm_run(&run, NULL, argv) != 0 || run.exit_code != 0)
        return idm_device_fail(device, "copy %s to %s: %s", from, to,
                               run.err != NULL ? run.err : strerror(errno));
    return 0;
}

int idm_device_snapshot(struct idm_device *device, const char *name)
{
    char from[IDM_DEVICE_PATH_SIZE], to[IDM_DEVICE_PATH_SIZE];

    for (size_t i = 0; i < sizeof(KEPT) / sizeof(KEPT[0]); i++) {
        snprintf(from, sizeof(from), "%s/%s", device->root, KEPT[i]);
        snprintf(to, sizeof(to), "%s/snapshots/%s/%s", device->base, name, KEPT[i]);
        if (make_parents(to) != 0)
            return idm_device_fail(device, "make %s: %s", to, strerror(errno));
        if (replace_tree(device, from, to) != 0)
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
        if (replace_tree(device, from, to) != 0)
            return -1;
    }
    return 0;
}
