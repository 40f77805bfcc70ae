/* SPDX-License-Identifier: BSD-2-Clause */
/* disk.c - LD_PRELOAD: file systems that refuse what full, read-only and FAT ones refuse.
 *
 *     IDM_TEST_DISK_FULL=DIR[:DIR…]        no free block: files do not grow, directories are not made,
 *                                          new names and removals work        ENOSPC
 *     IDM_TEST_DISK_READ_ONLY=DIR[:DIR…]   nothing changes                    EROFS
 *     IDM_TEST_DISK_FAT=DIR[:DIR…]         no permissions: all files are 0755, fchmod is refused with
 *                                          EPERM, no inodes are counted (mount(8), vfat: `quiet` off)
 *
 * statvfs answers accordingly. Everything below DIR counts; DIR is resolved at the start.
 *
 * A preload and no mount: a container without CAP_SYS_ADMIN mounts nothing, vfat is in few test
 * machines' kernels, and a scenario changes from full to free and back between two boots. What the
 * kernel itself says is tested where a mount is possible (tests/unit/store_*.c,
 * tests/life/life_field_update.c). Seen are the functions of libc that idmode calls to change
 * files, not those that libc calls inside itself (fopen).
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DIRECTORIES_MAX 4u

struct list {
    char path[DIRECTORIES_MAX][PATH_MAX];
    size_t count;
};

static struct list full, read_only, fat;

_Noreturn static void die(const char *why)
{
    fprintf(stderr, "disk: %s\n", why);
    _exit(2);
}

static void read_list(const char *variable, struct list *ret)
{
    const char *value = getenv(variable);
    char text[DIRECTORIES_MAX * PATH_MAX];
    char *rest = text;

    if (value == NULL)
        return;
    if (strlen(value) >= sizeof(text))
        die("the list is too long");
    memcpy(text, value, strlen(value) + 1);
    for (char *dir; (dir = strsep(&rest, ":")) != NULL;) {
        if (ret->count == DIRECTORIES_MAX || realpath(dir, ret->path[ret->count]) == NULL)
            die("a directory does not exist, or there are too many");
        ret->count++;
    }
}

__attribute__((constructor)) static void read_variables(void)
{
    read_list("IDM_TEST_DISK_FULL", &full);
    read_list("IDM_TEST_DISK_READ_ONLY", &read_only);
    read_list("IDM_TEST_DISK_FAT", &fat);
}

static void *next_of(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    if (function == NULL)
        die(name);
    return function;
}

#define NEXT(result, name, parameters)                                                             \
    static result(*_Atomic next) parameters;                                                       \
    if (next == NULL)                                                                              \
    next = (result(*) parameters)next_of(#name)

/* ---- where is it? ---- */

static bool below(const struct list *list, const char *path)
{
    for (size_t i = 0; i < list->count; i++) {
        size_t length = strlen(list->path[i]);

        if (strncmp(path, list->path[i], length) == 0 &&
            (path[length] == '/' || path[length] == '\0'))
            return true;
    }
    return false;
}

static bool path_of(int fd, char ret_path[PATH_MAX])
{
    char link[64];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, ret_path, PATH_MAX - 1);
    if (n < 0)
        return false;
    ret_path[n] = '\0';
    return ret_path[0] == '/';
}

static bool fd_below(const struct list *list, int fd)
{
    char path[PATH_MAX];

    return list->count != 0 && path_of(fd, path) && below(list, path);
}

/* idmode names its files below a directory that it holds open. */
static bool name_below(const struct list *list, int dir, const char *name)
{
    return name[0] == '/' ? below(list, name) : dir != AT_FDCWD && fd_below(list, dir);
}

static int refuse(int code)
{
    errno = code;
    return -1;
}

/* ---- names ---- */

static bool creates(int flags)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

int openat(int dir, const char *name, int flags, ...)
{
    struct stat st;
    mode_t mode = 0;
    int fd;

    NEXT(int, openat, (int, const char *, int, ...));
    if (creates(flags)) {
        va_list arguments;

        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    bool makes = (flags & O_CREAT) != 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0;
    bool changes = makes || (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;

    if (changes && name_below(&read_only, dir, name))
        return refuse(EROFS);
    fd = next(dir, name, flags, mode);
    if (fd >= 0 && makes && name_below(&fat, dir, name)) {
        int (*change)(int, mode_t) = (int (*)(int, mode_t))next_of("fchmod");

        (void)change(fd, 0755);
    }
    return fd;
}

int mkdirat(int dir, const char *name, mode_t mode)
{
    struct stat st;

    NEXT(int, mkdirat, (int, const char *, mode_t));
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return refuse(EEXIST);
    if (name_below(&read_only, dir, name))
        return refuse(EROFS);
    if (name_below(&full, dir, name))
        return refuse(ENOSPC);
    return next(dir, name, name_below(&fat, dir, name) ? 0755 : mode);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    NEXT(int, renameat, (int, const char *, int, const char *));
    if (name_below(&read_only, from_dir, from) || name_below(&read_only, to_dir, to))
        return refuse(EROFS);
    return next(from_dir, from, to_dir, to);
}

int unlinkat(int dir, const char *name, int flags)
{
    struct stat st;

    NEXT(int, unlinkat, (int, const char *, int));
    if (name_below(&read_only, dir, name) && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return refuse(EROFS);
    return next(dir, name, flags);
}

/* ---- content ---- */

static bool grows(int fd, off_t at, size_t size)
{
    struct stat st;

    return size != 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && at + (off_t)size > st.st_size;
}

ssize_t write(int fd, const void *data, size_t size)
{
    NEXT(ssize_t, write, (int, const void *, size_t));
    if (fd_below(&full, fd)) {
        bool appends = (fcntl(fd, F_GETFL) & O_APPEND) != 0;

        if (appends || grows(fd, lseek(fd, 0, SEEK_CUR), size))
            return refuse(ENOSPC);
    }
    return next(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    NEXT(ssize_t, pwrite, (int, const void *, size_t, off_t));
    if (fd_below(&full, fd) && grows(fd, at, size))
        return refuse(ENOSPC);
    return next(fd, data, size, at);
}

int fchmod(int fd, mode_t mode)
{
    NEXT(int, fchmod, (int, mode_t));
    if (fd_below(&read_only, fd))
        return refuse(EROFS);
    if (fd_below(&fat, fd))
        return refuse(EPERM);
    return next(fd, mode);
}

/* ---- what it says of itself ---- */

int fstatvfs(int fd, struct statvfs *ret)
{
    int result;

    NEXT(int, fstatvfs, (int, struct statvfs *));
    result = next(fd, ret);
    if (result != 0)
        return result;
    if (fd_below(&read_only, fd))
        ret->f_flag |= ST_RDONLY;
    if (fd_below(&full, fd))
        ret->f_bfree = ret->f_bavail = 0;
    if (fd_below(&fat, fd))
        ret->f_files = ret->f_ffree = ret->f_favail = 0;
    return 0;
}
