/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagrams/lab.h"

#include "backends/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct text {
    char *data; /* terminated, owned */
    size_t size;
};

static void free_text(struct text *text)
{
    free(text->data);
}
#define _cleanup_text_ __attribute__((cleanup(free_text)))

static int failed(const char *what, const char *todo)
{
    (void)fprintf(stderr, "idmode-lab: %s: %s (%s)\n", what, strerror(errno), todo);
    return -1;
}

static int dot_text(struct text *ret, const struct lab_current *current)
{
    FILE *stream = open_memstream(&ret->data, &ret->size);
    if (!stream)
        return failed("draw", "free some memory");
    (void)lab_print_dot(stream, current);
    return fclose(stream) == 0 ? 0 : failed("draw", "free some memory");
}

/* A file, not a pipe: two pipes to one program can wait for each other. */
static int file_of(const struct text *text)
{
    int fd = memfd_create("dot", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, text->data, text->size) == (ssize_t)text->size &&
        lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    (void)failed("hand over to Graphviz", "free some memory");
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static _Noreturn void become_dot(int in, int out)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
        (void)execlp("dot", "dot", "-Tsvg", (char *)NULL);
    (void)failed("dot", "install Graphviz: apt-get install graphviz");
    _exit(127);
}

static int read_all(int fd, struct text *ret)
{
    FILE *stream = open_memstream(&ret->data, &ret->size);
    char buffer[8192];
    ssize_t size = 0;
    if (!stream)
        return -1;
    while ((size = read(fd, buffer, sizeof buffer)) > 0 || (size < 0 && errno == EINTR))
        if (size > 0)
            (void)fwrite(buffer, 1, (size_t)size, stream);
    return fclose(stream) == 0 && size == 0 ? 0 : -1;
}

static int run_dot(int in, struct text *ret)
{
    int ends[2];
    int status = 0;
    if (pipe2(ends, O_CLOEXEC))
        return failed("start Graphviz", "close some files");
    pid_t child = fork();
    if (child == 0)
        become_dot(in, ends[1]);
    (void)close(ends[1]);
    int rc = child > 0 ? read_all(ends[0], ret) : -1;
    if (rc)
        (void)failed("read from Graphviz", "try again");
    (void)close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    if (rc == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
        (void)fprintf(stderr, "idmode-lab: dot: Graphviz made no picture (see above)\n");
        return -1;
    }
    return rc;
}

static int print_hash(FILE *out, const struct text *text)
{
    uint8_t hash[IDM_SHA256_SIZE];
    char hex[2 * IDM_SHA256_SIZE + 1];
    if (idm_sha256(text->data, text->size, hash)) {
        (void)fprintf(stderr, "idmode-lab: draw: the digest failed (check OpenSSL)\n");
        return -1;
    }
    idm_hex(hash, sizeof hash, hex);
    (void)fprintf(out, "<!-- drawn from state-machine.dot, sha256 %s -->\n", hex);
    return 0;
}

int lab_print_svg(FILE *out, const struct lab_current *current)
{
    _cleanup_text_ struct text dot = {0};
    _cleanup_text_ struct text svg = {0};
    if (dot_text(&dot, current))
        return -1;
    int in = file_of(&dot);
    if (in < 0)
        return -1;
    int rc = run_dot(in, &svg);
    (void)close(in);
    if (rc)
        return rc;
    const char *start = strstr(svg.data, "<svg");
    if (!start) {
        (void)fprintf(stderr, "idmode-lab: dot: its output is no picture (check Graphviz)\n");
        return -1;
    }
    (void)fwrite(svg.data, 1, (size_t)(start - svg.data), out);
    if (print_hash(out, &dot))
        return -1;
    (void)fputs(start, out);
    return 0;
}
