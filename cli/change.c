/* SPDX-License-Identifier: BSD-2-Clause */
/* change.c - migrate, factory-reset, hold: what somebody decides. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

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
    static const struct {
        const char *step;
        enum idm_request_kind kind;
    } steps[] = {
        {"prepare", IDM_REQ_PREPARE}, {"commit", IDM_REQ_COMMIT}, {"abort", IDM_REQ_ABORT}};
    if (strcmp(options->word[1], "show") == 0)
        return show_migration(options);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (strcmp(options->word[1], steps[i].step) == 0)
            return idm_run_request(options, &(struct idm_ask){.kind = steps[i].kind}, false);
    return idm_misuse(options, "migrate", "the step is prepare, commit, abort or show");
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
        (void)puts(
            "factory-reset: it begins with the next run of idmode on this disk (boot, a hook, "
            "idmode-watch)");
    return IDM_EXIT_DONE;
}

int idm_command_factory_reset(const struct idm_options *options)
{
    if (options->reset && strcmp(options->reset, "rekey") != 0 &&
        strcmp(options->reset, "clear") != 0)
        return idm_misuse(options, "--reset", "it is rekey or clear");
    if (!options->yes)
        return idm_misuse(options, "factory-reset",
                          "it destroys the identity of this device: say --yes");
    if (options->next_boot && (options->reset || options->without_tpm))
        return idm_misuse(
            options, "--next-boot",
            "it goes without --reset and --without-tpm: set reset in the configuration");
    if (options->next_boot)
        return leave_request(options);
    struct idm_ask ask = {.kind = IDM_REQ_RESET, .without_tpm = options->without_tpm != NULL};
    return idm_run_request(options, &ask, false);
}

/* ---- hold ---- */

/* What leads out of a hold, by an operator's word; waiting for the cause to go is always one way. */
static const char *way_out(enum idm_reason reason, enum idm_state state)
{
    switch ((int)reason) {
    case IDM_R_tpm_absent:
    case IDM_R_tpm_failed:
    case IDM_R_tpm_cleared:
    case IDM_R_tpm_replaced:
    case IDM_R_tpm_key_lost:
    case IDM_R_tpm_owned:
    case IDM_R_tpm_volatile:
        return state == IDM_S_tpm_dual ? "retry, legacy" : "retry";
    case IDM_R_rolled_back:
    case IDM_R_witness_lost:
        return "retry, accept-epoch";
    case IDM_R_cloned:
        return "retry, new-identity";
    case IDM_R_record_corrupt:
        return state == IDM_S_none ? "retry, reuse, new-identity" : "retry";
    default:
        return "retry";
    }
}

static enum idm_reason reason_of(const char *word)
{
    for (unsigned int i = 1; word && i < IDM_REASON_COUNT; i++)
        if (strcmp(word, idm_reason_word((enum idm_reason)i)) == 0)
            return (enum idm_reason)i;
    return IDM_R_none;
}

static enum idm_state state_of(const char *word)
{
    for (unsigned int i = 0; word && i < IDM_STATE_COUNT; i++)
        if (strcmp(word, idm_state_name((enum idm_state)i)) == 0)
            return (enum idm_state)i;
    return IDM_S_none;
}

struct hold {
    enum idm_reason reason; /* IDM_R_none: not held */
    enum idm_state state;
};

/* ABSENT: nobody decided in this boot; what another boot left below --root is not this one's word. */
static int published_hold(const struct idm_session *s, struct hold *ret, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes text = {0};
    struct idm_platform now = {0};
    const struct idm_backends *be = &s->backends;
    int rc = be->file_read(be->self, IDM_F_RUN_STATUS, &text, err);
    if (rc == 0)
        rc = be->platform(be->self, &now, err);
    if (rc)
        return rc;
    json_t *doc = json_loadb((const char *)text.data, text.size, 0, NULL);
    const char *boot = json_string_value(json_object_get(doc, "boot_id"));
    bool current = boot && strcmp(boot, now.boot_id) == 0;
    if (current)
        *ret =
            (struct hold){.reason = reason_of(json_string_value(json_object_get(doc, "held_for"))),
                          .state = state_of(json_string_value(json_object_get(doc, "state")))};
    /* Of another program's version, which says that it is held and not, in our words, why. */
    if (current && json_is_true(json_object_get(doc, "held")) && ret->reason == IDM_R_none)
        current = false;
    json_decref(doc);
    return current ? 0 : IDM_E_ABSENT;
}

/* A boot may come to a hold only after other steps, so what this boot published is asked first; where it
 * published nothing, the step that it would begin with. Nothing is changed. */
static int look_for_hold(const struct idm_session *s, struct hold *ret, struct idm_error *err)
{
    int rc = published_hold(s, ret, err);
    if (rc != IDM_E_ABSENT)
        return rc;
    struct idm_verdict v = idm_engine_examine(s->engine);
    const struct idm_facts *f = idm_engine_facts(s->engine);
    *ret = (struct hold){.state = f->state};
    if (v.cell.kind == IDM_CELL_HOLD)
        ret->reason = idm_reason_resolve(v.cell.reason, f);
    return 0;
}

static int show_hold(const struct idm_options *options)
{
    _cleanup_session_ struct idm_session s = {0};
    struct idm_error err = {0};
    struct hold hold = {0};
    int rc = idm_session_open(&s, options, true);
    if (rc)
        return rc;
    if (look_for_hold(&s, &hold, &err))
        return idm_say_error(options, s.command, &err);
    bool held = hold.reason != IDM_R_none;
    const char *ways = held ? way_out(hold.reason, hold.state) : "";
    if (options->json)
        idm_say_json(json_pack("{s:b, s:s, s:s, s:s, s:s}", "held", (int)held, "reason",
                               idm_reason_word(hold.reason), "sentence",
                               idm_reason_sentence(hold.reason), "do", idm_reason_todo(hold.reason),
                               "to", ways));
    else if (!held)
        (void)puts("not held");
    else
        (void)printf("held: %s: %s (%s)\nidmode hold clear --reason %s --to WAY --yes, WAY: %s\n",
                     idm_reason_word(hold.reason), idm_reason_sentence(hold.reason),
                     idm_reason_todo(hold.reason), idm_reason_word(hold.reason), ways);
    return IDM_EXIT_DONE;
}

static int clear_hold(const struct idm_options *options)
{
    static const struct {
        const char *to;
        enum idm_request_kind kind;
    } ways[] = {{"retry", IDM_REQ_RELEASE_RETRY},
                {"legacy", IDM_REQ_RELEASE_LEGACY},
                {"accept-epoch", IDM_REQ_RELEASE_EPOCH},
                {"new-identity", IDM_REQ_RELEASE_NEW},
                {"reuse", IDM_REQ_RELEASE_REUSE}};
    struct idm_ask ask = {.named = reason_of(options->reason)};
    if (ask.named == IDM_R_none)
        return idm_misuse(options, "--reason", "name the reason that idmode hold show prints");
    if (!options->yes)
        return idm_misuse(options, "hold clear", "it is an operator's decision: say --yes");
    for (size_t i = 0; options->to && i < sizeof ways / sizeof *ways; i++) {
        if (strcmp(options->to, ways[i].to) != 0)
            continue;
        ask.kind = ways[i].kind;
        return idm_run_request(options, &ask, false);
    }
    return idm_misuse(options, "--to", "it is retry, reuse, legacy, accept-epoch or new-identity");
}

int idm_command_hold(const struct idm_options *options)
{
    if (strcmp(options->word[1], "show") == 0)
        return show_hold(options);
    if (strcmp(options->word[1], "clear") == 0)
        return clear_hold(options);
    return idm_misuse(options, "hold", "the step is show or clear");
}
