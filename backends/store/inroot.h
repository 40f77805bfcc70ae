/* SPDX-License-Identifier: BSD-2-Clause */
/* inroot.h - paths below a root directory, resolved as chroot(2) would, without leaving it.
 *
 *     root_fd ─ "/config" ─► link to /mnt/config ─► ROOT/mnt/config, never the machine's own
 *
 * Header only, libc only: the program that reads the boot environment uses it without linking
 * anything of idmode. No state; any thread; errno is set on failure.
 */
#ifndef IDM_BACKENDS_STORE_INROOT_H
#define IDM_BACKENDS_STORE_INROOT_H

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline void idm_close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}
#define _cleanup_close_ __attribute__((cleanup(idm_close_fd)))

/* `fd` moved to 3 or above: a program started with 0, 1 or 2 closed would otherwise print its
 * messages into a key file. Returns the descriptor, or -1 as it came. Closes the old one. */
static inline int idm_fd_above_stdio(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return higher;
}

/* Opens `path` below root_fd; links are followed inside it, also in the last component unless flags
 * have O_NOFOLLOW. Never creates. O_CLOEXEC is added. The caller owns the descriptor; -1 and errno
 * on failure. */
static inline int idm_inroot_open(int root_fd, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned int)(flags | O_CLOEXEC),
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    int fd = -1;
    /* openat2(2): EAGAIN when a rename elsewhere raced with a ".."; a retry is expected. */
    for (int attempt = 0; attempt < 16; attempt++) {
        fd = (int)syscall(SYS_openat2, root_fd, *path ? path : ".", &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return idm_fd_above_stdio(fd);
}

/* Opens the root directory; "" is "/". -1 and errno on failure. */
static inline int idm_inroot_root(const char *root)
{
    return idm_fd_above_stdio(open(*root ? root : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* The absolute path of what `fd` refers to, as this process sees it, into ret_path[size]. 0, or -1
 * when /proc is not mounted or the path does not fit. */
static inline int idm_fd_path(int fd, char *ret_path, size_t size)
{
    char link[40];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, ret_path, size);
    if (length < 0 || (size_t)length >= size)
        return -1;
    ret_path[length] = 0;
    return 0;
}

#endif
