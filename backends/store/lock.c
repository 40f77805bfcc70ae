/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/store/lock.h"

#include "backends/store/place.h"

#include <ctype.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define WHO_MAX 64

static const char name[] = "lock";

static int64_t now_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int open_lock(int dir, const char *what, struct idm_error *err)
{
    struct stat st;
    int fd = idm_fd_above_stdio(
        openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600));
    if (fd < 0 || fstat(fd, &st) < 0) {
        int failed = errno;
        idm_close_fd(&fd);
        return idm_fail_errno(err, IDM_E_STORAGE, what, failed);
    }
    if (!S_ISREG(st.st_mode)) {
        idm_close_fd(&fd);
        (void)idm_fail(err, IDM_E_STORAGE, what, "it is no regular file");
        (void)idm_advise(err, "remove it");
        return IDM_E_STORAGE;
    }
    /* wider when somebody else made it */
    if (st.st_nlink == 1 && (st.st_mode & 07777) != 0600)
        (void)fchmod(fd, 0600);
    return fd;
}

/* Is what we locked still the file that others would open? */
static bool is_current(int dir, int fd)
{
    struct stat ours, there;
    return fstat(fd, &ours) == 0 && fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* A file with another name is somebody's: it can be locked, but not written. */
static bool is_ours(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_nlink == 1;
}

static void sign_out(int fd)
{
    if (!is_ours(fd))
        return;
    /* what remains names a holder that is gone: misleading until the next one signs in, no more */
    if (ftruncate(fd, 0) < 0)
        return;
}

static void sign_in(int fd, const char *who)
{
    char text[WHO_MAX + 32];
    int n = snprintf(text, sizeof text, "%ld %.*s\n", (long)getpid(), WHO_MAX, who);
    if (!is_ours(fd))
        return;
    /* only a message for others; a full /run does not take the lock away */
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
        sign_out(fd);
}

static int fail_busy(int fd, const char *what, struct idm_error *err)
{
    char text[WHO_MAX + 32];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    char *who = NULL;
    long pid = strtol(text, &who, 10);
    if (pid <= 0 || *who != ' ' || !who[1] || who[1] == '\n')
        return idm_fail(err, IDM_E_LOCK, what, "held by another process");
    who++;
    who[strcspn(who, "\n")] = 0;
    for (char *c = who; *c; c++)
        if (!isprint((unsigned char)*c))
            *c = '?';
    (void)idm_fail(err, IDM_E_LOCK, what, "held by %s, pid %ld", who, pid);
    (void)idm_advise(err, "wait for it, or see what keeps it busy");
    return IDM_E_LOCK;
}

/* One attempt: 1 taken, 0 busy or the file was exchanged, negative code. */
static int try_lock(int dir, const char *what, bool last, int *ret_fd, struct idm_error *err)
{
    _cleanup_close_ int fd = open_lock(dir, what, err);
    if (fd < 0)
        return fd;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return idm_fail_errno(err, IDM_E_STORAGE, what, errno);
        return last ? fail_busy(fd, what, err) : 0;
    }
    if (!is_current(dir, fd))
        return last ? idm_fail(err, IDM_E_LOCK, what, "somebody keeps replacing it") : 0;
    *ret_fd = fd;
    fd = -1;
    return 1;
}

static int open_directory(const char *root, const char *what, struct idm_error *err)
{
    _cleanup_close_ int root_fd = idm_inroot_root(root);
    if (root_fd < 0)
        return idm_fail_errno(err, IDM_E_STORAGE, what, errno);
    int dir = idm_place_open_run(root_fd, true);
    return dir < 0 ? idm_fail_errno(err, IDM_E_STORAGE, what, -dir) : dir;
}

int idm_lock_take(struct idm_lock *ret, const char *root, unsigned int timeout_ms, const char *who,
                  struct idm_error *err)
{
    char what[160];
    (void)snprintf(what, sizeof what, "lock %s/run/idmode/%s", root, name);
    _cleanup_close_ int dir = open_directory(root, what, err);
    if (dir < 0)
        return dir;
    int64_t end = now_ms() + timeout_ms;
    for (;;) {
        int fd = -1;
        bool last = now_ms() >= end;
        int r = try_lock(dir, what, last, &fd, err);
        if (r < 0)
            return r;
        if (r > 0) {
            sign_in(fd, who);
            *ret = (struct idm_lock){.held = true, .fd = fd};
            return 0;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = IDM_LOCK_PAUSE_MS * 1000000L}, NULL);
    }
}

void idm_lock_release(struct idm_lock *lock)
{
    if (!lock || !lock->held)
        return;
    sign_out(lock->fd);
    (void)close(lock->fd);
    *lock = (struct idm_lock){0};
}
