/* SPDX-License-Identifier: BSD-2-Clause */
/* cli.h - what the commands share: an opened device, messages, JSON on stdout. */
#ifndef IDM_CLI_CLI_H
#define IDM_CLI_CLI_H

#include "backends/store/lock.h"
#include "cli/options.h"
#include "engine/engine.h"

#include <jansson.h>
#include <stdio.h>

/* How the commands get at the device that they work on: the machine's own (idm_reach_real), or one that
 * a caller holds in memory. Each function is idm_settings_read, idm_lock_take, idm_backends_open or
 * idm_backends_close, errors included. */
struct idm_reach {
    void *self; /* first argument of each */
    int (*read_settings)(void *self, const struct idm_options *options, FILE *warnings,
                         struct idm_settings *ret, struct idm_error *err);
    int (*take_lock)(void *self, const struct idm_options *options, const char *who,
                     struct idm_lock *ret, struct idm_error *err);
    int (*open_backends)(void *self, const struct idm_options *options,
                         const struct idm_settings *settings, struct idm_backends *ret,
                         struct idm_error *err);
    void (*close_backends)(void *self, struct idm_backends *backends);
    /* Told what came of each boot loop or request; NULL: nobody wants to know. */
    void (*concluded)(void *self, const struct idm_outcome *outcome);
    /* Once the lock is free again, where something was concluded; NULL: there is nobody to tell. */
    void (*tell)(const struct idm_options *options, const struct idm_settings *settings);
    int input; /* descriptor that `sign` reads where no file is named */
};

extern const struct idm_reach idm_reach_real;

/* One command line, argv[0] included, on the device behind `reach` (borrowed): everything but `mode`.
 * Prints on stdout and stderr; the exit code. getopt may permute argv. Again at any time; not for use
 * in two threads at once. */
int idm_cli_run(int argc, char **argv, const struct idm_reach *reach);

/* Settings, lock, backends and engine, opened in this order. */
struct idm_session {
    const struct idm_options *options;
    const char *command;
    struct idm_settings settings;
    struct idm_lock lock;
    struct idm_backends backends;
    struct idm_engine *engine;
    bool concluded; /* something was published: hooks are told of a change */
};

/* Opens everything under the lock. `goes_on`: the command works with the defaults where a value in
 * the configuration is invalid. Not 0: the exit code, after its message. */
int idm_session_open(struct idm_session *ret, const struct idm_options *options, bool goes_on);
/* Neither the config nor the persist directory exists: no device was ever set up below this root. */
bool idm_session_is_virgin(const struct idm_session *session);
/* Says so in one line; its exit code. */
int idm_say_never_set_up(const struct idm_session *session);
/* Zeroed or partly opened sessions are fine. */
void idm_session_close(struct idm_session *session);
#define _cleanup_session_ __attribute__((cleanup(idm_session_close)))

/* Says the error, on stderr or as the one JSON object, and gives the exit code that fits it. */
int idm_say_error(const struct idm_options *options, const char *command,
                  const struct idm_error *err);
/* Prints the object and a newline, and frees it. */
void idm_say_json(json_t *object);
/* A warning on stderr, not with --quiet. */
void idm_warn(const struct idm_options *options, const char *format, ...) IDM_PRINTF(2, 3);
/* What an outcome means to a person: reasons with what to do, the error, a refusal. */
void idm_say_outcome(const struct idm_options *options, const char *command,
                     const struct idm_outcome *outcome);

/* Tells who reaches the device so what came out; hooks are told when the session is closed. */
void idm_tell_reach(struct idm_session *session, const struct idm_outcome *outcome);
/* Starts the program that tells the hooks, where there are any, and does not wait for it. A warning where
 * that fails: what they were not told they are at the next run. */
void idm_tell_hooks(const struct idm_options *options, const struct idm_settings *settings);
/* The result of a boot loop or a request, concluded: the status document, or one line. */
void idm_say_result(struct idm_session *session, const struct idm_outcome *outcome);
/* Opens a session, makes the request, says the result: the exit code. */
int idm_run_request(const struct idm_options *options, const struct idm_ask *ask, bool goes_on);
/* The status document (NULL: nobody decided in this boot) in Prometheus' text format: to stdout, or to
 * --out, which is replaced as a whole, mode 0644. STORAGE, MEMORY, USAGE. */
int idm_say_metrics(const struct idm_options *options, const json_t *doc,
                    struct idm_error *err) IDM_NODISCARD;
/* To --out, or stdout. STORAGE. */
int idm_write_out(const struct idm_options *options, const void *data, size_t size,
                  struct idm_error *err) IDM_NODISCARD;
/* A file that an operator names, as it stands, not below --root: it comes from outside of the device. Its
 * bytes are the caller's to wipe and free. UNREADABLE, MEMORY; USAGE no regular file, or larger than
 * 64 KiB, which no key and no chain is. */
int idm_read_given(const char *path, struct idm_bytes *ret, struct idm_error *err) IDM_NODISCARD;
/* Says what is wrong with the command line: exit code 2. */
int idm_misuse(const struct idm_options *options, const char *what, const char *why);

typedef int (*idm_command_fn)(const struct idm_options *options);
int idm_command_boot(const struct idm_options *options);
int idm_command_status(const struct idm_options *options);
int idm_command_hook(const struct idm_options *options);
int idm_command_migrate(const struct idm_options *options);
int idm_command_sign(const struct idm_options *options);
int idm_command_csr(const struct idm_options *options);
int idm_command_cert(const struct idm_options *options);
int idm_command_history(const struct idm_options *options);
int idm_command_doctor(const struct idm_options *options);
int idm_command_hold(const struct idm_options *options);
int idm_command_import(const struct idm_options *options);
int idm_command_adopt(const struct idm_options *options);
int idm_command_factory_reset(const struct idm_options *options);

#endif
