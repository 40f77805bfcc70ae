/* SPDX-License-Identifier: BSD-2-Clause */
/* request.c - the way of every command that runs the engine: open, ask, say what came out. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static json_t *published(struct idm_session *s)
{
    _cleanup_bytes_ struct idm_bytes text = {0};
    const struct idm_backends *be = &s->backends;
    if (be->file_read(be->self, IDM_F_RUN_STATUS, &text, NULL))
        return NULL;
    return json_loadb((const char *)text.data, text.size, 0, NULL);
}

void idm_say_result(struct idm_session *s, const struct idm_outcome *o)
{
    const struct idm_options *options = s->options;
    idm_tell_reach(s, o);
    if (options->json) {
        json_t *doc = published(s);
        if (!doc)
            doc = json_pack("{s:s, s:s}", "mode", idm_mode_name(o->mode), "state",
                            idm_state_name(o->state));
        if (o->request_event != IDM_EV_none)
            (void)json_object_set_new(
                doc, "request",
                json_pack("{s:s, s:s, s:o}", "command", s->command, "event",
                          idm_event_name(o->request_event), "refused",
                          o->refused[0] ? json_string(o->refused) : json_null()));
        idm_say_json(doc);
    } else if (!options->quiet) {
        (void)printf("%s: mode %s, state %s, epoch %u%s\n", s->command, idm_mode_name(o->mode),
                     idm_state_name(o->state),
                     idm_engine_record(s->engine) ? idm_engine_record(s->engine)->epoch : 0,
                     o->held ? ", held" : "");
    }
    idm_say_outcome(options, s->command, o);
}

int idm_run_request(const struct idm_options *options, const struct idm_ask *ask, bool goes_on)
{
    _cleanup_session_ struct idm_session s = {0};
    struct idm_outcome outcome;
    int rc = idm_session_open(&s, options, goes_on);
    if (rc)
        return rc;
    struct idm_ask complete = *ask;
    complete.clears =
        options->reset ? strcmp(options->reset, "clear") == 0 : s.settings.reset == IDM_RESET_CLEAR;
    rc = (int)idm_engine_request(s.engine, &complete, &outcome);
    idm_say_result(&s, &outcome);
    return rc;
}

int idm_misuse(const struct idm_options *options, const char *what, const char *why)
{
    struct idm_error err = {0};
    (void)idm_fail(&err, IDM_E_USAGE, what, "%s", why);
    return idm_say_error(options, options->word[0], &err);
}
