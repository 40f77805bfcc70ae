/* SPDX-License-Identifier: BSD-2-Clause */
/* starve.c - LD_PRELOAD: the n-th allocation of a real program fails, whoever asks: the program, OpenSSL, the
 * TSS, jansson, libc itself.
 *
 *     IDM_TEST_STARVE=N            allocation N returns NULL (errno ENOMEM); 0: none, they are only counted
 *     IDM_TEST_STARVE_ON=1         and so do all after it
 *     IDM_TEST_STARVE_PROGRAM=NAME only in the program of that name (the last part of its path)
 *     IDM_TEST_STARVE_COUNT=PATH   at the end PATH holds how many there were, in decimal
 *
 * Counted are malloc, calloc and realloc from this library's constructor on: what the dynamic linker needs before
 * it is not. Without IDM_TEST_STARVE, or in another program, nothing fails.
 */
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* glibc's own: what dlsym would find, which allocates itself. */
static bool armed;
static bool goes_on;
static unsigned long fails_at;
static atomic_ulong counted;

static bool is_program(const char *name)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);

    if (name == NULL || length <= 0)
        return name == NULL;
    path[length] = '\0';
    return strcmp(strrchr(path, '/') + 1, name) == 0;
}

/* A crash says where, and is one all the same. */
static void tell_crash(int signal)
{
    void *frames[32];

    armed = false;
    backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
    (void)raise(signal);
}

__attribute__((constructor)) static void read_variables(void)
{
    const char *text = getenv("IDM_TEST_STARVE");

    if (text == NULL || !is_program(getenv("IDM_TEST_STARVE_PROGRAM")))
        return;
    void *frame;
    (void)backtrace(&frame, 1); /* loads what it needs now */
    (void)sigaction(SIGSEGV,
                    &(struct sigaction){.sa_handler = tell_crash, .sa_flags = (int)SA_RESETHAND},
                    NULL);
    fails_at = strtoul(text, NULL, 10);
    goes_on = getenv("IDM_TEST_STARVE_ON") != NULL;
    armed = true;
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("IDM_TEST_STARVE_COUNT");
    bool was = armed;

    armed = false;
    if (!was || path == NULL)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || dprintf(fd, "%lu\n", atomic_load(&counted)) < 0)
        _exit(2);
    (void)close(fd);
}

static bool fails(void)
{
    if (!armed)
        return false;
    unsigned long n = atomic_fetch_add(&counted, 1) + 1;
    return fails_at != 0 && (goes_on ? n >= fails_at : n == fails_at);
}

#include "tests/support/allocator.h"
