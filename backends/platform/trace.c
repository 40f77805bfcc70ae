/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/platform/trace.h"

#include "backends/store/place.h"

#include <stdlib.h>
#include <sys/stat.h>

#define LINE_MAX_BYTES 1024u

static const char name[] = "trace";
static const char temp[] = ".trace.tmp";

/* A file with another name is somebody's, and stays as it is. */
static int open_trace(int dir, struct stat *ret_st)
{
    const int flags = O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
        st.st_nlink != 1)
        (void)unlinkat(dir, name, 0);
    int fd = idm_fd_above_stdio(openat(dir, name, flags, 0644));
    if (fd >= 0 && fstat(fd, ret_st) == 0 && S_ISREG(ret_st->st_mode) && ret_st->st_nlink == 1)
        return fd;
    idm_close_fd(&fd);
    return -1;
}

/* The last half, from the first whole line on, under the same name: a reader sees the old file or
 * the new one. */
static void keep_last_half(int dir, int fd, off_t size)
{
    size_t half = IDM_TRACE_MAX / 2;
    char *buffer = malloc(half);
    if (!buffer)
        return;
    ssize_t n = pread(fd, buffer, half, size - (off_t)half);
    const char *start = n > 0 ? memchr(buffer, '\n', (size_t)n) : NULL;
    (void)unlinkat(dir, temp, 0);
    _cleanup_close_ int out = idm_fd_above_stdio(
        openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (start && out >= 0) {
        size_t length = (size_t)(buffer + n - (start + 1));
        bool whole = write(out, start + 1, length) == (ssize_t)length && fchmod(out, 0644) == 0;
        if (!whole || renameat(dir, temp, dir, name) < 0)
            (void)unlinkat(dir, temp, 0);
    }
    free(buffer);
}

static size_t make_line(const char *line, char ret_text[LINE_MAX_BYTES + 1])
{
    size_t length = 0;
    for (; line[length] && length < LINE_MAX_BYTES; length++)
        ret_text[length] =
            (unsigned char)line[length] < 0x20 || line[length] == 0x7f ? '?' : line[length];
    ret_text[length++] = '\n';
    return length;
}

/* A line that cannot be written is lost; the caller promises never to fail. */
static void put(int fd, const char *text, size_t length)
{
    if (write(fd, text, length) < 0)
        return;
}

void idm_trace_line(const char *root, enum idm_trace_level level, const char *line)
{
    char text[LINE_MAX_BYTES + 1];
    size_t length = make_line(line, text);
    if (level == IDM_TRACE_STDERR)
        put(STDERR_FILENO, text, length);
    _cleanup_close_ int root_fd = idm_inroot_root(root);
    if (root_fd < 0)
        return;
    _cleanup_close_ int dir = idm_place_open_run(root_fd, true);
    if (dir < 0)
        return;
    struct stat st;
    _cleanup_close_ int fd = open_trace(dir, &st);
    if (fd >= 0 && st.st_size + (off_t)length > (off_t)IDM_TRACE_MAX) {
        keep_last_half(dir, fd, st.st_size);
        idm_close_fd(&fd);
        fd = open_trace(dir, &st);
        /* no room for the other half: the bound counts more than what was said */
        if (fd >= 0 && st.st_size + (off_t)length > (off_t)IDM_TRACE_MAX && ftruncate(fd, 0) < 0)
            return;
    }
    if (fd >= 0)
        put(fd, text, length);
}
