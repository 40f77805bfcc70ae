/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/replay_parts.h"

#include <stdlib.h>
#include <string.h>

uint64_t lab_draw(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool is_drawn(const struct lab_replay *r, size_t i, unsigned long at)
{
    for (size_t d = 0; d < r->draws_count; d++)
        if (r->draws[d].step == i && (!at || r->draws[d].at == at))
            return true;
    return false;
}

bool lab_wants_cut(const struct lab_replay *r, size_t i, unsigned long n)
{
    const struct lab_step *step = &r->scenario->steps[i];
    if (!lab_runs_idmode(step->action) || (step->cut != LAB_CUT_NONE && step->cut != LAB_CUT_EVERY))
        return false;
    switch (r->cuts->kind) {
    case LAB_CUTS_AT:
        return i + 1 == r->cuts->step && (!n || n == r->cuts->at[0]);
    case LAB_CUTS_EVERY:
    case LAB_CUTS_PAIRS:
    case LAB_CUTS_TRIPLES:
        return true;
    case LAB_CUTS_RANDOM:
        return step->cut == LAB_CUT_EVERY || is_drawn(r, i, n);
    case LAB_CUTS_AS_WRITTEN:
        break;
    }
    return step->cut == LAB_CUT_EVERY;
}

static int cut_at(struct lab_replay *r, struct lab_timeline *t, size_t i,
                  const struct lab_step *instead, unsigned long n)
{
    const struct lab_cut cut = {.kind = LAB_CUT_AT, .at = n};
    char expected[96], found[96];
    if (lab_act(r, t, i, instead, &cut) < 0)
        return -1;
    if (t->now->moment.result.was_cut)
        return 0;
    (void)snprintf(expected, sizeof expected, "the power fails after durable step %lu", n);
    (void)snprintf(found, sizeof found, "idmode took %lu", t->now->moment.result.durable);
    return lab_fail(r, t, i, "cut", expected, found);
}

/* What comes after a cut that is the `nested`-th in a row: the boot that recovers, and the rest of the life;
 * and, where more cuts are asked for, the same boot cut at each of its durable steps. */
static int go_on(struct lab_replay *r, struct lab_timeline *t, size_t i, unsigned int nested,
                 const struct lab_way *way)
{
    unsigned int wanted = lab_cuts_nested(r->cuts);
    bool one = r->cuts->kind == LAB_CUTS_AT; /* which has just as many as wanted */
    int result = 0;
    if (nested < wanted) {
        struct lab_timeline fork;
        if (lab_fork(r, &fork, t, i) < 0)
            return -1;
        result = lab_act(r, &fork, i, &lab_recovery, NULL);
        unsigned long durable = result < 0 ? 0 : fork.now->moment.result.durable;
        lab_timeline_close(&fork);
        for (unsigned long n = 1; result == 0 && n <= durable; n++) {
            if (one && n != r->cuts->at[nested])
                continue;
            r->place.at[nested] = n;
            if (lab_fork(r, &fork, t, i) < 0)
                return -1;
            result = cut_at(r, &fork, i, &lab_recovery, n);
            if (result == 0)
                result = go_on(r, &fork, i, nested + 1, way);
            lab_timeline_close(&fork);
        }
        r->place.at[nested] = 0;
    }
    if (result == 0 && !(one && nested < wanted))
        result = lab_recover(r, t, i, way);
    if (result == 0 && !(one && nested < wanted))
        result = lab_take_rest(r, t, i + 1, way);
    return result;
}

static int cut_once(struct lab_replay *r, const struct lab_timeline *base, size_t i,
                    unsigned long n, const struct lab_way *way)
{
    struct lab_timeline t;
    r->place = (struct lab_place_now){.fails = true, .step = i, .at = {n}};
    if (lab_fork(r, &t, base, i) < 0)
        return -1;
    int result = cut_at(r, &t, i, NULL, n);
    if (result == 0)
        result = go_on(r, &t, i, 1, way);
    lab_timeline_close(&t);
    r->place = (struct lab_place_now){0};
    return result;
}

int lab_cut_step(struct lab_replay *r, const struct lab_timeline *base, size_t i,
                 unsigned long durable)
{
    bool written = r->scenario->steps[i].cut == LAB_CUT_EVERY;
    const struct lab_way way = {.excused = r->taken_back};
    if (!durable)
        return 0;
    if (!written && lab_measure(r, base, i) < 0)
        return -1;
    for (unsigned long n = 1; n <= durable; n++)
        if (lab_wants_cut(r, i, n) && cut_once(r, base, i, n, written ? &lab_strict : &way) < 0)
            return -1;
    return 0;
}

/* How many durable steps each step takes, uncut; then draws among them. */
int lab_draw_cuts(struct lab_replay *r, const struct lab_timeline *start)
{
    const struct lab_way way = {.noted = r->scratch};
    struct lab_timeline t;
    unsigned long up_to[LAB_STEPS_MAX + 1] = {0};
    uint64_t seed = r->cuts->seed;
    int result = 0;
    r->draws = calloc(r->cuts->count, sizeof *r->draws);
    if (!r->draws)
        return lab_fail(r, NULL, 0, "world", "the world works", "out of memory");
    if (lab_fork(r, &t, start, 0) < 0)
        return -1;
    for (size_t i = 0; i < r->scenario->steps_count && result == 0; i++) {
        const struct lab_step *step = &r->scenario->steps[i];
        result = lab_take_step(r, &t, i, &way);
        up_to[i + 1] = up_to[i];
        if (lab_runs_idmode(step->action) && step->cut == LAB_CUT_NONE)
            up_to[i + 1] += t.now->moment.result.durable;
    }
    lab_timeline_close(&t);
    unsigned long all = up_to[r->scenario->steps_count];
    for (size_t d = 0; result == 0 && all && d < r->cuts->count; d++) {
        unsigned long at = lab_draw(&seed) % all;
        size_t i = 0;
        while (at >= up_to[i + 1])
            i++;
        r->draws[r->draws_count++] = (struct lab_draw){.step = i, .at = at - up_to[i] + 1};
    }
    return result;
}
