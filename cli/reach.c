/* SPDX-License-Identifier: BSD-2-Clause */
/* reach.c - the real device below the root that the options name. */
#include "cli/cli.h"

#include <stdio.h>
#include <unistd.h>

static int read_settings(void *self, const struct idm_options *options, FILE *warnings,
                         struct idm_settings *ret, struct idm_error *err)
{
    (void)self;
    return idm_settings_read(ret, options->root, options->config, warnings, err);
}

static int take_lock(void *self, const struct idm_options *options, const char *who,
                     struct idm_lock *ret, struct idm_error *err)
{
    (void)self;
    return idm_lock_take(ret, options->root, options->lock_timeout_s * 1000u, who, err);
}

static int open_backends(void *self, const struct idm_options *options,
                         const struct idm_settings *settings, struct idm_backends *ret,
                         struct idm_error *err)
{
    (void)self;
    return idm_backends_open(ret, options->root, settings, err);
}

static void close_backends(void *self, struct idm_backends *backends)
{
    (void)self;
    idm_backends_close(backends);
}

const struct idm_reach idm_reach_real = {.read_settings = read_settings,
                                         .take_lock = take_lock,
                                         .open_backends = open_backends,
                                         .close_backends = close_backends,
                                         .tell = idm_tell_hooks,
                                         .input = STDIN_FILENO};
