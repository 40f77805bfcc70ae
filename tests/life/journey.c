/* SPDX-License-Identifier: BSD-2-Clause */
/* Playing one step: act, power, look, judge. */
#include "tests/life/journey.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARKER         "/persist/config/tpm_in_use"
#define CONFIG_CERT    "/config/device.cert.pem"
#define CONFIG_KEY     "/config/device.key.pem"
#define REHEARSALS_MAX 400u /* no plan is that long: the cuts would never end */

static int unlike(struct journey *journey, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Keeps the first thing that did not hold: the others follow from it. */
static int unlike(struct journey *journey, const char *format, ...)
{
    va_list arguments;

    if (journey->why[0] != '\0')
        return -1;
    va_start(arguments, format);
    vsnprintf(journey->why, sizeof(journey->why), format, arguments);
    va_end(arguments);
    return -1;
}

static int broken(struct journey *journey)
{
    return unlike(journey, "%s", journey->device.error);
}

/* ---- look -------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *status, const char *name)
{
    const char *text = json_string_value(json_object_get(status, name));

    return text != NULL ? text : "?";
}

static void look_at_reasons(const json_t *status, char *ret_text, size_t size)
{
    size_t at = 0, i;
    json_t *reason;

    ret_text[0] = '\0';
    json_array_foreach(json_object_get(status, "reasons"), i, reason)
    {
        int n =
            snprintf(ret_text + at, size - at, "%s%s", i > 0 ? " " : "", json_string_value(reason));

        if (n < 0 || (size_t)n >= size - at)
            return;
        at += (size_t)n;
    }
}

static int look_at_status(struct journey *journey)
{
    struct journey_look *look = &journey->look;
    json_t *status;

    if (idm_device_status(&journey->device, &status) != 0)
        return broken(journey);
    snprintf(look->state, sizeof(look->state), "%s", text_of(status, "state"));
    snprintf(look->mode, sizeof(look->mode), "%s", text_of(status, "mode"));
    look->held = json_is_true(json_object_get(status, "held"));
    look->epoch = (unsigned)json_integer_value(json_object_get(status, "epoch"));
    look_at_reasons(status, look->reasons, sizeof(look->reasons));
    json_decref(status);
    return 0;
}

static char letter_of(const struct journey *journey, const struct idm_device_identity *identity)
{
    if (!identity->works)
        return '!';
    for (size_t i = 0; i < JOURNEY_IDENTITIES; i++) {
        if (strcmp(journey->known[i].cert, identity->cert_sha256) == 0)
            return (char)('A' + i);
    }
    return '?';
}

struct seen {
    struct idm_device_identity active, legacy;
};

static int look(struct journey *journey, struct seen *ret)
{
    struct idm_device *device = &journey->device;
    struct journey_look *l = &journey->look;
    enum idm_legacy_view view;
    int exit_code = device->exit_code;
    int none;

    *ret = (struct seen){0};
    *l = (struct journey_look){.state = "-", .mode = "software", .active = '-', .legacy = '-'};
    snprintf(l->image, sizeof(l->image), "%c %s", "AB"[device->slot],
             device -> image.aware ? "new" : "old");
    if (device->image.aware && look_at_status(journey) != 0)
        return -1;
    none = idm_device_active(device, &ret->active);
    if (none < 0 || idm_device_legacy(device, &view, &ret->legacy) != 0)
        return broken(journey);
    if (none == 0)
        l->active = letter_of(journey, &ret->active);
    if (view != IDM_LEGACY_VIEW_ABSENT)
        l->legacy = letter_of(journey, &ret->legacy);
    snprintf(l->active_print, sizeof(l->active_print), "%.8s",
             none == 0 ? ret->active.cert_sha256 : "");
    snprintf(l->legacy_print, sizeof(l->legacy_print), "%.8s",
             view != IDM_LEGACY_VIEW_ABSENT ? ret->legacy.cert_sha256 : "");
    l->marker = idm_device_exists(device, MARKER);
    device->exit_code = exit_code;
    return 0;
}

/* ---- judge ------------------------------------------------------------------------------------- */

static int bind(struct journey *journey, char letter, const struct idm_device_identity *identity)
{
    struct journey_identity *slot = &journey->known[letter - 'A'];

    for (size_t i = 0; i < JOURNEY_IDENTITIES; i++) {
        if (strcmp(journey->known[i].spki, identity->spki_sha256) == 0)
            return unlike(journey, "%c is to be a new key, and is that of %c", letter,
                          (char)('A' + i));
    }
    memcpy(slot->cert, identity->cert_sha256, sizeof(slot->cert));
    memcpy(slot->spki, identity->spki_sha256, sizeof(slot->spki));
    return 0;
}

/* *found: the letter seen; it becomes the wanted one where that is bound here. */
static int judge_identity(struct journey *journey, const char *where, char wanted, char *found,
                          const struct idm_device_identity *identity)
{
    if (*found == '?')
        *found = letter_of(journey, identity);
    if (wanted != '-' && *found == '?' && journey->known[wanted - 'A'].cert[0] == '\0') {
        if (bind(journey, wanted, identity) != 0)
            return -1;
        *found = wanted;
    }
    if (*found == wanted)
        return 0;
    if (*found == '!')
        return unlike(journey, "the %s identity is there and does not work", where);
    return unlike(journey, "the %s identity is %c, not %c ('-' none, '?' a stranger)", where,
                  *found, wanted);
}

static int judge_bytes(struct journey *journey, char letter)
{
    struct journey_identity *known = &journey->known[letter - 'A'];
    struct idm_device *device = &journey->device;
    char *cert = NULL, *key = NULL;
    int result = 0;

    if (idm_device_read(device, CONFIG_CERT, &cert, NULL) != 0 ||
        idm_device_read(device, CONFIG_KEY, &key, NULL) != 0) {
        free(cert);
        return broken(journey);
    }
    if (known->cert_pem == NULL) {
        known->cert_pem = cert;
        known->key_pem = key;
        return 0;
    }
    if (strcmp(known->cert_pem, cert) != 0 || strcmp(known->key_pem, key) != 0)
        result = unlike(journey, "the pair is %c, but not byte for byte", letter);
    free(cert);
    free(key);
    return result;
}

static int judge_words(struct journey *journey, const struct journey_step *step)
{
    const struct journey_look *l = &journey->look;
    const char *reasons = step->reasons != NULL ? step->reasons : "";

    if (strcmp(l->state, step->state) != 0)
        return unlike(journey, "the state is %s, not %s", l->state, step->state);
    if (strcmp(l->mode, step->mode) != 0)
        return unlike(journey, "the mode is %s, not %s", l->mode, step->mode);
    if (l->held != (strcmp(step->mode, "unknown") == 0))
        return unlike(journey, "it is %s", l->held ? "held" : "not held");
    if (strcmp(l->reasons, reasons) != 0)
        return unlike(journey, "the reasons are \"%s\", not \"%s\"", l->reasons, reasons);
    if (l->marker != step->marker)
        return unlike(journey, "the marker is %s", l->marker ? "there" : "missing");
    if (step->epoch != 0 && l->epoch != step->epoch)
        return unlike(journey, "the epoch is %u, not %u", l->epoch, step->epoch);
    return 0;
}

static int judge_run(struct journey *journey, const struct journey_step *step)
{
    const struct idm_device *device = &journey->device;

    if (device->image.aware && device->exit_code != step->exit)
        return unlike(journey, "the exit code is %d, not %d: %s", device->exit_code, step->exit,
                      device->said);
    if (step->silent && device->said[0] != '\0')
        return unlike(journey, "it was to say nothing, and said: %s", device->said);
    return 0;
}

static int look_and_judge(struct journey *journey, const struct journey_step *step)
{
    struct seen seen;

    /* The look comes in any case: a row that failed is shown as well. */
    (void)judge_run(journey, step);
    if (look(journey, &seen) != 0 || judge_words(journey, step) != 0 ||
        judge_identity(journey, "active", step->active, &journey->look.active, &seen.active) != 0 ||
        judge_identity(journey, "legacy", step->legacy, &journey->look.legacy, &seen.legacy) != 0)
        return -1;
    if (step->legacy != '-' && judge_bytes(journey, step->legacy) != 0)
        return -1;
    return journey->why[0] == '\0' ? 0 : -1;
}

/* ---- play -------------------------------------------------------------------------------------- */

static int act(struct journey *journey, const struct journey_step *step)
{
    journey->device.exit_code = 0;
    if (step->act != NULL && step->act(journey, step) != 0)
        return broken(journey);
    return 0;
}

static int power(struct journey *journey)
{
    return idm_device_boot(&journey->device) != 0 ? broken(journey) : 0;
}

/* The power fails as often as the row says: first in the act, then in the boots that follow. */
static int act_with_cuts(struct journey *journey, const struct journey_step *step)
{
    struct idm_device *device = &journey->device;

    for (size_t i = 0; i < JOURNEY_CUTS && step->cuts[i] != NULL; i++) {
        idm_device_cut_begin(device, 0, step->cuts[i]);
        if ((i == 0 ? act(journey, step) : power(journey)) != 0)
            return -1;
        if (!device->was_cut)
            return unlike(journey, "there was no action %s to cut after", step->cuts[i]);
        idm_device_cut_end(device);
    }
    return 0;
}

static unsigned stride(const struct journey *journey, const struct journey_step *step)
{
    return journey->stride != 0 ? journey->stride * step->every_cut : step->every_cut;
}

/* A device that has settled writes nothing at a boot but the marker. */
static int boot_idly(struct journey *journey, bool settled)
{
    struct idm_device *device = &journey->device;
    char *before, *after;
    int result = 0;

    if (!settled && power(journey) != 0)
        return -1;
    before = journey_list_files(device);
    if (before == NULL || power(journey) != 0) {
        free(before);
        return broken(journey);
    }
    after = journey_list_files(device);
    if (after == NULL)
        result = broken(journey);
    else if (strcmp(before, after) != 0)
        result = unlike(journey, "an idle boot wrote: before\n%.150safter\n%.150s",
                        journey_first_other_line(before, after),
                        journey_first_other_line(after, before));
    free(before);
    free(after);
    return result;
}

/* One rehearsal, cut after durable step n. 1: nothing was left to cut. */
static int rehearse(struct journey *journey, const struct journey_step *step, unsigned n)
{
    struct idm_device *device = &journey->device;
    bool in_boot = step->boots;
    bool was_cut;

    if (idm_device_thaw(device, "rehearsal") != 0)
        return broken(journey);
    if (in_boot && act(journey, step) != 0)
        return -1;
    device->was_cut = false;
    idm_device_cut_at(device, n);
    if ((in_boot ? power(journey) : act(journey, step)) != 0)
        return -1;
    was_cut = device->was_cut;
    if ((was_cut || step->second_boot) && power(journey) != 0)
        return -1;
    if (was_cut && step->second_boot && power(journey) != 0)
        return -1;
    return was_cut ? 0 : 1;
}

/* The row, or as long as the new has not been seen the row above it. */
static int judge_rehearsal(struct journey *journey, const struct journey_step *step, unsigned n,
                           bool *turned)
{
    const struct journey_step *row = step;

    if (step->may_be_as_above && !*turned) {
        struct seen seen;

        if (look(journey, &seen) != 0)
            return -1;
        *turned =
            strcmp(journey->look.state, step->state) == 0 && journey->look.epoch == step->epoch;
        if (!*turned)
            row = step - 1;
    }
    if (look_and_judge(journey, row) != 0)
        return -1;
    if (journey->idle == 0 || n / stride(journey, step) % journey->idle != 0)
        return 0;
    return boot_idly(journey, step->second_boot);
}

static void forget(struct journey_identity known[JOURNEY_IDENTITIES],
                   const struct journey_identity before[JOURNEY_IDENTITIES])
{
    for (size_t i = 0; i < JOURNEY_IDENTITIES; i++) {
        if (known[i].cert_pem != before[i].cert_pem) {
            free(known[i].cert_pem);
            free(known[i].key_pem);
        }
        known[i] = before[i];
    }
}

static int rehearse_all(struct journey *journey, const struct journey_step *step)
{
    struct journey_identity before[JOURNEY_IDENTITIES];
    struct idm_device *device = &journey->device;
    bool turned = false;
    unsigned n = 0;
    int result = 0;

    memcpy(before, journey->known, sizeof(before));
    if (idm_device_freeze(device, "rehearsal") != 0)
        return broken(journey);
    while (result == 0 && n < REHEARSALS_MAX) {
        forget(journey->known, before);
        n += stride(journey, step);
        result = rehearse(journey, step, n);
        if (result >= 0 && judge_rehearsal(journey, step, n, &turned) != 0)
            result = -1;
    }
    journey->look.cuts = n / stride(journey, step) - 1;
    if (result < 0) {
        char why[JOURNEY_WHY_SIZE];

        memcpy(why, journey->why, sizeof(why));
        snprintf(journey->why, sizeof(journey->why), "cut after durable step %u: %.440s", n, why);
        return -1;
    }
    forget(journey->known, before);
    if (!turned && step->may_be_as_above)
        return unlike(journey, "all was as above, whatever was cut");
    if (n <= stride(journey, step))
        return unlike(journey, "it has no durable step");
    return idm_device_thaw(device, "rehearsal") != 0 ? broken(journey) : 0;
}

bool journey_play(struct journey *journey, const struct journey_step *step)
{
    int result;

    journey->why[0] = '\0';
    if (step->every_cut != 0)
        return rehearse_all(journey, step) == 0;
    result = step->cuts[0] != NULL ? act_with_cuts(journey, step) : act(journey, step);
    if (result == 0 && step->boots)
        result = power(journey);
    return result == 0 && look_and_judge(journey, step) == 0;
}

/* ---- a journey --------------------------------------------------------------------------------- */

int journey_open(struct journey *ret, const struct journey_plan *plan)
{
    *ret = (struct journey){.plan = plan};
    if (idm_device_open(&ret->device, &plan->options) != 0)
        return broken(ret);
    if (plan->other_slot != NULL &&
        idm_device_put_image(&ret->device, 1, true, plan->other_slot) != 0) {
        broken(ret);
        idm_device_close(&ret->device);
        return -1;
    }
    return 0;
}

void journey_close(struct journey *journey)
{
    if (journey == NULL)
        return;
    for (size_t i = 0; i < JOURNEY_IDENTITIES; i++) {
        free(journey->known[i].cert_pem);
        free(journey->known[i].key_pem);
    }
    free(journey->key_file);
    free(journey->own_serial);
    idm_device_close(&journey->device);
    *journey = (struct journey){0};
}
