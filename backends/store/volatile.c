/* SPDX-License-Identifier: BSD-2-Clause */
/* volatile.c - does a directory survive a reboot? */
#include "backends/store/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

static bool has_magic(int fd, unsigned long magic)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == magic;
}

static bool in_memory(int fd)
{
    return has_magic(fd, TMPFS_MAGIC) || has_magic(fd, RAMFS_MAGIC);
}

/* The value of upperdir= in a line of mountinfo (proc(5)), where the line is the device's. */
static char *upper_of(char *line, dev_t dev)
{
    static const char option[] = "upperdir=";
    char wanted[32]; /* the third field, after the mount's number and its parent's */
    (void)snprintf(wanted, sizeof wanted, "%u:%u ", major(dev), minor(dev));
    const char *at = strchr(line, ' ');
    at = at ? strchr(at + 1, ' ') : NULL;
    if (!at || strncmp(at + 1, wanted, strlen(wanted)) != 0)
        return NULL;
    char *type = strstr(line, " - overlay ");
    char *upper = type ? strstr(type, option) : NULL;
    if (!upper)
        return NULL;
    upper += sizeof option - 1;
    upper[strcspn(upper, ",\n")] = 0;
    return upper;
}

/* An overlay is as durable as its upper directory; one that cannot be seen from here says nothing. */
static bool upper_in_memory(int overlay)
{
    struct stat st;
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    if (!mounts || fstat(overlay, &st) < 0)
        st.st_dev = 0;
    while (mounts && st.st_dev && getline(&line, &size, mounts) > 0) {
        const char *upper = upper_of(line, st.st_dev);
        _cleanup_close_ int fd = upper ? open(upper, O_PATH | O_CLOEXEC) : -1;
        found = found || (fd >= 0 && in_memory(fd));
    }
    free(line);
    if (mounts)
        (void)fclose(mounts);
    return found;
}

bool idm_store_place_is_volatile(struct idm_store *store, enum idm_place place)
{
    int fd = idm_place_dir(store, place, false);
    if (fd < 0)
        return false;
    return in_memory(fd) || (has_magic(fd, OVERLAYFS_SUPER_MAGIC) && upper_in_memory(fd));
}
