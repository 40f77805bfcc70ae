/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/hooks/hooks.h"

#include "backends/bootenv/child.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define MOVE_MS 10000u /* the manager answers at once, or is not in a state to */

/* sd_booted(3) looks for the same directory. */
static bool systemd_runs(void)
{
    return access("/run/systemd/system", F_OK) == 0;
}

bool idm_hooks_move_out(const struct idm_hooks *hooks)
{
    static struct idm_child_result result;
    char self[PATH_MAX];
    struct idm_error err = {0};
    const struct idm_options *o = hooks->options;
    /* Another root is a tree of files, not what this systemd runs. */
    if (*o->root || !systemd_runs())
        return false;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return false;
    self[length] = 0;
    char *argv[16] = {"/usr/bin/systemd-run",
                      "--quiet",
                      "--no-block",
                      "--collect",
                      "--no-ask-password",
                      "--description=Tells programs of a change of the device's identity",
                      "--",
                      self,
                      "hooks"};
    size_t n = 9;
    if (o->config) {
        argv[n++] = "--config";
        argv[n++] = (char *)o->config;
    }
    if (o->tcti) {
        argv[n++] = "--tcti";
        argv[n++] = (char *)o->tcti;
    }
    argv[n] = "here";
    int rc = idm_child_run(argv, MOVE_MS, &result, &err);
    if (rc == 0 && result.exit_code == 0)
        return true;
    idm_hooks_say(hooks, true, "no unit of their own: %s",
                  rc ? err.why : (result.err[0] ? result.err : "systemd-run failed"));
    return false;
}
