/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/bootenv/child.h"

#include "backends/store/inroot.h"

#include <ctype.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define CANNOT_START 127 /* exit code of a child that could not become the program */

struct pipes {
    int out[2];
    int err[2];
};

struct idm_child {
    char what[160];
    int failed; /* errno of the start; 0: it runs */
    int64_t end;
    pid_t pid;
    int pidfd;
    int out, err; /* reading ends */
    size_t out_size, err_size;
    char *const *environment; /* NULL: it is run for what it prints */
    struct idm_child_result result;
};

static int64_t now_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- in the child: async-signal-safe calls only -----------------------------------------------*/

static void reset_signals(void)
{
    sigset_t none;
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &action, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become(char *const argv[], char *const given[], const struct pipes *pipes,
                             pid_t parent)
{
    static char path[] = "PATH=/usr/bin:/bin", locale[] = "LC_ALL=C";
    char *const standard[] = {path, locale, NULL};
    (void)setpgid(0, 0);
    /* the parent may already be gone: then nobody would ever end us */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(CANNOT_START);
    reset_signals();
    (void)umask(022);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(pipes->out[1], STDOUT_FILENO) < 0 ||
        dup2(pipes->err[1], STDERR_FILENO) < 0)
        _exit(CANNOT_START);
    /* dup2 to itself would leave it close-on-exec */
    if (null == STDIN_FILENO ? fcntl(null, F_SETFD, 0) < 0 : dup2(null, STDIN_FILENO) < 0)
        _exit(CANNOT_START);
    (void)close_range(STDERR_FILENO + 1, ~0u, 0);
    if (given && chdir("/") < 0)
        _exit(CANNOT_START);
    (void)execve(argv[0], argv, given ? given : standard);
    _exit(CANNOT_START);
}

/* ---- in the parent ----------------------------------------------------------------------------*/

static void close_pipes(struct pipes *pipes)
{
    for (int i = 0; i < 2; i++) {
        idm_close_fd(&pipes->out[i]);
        idm_close_fd(&pipes->err[i]);
    }
}

/* Both ends above 2: with 0 to 2 closed, a pipe would land where the child's own ends belong. */
static int make_pipe(int ret_ends[2])
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    ends[0] = idm_fd_above_stdio(ends[0]);
    ends[1] = idm_fd_above_stdio(ends[1]);
    ret_ends[0] = ends[0];
    ret_ends[1] = ends[1];
    return ends[0] < 0 || ends[1] < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ? -1 : 0;
}

static int start(char *const argv[], struct idm_child *child)
{
    struct pipes pipes = {{-1, -1}, {-1, -1}};
    if (make_pipe(pipes.out) < 0 || make_pipe(pipes.err) < 0) {
        int failed = errno;
        close_pipes(&pipes);
        return -failed;
    }
    pid_t parent = getpid();
    child->pid = fork();
    if (child->pid == 0)
        become(argv, child->environment, &pipes, parent);
    int failed = errno;
    if (child->pid > 0) {
        /* Now, not when we first wait for something: once it runs, its exec moves it to a processor that has nothing
         * to do, if there is one, and both go on. */
        (void)sched_yield();
        (void)setpgid(child->pid, child->pid);
        child->out = pipes.out[0];
        child->err = pipes.err[0];
        pipes.out[0] = pipes.err[0] = -1;
        child->pidfd = idm_fd_above_stdio(pidfd_open(child->pid, 0));
        failed = errno;
    }
    close_pipes(&pipes);
    return child->pid < 0 || child->pidfd < 0 ? -failed : 0;
}

/* Kills the group while its leader is not yet reaped, so that the number is still its own. */
static int finish(struct idm_child *child)
{
    int status = 0;
    if (child->pid <= 0)
        return -ECHILD;
    (void)kill(-child->pid, SIGKILL);
    (void)kill(child->pid, SIGKILL);
    pid_t r;
    do
        r = waitpid(child->pid, &status, 0);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Takes what is there. 0; 1 at its end (the descriptor is closed then); -1: too much. */
static int take(int *fd, char *buffer, size_t *used, size_t limit, bool drop)
{
    char block[1024];
    ssize_t n = 0;
    while (*fd >= 0 && (n = read(*fd, block, sizeof block)) > 0) {
        size_t room = limit - *used;
        size_t keep = (size_t)n < room ? (size_t)n : room;
        memcpy(buffer + *used, block, keep);
        *used += keep;
        if (keep < (size_t)n && !drop)
            return -1;
    }
    if (*fd >= 0 && n == 0)
        idm_close_fd(fd);
    return *fd < 0 ? 1 : 0;
}

static int take_both(struct idm_child *child)
{
    struct idm_child_result *result = &child->result;
    (void)take(&child->err, result->err, &child->err_size, IDM_CHILD_ERR_MAX, true);
    return take(&child->out, result->out, &child->out_size, IDM_CHILD_OUT_MAX,
                child->environment != NULL);
}

/* NULL when it ended, else what went wrong. */
static const char *watch(struct idm_child *child)
{
    for (;;) {
        int64_t left = child->end - now_ms();
        struct pollfd fds[] = {{.fd = child->pidfd, .events = POLLIN},
                               {.fd = child->out, .events = POLLIN},
                               {.fd = child->err, .events = POLLIN}};
        int ready = poll(fds, sizeof fds / sizeof *fds, left > 0 ? (int)left : 0);
        if (ready < 0 && errno != EINTR)
            return "it cannot be watched";
        if (take_both(child) < 0)
            return "it printed too much";
        if (ready > 0 && fds[0].revents) {
            /* printed between the last look and its end */
            return take_both(child) < 0 ? "it printed too much" : NULL;
        }
        if (left <= 0)
            return "it took too long";
    }
}

static void tidy(struct idm_child *child)
{
    struct idm_child_result *result = &child->result;
    result->out[child->out_size] = 0;
    result->err[child->err_size] = 0;
    result->err[strcspn(result->err, "\r\n")] = 0;
    for (char *c = result->err; *c; c++)
        if (!isprint((unsigned char)*c))
            *c = '?';
}

static int begin(char *const argv[], char *const environment[], unsigned int limit_ms,
                 struct idm_child **ret, struct idm_error *err)
{
    struct idm_child *child = calloc(1, sizeof *child);
    if (!child)
        return idm_fail(err, IDM_E_MEMORY, argv[0], "out of memory");
    (void)snprintf(child->what, sizeof child->what, "run %s", argv[0]);
    child->end = now_ms() + limit_ms;
    child->pidfd = child->out = child->err = -1;
    child->environment = environment;
    child->failed = -start(argv, child);
    *ret = child;
    return 0;
}

static int close_child(struct idm_child *child)
{
    int code = finish(child);
    idm_close_fd(&child->pidfd);
    idm_close_fd(&child->out);
    idm_close_fd(&child->err);
    return code;
}

int idm_child_begin(char *const argv[], unsigned int limit_ms, struct idm_child **ret,
                    struct idm_error *err)
{
    return begin(argv, NULL, limit_ms, ret, err);
}

int idm_child_end(struct idm_child *child, struct idm_child_result *ret, struct idm_error *err)
{
    struct idm_child_result *result = &child->result;
    const char *why = child->failed ? strerror(child->failed) : watch(child);
    int code = close_child(child);
    tidy(child);
    int r = 0;
    if (!why && code < 0)
        why = strerror(-code);
    /* who says something was started: a shell, too, ends with this code */
    if (!why && code == CANNOT_START && !result->err[0])
        why = "it cannot be started";
    if (!why && !child->environment && strlen(result->out) != child->out_size)
        why = "it printed a zero byte";
    if (why)
        r = idm_fail(err, IDM_E_UNREADABLE, child->what, "%s", why);
    result->exit_code = code;
    if (r == 0)
        *ret = *result;
    free(child);
    return r;
}

void idm_child_drop(struct idm_child *child)
{
    if (child)
        (void)close_child(child);
    free(child);
}

int idm_child_run(char *const argv[], unsigned int limit_ms, struct idm_child_result *ret,
                  struct idm_error *err)
{
    struct idm_child *child = NULL;
    int r = begin(argv, NULL, limit_ms, &child, err);
    return child ? idm_child_end(child, ret, err) : r;
}

int idm_child_do(char *const argv[], char *const environment[], unsigned int limit_ms,
                 struct idm_child_result *ret, struct idm_error *err)
{
    struct idm_child *child = NULL;
    int r = begin(argv, environment, limit_ms, &child, err);
    return child ? idm_child_end(child, ret, err) : r;
}
