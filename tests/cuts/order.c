/* SPDX-License-Identifier: BSD-2-Clause */
/* The order of calls: what a killed process cannot show, since the kernel keeps what it wrote. */
#include "tests/cuts/points.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_MAX_PATHS 64u

struct order {
    char bytes[OPEN_MAX_PATHS][96]; /* files with bytes that were not synced */
    size_t bytes_count;
    char names[OPEN_MAX_PATHS][96]; /* directories with names that were not synced */
    size_t names_count;
};

static void add(char set[OPEN_MAX_PATHS][96], size_t *count, const char *path)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(set[i], path) == 0)
            return;
    }
    if (*count < OPEN_MAX_PATHS)
        snprintf(set[(*count)++], 96, "%s", path);
}

static void take(char set[OPEN_MAX_PATHS][96], size_t *count, const char *path)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(set[i], path) == 0)
            memmove(set[i], set[--*count], 96);
    }
}

static void directory_of(const char *path, char ret[96])
{
    const char *slash = strrchr(path, '/');

    snprintf(ret, 96, "%.*s", slash != NULL ? (int)(slash - path) : 0, path);
}

static bool is(const char *call, const char *const words[])
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strcmp(call, words[i]) == 0)
            return true;
    }
    return false;
}

/* A name was made or removed; NULL: that was in order. */
static const char *take_name(struct order *o, const char *call, const char *path)
{
    static const char *const renames[] = {"rename", "renameat", "renameat2", NULL};
    char directory[96];

    directory_of(path, directory);
    for (size_t i = 0; i < o->names_count; i++) {
        if (strcmp(o->names[i], directory) != 0)
            return "names were changed in another directory and not synced";
    }
    if (is(call, renames)) {
        char dir_of_bytes[96];

        for (size_t i = 0; i < o->bytes_count; i++) {
            directory_of(o->bytes[i], dir_of_bytes);
            if (strcmp(dir_of_bytes, directory) == 0)
                return "the bytes under the name were not synced";
        }
    }
    add(o->names, &o->names_count, directory);
    return NULL;
}

static const char *take_line(struct order *o, const char *call, const char *path)
{
    static const char *const writes[] = {"write", "writev", "pwrite64", "ftruncate", NULL};
    static const char *const syncs[] = {"fsync", "fdatasync", NULL};
    static const char *const names[] = {"rename", "renameat", "renameat2", "unlink", "unlinkat",
                                        "mkdir",  "mkdirat",  "rmdir",     NULL};

    if (is(call, writes) && strcmp(path, "socket") != 0)
        add(o->bytes, &o->bytes_count, path);
    if (is(call, syncs)) {
        take(o->bytes, &o->bytes_count, path);
        take(o->names, &o->names_count, path);
    }
    if (strcmp(call, "connect") == 0 && o->names_count != 0)
        return "the chip is told although a name is not synced";
    return is(call, names) ? take_name(o, call, path) : NULL;
}

int cuts_order(struct cuts *cuts, const char *log)
{
    char line[1024], call[32], path[96], n[32];
    struct order order = {.bytes_count = 0};
    FILE *file = fopen(log, "re");
    int result = 0;

    while (file != NULL && result == 0 && fgets(line, sizeof(line), file) != NULL) {
        const char *wrong = NULL;

        if (sscanf(line, "%31s %31s %*s %*s %95s", n, call, path) == 3)
            wrong = take_line(&order, call, path);
        if (wrong != NULL)
            result = cuts_fail(cuts, "%s: call %s", wrong, line);
    }
    if (file != NULL)
        fclose(file);
    if (result == 0 && order.names_count + order.bytes_count != 0)
        result = cuts_fail(cuts, "at the end %s is not synced",
                           order.names_count != 0 ? order.names[0] : order.bytes[0]);
    return result;
}
