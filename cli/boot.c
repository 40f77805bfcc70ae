/* SPDX-License-Identifier: BSD-2-Clause */
/* boot.c - boot, hook, migrate, factory-reset: the commands that run the engine. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what they print ---- */

static json_t *published(struct idm_session *s)
{
    _cleanup_bytes_ struct idm_bytes text = {0};
    const struct idm_backends *be = &s->backends;
    if (be->file_read(be->self, IDM_F_RUN_STATUS, &text, NULL))
        return NULL;
    return json_loadb((const char *)text.data, text.size, 0, NULL);
}

static void say_result(struct idm_session *s, const struct idm_outcome *o)
{
    const struct idm_options *options = s->options;
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
                          o->refused ? json_string(o->refused) : json_null()));
        idm_say_json(doc);
    } else if (!options->quiet) {
        (void)printf("%s: mode %s, state %s, epoch %u%s\n", s->command, idm_mode_name(o->mode),
                     idm_state_name(o->state),
                     idm_engine_record(s->engine) ? idm_engine_record(s->engine)->epoch : 0,
                     o->held ? ", held" : "");
    }
    idm_say_outcome(options, s->command, o);
}

int idm_command_boot(const struct idm_options *options)
{
    _cleanup_session_ struct idm_session s = {0};
    struct idm_outcome outcome;
    int rc = idm_session_open(&s, options, true);
    if (rc)
        return rc;
    rc = (int)idm_engine_boot(s.engine, &outcome);
    say_result(&s, &outcome);
    if (rc == IDM_EXIT_DONE && options->strict && outcome.reasons)
        rc = IDM_EXIT_HELD;
    return rc;
}

static int request(const struct idm_options *options, enum idm_request_kind kind,
                   const struct idm_target *target, bool goes_on)
{
    _cleanup_session_ struct idm_session s = {0};
    struct idm_outcome outcome;
    int rc = idm_session_open(&s, options, goes_on);
    if (rc)
        return rc;
    if (options->reset)
        s.settings.reset = strcmp(options->reset, "clear") == 0 ? IDM_RESET_CLEAR : IDM_RESET_REKEY;
    rc = (int)idm_engine_request(s.engine, kind, target, options->without_tpm != NULL, &outcome);
    say_result(&s, &outcome);
    return rc;
}

static int misuse(const struct idm_options *options, const char *what, const char *why)
{
    struct idm_error err = {0};
    (void)idm_fail(&err, IDM_E_USAGE, what, "%s", why);
    return idm_say_error(options, options->word[0], &err);
}

/* ---- hook ---- */

static bool copy_word(char *field, size_t size, const char *text)
{
    int length = text ? snprintf(field, size, "%s", text) : 0;
    for (const char *at = text; at && *at; at++)
        if (*at < ' ' || *at > '~')
            return false;
    return length >= 0 && (size_t)length < size;
}

static bool parse_aware(const char *text, enum idm_slot_kind *ret)
{
    if (!text || strcmp(text, "unknown") == 0)
        *ret = IDM_SLOT_UNKNOWN;
    else if (strcmp(text, "yes") == 0)
        *ret = IDM_SLOT_AWARE;
    else if (strcmp(text, "no") == 0)
        *ret = IDM_SLOT_LEGACY;
    else
        return false;
    return true;
}

/* The number of a record format; none and unknown are 0. */
static bool parse_format(const char *text, uint16_t *ret)
{
    char *end = NULL;
    if (!text || strcmp(text, "none") == 0 || strcmp(text, "unknown") == 0)
        return true;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || value == 0 || value > UINT16_MAX)
        return false;
    *ret = (uint16_t)value;
    return true;
}

int idm_command_hook(const struct idm_options *options)
{
    static const struct {
        const char *name;
        enum idm_request_kind kind;
    } phases[] = {{"pre-install", IDM_REQ_PRE_INSTALL},
                  {"post-install", IDM_REQ_POST_INSTALL},
                  {"install-failed", IDM_REQ_INSTALL_FAILED},
                  {"commit", IDM_REQ_COMMITTED},
                  {"rollback", IDM_REQ_ROLLBACK}};
    struct idm_target target = {0};
    if (!parse_aware(options->target_aware, &target.kind))
        return misuse(options, "--target-aware", "it is yes, no or unknown");
    if (!parse_format(options->target_format, &target.format))
        return misuse(options, "--target-format", "it is a number, none or unknown");
    if (!copy_word(target.version, sizeof target.version, options->target_version) ||
        !copy_word(target.slot, sizeof target.slot, options->target_slot) ||
        !copy_word(target.id, sizeof target.id, options->install_id))
        return misuse(options, "hook", "a version, slot or id is too long or not printable");
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
        if (strcmp(options->word[1], phases[i].name) == 0)
            return request(options, phases[i].kind, &target, true);
    return misuse(options, "hook",
                  "the phase is pre-install, post-install, install-failed, commit or rollback");
}

/* ---- migrate ---- */

static int show_migration(const struct idm_options *options)
{
    _cleanup_session_ struct idm_session s = {0};
    int rc = idm_session_open(&s, options, false);
    if (rc)
        return rc;
    bool in_use = idm_engine_look(s.engine, NULL) == 0;
    const struct idm_record *r = idm_engine_record(s.engine);
    bool prepared = r && r->state == IDM_S_migrating;
    char cert[2 * IDM_SHA256_SIZE + 1] = "";
    if (prepared)
        idm_hex(r->tpm_cert, IDM_SHA256_SIZE, cert);
    if (options->json)
        idm_say_json(json_pack("{s:b, s:b, s:o}", "prepared", (int)prepared, "in_use", (int)in_use,
                               "cert_sha256", prepared ? json_string(cert) : json_null()));
    else if (prepared)
        (void)printf("prepared: the TPM identity waits for the controller, certificate %s\n", cert);
    else
        (void)puts("nothing is prepared");
    return IDM_EXIT_DONE;
}

int idm_command_migrate(const struct idm_options *options)
{
    const char *step = options->word[1];
    if (strcmp(step, "prepare") == 0)
        return request(options, IDM_REQ_PREPARE, NULL, false);
    if (strcmp(step, "commit") == 0)
        return request(options, IDM_REQ_COMMIT, NULL, false);
    if (strcmp(step, "abort") == 0)
        return request(options, IDM_REQ_ABORT, NULL, false);
    if (strcmp(step, "show") == 0)
        return show_migration(options);
    return misuse(options, "migrate", "the step is prepare, commit, abort or show");
}

/* ---- factory-reset ---- */

/* The installer's word for the first boot of a disk that is mounted below --root. */
static int leave_request(const struct idm_options *options)
{
    _cleanup_session_ struct idm_session s = {0};
    static const char text[] = "factory reset requested\n";
    struct idm_error err = {0};
    int rc = idm_session_open(&s, options, false);
    if (rc)
        return rc;
    const struct idm_backends *be = &s.backends;
    rc = be->file_write(be->self, IDM_F_RESET_REQUESTED, text, sizeof text - 1, &err);
    if (rc)
        return idm_say_error(options, s.command, &err);
    if (options->json)
        idm_say_json(json_pack("{s:b}", "requested", 1));
    else if (!options->quiet)
        (void)puts("factory-reset: it begins at the next boot");
    return IDM_EXIT_DONE;
}

int idm_command_factory_reset(const struct idm_options *options)
{
    if (options->reset && strcmp(options->reset, "rekey") != 0 &&
        strcmp(options->reset, "clear") != 0)
        return misuse(options, "--reset", "it is rekey or clear");
    if (!options->yes)
        return misuse(options, "factory-reset",
                      "it destroys the identity of this device: say --yes");
    if (options->next_boot)
        return leave_request(options);
    return request(options, IDM_REQ_RESET, NULL, false);
}
