/* SPDX-License-Identifier: BSD-2-Clause */
/* verify_fault.c - one step from one place: whole, cut everywhere, each call failing; and what comes of it. */
#include "tests/lab/verify_note.h"
#include "tests/lab/verify_run.h"

#include <stdlib.h>
#include <string.h>

static const struct lab_cut uncut = {.kind = LAB_UNCUT};

/* ---- while a step runs: a copy of the world after each primitive effect ---- */

struct shots {
    struct lab_world *world; /* that is copied */
    struct verify_listener listener;
    struct lab_world **list; /* owned */
    size_t count, room;
};

static struct lab_world *fork_world(struct lab_world *world)
{
    char error[LAB_SENTENCE_SIZE];
    struct lab_world *fork = NULL;
    if (lab_sim_world.fork(&fork, world, error))
        abort();
    return fork;
}

static void shoot(void *self)
{
    struct shots *shots = self;
    if (shots->count == shots->room) {
        shots->room = shots->room ? 2 * shots->room : 64;
        shots->list = reallocarray(shots->list, shots->room, sizeof *shots->list);
        if (!shots->list)
            abort();
    }
    shots->list[shots->count++] = fork_world(shots->world);
    verify_point_met(shots->listener.run, &shots->listener.point, VERIFY_WAS_CUT);
}

static void watch(struct shots *shots, struct verify_run *r, struct lab_world *world)
{
    *shots = (struct shots){.world = world};
    world->sim.watched = shoot;
    world->sim.watched_self = shots;
    verify_listen(&shots->listener, r, world);
}

static void unwatch(struct lab_world *world)
{
    world->sim.watched = NULL;
    verify_deaf(world);
}

static void free_shots(struct shots *shots)
{
    for (size_t i = 0; i < shots->count; i++)
        lab_sim_world.close(shots->list[i]);
    free(shots->list);
}

/* ---- recoveries ---- */

/* A device that goes on from here: what a fault left, before its recovery. */
struct fallen {
    struct verify_place place;
    uint32_t life;
    unsigned int depth;
    unsigned int cuts; /* that may still come */
};

static void cut_everywhere(struct verify_run *r, const struct verify_place *before,
                           struct shots *shots, const struct fallen *how, size_t step);

static void tell_elsewhere(struct verify_run *r, const struct fallen *fallen, uint64_t image)
{
    uint32_t first = (uint32_t)verify_map_at(&r->first, image);
    struct verify_life life = verify_life_of(r, fallen->place.device, first);
    if (r->totals->elsewhere++ >= VERIFY_TOLD)
        return;
    (void)printf("# one image, two places: '");
    verify_life_print(&life, stdout);
    life = verify_life_of(r, fallen->place.device, fallen->life);
    (void)printf("' and '");
    verify_life_print(&life, stdout);
    (void)printf("'\n");
}

/* Boots what is left, in *ret_after. What verify_place_act gives. */
static int boot(struct verify_run *r, const struct fallen *fallen, uint64_t image,
                struct shots *shots, struct verify_place *ret_after)
{
    struct lab_violation violation = {0};
    struct lab_result result;
    verify_place_fork(ret_after, &fallen->place);
    if (shots)
        watch(shots, r, ret_after->world);
    int rc = verify_place_act(ret_after, verify_step_of(r, ret_after->device, VERIFY_BOOT), &uncut,
                              &r->futures, &result, &violation);
    unwatch(ret_after->world);
    uint64_t came_to =
        rc == 1 ? verify_hash(ret_after->world, ret_after->oracle, ret_after->device) : 2;
    r->totals->recoveries++;
    verify_trail_on(r);
    if (rc == 0)
        verify_violated(r, fallen->place.device,
                        verify_live_on(r, fallen->life, (struct verify_event){.step = VERIFY_BOOT}),
                        &violation);
    (void)verify_map_keep(&r->first, image, fallen->life);
    if (verify_map_keep(&r->came_to, image, came_to) != came_to + !came_to)
        tell_elsewhere(r, fallen, image);
    return rc;
}

/* The boot after a fault; while cuts may still come, it is cut as well. */
static void recover(struct verify_run *r, const struct fallen *fallen, uint64_t image)
{
    struct shots shots = {0};
    struct verify_place after;
    int rc = boot(r, fallen, image, fallen->cuts ? &shots : NULL, &after);
    struct fallen next = {.life = fallen->life, .depth = fallen->depth, .cuts = fallen->cuts - 1};
    if (fallen->cuts)
        cut_everywhere(r, &fallen->place, &shots, &next, VERIFY_BOOT);
    free_shots(&shots);
    if (rc == 1)
        verify_enter(r, &after,
                     verify_live_on(r, fallen->life, (struct verify_event){.step = VERIFY_BOOT}),
                     fallen->depth);
    else
        verify_place_close(&after);
}

/* An image that was booted before: is it its turn to be booted all the same? */
static bool its_turn(struct verify_run *r)
{
    return ++r->met_again % r->options->again == 0;
}

/* What a fault left is whole and judged: it is booted, unless the same one was. `turn`: also then. */
static void fall(struct verify_run *r, struct fallen *fallen, const struct verify_event *event,
                 bool turn)
{
    const struct verify_place *place = &fallen->place;
    uint64_t image = verify_hash(place->world, place->oracle, place->device);
    bool new = verify_set_add(&r->images, image);
    if (!verify_set_add(&r->opened, verify_mix(image, fallen->cuts))) {
        struct verify_place after;
        uint32_t life = fallen->life;
        size_t events = r->events_count;
        if (!turn && !its_turn(r)) {
            r->totals->equal++;
            return;
        }
        fallen->life = verify_live_on(r, life, *event);
        r->totals->again++;
        unsigned long told = r->totals->elsewhere + r->totals->violations;
        (void)boot(r, fallen, image, NULL, &after);
        verify_place_close(&after);
        if (told == r->totals->elsewhere + r->totals->violations)
            r->events_count = events;
        return;
    }
    r->totals->again += !new;
    fallen->life = verify_live_on(r, fallen->life, *event);
    recover(r, fallen, image);
}

/* ---- cuts ---- */

/* What the oracle compares the image with, besides what it remembers. */
static uint64_t hash_before(const struct verify_place *before, const struct lab_step *step)
{
    const struct lab_sight *s = before->sight;
    uint64_t hash = (uint64_t)step->action << 8 | (uint64_t)s->trial << 4 |
                    (uint64_t)s->powered << 1 | s->aware;
    hash = verify_mix_bytes(hash, s->legacy_view, strlen(s->legacy_view));
    return verify_mix_bytes(hash, s->legacy_key, strlen(s->legacy_key));
}

/* `before`: as it was when the step began; the power fails in `world`, which is closed. */
static void cut_here(struct verify_run *r, const struct verify_place *before,
                     struct lab_world *world, const struct verify_event *event,
                     struct fallen *fallen)
{
    const struct lab_step *step = verify_step_of(r, before->device, event->step);
    struct lab_violation violation = {0};
    struct lab_result result;
    lab_sim_cut_here(world, event->outcome, &result);
    uint64_t image = verify_hash(world, before->oracle, before->device);
    bool judged =
        !verify_set_add(&r->judged, verify_mix(image ^ hash_before(before, step), fallen->cuts));
    if (judged && !its_turn(r)) {
        r->totals->equal++;
        lab_sim_world.close(world);
        return;
    }
    verify_place_fork_world(&fallen->place, before, world);
    int rc = verify_place_cut(&fallen->place, step, &result, &violation);
    if (rc == 0)
        verify_violated(r, before->device, verify_live_on(r, fallen->life, *event), &violation);
    if (rc == 1)
        fall(r, fallen, event, judged);
    verify_place_close(&fallen->place);
}

static void cut_everywhere(struct verify_run *r, const struct verify_place *before,
                           struct shots *shots, const struct fallen *how, size_t step)
{
    for (size_t i = 0; i < shots->count && !verify_over(r); i++) {
        struct lab_world *shot = shots->list[i];
        uint64_t left_out = 0;
        uint64_t outcomes = idm_sim_outcomes(&shot->sim, &left_out);
        bool first = i == 0 || shots->list[i - 1]->sim.processes != shot->sim.processes;
        r->totals->left_outcomes += left_out;
        for (uint64_t k = 0; k < outcomes; k++) {
            if (!first && !idm_sim_outcome_is_new(&shot->sim, k))
                continue;
            struct fallen fallen = *how;
            struct lab_world *world = fork_world(shot);
            struct verify_event event = {.step = (uint16_t)step,
                                         .kind = VERIFY_CUT,
                                         .at = (uint32_t)i + 1,
                                         .outcome = (uint32_t)k};
            cut_here(r, before, world, &event, &fallen);
        }
    }
}

/* ---- calls that fail ---- */

static void fail_at(struct verify_run *r, const struct verify_waiting *from, size_t step,
                    unsigned int depth, enum verify_kind kind, unsigned long call)
{
    struct fallen fallen = {.life = from->life, .depth = depth};
    struct lab_violation violation = {0};
    struct lab_result result;
    struct verify_event event = {
        .step = (uint16_t)step, .kind = (uint8_t)kind, .at = (uint32_t)call};
    const struct lab_cut cut = verify_cut_of(&event);
    verify_place_fork(&fallen.place, &from->place);
    int rc = verify_place_act(&fallen.place, verify_step_of(r, from->place.device, step), &cut,
                              &r->futures, &result, &violation);
    if (rc == 0)
        verify_violated(r, from->place.device, verify_live_on(r, from->life, event), &violation);
    if (rc == 1)
        fall(r, &fallen, &event, false);
    verify_place_close(&fallen.place);
}

/* Each call at the first depth, and where no depth is counted; else those of one remainder, which depends on
 * the place. */
static void fail_calls(struct verify_run *r, const struct verify_waiting *from, size_t step,
                       unsigned int depth, unsigned long calls)
{
    bool each = from->depth == 0 || from->depth == VERIFY_BELOW;
    unsigned int stride = each ? 1 : r->options->stride;
    unsigned long tried = 0;
    for (unsigned long call = 1 + (from->life + step) % stride; call <= calls && !verify_over(r);
         call += stride) {
        fail_at(r, from, step, depth, VERIFY_FAILS, call);
        fail_at(r, from, step, depth, VERIFY_FAILS_ON, call);
        tried++;
    }
    r->totals->left_calls += 2 * (calls - tried);
}

/* ---- one step from one place ---- */

void verify_take_step(struct verify_run *r, const struct verify_waiting *from, size_t step)
{
    struct lab_violation violation = {0};
    struct lab_result result;
    struct shots shots = {0};
    struct verify_place after;
    unsigned int depth = from->depth + (step != VERIFY_BOOT);
    verify_place_fork(&after, &from->place);
    watch(&shots, r, after.world);
    int rc = verify_place_act(&after, verify_step_of(r, from->place.device, step), &uncut,
                              &r->futures, &result, &violation);
    unwatch(after.world);
    r->totals->runs++;
    uint32_t life = verify_live_on(r, from->life, (struct verify_event){.step = (uint16_t)step});
    if (rc == 0)
        verify_violated(r, from->place.device, life, &violation);
    if (rc == 1)
        verify_enter(r, &after, life, depth);
    else
        verify_place_close(&after);
    if (rc >= 0) {
        struct fallen how = {.life = from->life,
                             .depth = depth,
                             .cuts = from->depth == VERIFY_BELOW ? 0 : r->options->cuts - 1};
        cut_everywhere(r, &from->place, &shots, &how, step);
        fail_calls(r, from, step, depth, result.calls);
    }
    free_shots(&shots);
}
