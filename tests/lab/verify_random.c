/* SPDX-License-Identifier: BSD-2-Clause */
/* verify_random.c - lives that nobody planned: steps, cuts and failing calls, drawn from a seed. */
#include "tests/lab/verify_run.h"

#include <stdlib.h>

#define LIFE_STEPS  12u
#define EFFECTS_MAX 60u /* drawn; a step with fewer stays whole */
#define CALLS_MAX   250u

/* splitmix64 (Steele, Lea, Flood 2014, figure 16): the same draws everywhere. */
static uint32_t draw(uint64_t *seed, size_t below)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) % below);
}

static struct verify_event draw_event(uint64_t *seed, size_t steps)
{
    struct verify_event event = {.step = draw(seed, 3) ? (uint16_t)draw(seed, steps) : VERIFY_BOOT,
                                 .kind = VERIFY_WHOLE};
    if (draw(seed, 2))
        return event;
    event.kind = (uint8_t)(VERIFY_CUT + draw(seed, 3));
    event.at = 1 + draw(seed, event.kind == VERIFY_CUT ? EFFECTS_MAX : CALLS_MAX);
    event.outcome = event.kind == VERIFY_CUT ? draw(seed, 8) : 0;
    return event;
}

/* What may go wrong with it did not happen: it has not so many effects, or calls. */
static struct verify_event whole(struct verify_event event)
{
    return (struct verify_event){.step = event.step, .kind = VERIFY_WHOLE};
}

/* The step met a plan step that no run met before: everything that may go wrong in it is tried from there. */
static void explore(struct verify_run *r, const struct verify_place *before, size_t step,
                    uint32_t life)
{
    const struct verify_waiting from = {.place = *before, .life = life, .depth = VERIFY_BELOW};
    verify_take_step(r, &from, step);
}

/* One event, and the boot after it when it went wrong. 1: the life goes on. */
static int live(struct verify_run *r, struct verify_place *place, struct verify_event event,
                uint32_t *life)
{
    struct lab_violation violation = {0};
    struct lab_result result = {0};
    struct verify_listener listener;
    struct verify_place before;
    struct lab_cut cut = verify_cut_of(&event);
    unsigned long points = r->points;
    uint32_t life_before = *life;
    verify_place_fork(&before, place);
    if (event.kind == VERIFY_WHOLE) /* what a fault shows is met again, and tried then */
        verify_listen(&listener, r, place->world);
    int rc = verify_place_act(place, verify_step_of(r, place->device, event.step), &cut,
                              &r->futures, &result, &violation);
    verify_deaf(place->world);
    *life = verify_live_on(r, *life, result.was_cut ? event : whole(event));
    if (rc == 0)
        verify_violated(r, place->device, *life, &violation);
    if (r->points != points && !result.was_cut)
        explore(r, &before, event.step, life_before);
    verify_place_close(&before);
    if (rc != 1 || !result.was_cut)
        return rc;
    uint64_t image = verify_hash(place->world, place->oracle, place->device);
    rc = live(r, place, (struct verify_event){.step = VERIFY_BOOT}, life);
    if (rc < 0)
        return rc;
    r->totals->again += !verify_set_add(&r->images, image);
    r->totals->recoveries++;
    verify_trail_on(r);
    return rc;
}

/* The draws are the same whatever the jobs: each lives the lives of its own devices. */
void verify_live_random(struct verify_run *r, unsigned long number)
{
    uint64_t seed = r->options->seed * UINT64_C(0x2545f4914f6cdd1d) + number;
    uint32_t device = draw(&seed, r->alphabet->device_count);
    struct verify_place place;
    uint32_t life = 0;
    char error[LAB_SENTENCE_SIZE];
    if (device % r->options->jobs != r->options->job)
        return;
    if (verify_place_open(&place, r->alphabet, device, error))
        abort();
    size_t events = r->events_count;
    unsigned long kept = r->totals->violations + r->points;
    int rc = live(r, &place, (struct verify_event){.step = VERIFY_BOOT}, &life);
    for (unsigned int i = 0; rc == 1 && i < LIFE_STEPS; i++)
        rc = live(r, &place, draw_event(&seed, r->alphabet->step_count), &life);
    if (r->totals->violations + r->points == kept)
        r->events_count = events; /* nobody asks for them any more */
    r->totals->lives++;
    verify_place_close(&place);
}
