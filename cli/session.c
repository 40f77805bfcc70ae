/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/cli.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- messages ---- */

static int exit_of(int code)
{
    switch (code) {
    case 0:
        return IDM_EXIT_DONE;
    case IDM_E_USAGE:
    case IDM_E_SETTINGS:
        return IDM_EXIT_USAGE;
    case IDM_E_REFUSED:
        return IDM_EXIT_REFUSED;
    case IDM_E_HELD:
        return IDM_EXIT_HELD;
    case IDM_E_LOCK:
        return IDM_EXIT_LOCKED;
    default:
        return IDM_EXIT_FAILED;
    }
}

int idm_say_error(const struct idm_options *options, const char *command,
                  const struct idm_error *err)
{
    char text[640];
    idm_error_text(err, text, sizeof text);
    if (options->json)
        idm_say_json(json_pack("{s:s, s:{s:s, s:s, s:s, s:s}}", "command", command, "error", "code",
                               idm_error_name(err->code), "what", err->what, "why", err->why, "do",
                               err->todo));
    else
        (void)fprintf(stderr, "idmode: %s\n", text);
    return exit_of(err->code);
}

void idm_say_json(json_t *object)
{
    char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    (void)puts(text ? text : "{}");
    free(text);
    json_decref(object);
}

void idm_warn(const struct idm_options *options, const char *format, ...)
{
    if (options->quiet)
        return;
    va_list args;
    va_start(args, format);
    (void)fputs("idmode: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

void idm_say_outcome(const struct idm_options *options, const char *command,
                     const struct idm_outcome *outcome)
{
    char text[640];
    if (outcome->refused[0])
        idm_warn(options, "%s: refused: %s", command, outcome->refused);
    if (outcome->error.code) {
        idm_error_text(&outcome->error, text, sizeof text);
        idm_warn(options, "%s: %s", command, text);
    }
    for (unsigned int i = 1; i < IDM_REASON_COUNT; i++) {
        enum idm_reason reason = (enum idm_reason)i;
        if (outcome->reasons >> i & 1)
            idm_warn(options, "%s: %s%s: %s (%s)", command, outcome->held ? "held: " : "",
                     idm_reason_word(reason), idm_reason_sentence(reason), idm_reason_todo(reason));
    }
}

/* ---- session ---- */

static int read_settings(struct idm_session *s, bool goes_on, struct idm_error *err)
{
    const struct idm_options *o = s->options;
    FILE *warnings = o->quiet ? NULL : stderr;
    int rc = o->reach->read_settings(o->reach->self, o, warnings, &s->settings, err);
    if (rc)
        return rc;
    if (s->settings.invalid && !goes_on) {
        *err = s->settings.invalid_error;
        return IDM_E_SETTINGS;
    }
    if (o->tcti)
        (void)snprintf(s->settings.tcti, sizeof s->settings.tcti, "%s", o->tcti);
    s->settings.verbose = o->verbose;
    if (s->settings.invalid) {
        char text[640];
        idm_error_text(&s->settings.invalid_error, text, sizeof text);
        idm_warn(o, "%s: %s", s->command, text);
    }
    return 0;
}

int idm_session_open(struct idm_session *ret, const struct idm_options *options, bool goes_on)
{
    struct idm_error err = {0};
    char who[96];
    const struct idm_reach *reach = options->reach;
    *ret = (struct idm_session){.options = options, .command = options->word[0]};
    (void)snprintf(who, sizeof who, "idmode %s", ret->command);
    int rc = read_settings(ret, goes_on, &err);
    if (rc == 0)
        rc = reach->take_lock(reach->self, options, who, &ret->lock, &err);
    if (rc == 0)
        rc = reach->open_backends(reach->self, options, &ret->settings, &ret->backends, &err);
    if (rc == 0)
        rc = idm_engine_open(&ret->engine, &ret->backends, &ret->settings, &err);
    /* Boot publishes, and hooks answer, on every machine. */
    bool always = strcmp(ret->command, "boot") == 0 || strcmp(ret->command, "hook") == 0;
    if (rc == 0 && !always && idm_session_is_virgin(ret))
        return idm_say_never_set_up(ret);
    if (rc == 0)
        return 0;
    err.code = rc;
    return idm_say_error(options, ret->command, &err);
}

bool idm_session_is_virgin(const struct idm_session *session)
{
    const struct idm_backends *be = &session->backends;
    return !session->settings.places_unknown &&
           be->place_state(be->self, IDM_CONFIG) == IDM_PLACE_MISSING &&
           be->place_state(be->self, IDM_PERSIST) == IDM_PLACE_MISSING;
}

int idm_say_never_set_up(const struct idm_session *session)
{
    struct idm_error err = {0};
    (void)idm_fail(&err, IDM_E_HELD, session->command,
                   "this machine was never set up: neither %s nor %s exists",
                   session->settings.config_dir, session->settings.persist_dir);
    (void)idm_advise(&err, "make them, or set config-dir and persist-dir in [paths]");
    return idm_say_error(session->options, session->command, &err);
}

void idm_session_close(struct idm_session *session)
{
    if (!session)
        return;
    idm_engine_close(session->engine);
    if (session->options)
        session->options->reach->close_backends(session->options->reach->self, &session->backends);
    idm_lock_release(&session->lock);
    if (session->concluded && session->options->reach->tell)
        session->options->reach->tell(session->options, &session->settings);
    *session = (struct idm_session){0};
}

void idm_tell_reach(struct idm_session *session, const struct idm_outcome *outcome)
{
    const struct idm_reach *reach = session->options->reach;
    session->concluded = true;
    if (reach->concluded)
        reach->concluded(reach->self, outcome);
}
