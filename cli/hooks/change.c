/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/hooks/hooks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct idm_told nothing = {.mode = "unknown", .state = "none"};

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Printable words only: they become environment variables of other people's programs. */
static bool take_word(char *field, size_t size, const char *text)
{
    for (const char *at = text; *at; at++)
        if (*at < ' ' || *at > '~')
            return false;
    int length = snprintf(field, size, "%s", text);
    return length > 0 && (size_t)length < size;
}

static bool take_reasons(const json_t *list, char *ret_words, size_t size)
{
    size_t used = 0;
    size_t i = 0;
    const json_t *reason = NULL;
    ret_words[0] = 0;
    json_array_foreach((json_t *)list, i, reason)
    {
        char word[64];
        const char *text = json_string_value(reason);
        if (!text || !take_word(word, sizeof word, text))
            return false;
        int length = snprintf(ret_words + used, size - used, "%s%s", used ? " " : "", word);
        if (length < 0 || (size_t)length >= size - used)
            return false;
        used += (size_t)length;
    }
    return json_is_array(list);
}

static bool take_rest(const json_t *object, struct idm_told *told)
{
    const json_t *epoch = json_object_get(object, "epoch");
    told->epoch = json_integer_value(epoch);
    told->held = json_is_true(json_object_get(object, "held"));
    return json_is_integer(epoch) &&
           take_word(told->mode, sizeof told->mode, text_at(object, "mode")) &&
           take_word(told->state, sizeof told->state, text_at(object, "state")) &&
           take_reasons(json_object_get(object, "reasons"), told->reasons, sizeof told->reasons);
}

bool idm_told_of_status(const json_t *status, struct idm_told *ret)
{
    struct idm_told told = {0};
    if (!take_rest(status, &told))
        return false;
    *ret = told;
    return true;
}

void idm_told_parse(const json_t *told, struct idm_told *ret)
{
    if (!idm_told_of_status(told, ret))
        *ret = nothing;
}

json_t *idm_told_json(const struct idm_told *told)
{
    json_t *reasons = json_array();
    char words[IDM_HOOKS_WORDS_MAX];
    char *rest = NULL;
    memcpy(words, told->reasons, sizeof words);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        (void)json_array_append_new(reasons, json_string(word));
    return json_pack("{s:s, s:s, s:I, s:b, s:o}", "mode", told->mode, "state", told->state, "epoch",
                     (json_int_t)told->epoch, "held", (int)told->held, "reasons", reasons);
}

bool idm_told_same(const struct idm_told *a, const struct idm_told *b)
{
    return strcmp(a->mode, b->mode) == 0 && strcmp(a->state, b->state) == 0 &&
           a->epoch == b->epoch && a->held == b->held && strcmp(a->reasons, b->reasons) == 0;
}

/* ---- what the machine saw ---- */

/* The event of the youngest change that led to this state and epoch; the last event of a loop that went
 * well is only that it settled. */
static bool event_of_history(const struct idm_bytes *history, const struct idm_told *now,
                             char *ret_event, size_t size)
{
    bool found = false;
    size_t at = 0;
    while (at < history->size) {
        const uint8_t *end = memchr(history->data + at, '\n', history->size - at);
        size_t length = end ? (size_t)(end - history->data) - at : history->size - at;
        json_t *line = json_loadb((const char *)history->data + at, length, 0, NULL);
        if (strcmp(text_at(line, "kind"), "change") == 0 &&
            strcmp(text_at(line, "to"), now->state) == 0 &&
            json_integer_value(json_object_get(line, "epoch")) == now->epoch)
            found = take_word(ret_event, size, text_at(line, "event"));
        json_decref(line);
        at += length + 1;
    }
    return found;
}

void idm_change_fill(struct idm_change *change, const json_t *status,
                     const struct idm_bytes *history)
{
    const struct idm_told *now = &change->now;
    const struct idm_told *before = &change->before;
    bool moved = now->epoch != before->epoch || strcmp(now->state, before->state) != 0;
    bool known = moved && !now->held && history->data &&
                 event_of_history(history, now, change->event, sizeof change->event);
    if (!known && !take_word(change->event, sizeof change->event, text_at(status, "last_event")))
        change->event[0] = 0;
    if (!take_word(change->cert, sizeof change->cert,
                   text_at(json_object_get(status, "identity"), "cert_sha256")))
        change->cert[0] = 0;
    if (!take_word(change->previous_cert, sizeof change->previous_cert,
                   text_at(json_object_get(status, "last_change"), "previous_cert_sha256")))
        change->previous_cert[0] = 0;
}

/* ---- for the hook ---- */

struct room {
    struct idm_hooks_env *env;
    size_t used, count;
    bool full;
};

static IDM_PRINTF(2, 3) void put(struct room *room, const char *format, ...)
{
    struct idm_hooks_env *env = room->env;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(env->text + room->used, sizeof env->text - room->used, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof env->text - room->used ||
        room->count + 1 == IDM_HOOKS_ENV_MAX) {
        room->full = true;
        return;
    }
    env->list[room->count++] = env->text + room->used;
    room->used += (size_t)length + 1;
}

static void put_told(struct room *room, const char *prefix, const struct idm_told *told)
{
    put(room, "IDMODE_%sMODE=%s", prefix, told->mode);
    put(room, "IDMODE_%sSTATE=%s", prefix, told->state);
    put(room, "IDMODE_%sEPOCH=%lld", prefix, told->epoch);
    put(room, "IDMODE_%sHELD=%s", prefix, told->held ? "yes" : "no");
    put(room, "IDMODE_%sREASONS=%s", prefix, told->reasons);
}

bool idm_change_environment(const struct idm_change *change, const struct idm_options *options,
                            struct idm_hooks_env *ret)
{
    struct room room = {.env = ret};
    *ret = (struct idm_hooks_env){0};
    put(&room, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    put(&room, "LC_ALL=C");
    put_told(&room, "", &change->now);
    put_told(&room, "PREVIOUS_", &change->before);
    put(&room, "IDMODE_EVENT=%s", change->event);
    put(&room, "IDMODE_CERT_SHA256=%s", change->cert);
    put(&room, "IDMODE_PREVIOUS_CERT_SHA256=%s", change->previous_cert);
    /* So that `idmode` in a hook reaches the same device. */
    put(&room, "IDMODE_ROOT=%s", options->root);
    if (options->config)
        put(&room, "IDMODE_CONFIG=%s", options->config);
    if (options->tcti)
        put(&room, "IDMODE_TCTI=%s", options->tcti);
    return !room.full;
}
