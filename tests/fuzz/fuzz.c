/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/fuzz.h"

#include "backends/software/pem.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[PATH_MAX];

void fuzz_broken(const char *file, int line, const char *condition)
{
    fuzz_quiet(0);
    (void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

static void remove_dir(void)
{
    char command[PATH_MAX + 16];
    (void)snprintf(command, sizeof command, "rm -rf -- '%s'", dir);
    (void)!system(command);
}

const char *fuzz_dir(void)
{
    if (!dir[0]) {
        const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        (void)snprintf(dir, sizeof dir, "%s/idmode-fuzz-XXXXXX", base);
        FUZZ_CHECK(mkdtemp(dir));
        (void)atexit(remove_dir);
    }
    return dir;
}

const char *fuzz_file(const char *name, const uint8_t *data, size_t size)
{
    static char path[PATH_MAX + 256];
    int length = snprintf(path, sizeof path, "%s/%s", fuzz_dir(), name);
    FUZZ_CHECK(length > 0 && (size_t)length < sizeof path);
    for (char *slash = path + strlen(dir) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        (void)mkdir(path, 0755);
        *slash = '/';
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0);
    FUZZ_CHECK(size == 0 || write(fd, data, size) == (ssize_t)size);
    (void)close(fd);
    return path;
}

void fuzz_pem(const char *const labels[], const uint8_t *data, size_t size, struct idm_bytes *ret)
{
    size_t count = 0;
    while (labels[count])
        count++;
    if (size && data[0] >= 1 && data[0] <= count)
        FUZZ_CHECK(idm_pem_append(ret, labels[data[0] - 1], data + 1, size - 1) == 0);
    else
        FUZZ_CHECK(idm_bytes_set(ret, data, size) == 0);
}

void fuzz_quiet(int quiet)
{
    static FILE *out, *err, *nowhere;
    if (!nowhere) {
        nowhere = fopen("/dev/null", "we");
        out = stdout;
        err = stderr;
    }
    if (nowhere) { /* variables in glibc: every print goes there */
        stdout = quiet ? nowhere : out;
        stderr = quiet ? nowhere : err;
    }
}
