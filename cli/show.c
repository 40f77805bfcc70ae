/* SPDX-License-Identifier: BSD-2-Clause */
/* show.c - status and history: what was published and kept. No TPM is asked, no lock is taken. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One file of the device, without the lock: it is replaced as a whole. *ret_read: the code of reading it,
 * whose words are in `err`. */
static int read_file(const struct idm_options *options, enum idm_file file, struct idm_bytes *ret,
                     int *ret_read, struct idm_error *err)
{
    const struct idm_reach *reach = options->reach;
    struct idm_settings settings;
    struct idm_backends backends = {0};
    int rc = reach->read_settings(reach->self, options, NULL, &settings, err);
    if (rc)
        return idm_say_error(options, options->word[0], err);
    if (reach->open_backends(reach->self, options, &settings, &backends, err))
        return idm_say_error(options, options->word[0], err);
    *ret_read = backends.file_read(backends.self, file, ret, err);
    reach->close_backends(reach->self, &backends);
    return 0;
}

/* ---- status ---- */

static const char *text_at(const json_t *doc, const char *part, const char *key)
{
    const json_t *object = part ? json_object_get(doc, part) : doc;
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

static void print_identity(const json_t *doc)
{
    if (json_is_object(json_object_get(doc, "identity"))) {
        (void)printf("  identity     %s\n", text_at(doc, "identity", "subject"));
        (void)printf("    certificate %s\n", text_at(doc, "identity", "cert_sha256"));
        bool imported = json_is_true(json_object_get(json_object_get(doc, "identity"), "imported"));
        (void)printf("    key         %s%s\n", text_at(doc, "identity", "spki_sha256"),
                     imported ? " (imported: made outside of the TPM)" : "");
        (void)printf("    valid       %s to %s\n", text_at(doc, "identity", "not_before"),
                     text_at(doc, "identity", "not_after"));
    }
    (void)printf("  legacy key   %s\n", text_at(doc, "legacy", "storage"));
    (void)printf("  TPM          %s\n", text_at(doc, "tpm", "status"));
}

static void print_text(const json_t *doc)
{
    const json_t *reasons = json_object_get(doc, "reasons");
    size_t i = 0;
    const json_t *word = NULL;
    (void)printf("mode %s, state %s%s, epoch %lld\n", text_at(doc, NULL, "mode"),
                 text_at(doc, NULL, "state"),
                 json_is_true(json_object_get(doc, "held")) ? ", held" : "",
                 (long long)json_integer_value(json_object_get(doc, "epoch")));
    print_identity(doc);
    (void)printf("  image        %s in slot %s, trial %s, other slot aware: %s\n",
                 text_at(doc, "image", "version"), text_at(doc, "image", "slot"),
                 text_at(doc, "image", "trial"), text_at(doc, "image", "other_aware"));
    (void)printf("  last event   %s at %s\n", text_at(doc, NULL, "last_event"),
                 text_at(doc, NULL, "updated_at"));
    json_array_foreach((json_t *)reasons, i, word)
    {
        for (unsigned int r = 1; r < IDM_REASON_COUNT; r++)
            if (strcmp(idm_reason_word((enum idm_reason)r), json_string_value(word)) == 0)
                (void)printf("  %s: %s (%s)\n", idm_reason_word((enum idm_reason)r),
                             idm_reason_sentence((enum idm_reason)r),
                             idm_reason_todo((enum idm_reason)r));
    }
    if (json_is_object(json_object_get(doc, "error")))
        (void)printf("  error        %s: %s\n", text_at(doc, "error", "what"),
                     text_at(doc, "error", "why"));
}

static int status_exit(const json_t *doc, bool strict)
{
    const char *mode = text_at(doc, NULL, "mode");
    bool in_use = strcmp(mode, "software") == 0 || strcmp(mode, "tpm") == 0;
    if (!in_use)
        return IDM_EXIT_HELD;
    bool healthy = json_is_true(json_object_get(doc, "healthy"));
    return strict && !healthy ? IDM_EXIT_HELD : IDM_EXIT_DONE;
}

enum format { TEXT, JSON, EVE, PROMETHEUS, FORMATS };
static const char *const formats[FORMATS] = {"text", "json", "eve", "prometheus"};

static int choose_format(const struct idm_options *options, enum format *ret, struct idm_error *err)
{
    const char *name = options->format ? options->format : (options->json ? "json" : "text");
    for (unsigned int i = 0; i < FORMATS; i++)
        if (strcmp(formats[i], name) == 0)
            *ret = options->json && i == TEXT ? JSON : (enum format)i;
    if (*ret == FORMATS)
        return idm_fail(err, IDM_E_USAGE, "--format", "it is text, json, eve or prometheus");
    if (*ret == PROMETHEUS && options->json)
        return idm_fail(err, IDM_E_USAGE, "--format", "prometheus is no JSON");
    if (*ret != PROMETHEUS && options->out)
        return idm_fail(err, IDM_E_USAGE, "--out", "it goes with --format prometheus");
    return 0;
}

static void print_status(const json_t *doc, enum format format)
{
    if (format == EVE) /* the field names of EVE's device info message */
        idm_say_json(json_pack("{s:s, s:s}", "HSMStatus", text_at(doc, NULL, "hsm_status"),
                               "HSMInfo", text_at(doc, NULL, "hsm_info")));
    else if (format == JSON)
        idm_say_json(json_incref((json_t *)doc));
    else
        print_text(doc);
}

int idm_command_status(const struct idm_options *options)
{
    _cleanup_bytes_ struct idm_bytes text = {0};
    struct idm_error err = {0};
    enum format format = FORMATS;
    int found = 0;
    if (choose_format(options, &format, &err))
        return idm_say_error(options, "status", &err);
    int rc = read_file(options, IDM_F_RUN_STATUS, &text, &found, &err);
    if (rc)
        return rc;
    json_t *doc = found ? NULL : json_loadb((const char *)text.data, text.size, 0, NULL);
    rc = doc ? status_exit(doc, options->strict) : IDM_EXIT_HELD;
    /* "Nobody decided" is a figure too. */
    if (format == PROMETHEUS && idm_say_metrics(options, doc, &err))
        rc = idm_say_error(options, "status", &err);
    if (!doc && format != PROMETHEUS) {
        (void)idm_fail(&err, IDM_E_HELD, "status", "idmode boot has not run in this boot");
        (void)idm_advise(&err, "run idmode boot");
        return idm_say_error(options, "status", &err);
    }
    if (format != PROMETHEUS)
        print_status(doc, format);
    json_decref(doc);
    return rc;
}

/* ---- history ---- */

static void print_line(const json_t *line)
{
    const char *reason = text_at(line, NULL, "reason");
    const char *origin = json_is_true(json_object_get(line, "imported"))  ? ", imported key"
                         : json_is_true(json_object_get(line, "adopted")) ? ", adopted key"
                                                                          : "";
    (void)printf("%s  %-8s epoch %-3lld %-10s → %-10s %s%s%s%s\n", text_at(line, NULL, "at"),
                 text_at(line, NULL, "kind"),
                 (long long)json_integer_value(json_object_get(line, "epoch")),
                 text_at(line, NULL, "from"), text_at(line, NULL, "to"),
                 text_at(line, NULL, "event"), *reason ? ", " : "", reason, origin);
}

/* The whole history as a JSON array, the oldest first; lines that a cut tore are left out. */
static json_t *parse_history(const struct idm_bytes *text)
{
    json_t *list = json_array();
    const char *at = (const char *)text->data;
    size_t left = text->size;
    while (left) {
        const char *end = memchr(at, '\n', left);
        size_t length = end ? (size_t)(end - at) : left;
        json_t *line = json_loadb(at, length, 0, NULL);
        if (line)
            (void)json_array_append_new(list, line);
        at += length + (end ? 1 : 0);
        left -= length + (end ? 1 : 0);
    }
    return list;
}

int idm_command_history(const struct idm_options *options)
{
    _cleanup_bytes_ struct idm_bytes text = {0};
    struct idm_error err = {0};
    int found = 0;
    int rc = read_file(options, IDM_F_HISTORY, &text, &found, &err);
    if (rc)
        return rc;
    if (found && found != IDM_E_ABSENT)
        return idm_say_error(options, "history", &err);
    json_t *list = found ? json_array() : parse_history(&text);
    size_t count = json_array_size(list);
    if (options->lines >= 0)
        while (count > (size_t)options->lines && json_array_remove(list, 0) == 0)
            count--;
    if (options->json) {
        idm_say_json(json_pack("{s:o}", "history", list));
        return IDM_EXIT_DONE;
    }
    for (size_t i = 0; i < count; i++)
        print_line(json_array_get(list, i));
    json_decref(list);
    return IDM_EXIT_DONE;
}
