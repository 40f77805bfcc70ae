/* SPDX-License-Identifier: BSD-2-Clause */
/* boot.c - boot and hook: what runs without anybody watching. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int idm_command_boot(const struct idm_options *options)
{
    _cleanup_session_ struct idm_session s = {0};
    struct idm_outcome outcome;
    int rc = idm_session_open(&s, options, true);
    if (rc)
        return rc;
    rc = (int)idm_engine_boot(s.engine, &outcome);
    if (idm_session_is_virgin(&s))
        return idm_say_never_set_up(&s);
    idm_say_result(&s, &outcome);
    if (rc == IDM_EXIT_DONE && options->strict && outcome.reasons)
        rc = IDM_EXIT_HELD;
    return rc;
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
        return idm_misuse(options, "--target-aware", "it is yes, no or unknown");
    if (!parse_format(options->target_format, &target.format))
        return idm_misuse(options, "--target-format", "it is a number, none or unknown");
    if (!copy_word(target.version, sizeof target.version, options->target_version) ||
        !copy_word(target.slot, sizeof target.slot, options->target_slot) ||
        !copy_word(target.id, sizeof target.id, options->install_id))
        return idm_misuse(options, "hook", "a version, slot or id is too long or not printable");
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
        if (strcmp(options->word[1], phases[i].name) == 0)
            return idm_run_request(
                options, &(struct idm_ask){.kind = phases[i].kind, .target = &target}, true);
    return idm_misuse(options, "hook",
                      "the phase is pre-install, post-install, install-failed, commit or rollback");
}
