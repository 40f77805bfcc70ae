/* SPDX-License-Identifier: BSD-2-Clause */
/* tell.c - starts `idmode hooks` once the lock is free, where there are hooks, and waits for
 * nothing: neither this program's exit nor who reads its output is delayed by a hook. */
#include "cli/cli.h"

#include "backends/store/inroot.h"

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>

static bool any_hook(const struct idm_options *options, const struct idm_settings *settings)
{
    _cleanup_close_ int root = idm_inroot_root(options->root);
    int fd = root < 0 ? -1
                      : idm_inroot_open(root, settings->hooks_directory,
                                        O_RDONLY | O_DIRECTORY | O_NONBLOCK);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    bool any = false;
    const struct dirent *entry = NULL;
    while (stream && !any && (entry = readdir(stream)) != NULL)
        any = entry->d_name[0] != '.';
    if (stream)
        (void)closedir(stream);
    else
        idm_close_fd(&fd);
    return any;
}

/* Signals as a program expects them, a session of its own, none of our descriptors. */
static int prepare(posix_spawnattr_t *attributes, posix_spawn_file_actions_t *files)
{
    sigset_t all;
    sigset_t none;
    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    int r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
                                                     POSIX_SPAWN_SETSIGMASK);
    if (r == 0)
        r = posix_spawnattr_setsigdefault(attributes, &all);
    if (r == 0)
        r = posix_spawnattr_setsigmask(attributes, &none);
    for (int fd = 0; r == 0 && fd <= STDERR_FILENO; fd++)
        r = posix_spawn_file_actions_addopen(files, fd, "/dev/null", fd ? O_WRONLY : O_RDONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
    return r;
}

static int spawn(char *const argv[])
{
    static char path[] = "PATH=/usr/bin:/bin", locale[] = "LC_ALL=C";
    char *const environment[] = {path, locale, NULL};
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
    pid_t pid = 0;
    int r = posix_spawnattr_init(&attributes);
    if (r)
        return r;
    r = posix_spawn_file_actions_init(&files);
    if (r == 0) {
        r = prepare(&attributes, &files);
        if (r == 0)
            r = posix_spawn(&pid, argv[0], &files, &attributes, argv, environment);
        (void)posix_spawn_file_actions_destroy(&files);
    }
    (void)posix_spawnattr_destroy(&attributes);
    return r;
}

void idm_tell_hooks(const struct idm_options *options, const struct idm_settings *settings)
{
    char self[PATH_MAX];
    if (!any_hook(options, settings))
        return;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return idm_warn(options, "hooks: not told: /proc is not mounted");
    self[length] = 0;
    char *argv[9] = {self, "hooks", "--root", *options->root ? (char *)options->root : "/"};
    size_t n = 4;
    if (options->config) {
        argv[n++] = "--config";
        argv[n++] = (char *)options->config;
    }
    if (options->tcti) {
        argv[n++] = "--tcti";
        argv[n++] = (char *)options->tcti;
    }
    int r = spawn(argv);
    if (r)
        idm_warn(options, "hooks: not told: %s: %s", self, strerror(r));
}
