/* SPDX-License-Identifier: BSD-2-Clause */
/* cut.c - LD_PRELOAD: the power goes right after the n-th durable step of a real program.
 *
 * A durable step is a call that returned success, of
 *
 *     rename renameat renameat2    a new name stands for the content
 *     unlink unlinkat              a name is gone
 *     mkdirat                      a directory is there
 *     fsync fdatasync              a file's content has reached the disk
 *
 * Steps are numbered from 1 in the order in which they return. Writing one file as
 * "temporary file, write, fsync, rename, fsync directory" is therefore two steps: the fsync of a
 * directory makes nothing that a program which is killed leaves behind. Not seen: TPM commands,
 * writes without fsync, and system calls that do not go through these functions of libc (remove(3)
 * among them).
 *
 *     IDM_TEST_CUT=N                 kills the process group right after step N, by SIGKILL
 *     IDM_TEST_CUT_NAME=ACTION       kills it right after the engine's trace line "STATE: ACTION done"
 *                                    was written (engine/run.c): what that action changed is durable
 *     IDM_TEST_CUT_MEMORY=DIR        what happens below DIR, a real path, is no step: it stands for a file
 *                                    system in memory
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
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *count_path;
static const char *memory;   /* NULL: none */
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
    memory = getenv("IDM_TEST_CUT_MEMORY");
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

static bool in_memory(const char *path)
{
    size_t length = strlen(memory);

    return strncmp(path, memory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* Does that, which a name below `dir` stands for, survive a power cut? */
static bool survives(int dir, const char *name)
{
    char link[64], path[PATH_MAX];
    ssize_t n;

    if (memory == NULL)
        return true;
    if (name[0] == '/' || dir == AT_FDCWD)
        return !in_memory(name);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
    n = readlink(link, path, sizeof(path) - 1);
    if (n < 0)
        return true;
    path[n] = '\0';
    return !in_memory(path);
}

static bool is_directory(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static int step(int result, bool durable)
{
    int saved = errno;
    unsigned long n;

    if (result != 0 || !durable || (cut_at == 0 && count_path == NULL))
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

#define STEP(name, parameters, arguments, durable)                                                 \
    int name parameters;                                                                           \
    int name parameters                                                                            \
    {                                                                                              \
        static int(*_Atomic next) parameters;                                                      \
        if (next == NULL)                                                                          \
            next = (int(*) parameters)next_of(#name);                                              \
        return step(next arguments, durable);                                                      \
    }

STEP(rename, (const char *from, const char *to), (from, to), survives(AT_FDCWD, to))
STEP(renameat, (int from_dir, const char *from, int to_dir, const char *to),
     (from_dir, from, to_dir, to), survives(to_dir, to))
STEP(renameat2, (int from_dir, const char *from, int to_dir, const char *to, unsigned flags),
     (from_dir, from, to_dir, to, flags), survives(to_dir, to))
STEP(unlink, (const char *path), (path), survives(AT_FDCWD, path))
STEP(unlinkat, (int dir, const char *path, int flags), (dir, path, flags), survives(dir, path))
STEP(mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode), survives(dir, path))
STEP(fsync, (int fd), (fd), !is_directory(fd))
STEP(fdatasync, (int fd), (fd), !is_directory(fd))

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
