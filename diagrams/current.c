/* SPDX-License-Identifier: BSD-2-Clause */
/* current.c - where a device is, from its status document. Only words that the table knows are taken
 * from it, so that nothing in a drawing needs escaping.
 */
#include "diagrams/lab.h"

#include "engine/engine.h"

#include <jansson.h>
#include <string.h>

static void free_json(json_t **object)
{
    json_decref(*object);
}
#define _cleanup_json_ __attribute__((cleanup(free_json)))

static int refuse(const char *path, const char *why)
{
    (void)fprintf(stderr,
                  "idmode-lab: %s: %s (give the output of idmode status --json, or "
                  "/run/idmode/status.json)\n",
                  path, why);
    return -1;
}

static bool find_state(const char *word, enum idm_state *ret)
{
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++)
        if (strcmp(idm_state_name(s), word) == 0) {
            *ret = s;
            return true;
        }
    return false;
}

static const char *find_mode(const char *word)
{
    for (enum idm_mode mode = IDM_MODE_UNKNOWN; mode <= IDM_MODE_TPM; mode++)
        if (strcmp(idm_mode_name(mode), word) == 0)
            return idm_mode_name(mode);
    return NULL;
}

static bool find_reasons(const json_t *words, uint64_t *ret)
{
    uint64_t reasons = 0;
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        enum idm_reason r = IDM_R_none + 1;
        while (word && r < IDM_REASON_COUNT && strcmp(idm_reason_word(r), word) != 0)
            r++;
        if (!word || r == IDM_REASON_COUNT)
            return false;
        reasons |= UINT64_C(1) << r;
    }
    *ret = reasons;
    return true;
}

int lab_current_read(struct lab_current *ret, const char *path)
{
    struct lab_current current = {0};
    const char *state = NULL, *mode = NULL;
    const json_t *reasons = NULL;
    int held = 0;
    json_error_t error;
    _cleanup_json_ json_t *status = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!status)
        return refuse(path, error.text);
    if (json_unpack_ex(status, &error, 0, "{s:s, s:s, s:b, s:o}", "state", &state, "mode", &mode,
                       "held", &held, "reasons", &reasons))
        return refuse(path, error.text);
    if (!find_state(state, &current.state))
        return refuse(path, "its state is none that this idmode knows");
    current.mode = find_mode(mode);
    if (!current.mode)
        return refuse(path, "its mode is none that this idmode knows");
    if (!find_reasons(reasons, &current.reasons))
        return refuse(path, "it has a reason that this idmode does not know");
    current.held = held;
    *ret = current;
    return 0;
}

void lab_print_current(FILE *out, const struct lab_current *current)
{
    const char *comma = current->held ? ", held: " : ", reasons: ";
    (void)fprintf(out, "mode %s", current->mode);
    for (enum idm_reason r = IDM_R_none + 1; r < IDM_REASON_COUNT; r++)
        if (current->reasons >> r & 1) {
            (void)fprintf(out, "%s%s", comma, idm_reason_word(r));
            comma = ", ";
        }
}
