/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/watch/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* BUILD/bin/idmode-watch, /usr/bin/idmode-watch: idmode lies beside it. */
static int find_idmode(char ret_path[PATH_MAX], struct idm_error *err)
{
    static const char name[] = "/idmode";
    ssize_t length = readlink("/proc/self/exe", ret_path, PATH_MAX - sizeof name);
    char *slash = NULL;
    if (length > 0) {
        ret_path[length] = 0;
        slash = strrchr(ret_path, '/');
    }
    if (!slash)
        return idm_fail(err, IDM_E_STORAGE, "find idmode", "/proc is not mounted");
    memcpy(slash, name, sizeof name);
    return 0;
}

static int spawn(pid_t *ret_pid, char *const argv[])
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
    sigset_t all;
    sigset_t none;
    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    int r = posix_spawnattr_init(&attributes);
    if (r)
        return r;
    r = posix_spawn_file_actions_init(&files);
    if (r == 0) {
        (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        (void)posix_spawnattr_setsigdefault(&attributes, &all);
        (void)posix_spawnattr_setsigmask(&attributes, &none);
        r = posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        if (r == 0)
            r = posix_spawn(ret_pid, argv[0], &files, &attributes, argv, environ);
        (void)posix_spawn_file_actions_destroy(&files);
    }
    (void)posix_spawnattr_destroy(&attributes);
    return r;
}

int idm_watch_run_start(struct idm_watch_run *run, const struct idm_options *options, bool quiet,
                        struct idm_error *err)
{
    char program[PATH_MAX];
    char *argv[12] = {program, "boot", "--root", *options->root ? (char *)options->root : "/"};
    size_t n = 4;
    int rc = find_idmode(program, err);
    if (rc)
        return rc;
    if (options->config) {
        argv[n++] = "--config";
        argv[n++] = (char *)options->config;
    }
    if (options->tcti) {
        argv[n++] = "--tcti";
        argv[n++] = (char *)options->tcti;
    }
    if (quiet)
        argv[n] = "--quiet";
    int failed = spawn(&run->pid, argv);
    if (failed)
        return idm_fail_errno(err, IDM_E_STORAGE, program, failed);
    run->fd = pidfd_open(run->pid, 0);
    if (run->fd >= 0)
        return 0;
    rc = idm_fail_errno(err, IDM_E_STORAGE, "watch over idmode boot", errno);
    (void)waitpid(run->pid, NULL, 0);
    run->pid = 0;
    return rc;
}

int idm_watch_run_end(struct idm_watch_run *run)
{
    int status = 0;
    pid_t r;
    do
        r = waitpid(run->pid, &status, WNOHANG);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        return -1;
    (void)close(run->fd);
    *run = (struct idm_watch_run){.fd = -1};
    if (r < 0)
        return 128;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
