/* SPDX-License-Identifier: BSD-2-Clause */
/* hooks.h - `idmode hooks`: tells the programs of /etc/idmode/hooks.d that something changed.
 *
 *     idmode … ─► its lock is free again ─► starts `idmode hooks`, does not wait ─► exits
 *
 *     hooks   run/idmode/status.json ──┐
 *             run/idmode/hooks.json ───┼─► differ? ─► each hook in order ─► hooks.json, then told
 *             persist/idmode/told ─────┘  (1)
 *
 *     (1) what was told last: in this boot, else over all boots
 *
 * A process of its own, started anew: a hook may take its time, and nothing that waits for it holds
 * idmode's lock, a terminal or pipe of the caller, or a page that once held a secret. Under systemd it has
 * itself started as a transient unit (place.c), so that neither the cgroup nor the sandbox of whoever
 * called idmode (idmode-boot.service, an updater) is the hooks'.
 *
 * At least once: what was told is noted after the hooks ran. A power cut in between tells the change again,
 * with the same epoch; nothing else does. Changes that follow each other while a hook runs are told as
 * one, with what was told before them; only who begins late can miss what lies between. A hook that fails
 * was told.
 *
 *     main.c    options, one at a time     change.c   what changed, as words (pure)
 *     tell.c    which hooks, their runs    place.c    the way into a unit of its own
 */
#ifndef IDM_CLI_HOOKS_HOOKS_H
#define IDM_CLI_HOOKS_HOOKS_H

#include "backends/store/store.h"
#include "cli/options.h"

#include <jansson.h>

#define IDM_HOOKS_MAX       64u /* of a directory; the rest is not run, and that is said */
#define IDM_HOOKS_ENV_MAX   24u
#define IDM_HOOKS_WORDS_MAX 1024u /* all reasons together need 470 */

/* ---- main.c ---- */

/* What `idmode hooks` does; argv[0] is "hooks". 0, 2 for wrong words, 5 where the hooks could not be told.
 * Neither OpenSSL nor the TSS is used. */
int idm_hooks_main(int argc, char **argv);

/* ---- change.c ---- */

/* What hooks are told about. */
struct idm_told {
    char mode[16];
    char state[16];
    long long epoch;
    bool held;
    char reasons[IDM_HOOKS_WORDS_MAX]; /* with single blanks between them */
};

struct idm_change {
    struct idm_told now;
    struct idm_told before; /* mode unknown, state none, epoch 0: nothing was ever told */
    char event[64];         /* what the machine saw: a word of docs/table.md */
    char cert[72];          /* hex, or empty */
    char previous_cert[72];
};

/* From the status document. False where it is none. */
bool idm_told_of_status(const json_t *status, struct idm_told *ret);
/* From what idm_told_json wrote; anything else gives what stands before everything was told. */
void idm_told_parse(const json_t *told, struct idm_told *ret);
json_t *idm_told_json(const struct idm_told *told);
bool idm_told_same(const struct idm_told *a, const struct idm_told *b);

/* Completes a change with what status document and history (JSON lines) say of it. */
void idm_change_fill(struct idm_change *change, const json_t *status,
                     const struct idm_bytes *history);

/* NAME=VALUE each, ended by NULL; ret_list points into the text. False: it does not fit. */
struct idm_hooks_env {
    char text[8192];
    char *list[IDM_HOOKS_ENV_MAX];
};
bool idm_change_environment(const struct idm_change *change, const struct idm_options *options,
                            struct idm_hooks_env *ret);

/* ---- tell.c ---- */

struct idm_hooks {
    const struct idm_options *options;
    struct idm_settings settings;
    struct idm_store *store;
};

/* Is there something that hooks were not told yet? *ret_change, *ret_status (a new reference) then. */
bool idm_hooks_look(struct idm_hooks *hooks, struct idm_change *ret_change);
/* Is there a hook to run? */
bool idm_hooks_any(struct idm_hooks *hooks);
/* Runs them all, in order, whatever each does; notes what was told, and how it went. */
void idm_hooks_tell(struct idm_hooks *hooks, const struct idm_change *change);
/* A line of the trace and, on the machine itself, of the system log. */
void idm_hooks_say(const struct idm_hooks *hooks, bool bad, const char *format, ...)
    IDM_PRINTF(3, 4);

/* ---- place.c ---- */

/* Starts us again as a unit of our own; false: there is no systemd, or it will not. */
bool idm_hooks_move_out(const struct idm_hooks *hooks);

#endif
