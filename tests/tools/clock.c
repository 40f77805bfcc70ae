/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.c - LD_PRELOAD: the wall clock stands elsewhere, and ticks on.
 *
 *     IDM_TEST_CLOCK=SECONDS    the process starts at this time, in seconds since 1970
 *
 * Moves clock_gettime (CLOCK_REALTIME and its coarse and alarm forms), gettimeofday, time and
 * timespec_get. Monotonic clocks, timers, file times and what the kernel says stay. Each program
 * started by exec begins at SECONDS again. Without IDM_TEST_CLOCK the library does nothing.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t offset;

/* The kernel itself: libc's function of that name is the one that is replaced here. */
static int real_clock(clockid_t clock, struct timespec *ret)
{
    return (int)syscall(SYS_clock_gettime, clock, ret);
}

__attribute__((constructor)) static void read_variable(void)
{
    const char *text = getenv("IDM_TEST_CLOCK");
    struct timespec now;
    char *end = NULL;
    long long wanted;

    if (text == NULL)
        return;
    errno = 0;
    wanted = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || real_clock(CLOCK_REALTIME, &now) != 0) {
        fprintf(stderr, "clock: IDM_TEST_CLOCK is no number of seconds\n");
        _exit(2);
    }
    offset = (time_t)wanted - now.tv_sec;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int result = real_clock(clock, ret);

    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ||
                        clock == CLOCK_REALTIME_ALARM))
        ret->tv_sec += offset;
    return result;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    struct timespec now;

    (void)zone; /* obsolete since 4.3BSD; nobody here passes one */
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    ret->tv_sec = now.tv_sec;
    ret->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *ret)
{
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return (time_t)-1;
    if (ret != NULL)
        *ret = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *ret, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, ret) == 0 ? base : 0;
}
