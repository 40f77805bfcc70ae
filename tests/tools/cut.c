/* SPDX-License-Identifier: BSD-2-Clause */
/* cut.c - LD_PRELOAD: the power goes right after the n-th durable step of a real program.
 *
 * A durable step is a call that returned success, of
 *
 *     rename renameat renameat2    a new name stands for the content
 *     unlink unlinkat              a name is gone
 *     fsync fdatasync              content, or a directory's names, have reached the disk
 *
 * Steps are numbered from 1 in the order in which they return. Writing one file as
 * "temporary file, write, fsync, rename, fsync directory" is therefore three steps. Not seen: TPM
 * commands, mkdir, writes without fsync, and system calls that do not go through these functions
 * of libc (remove(3) among them).
 *
 *     IDM_TEST_CUT=N                 kills the process group right after step N, by SIGKILL
 *     IDM_TEST_CUT_NAME=ACTION       kills it right after the engine's trace line "STATE: ACTION done"
 *                                    was written (engine/run.c): what that action changed is durable
 *     IDM_TEST_CUT_COUNT_FILE=PATH   PATH holds the number of steps so far, in decimal
 *
 * With the count file the numbering is one for all processes that inherit both variables, and goes
 * on across exec; the file must not exist at the start. Without it each process counts for itself.
 * Without any of these variables the library does nothing.
 *
 * The whole group dies, as a power cut spares nobody: start the program in a group of its own
 * (setsid does). A real power cut also loses what was never synced; this one only kills, so the
 * page cache survives it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char *count_path;
static unsigned long cut_at; /* 0: never */
static atomic_ulong counted; /* of this process, where there is no count file */
static char cut_line[96];    /* how the line ends after which the power goes; empty: never */

_Noreturn static void die(const char *why)
{
    fprintf(stderr, "cut: %s\n", why);
    _exit(2);
}

__attribute__((constructor)) static void read_variables(void)
{
    const char *text = getenv("IDM_TEST_CUT");
    const char *name = getenv("IDM_TEST_CUT_NAME");
    char *end = NULL;

    count_path = getenv("IDM_TEST_CUT_COUNT_FILE");
    if (name != NULL &&
        snprintf(cut_line, sizeof(cut_line), ": %s done\n", name) >= (int)sizeof(cut_line))
        die("IDM_TEST_CUT_NAME is no action");
    if (text == NULL)
        return;
    errno = 0;
    cut_at = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || cut_at == 0)
        die("IDM_TEST_CUT is no positive number");
}

/* A test that miscounts would pass for the wrong reason, so every failure here ends the program. */
static unsigned long count_shared(void)
{
    char text[32] = "";
    int fd = open(count_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    unsigned long n;
    int size;

    if (fd < 0 || flock(fd, LOCK_EX) != 0 || pread(fd, text, sizeof(text) - 1, 0) < 0)
        die("the count file cannot be read");
    n = strtoul(text, NULL, 10) + 1;
    size = snprintf(text, sizeof(text), "%lu\n", n);
    if (pwrite(fd, text, (size_t)size, 0) != size)
        die("the count file cannot be written");
    close(fd);
    return n;
}

static int step(int result)
{
    int saved = errno;
    unsigned long n;

    if (result != 0 || (cut_at == 0 && count_path == NULL))
        return result;
    n = count_path != NULL ? count_shared() : atomic_fetch_add(&counted, 1) + 1;
    if (n == cut_at)
        kill(0, SIGKILL);
    errno = saved;
    return result;
}

static void *next_of(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    if (function == NULL)
        die(name);
    return function;
}

#define STEP(name, parameters, arguments)                                                          \
    int name parameters;                                                                           \
    int name parameters                                                                            \
    {                                                                                              \
        static int(*_Atomic next) parameters;                                                      \
        if (next == NULL)                                                                          \
            next = (int(*) parameters)next_of(#name);                                              \
        return step(next arguments);                                                               \
    }

STEP(rename, (const char *from, const char *to), (from, to))
STEP(renameat, (int from_dir, const char *from, int to_dir, const char *to),
     (from_dir, from, to_dir, to))
STEP(renameat2, (int from_dir, const char *from, int to_dir, const char *to, unsigned flags),
     (from_dir, from, to_dir, to, flags))
STEP(unlink, (const char *path), (path))
STEP(unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
STEP(fsync, (int fd), (fd))
STEP(fdatasync, (int fd), (fd))

/* A trace line is written whole, by one call. */
ssize_t write(int fd, const void *data, size_t size)
{
    static ssize_t (*_Atomic next)(int, const void *, size_t);
    size_t length = strlen(cut_line);
    ssize_t result;

    if (next == NULL)
        next = (ssize_t(*)(int, const void *, size_t))next_of("write");
    result = next(fd, data, size);
    if (length != 0 && result == (ssize_t)size && size >= length &&
        memcmp((const char *)data + size - length, cut_line, length) == 0)
        kill(0, SIGKILL);
    return result;
}
