/* SPDX-License-Identifier: BSD-2-Clause */
/* verify_life.c - a life in two forms: one line to repeat it, a scenario to read it. */
#include "tests/lab/sim_parts.h"
#include "tests/lab/verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- one line ---- */

void verify_life_print(const struct verify_life *life, FILE *to)
{
    (void)fprintf(to, "%zu:", life->device);
    for (size_t i = 0; i < life->count; i++) {
        const struct verify_event *e = &life->events[i];
        (void)fprintf(to, "%s%u", i ? "," : "", e->step);
        if (e->kind == VERIFY_CUT)
            (void)fprintf(to, "@%" PRIu32 ".%" PRIu32, e->at, e->outcome);
        else if (e->kind != VERIFY_WHOLE)
            (void)fprintf(to, "%s%" PRIu32, e->kind == VERIFY_FAILS ? "!" : "!!", e->at);
    }
}

static bool number(const char **at, unsigned long most, unsigned long *ret)
{
    size_t digits = strspn(*at, "0123456789");
    if (!digits || digits > 9)
        return false;
    *ret = strtoul(*at, NULL, 10);
    *at += digits;
    return *ret <= most;
}

static bool parse_event(const struct verify_alphabet *alphabet, const char **at,
                        struct verify_event *ret)
{
    unsigned long step = 0, where = 0, outcome = 0;
    enum verify_kind kind = VERIFY_WHOLE;
    if (!number(at, alphabet->step_count - 1, &step))
        return false;
    size_t marks = strspn(*at, "!");
    if (**at == '@') {
        kind = VERIFY_CUT;
        ++*at;
        if (!number(at, UINT32_MAX, &where) || *(*at)++ != '.' || !number(at, UINT32_MAX, &outcome))
            return false;
    } else if (marks == 1 || marks == 2) {
        kind = marks == 1 ? VERIFY_FAILS : VERIFY_FAILS_ON;
        *at += marks;
        if (!number(at, UINT32_MAX, &where))
            return false;
    }
    *ret = (struct verify_event){.step = (uint16_t)step,
                                 .kind = (uint8_t)kind,
                                 .at = (uint32_t)where,
                                 .outcome = (uint32_t)outcome};
    return true;
}

bool verify_life_parse(const struct verify_alphabet *alphabet, const char *text,
                       struct verify_life *ret)
{
    struct verify_life life = {0};
    unsigned long device = 0;
    if (!number(&text, alphabet->device_count - 1, &device) || *text++ != ':')
        return false;
    life.device = device;
    do {
        if (life.count == VERIFY_LIFE_MAX ||
            !parse_event(alphabet, &text, &life.events[life.count++]))
            return false;
    } while (*text == ',' && *++text);
    if (*text)
        return false;
    *ret = life;
    return true;
}

/* ---- a scenario ---- */

void verify_life_scenario(const struct verify_life *life, FILE *to)
{
    (void)fprintf(to, "name: found by verify\nsource: docs/fault-model.md\ndevice: %s\nsteps:\n",
                  verify_device_line(life->device));
    for (size_t i = 0; i < life->count; i++) {
        const struct verify_event *e = &life->events[i];
        (void)fprintf(to, "  - %s", verify_step_line(e->step));
        if (e->kind == VERIFY_CUT)
            (void)fprintf(
                to, "    # the power fails after primitive effect %" PRIu32 ", outcome %" PRIu32,
                e->at, e->outcome);
        else if (e->kind != VERIFY_WHOLE)
            (void)fprintf(to, "    # backend call %" PRIu32 " fails%s", e->at,
                          e->kind == VERIFY_FAILS ? "" : ", and all after it");
        (void)fputc('\n', to);
    }
}

/* ---- living it ---- */

struct lab_cut verify_cut_of(const struct verify_event *event)
{
    struct lab_cut cut = {.at = event->at, .outcome = event->outcome};
    switch ((enum verify_kind)event->kind) {
    case VERIFY_WHOLE:
        cut.kind = LAB_UNCUT;
        break;
    case VERIFY_CUT:
        cut.kind = LAB_CUT_EFFECT;
        break;
    case VERIFY_FAILS:
        cut.kind = LAB_CALL_FAILS;
        break;
    case VERIFY_FAILS_ON:
        cut.kind = LAB_CALLS_FAIL_ON;
        break;
    }
    return cut;
}

static void trace_line(void *self, const char *line)
{
    (void)fprintf(self, "        %s\n", line);
}

int verify_life_run(const struct verify_alphabet *alphabet, const struct verify_life *life,
                    FILE *trace_to, struct lab_violation *ret)
{
    char error[LAB_SENTENCE_SIZE] = "";
    struct verify_place place;
    int rc = verify_place_open(&place, alphabet, life->device, error) ? -1 : 1;
    for (size_t i = 0; rc == 1 && i < life->count; i++) {
        const struct verify_event *e = &life->events[i];
        struct lab_cut cut = verify_cut_of(e);
        struct lab_result result = {0};
        *ret = (struct lab_violation){0};
        if (trace_to) {
            (void)fprintf(trace_to, "    %s\n", verify_step_line(e->step));
            place.world->sim.traced = trace_line;
            place.world->sim.traced_self = trace_to;
        }
        rc = verify_place_act(&place, &alphabet->devices[life->device].steps[e->step], &cut, NULL,
                              &result, ret);
        if (rc == 0 && i + 1 < life->count)
            rc = -1;
        if (rc == 1 && cut.kind != LAB_UNCUT && !result.was_cut)
            rc = -1; /* it has fewer effects, or calls */
        if (trace_to && rc == -1)
            (void)fprintf(trace_to, "    the world ends: %s\n", result.error);
    }
    verify_place_close(&place);
    return rc == 0 ? (int)ret->invariant : rc == 1 ? 0 : -1;
}

void verify_life_shorten(const struct verify_alphabet *alphabet, struct verify_life *life,
                         unsigned int invariant)
{
    for (size_t i = 0; i + 1 < life->count;) {
        struct lab_violation violation;
        struct verify_life shorter = *life;
        memmove(&shorter.events[i], &shorter.events[i + 1],
                (shorter.count - i - 1) * sizeof *shorter.events);
        shorter.count--;
        if (verify_life_run(alphabet, &shorter, NULL, &violation) == (int)invariant) {
            *life = shorter;
            i = 0;
        } else {
            i++;
        }
    }
}
