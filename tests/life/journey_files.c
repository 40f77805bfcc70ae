/* SPDX-License-Identifier: BSD-2-Clause */
/* What a boot wrote: every file and directory that is kept, with inode and times. A rewrite of the
 * same bytes is a write as well, and shows. */
#include "tests/life/journey.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MARKER_DIR "/persist/config" /* holds the marker alone, which every boot rewrites */

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void list_entry(FILE *list, const char *path, const struct stat *st)
{
    fprintf(list, "%s inode %lu size %ld written %ld.%09ld changed %ld.%09ld\n", path,
            (unsigned long)st->st_ino, (long)st->st_size, (long)st->st_mtim.tv_sec,
            st->st_mtim.tv_nsec, (long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

static void list_tree(FILE *list, FTS *tree, size_t root)
{
    FTSENT *entry;

    while ((entry = fts_read(tree)) != NULL) {
        const char *path = entry->fts_path + root;

        if (strcmp(path, MARKER_DIR) == 0)
            fts_set(tree, entry, FTS_SKIP);
        else if (entry->fts_info != FTS_DP)
            list_entry(list, path, entry->fts_statp);
    }
}

char *journey_list_files(struct idm_device *device)
{
    char config[IDM_DEVICE_PATH_SIZE], persist[IDM_DEVICE_PATH_SIZE];
    char *const trees[] = {config, persist, NULL};
    char *text = NULL;
    size_t size;
    FILE *list = open_memstream(&text, &size);
    FTS *tree;

    idm_device_path(device, "/config", config);
    idm_device_path(device, "/persist", persist);
    tree = fts_open(trees, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    if (list != NULL && tree != NULL)
        list_tree(list, tree, strlen(device->root));
    if (tree != NULL)
        fts_close(tree);
    if (list == NULL || fclose(list) != 0 || tree == NULL) {
        idm_device_fail(device, "list the files of %s: %s", device->root, strerror(errno));
        free(text);
        return NULL;
    }
    return text;
}

const char *journey_first_other_line(const char *list, const char *other)
{
    while (*list != '\0' && *list == *other) {
        const char *end = strchr(list, '\n');
        size_t size = end == NULL ? strlen(list) : (size_t)(end - list) + 1;

        if (strncmp(list, other, size) != 0)
            return list;
        list += size;
        other += size;
    }
    return list;
}
