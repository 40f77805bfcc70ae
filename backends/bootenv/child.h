/* SPDX-License-Identifier: BSD-2-Clause */
/* child.h - runs another program for what it prints or does, within a time limit.
 *
 * The program gets the caller's environment list or, by default, PATH=/usr/bin:/bin and LC_ALL=C alone;
 * stdin from /dev/null, no other descriptor than 0 to 2, default signals, umask 022, a process group of
 * its own. It dies with us. At the limit, when it prints too much, and when it ends, its whole group is
 * killed: nothing that it started keeps running or holds our pipes.
 */
#ifndef IDM_BACKENDS_BOOTENV_CHILD_H
#define IDM_BACKENDS_BOOTENV_CHILD_H

#include "backends/error.h"

#include <stddef.h>

#define IDM_CHILD_OUT_MAX 16384u
#define IDM_CHILD_ERR_MAX 512u /* the rest is dropped */

struct idm_child; /* one that runs */

struct idm_child_result {
    int exit_code;                   /* 0 to 255; 128 + number when a signal ended it */
    char out[IDM_CHILD_OUT_MAX + 1]; /* terminated; holds no other NUL */
    char err[IDM_CHILD_ERR_MAX + 1]; /* terminated; first line only, printable */
};

/* Runs argv[0] (absolute path) with argv (ended by NULL). 0 when it ran and ended, whatever its
 * exit code. UNREADABLE: it cannot be started, took longer than limit_ms, printed more than
 * IDM_CHILD_OUT_MAX or a NUL. *ret is written only on success. SIGCHLD must not be ignored. */
int idm_child_run(char *const argv[], unsigned int limit_ms, struct idm_child_result *ret,
                  struct idm_error *err) IDM_NODISCARD;

/* The same in two halves: it runs while the caller does something else. It is started at once; that it could
 * not be is said by idm_child_end. MEMORY, *ret untouched, when there is none to keep it. */
int idm_child_begin(char *const argv[], unsigned int limit_ms, struct idm_child **ret,
                    struct idm_error *err) IDM_NODISCARD;

/* Waits for its end, until limit_ms after its begin, and frees child. As idm_child_run otherwise. */
int idm_child_end(struct idm_child *child, struct idm_child_result *ret,
                  struct idm_error *err) IDM_NODISCARD;

/* Kills it unheard and frees it; NULL is fine. */
void idm_child_drop(struct idm_child *child);

/* As idm_child_run for a program that is run for what it does: with this environment (ended by NULL), in the
 * directory "/". What it prints on stdout is dropped where it is too much, and never a failure. */
int idm_child_do(char *const argv[], char *const environment[], unsigned int limit_ms,
                 struct idm_child_result *ret, struct idm_error *err) IDM_NODISCARD;

#endif
