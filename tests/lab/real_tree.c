/* SPDX-License-Identifier: BSD-2-Clause */
/* What was written: the entries of config and persist before and after. */
#include "tests/lab/real.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MARKER_DIR "/persist/config"

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct lab_entry *)a)->path, ((const struct lab_entry *)b)->path);
}

static int add(struct idm_device *device, struct lab_tree *tree, const FTSENT *found)
{
    const struct stat *st = found->fts_statp;
    struct lab_entry *entry = &tree->entries[tree->count];
    int n;

    if (tree->count == LAB_TREE_MAX)
        return idm_device_fail(device, "more files than any device has");
    *entry = (struct lab_entry){.directory = S_ISDIR(st->st_mode),
                                .inode = st->st_ino,
                                .size = st->st_size,
                                .changed =
                                    st->st_ctim.tv_sec * INT64_C(1000000000) + st->st_ctim.tv_nsec};
    n = snprintf(entry->path, sizeof(entry->path), "%s", found->fts_path + strlen(device->root));
    if (n < 0 || (size_t)n >= sizeof(entry->path))
        return idm_device_fail(device, "a path is too long: %s", found->fts_path);
    tree->count++;
    return 0;
}

int lab_real_tree(struct idm_device *device, struct lab_tree *ret)
{
    char config[IDM_DEVICE_PATH_SIZE], persist[IDM_DEVICE_PATH_SIZE];
    char *const roots[] = {config, persist, NULL};
    const FTSENT *found;
    int result = 0;
    FTS *tree;

    ret->count = 0;
    idm_device_path(device, "/config", config);
    idm_device_path(device, "/persist", persist);
    tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL)
        return idm_device_fail(device, "look at %s: %s", config, strerror(errno));
    while (result == 0 && (found = fts_read(tree)) != NULL) {
        if (found->fts_info != FTS_DP && found->fts_info != FTS_NS)
            result = add(device, ret, found);
    }
    fts_close(tree);
    qsort(ret->entries, ret->count, sizeof(ret->entries[0]), by_path);
    return result;
}

static bool counts(const struct lab_entry *entry)
{
    return strncmp(entry->path, MARKER_DIR, strlen(MARKER_DIR)) != 0;
}

/* A directory changes with every temporary file in it: only its coming and going counts. */
static bool same(const struct lab_entry *a, const struct lab_entry *b)
{
    return a->directory == b->directory && a->inode == b->inode &&
           (a->directory || (a->size == b->size && a->changed == b->changed));
}

unsigned long lab_real_changes(const struct lab_tree *before, const struct lab_tree *after)
{
    unsigned long changes = 0;
    size_t i = 0, j = 0;

    while (i < before->count || j < after->count) {
        const struct lab_entry *a = &before->entries[i], *b = &after->entries[j];
        int order = i == before->count ? 1 : j == after->count ? -1 : by_path(a, b);

        if (order == 0)
            changes += counts(a) && !same(a, b);
        else
            changes += counts(order < 0 ? a : b);
        i += order <= 0;
        j += order >= 0;
    }
    return changes;
}
