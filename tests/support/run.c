/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENV_MAX 512u

extern char **environ;

/* Prefixes of what must not reach a child from outside. */
static const char *const CLEANED[] = {"TPM2",    "TSS2_",     "TCTI",
                                      "IDMODE_", "IDM_TEST_", "LD_PRELOAD="};

/* "none" is no TCTI of TSS: a tool that was not told its emulator fails instead of finding a chip.
 */
static const char *const BASE[] = {"IDMODE_TCTI=none", "TPM2TOOLS_TCTI=none",
                                   "TPM2OPENSSL_TCTI=none", "LC_ALL=C",
                                   "UBSAN_OPTIONS=print_stacktrace=1:exitcode=99",
                                   /* A preload comes before ASan's library in the link order. */
                                   "ASAN_OPTIONS=exitcode=99:verify_asan_link_order=0", NULL};

struct streams {
    int in, out, err;
};

static bool cleaned(const char *entry)
{
    for (size_t i = 0; i < sizeof(CLEANED) / sizeof(CLEANED[0]); i++) {
        if (strncmp(entry, CLEANED[i], strlen(CLEANED[i])) == 0)
            return true;
    }
    return false;
}

/* Sets or, without '=', removes one entry; keeps list[*count] NULL. */
static int put(const char *list[ENV_MAX], size_t *count, const char *entry)
{
    size_t name = strcspn(entry, "=");
    size_t i = 0;

    while (i < *count && (strncmp(list[i], entry, name) != 0 || list[i][name] != '='))
        i++;
    if (entry[name] != '=') {
        if (i < *count)
            list[i] = list[--*count];
    } else if (i < *count) {
        list[i] = entry;
    } else if (*count + 1 < ENV_MAX) {
        list[(*count)++] = entry;
    } else {
        errno = E2BIG;
        return -1;
    }
    list[*count] = NULL;
    return 0;
}

static int build_environment(const char *list[ENV_MAX], const char *const *more)
{
    size_t count = 0;

    list[0] = NULL;
    for (char **e = environ; e != NULL && *e != NULL; e++) {
        if (!cleaned(*e) && put(list, &count, *e) != 0)
            return -1;
    }
    for (size_t i = 0; BASE[i] != NULL; i++) {
        if (put(list, &count, BASE[i]) != 0)
            return -1;
    }
    for (size_t i = 0; more != NULL && more[i] != NULL; i++) {
        if (put(list, &count, more[i]) != 0)
            return -1;
    }
    return 0;
}

static void close_streams(struct streams *s)
{
    if (s->in >= 0)
        close(s->in);
    if (s->out >= 0)
        close(s->out);
    if (s->err >= 0)
        close(s->err);
}

/* Output goes to memory files, not pipes: a daemon that the program leaves behind cannot make us
 * wait for an end of file that never comes. */
static int open_streams(struct streams *ret, const struct idm_run_options *options)
{
    struct streams s = {-1, -1, -1};
    bool input = options != NULL && options->input != NULL;

    s.in = input ? memfd_create("stdin", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);
    s.out = memfd_create("stdout", MFD_CLOEXEC);
    s.err = memfd_create("stderr", MFD_CLOEXEC);
    if (s.in < 0 || s.out < 0 || s.err < 0)
        goto failed;
    if (input) {
        for (size_t done = 0; done < options->input_size;) {
            ssize_t n = write(s.in, options->input + done, options->input_size - done);

            if (n < 0)
                goto failed;
            done += (size_t)n;
        }
        if (lseek(s.in, 0, SEEK_SET) != 0)
            goto failed;
    }
    *ret = s;
    return 0;
failed:
    close_streams(&s);
    return -1;
}

/* Between fork and exec: system calls only. */
_Noreturn static void become(const char *const argv[], const char *const envp[],
                             const struct streams *s, pid_t parent)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(s->in, 0) != 0 || dup2(s->out, 1) != 1 || dup2(s->err, 2) != 2)
        _exit(126);
    execvpe(argv[0], (char *const *)argv, (char *const *)envp);
    _exit(127);
}

/* Waits for the end of `pid`; when time is up, kills its whole group. */
static int wait_bounded(pid_t pid, unsigned timeout_s, struct idm_run *run)
{
    struct pollfd end = {.fd = pidfd_open(pid, 0), .events = POLLIN};
    int status = 0, n = 0;

    /* Without a pidfd no time limit could be kept: better no run at all. */
    if (end.fd >= 0) {
        do
            n = poll(&end, 1, (int)(timeout_s * 1000));
        while (n < 0 && errno == EINTR);
        close(end.fd);
    }
    if (n <= 0) {
        run->timed_out = true;
        kill(-pid, SIGKILL);
        kill(pid, SIGKILL); /* in case it has not made its group yet */
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    run->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return 0;
}

static char *slurp(int fd, size_t *ret_size)
{
    off_t end = lseek(fd, 0, SEEK_END);
    size_t size = end > (off_t)IDM_RUN_OUTPUT_MAX ? IDM_RUN_OUTPUT_MAX : (size_t)end;
    char *text = end < 0 ? NULL : malloc(size + 1);
    size_t done = 0;

    if (text == NULL)
        return NULL;
    while (done < size) {
        ssize_t n = pread(fd, text + done, size - done, (off_t)done);

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    text[done] = '\0';
    if (ret_size != NULL)
        *ret_size = done;
    return text;
}

static void repeat_sanitizer(const struct idm_run *run)
{
    if (strstr(run->err, "Sanitizer:") != NULL || strstr(run->err, "runtime error:") != NULL)
        fputs(run->err, stderr);
}

int idm_run(struct idm_run *ret, const struct idm_run_options *options, const char *const argv[])
{
    const char *envp[ENV_MAX];
    struct idm_run run = {0};
    struct streams s;
    unsigned timeout_s = IDM_RUN_TIMEOUT_S;
    pid_t pid, self = getpid();

    if (options != NULL && options->timeout_s != 0)
        timeout_s = options->timeout_s;
    if (build_environment(envp, options != NULL ? options->env : NULL) != 0 ||
        open_streams(&s, options) != 0)
        return -1;
    pid = fork();
    if (pid == 0)
        become(argv, envp, &s, self);
    if (pid < 0 || wait_bounded(pid, timeout_s, &run) != 0) {
        close_streams(&s);
        return -1;
    }
    run.out = slurp(s.out, &run.out_size);
    run.err = slurp(s.err, NULL);
    close_streams(&s);
    if (run.out == NULL || run.err == NULL) {
        idm_run_free(&run);
        errno = ENOMEM;
        return -1;
    }
    repeat_sanitizer(&run);
    *ret = run;
    return 0;
}

void idm_run_free(struct idm_run *run)
{
    if (run == NULL)
        return;
    free(run->out);
    free(run->err);
    *run = (struct idm_run){0};
}
