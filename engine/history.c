/* SPDX-License-Identifier: BSD-2-Clause */
/* history.c - changes, refusals and holds, one JSON object a line, the newest last. Bounded: the
 * oldest lines go. A hold that goes on over many boots is one line, so that waiting wears nothing.
 */
#include "engine/internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HISTORY_MAX (32u * 1024u)

static char *entry(const struct idm_engine *e, const char *kind, enum idm_event event,
                   enum idm_state from, enum idm_state to, enum idm_reason reason)
{
    char when[32] = "";
    struct tm tm;
    time_t now = (time_t)e->platform.now;
    if (gmtime_r(&now, &tm))
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_t *line =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s}", "at", when, "kind", kind, "event",
                  idm_event_name(event), "from", idm_state_name(from), "to", idm_state_name(to),
                  "epoch", (int)e->record.epoch, "reason", idm_reason_word(reason));
    if (line && e->record.origin & IDM_KEY_IMPORTED)
        (void)json_object_set_new(line, "imported", json_true());
    if (line && e->record.origin & IDM_KEY_ADOPTED)
        (void)json_object_set_new(line, "adopted", json_true());
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    return text;
}

/* Is the last line the same but for its time? */
static bool repeats(const struct idm_bytes *history, const char *line)
{
    static const size_t skip = sizeof "{\"at\":\"2026-01-01T00:00:00Z\"" - 1;
    size_t length = strlen(line);
    if (length < skip || history->size < length + 1)
        return false;
    const uint8_t *last = history->data + history->size - length - 1;
    bool whole = last == history->data || last[-1] == '\n';
    return whole && memcmp(last + skip, line + skip, length - skip) == 0;
}

/* Where to begin so that `room` more bytes fit: after a newline. */
static size_t oldest_kept(const struct idm_bytes *history, size_t room)
{
    size_t start = 0;
    while (history->size - start + room > HISTORY_MAX) {
        const uint8_t *end = memchr(history->data + start, '\n', history->size - start);
        if (!end)
            return history->size;
        start = (size_t)(end - history->data) + 1;
    }
    return start;
}

uint32_t idm_history_epoch(struct idm_engine *e)
{
    _cleanup_bytes_ struct idm_bytes history = {0};
    json_int_t highest = 0;
    size_t at = 0;
    if (idm_read(e, IDM_F_HISTORY, &history))
        return 0;
    while (at < history.size) {
        const uint8_t *end = memchr(history.data + at, '\n', history.size - at);
        size_t size = end ? (size_t)(end - history.data) - at : history.size - at;
        json_t *line = json_loadb((const char *)history.data + at, size, 0, NULL);
        json_int_t epoch = json_integer_value(json_object_get(line, "epoch"));
        if (epoch > highest && epoch < INT32_MAX)
            highest = epoch;
        json_decref(line);
        at += size + 1;
    }
    return (uint32_t)highest;
}

void idm_history_add(struct idm_engine *e, const char *kind, enum idm_event event,
                     enum idm_state from, enum idm_state to, enum idm_reason reason)
{
    _cleanup_bytes_ struct idm_bytes history = {0};
    const struct idm_backends *be = e->be;
    struct idm_error failure = {0};
    /* Storage that cannot be believed is not written to. */
    if (e->facts.evidence != IDM_EVIDENCE_READABLE || !e->recorded)
        return;
    int rc = idm_read(e, IDM_F_HISTORY, &history);
    char *line = rc == 0 || rc == IDM_E_ABSENT || rc == IDM_E_CORRUPT
                     ? entry(e, kind, event, from, to, reason)
                     : NULL;
    if (!line || (rc == 0 && repeats(&history, line))) {
        free(line);
        return;
    }
    size_t added = strlen(line) + 1;
    size_t start = history.data ? oldest_kept(&history, added) : 0;
    size_t kept = history.size - start;
    char *text = malloc(kept + added + 1);
    if (text) {
        if (kept)
            memcpy(text, history.data + start, kept);
        memcpy(text + kept, line, added - 1);
        text[kept + added - 1] = '\n';
        if (be->file_write(be->self, IDM_F_HISTORY, text, kept + added, &failure))
            idm_trace(e, "history not written: %s", failure.why);
    }
    free(text);
    free(line);
}
