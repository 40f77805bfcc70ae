/* SPDX-License-Identifier: BSD-2-Clause */
/* run.h - run a real program to its end, within a time limit, and keep what it said.
 *
 *     struct idm_run run = {0};
 *     if (idm_run(&run, NULL, (const char *const[]){"openssl", "version", NULL}) == 0)
 *         puts(run.out);
 *     idm_run_free(&run);
 *
 * The child gets our environment without any variable that names a TPM or a device; in their place
 * stand values that reach no TPM at all, so that no test can touch the machine's own chip by
 * forgetting one. It leads a process group of its own and is killed with it when time is up, and
 * when the thread that started it ends. Nothing here knows Criterion.
 */
#ifndef IDM_TESTS_SUPPORT_RUN_H
#define IDM_TESTS_SUPPORT_RUN_H

#include <stdbool.h>
#include <stddef.h>

#define IDM_RUN_OUTPUT_MAX (1024u * 1024u) /* kept of each stream; the rest is dropped */
#define IDM_RUN_TIMEOUT_S  60u
/* What a sanitizer's report makes a program exit with: told apart from every code of its own. */
#define IDM_RUN_SANITIZER_EXIT 99

struct idm_run {
    int exit_code;   /* 0 to 255; 128 + signal when killed (137: SIGKILL) */
    bool timed_out;  /* killed by us; exit_code is 137 then */
    char *out;       /* stdout, terminated, owned; never NULL after success of idm_run */
    size_t out_size; /* without the terminator: stdout may hold 0 bytes */
    char *err;       /* stderr, likewise */
};

struct idm_run_options {
    const char *const *env; /* "NAME=VALUE" sets, "NAME" unsets; ended by NULL; may be NULL */
    const char *input;      /* stdin; NULL: /dev/null */
    size_t input_size;
    unsigned timeout_s; /* 0: IDM_RUN_TIMEOUT_S */
};

/* Runs argv[0] (looked up in PATH) and waits for its end. 0 when it ran, whatever its exit code
 * (127: no such program); -1, *ret untouched, errno set, when it could not be started. A program
 * that printed a sanitizer's report gets that repeated on our stderr, where ctest looks for it.
 * options may be NULL. */
int idm_run(struct idm_run *ret, const struct idm_run_options *options, const char *const argv[]);

/* Frees and zeroes; NULL is fine. */
void idm_run_free(struct idm_run *run);

#define _cleanup_run_ __attribute__((cleanup(idm_run_free)))

#endif
