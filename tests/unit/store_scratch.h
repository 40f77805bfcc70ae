/* SPDX-License-Identifier: BSD-2-Clause */
/* store_scratch.h - a scratch root for the tests of files and machine: made before each test, gone
 * after it. Mounts live in a mount namespace of the test's own process.
 */
#ifndef IDM_TESTS_UNIT_STORE_SCRATCH_H
#define IDM_TESTS_UNIT_STORE_SCRATCH_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64]; /* "/tmp/idmode-XXXXXX", no trailing slash */

static inline void scratch_make(void)
{
    (void)snprintf(root, sizeof root, "/tmp/idmode-XXXXXX");
    cr_assert_not_null(mkdtemp(root), "mkdtemp: %s", strerror(errno));
    cr_assert_eq(chmod(root, 0755), 0);
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int type,
                                     struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Everything mounted below the root, the last mount first. */
static inline void scratch_unmount(void)
{
    char line[1024], path[512];
    for (bool again = true; again;) {
        char last[512] = "";
        FILE *mounts = fopen("/proc/self/mounts", "re");
        while (mounts && fgets(line, sizeof line, mounts))
            if (sscanf(line, "%*s %511s", path) == 1 && strncmp(path, root, strlen(root)) == 0)
                memcpy(last, path, sizeof last);
        if (mounts)
            (void)fclose(mounts);
        again = last[0] && umount2(last, MNT_DETACH) == 0;
    }
}

static inline void scratch_remove(void)
{
    scratch_unmount();
    (void)nftw(root, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* ROOT + path in one of a few static buffers. */
static inline const char *at(const char *path)
{
    static char buffers[8][1024];
    static unsigned int next;
    char *buffer = buffers[next++ % 8];
    (void)snprintf(buffer, sizeof buffers[0], "%s%s", root, path);
    return buffer;
}

/* Makes ROOT + path with all directories above it. */
static inline void make_dir(const char *path)
{
    char full[1024];
    (void)snprintf(full, sizeof full, "%s", at(path));
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        cr_assert(mkdir(full, 0755) == 0 || errno == EEXIST, "mkdir %s: %s", full, strerror(errno));
        *slash = '/';
    }
    cr_assert(mkdir(full, 0755) == 0 || errno == EEXIST, "mkdir %s: %s", full, strerror(errno));
}

static inline void put_bytes(const char *path, const void *data, size_t size)
{
    char parent[256];
    (void)snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash != parent) {
        *slash = 0;
        make_dir(parent);
    }
    int fd = open(at(path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    cr_assert_geq(fd, 0, "open %s: %s", path, strerror(errno));
    cr_assert_eq(write(fd, data, size), (ssize_t)size);
    cr_assert_eq(close(fd), 0);
}

static inline void put(const char *path, const char *text)
{
    put_bytes(path, text, strlen(text));
}

/* Is the content of ROOT + path exactly `text`? */
static inline bool holds(const char *path, const char *text)
{
    char buffer[4096];
    int fd = open(at(path), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, buffer, sizeof buffer);
    (void)close(fd);
    return n == (ssize_t)strlen(text) && memcmp(buffer, text, (size_t)n) == 0;
}

static inline bool there(const char *path)
{
    struct stat st;
    return lstat(at(path), &st) == 0;
}

static inline mode_t mode_of(const char *path)
{
    struct stat st;
    cr_assert_eq(lstat(at(path), &st), 0, "%s: %s", path, strerror(errno));
    return st.st_mode & 07777;
}

/* From here on mounts are this process's own. Skips the test where that is not permitted. */
static inline void own_mounts(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        cr_skip_test("mounting is not permitted here: %s", strerror(errno));
}

static inline void mount_tmpfs(const char *path, const char *options)
{
    make_dir(path);
    cr_assert_eq(mount("tmpfs", at(path), "tmpfs", 0, options), 0, "tmpfs on %s: %s", path,
                 strerror(errno));
}

#endif
