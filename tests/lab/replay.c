/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/replay.h"
#include "tests/lab/timeline.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct draw {
    size_t step;
    unsigned long at;
};

/* Where the power fails in the replay that goes on now; for the command that repeats it. */
struct place {
    enum { NOWHERE, BEFORE, DURABLE, AFTER } where;
    size_t step;
    unsigned long first, second;
};

struct replay {
    const struct lab_world_ops *ops;
    const struct lab_scenario *scenario;
    const struct lab_cuts *cuts;
    struct lab_run *run;
    struct place place;
    lab_claims *taken_back; /* of each step, while one step is cut: see replay.h */
    lab_claims *scratch;    /* the same, where nobody asks */
    struct draw *draws;     /* --cut random */
    size_t draws_count;
    struct lab_seen *shown; /* what the run's moments will be */
};

/* How expectations count: all of them; those not taken back; or none, but noted. */
struct way {
    const lab_claims *excused;
    lab_claims *noted;
};
static const struct way strict = {0};

/* ---- failures ---- */

static void print_place(const struct place *place, char *ret, size_t size)
{
    static const char *const words[] = {[BEFORE] = "before", [AFTER] = "after", [DURABLE] = ""};
    size_t step = place->step + 1;
    *ret = 0;
    if (place->where == BEFORE || place->where == AFTER)
        (void)snprintf(ret, size, " --cut at:%zu:%s", step, words[place->where]);
    else if (place->second)
        (void)snprintf(ret, size, " --cut at:%zu:%lu:%lu", step, place->first, place->second);
    else if (place->where == DURABLE)
        (void)snprintf(ret, size, " --cut at:%zu:%lu", step, place->first);
}

static void print_again(const struct replay *r, char *ret, size_t size)
{
    const char *file = r->scenario->file;
    char cut[96];
    bool plain = *file != '-';
    for (const char *c = file; *c; c++)
        plain = plain && (isalnum((unsigned char)*c) || strchr("/._-+", *c));
    print_place(&r->place, cut, sizeof cut);
    (void)snprintf(ret, size, "idmode-lab replay --world %s%s %s%s%s", r->ops->name, cut,
                   plain ? "" : "-- '", file, plain ? "" : "'");
}

/* Always -1. */
static int fail(struct replay *r, const struct lab_timeline *t, size_t step, const char *what,
                const char *expected, const char *found)
{
    struct lab_failure *failure = &r->run->failure;
    bool within = step < r->scenario->steps_count;
    *failure =
        (struct lab_failure){.step = step, .line = within ? r->scenario->steps[step].line : 0};
    (void)snprintf(failure->what, sizeof failure->what, "%s", what);
    (void)snprintf(failure->expected, sizeof failure->expected, "%s", expected);
    (void)snprintf(failure->found, sizeof failure->found, "%s", found);
    print_again(r, failure->again, sizeof failure->again);
    r->run->verdict = LAB_FAIL;
    lab_seen_release(r->shown);
    r->shown = t ? lab_seen_share(t->now) : NULL;
    return -1;
}

static int fail_stop(struct replay *r, const struct lab_timeline *t, size_t step,
                     const struct lab_stop *stop)
{
    return fail(r, t, step, stop->what, stop->expected, stop->found);
}

static int act(struct replay *r, struct lab_timeline *t, size_t i, bool recovery,
               const struct lab_cut *cut)
{
    struct lab_stop stop;
    if (lab_timeline_act(t, &r->scenario->steps[i], i, recovery, cut, &stop) < 0)
        return fail_stop(r, t, i, &stop);
    r->run->cuts += t->now->moment.result.was_cut;
    return 0;
}

static int fork_timeline(struct replay *r, struct lab_timeline *ret, const struct lab_timeline *t,
                         size_t i)
{
    struct lab_stop stop;
    return lab_timeline_fork(ret, t, &stop) < 0 ? fail_stop(r, t, i, &stop) : 0;
}

/* ---- one step ---- */

/* Judges what the step expects, now. `result` NULL: it was cut. */
static int settle(struct replay *r, struct lab_timeline *t, size_t i,
                  const struct lab_result *result, bool cut_missed, const struct way *way)
{
    struct lab_judged judged;
    const struct lab_step *step = &r->scenario->steps[i];
    lab_claims excused = way->noted ? LAB_ALL_CLAIMS : way->excused ? way->excused[i] : 0;
    judged.failed = 0;
    judged.told = false;
    if (step->action == LAB_DO_label && !lab_timeline_label(t, step))
        lab_judge_failed(&judged, excused, LAB_CLAIM_label, "an identity to remember",
                         "no identity");
    if (cut_missed)
        lab_judge_failed(&judged, excused, LAB_CLAIM_cut, step->cut_name,
                         "idmode took no such durable step");
    lab_judge(&judged, excused, step, result, &t->now->moment.sight, t->labels, t->labels_count);
    if (way->noted)
        way->noted[i] |= judged.failed;
    if (!judged.told)
        return 0;
    return fail(r, t, i, judged.what, judged.expected, judged.found);
}

static int recover(struct replay *r, struct lab_timeline *t, size_t i, const struct way *way)
{
    if (act(r, t, i, true, NULL) < 0)
        return -1;
    return settle(r, t, i, NULL, false, way);
}

/* splitmix64 (Steele, Lea, Flood 2014, figure 16): the same draws everywhere. */
static uint64_t draw_number(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* `cut: random`: drawn from the step's place in the file, so that the file alone says what happens. */
static int draw_cut(struct replay *r, const struct lab_timeline *t, size_t i, struct lab_cut *ret)
{
    struct lab_timeline rehearsal;
    uint64_t seed = i;
    unsigned long cuts = r->run->cuts;
    if (fork_timeline(r, &rehearsal, t, i) < 0)
        return -1;
    int result = act(r, &rehearsal, i, false, NULL);
    unsigned long durable = result < 0 ? 0 : rehearsal.now->moment.result.durable;
    lab_timeline_close(&rehearsal);
    r->run->cuts = cuts;
    if (durable)
        *ret = (struct lab_cut){.kind = LAB_CUT_AT, .at = 1 + draw_number(&seed) % durable};
    return result;
}

/* The step as it is written, `cut: every` apart. */
static int take_step(struct replay *r, struct lab_timeline *t, size_t i, const struct way *way)
{
    const struct lab_step *step = &r->scenario->steps[i];
    struct lab_cut cut = {.kind = LAB_UNCUT};
    struct lab_stop stop;
    if (step->action == LAB_DO_label) {
        if (lab_timeline_pass(t, step, i, &stop) < 0)
            return fail_stop(r, t, i, &stop);
        return settle(r, t, i, NULL, false, way);
    }
    if (step->cut == LAB_CUT_NAMED)
        cut = (struct lab_cut){.kind = LAB_CUT_AFTER_NAMED, .name = step->cut_name};
    if (step->cut == LAB_CUT_RANDOM && draw_cut(r, t, i, &cut) < 0)
        return -1;
    if (act(r, t, i, false, &cut) < 0)
        return -1;
    const struct lab_result *result = &t->now->moment.result;
    if (result->was_cut)
        return recover(r, t, i, way);
    return settle(r, t, i, result, step->cut == LAB_CUT_NAMED, way);
}

static int take_rest(struct replay *r, struct lab_timeline *t, size_t i, const struct way *way)
{
    for (; i < r->scenario->steps_count; i++)
        if (take_step(r, t, i, way) < 0)
            return -1;
    r->run->replays++;
    if (!r->shown)
        r->shown = lab_seen_share(t->now);
    return 0;
}

/* ---- cuts ---- */

static bool is_drawn(const struct replay *r, size_t i, unsigned long at)
{
    for (size_t d = 0; d < r->draws_count; d++)
        if (r->draws[d].step == i && (!at || r->draws[d].at == at))
            return true;
    return false;
}

/* Is the step cut at its n-th durable step; with n = 0, anywhere? */
static bool wants(const struct replay *r, size_t i, unsigned long n)
{
    const struct lab_step *step = &r->scenario->steps[i];
    if (!lab_runs_idmode(step->action) || (step->cut != LAB_CUT_NONE && step->cut != LAB_CUT_EVERY))
        return false;
    switch (r->cuts->kind) {
    case LAB_CUTS_AT:
        return i + 1 == r->cuts->step && (!n || n == r->cuts->first);
    case LAB_CUTS_EVERY:
    case LAB_CUTS_PAIRS:
        return true;
    case LAB_CUTS_RANDOM:
        return step->cut == LAB_CUT_EVERY || is_drawn(r, i, n);
    case LAB_CUTS_AS_WRITTEN:
        break;
    }
    return step->cut == LAB_CUT_EVERY;
}

static int cut_at(struct replay *r, struct lab_timeline *t, size_t i, bool recovery,
                  unsigned long n)
{
    const struct lab_cut cut = {.kind = LAB_CUT_AT, .at = n};
    char expected[96], found[96];
    if (act(r, t, i, recovery, &cut) < 0)
        return -1;
    if (t->now->moment.result.was_cut)
        return 0;
    (void)snprintf(expected, sizeof expected, "the power fails after durable step %lu", n);
    (void)snprintf(found, sizeof found, "idmode took %lu", t->now->moment.result.durable);
    return fail(r, t, i, "cut", expected, found);
}

/* The boot after the cut is cut as well, at each of its durable steps. */
static int cut_recovery(struct replay *r, const struct lab_timeline *t, size_t i,
                        const struct way *way)
{
    struct lab_timeline fork;
    if (fork_timeline(r, &fork, t, i) < 0)
        return -1;
    int result = act(r, &fork, i, true, NULL);
    unsigned long durable = result < 0 ? 0 : fork.now->moment.result.durable;
    lab_timeline_close(&fork);
    for (unsigned long n = 1; result == 0 && n <= durable; n++) {
        if (r->cuts->kind == LAB_CUTS_AT && n != r->cuts->second)
            continue;
        r->place.second = n;
        if (fork_timeline(r, &fork, t, i) < 0)
            return -1;
        result = cut_at(r, &fork, i, true, n);
        if (result == 0)
            result = recover(r, &fork, i, way);
        if (result == 0)
            result = take_rest(r, &fork, i + 1, way);
        lab_timeline_close(&fork);
    }
    r->place.second = 0;
    return result;
}

static int cut_once(struct replay *r, const struct lab_timeline *base, size_t i, unsigned long n,
                    const struct way *way)
{
    bool twice = r->cuts->kind == LAB_CUTS_PAIRS || r->cuts->second;
    struct lab_timeline t;
    r->place = (struct place){.where = DURABLE, .step = i, .first = n};
    if (fork_timeline(r, &t, base, i) < 0)
        return -1;
    int result = cut_at(r, &t, i, false, n);
    if (result == 0 && twice)
        result = cut_recovery(r, &t, i, way);
    if (result == 0 && !r->cuts->second)
        result = recover(r, &t, i, way);
    if (result == 0 && !r->cuts->second)
        result = take_rest(r, &t, i + 1, way);
    lab_timeline_close(&t);
    r->place = (struct place){0};
    return result;
}

/* The power fails between two steps: what a cut in the step is measured by. */
static int fail_around(struct replay *r, const struct lab_timeline *base, size_t i, bool after,
                       unsigned int boots)
{
    const struct way way = {.noted = r->taken_back};
    struct lab_timeline t;
    r->place = (struct place){.where = after ? AFTER : BEFORE, .step = i};
    if (fork_timeline(r, &t, base, i) < 0)
        return -1;
    int result = after ? act(r, &t, i, false, NULL) : 0;
    for (unsigned int boot = 1; result == 0 && boot < boots; boot++)
        result = act(r, &t, i, true, NULL);
    if (result == 0)
        result = recover(r, &t, i, &way);
    if (result == 0)
        result = take_rest(r, &t, i + 1, &way);
    lab_timeline_close(&t);
    r->place = (struct place){0};
    return result;
}

/* An installation is several programs' work: the power may also fail between two of them. */
static int fail_within_install(struct replay *r, const struct lab_timeline *base, size_t i,
                               unsigned int boots)
{
    static const enum lab_phase phases[] = {LAB_PRE_INSTALL, LAB_WRITE, LAB_POST_INSTALL};
    struct lab_step *step = &r->scenario->steps[i];
    bool whole = step->install.killed == LAB_PHASE_NONE && !step->install.write_fails;
    int result = 0;
    if (step->action != LAB_DO_install || !whole)
        return 0;
    for (size_t p = 0; result == 0 && p < sizeof phases / sizeof *phases; p++) {
        step->install.killed = phases[p];
        result = fail_around(r, base, i, true, boots);
    }
    step->install.killed = LAB_PHASE_NONE;
    return result;
}

static int measure(struct replay *r, const struct lab_timeline *base, size_t i)
{
    unsigned int most = r->cuts->kind == LAB_CUTS_PAIRS || r->cuts->second ? 2 : 1;
    memset(r->taken_back, 0, r->scenario->steps_count * sizeof *r->taken_back);
    for (unsigned int boots = 1; boots <= most; boots++)
        if (fail_around(r, base, i, false, boots) < 0 || fail_around(r, base, i, true, boots) < 0 ||
            fail_within_install(r, base, i, boots) < 0)
            return -1;
    return 0;
}

static int cut_step(struct replay *r, const struct lab_timeline *base, size_t i,
                    unsigned long durable)
{
    bool written = r->scenario->steps[i].cut == LAB_CUT_EVERY;
    const struct way way = {.excused = r->taken_back};
    if (!durable)
        return 0;
    if (!written && measure(r, base, i) < 0)
        return -1;
    for (unsigned long n = 1; n <= durable; n++)
        if (wants(r, i, n) && cut_once(r, base, i, n, written ? &strict : &way) < 0)
            return -1;
    return 0;
}

/* ---- the whole ---- */

static bool is_last_every(const struct replay *r, size_t i)
{
    if (r->scenario->steps[i].cut != LAB_CUT_EVERY)
        return false;
    while (++i < r->scenario->steps_count)
        if (r->scenario->steps[i].cut == LAB_CUT_EVERY)
            return false;
    return true;
}

/* A step of the uncut course, and before it goes on, all that branches off there. *ret_done: what
 * follows uncut is in no replay that the scenario asks for. */
static int take_main_step(struct replay *r, struct lab_timeline *t, size_t i, struct way *way,
                          bool *ret_done)
{
    struct lab_timeline base;
    if (!wants(r, i, 0))
        return take_step(r, t, i, way);
    if (fork_timeline(r, &base, t, i) < 0)
        return -1;
    int result = act(r, t, i, false, NULL);
    const struct lab_result *seen = &t->now->moment.result;
    if (result == 0)
        result = cut_step(r, &base, i, seen->durable);
    lab_timeline_close(&base);
    if (result < 0)
        return -1;
    if (r->cuts->kind == LAB_CUTS_AT)
        *ret_done = true;
    if (is_last_every(r, i) && seen->durable) {
        way->noted = r->scratch; /* its expectations are those of the cut step */
        *ret_done |= r->cuts->kind == LAB_CUTS_AS_WRITTEN;
    }
    return *ret_done ? 0 : settle(r, t, i, seen, false, way);
}

static int take_main(struct replay *r, struct lab_timeline *t)
{
    struct way way = strict;
    bool done = false;
    for (size_t i = 0; i < r->scenario->steps_count && !done; i++)
        if (take_main_step(r, t, i, &way, &done) < 0)
            return -1;
    if (done)
        return 0;
    r->run->replays++;
    lab_seen_release(r->shown);
    r->shown = lab_seen_share(t->now);
    return 0;
}

/* How many durable steps each step takes, uncut; then draws among them. */
static int draw_cuts(struct replay *r, const struct lab_timeline *start)
{
    const struct way way = {.noted = r->scratch};
    struct lab_timeline t;
    unsigned long up_to[LAB_STEPS_MAX + 1] = {0};
    uint64_t seed = r->cuts->seed;
    int result = 0;
    r->draws = calloc(r->cuts->count, sizeof *r->draws);
    if (!r->draws)
        return fail(r, NULL, 0, "world", "the world works", "out of memory");
    if (fork_timeline(r, &t, start, 0) < 0)
        return -1;
    for (size_t i = 0; i < r->scenario->steps_count && result == 0; i++) {
        const struct lab_step *step = &r->scenario->steps[i];
        result = take_step(r, &t, i, &way);
        up_to[i + 1] = up_to[i];
        if (lab_runs_idmode(step->action) && step->cut == LAB_CUT_NONE)
            up_to[i + 1] += t.now->moment.result.durable;
    }
    lab_timeline_close(&t);
    unsigned long all = up_to[r->scenario->steps_count];
    for (size_t d = 0; result == 0 && all && d < r->cuts->count; d++) {
        unsigned long at = draw_number(&seed) % all;
        size_t i = 0;
        while (at >= up_to[i + 1])
            i++;
        r->draws[r->draws_count++] = (struct draw){.step = i, .at = at - up_to[i] + 1};
    }
    return result;
}

static int replay_all(struct replay *r)
{
    struct lab_timeline t;
    struct lab_stop stop;
    size_t at = r->cuts->step - 1;
    if (r->cuts->kind == LAB_CUTS_AT && (at >= r->scenario->steps_count || !wants(r, at, 0)))
        return fail(r, NULL, at, "cut", "a step that runs idmode and has no cut of its own",
                    "there is none at that place");
    r->taken_back = calloc(2 * r->scenario->steps_count, sizeof *r->taken_back);
    if (!r->taken_back)
        return fail(r, NULL, 0, "world", "the world works", "out of memory");
    r->scratch = r->taken_back + r->scenario->steps_count;
    if (lab_timeline_open(&t, r->ops, r->scenario, &stop) < 0)
        return fail_stop(r, NULL, 0, &stop);
    int result = r->cuts->kind == LAB_CUTS_RANDOM ? draw_cuts(r, &t) : 0;
    if (result == 0)
        result = take_main(r, &t);
    lab_timeline_close(&t);
    return result;
}

static bool elsewhere(struct lab_run *run)
{
    static const char *const worlds[] = {[LAB_WORLD_SIM] = "sim", [LAB_WORLD_REAL] = "real"};
    const struct lab_scenario *scenario = run->scenario;
    if (scenario->world == LAB_WORLD_ANY || strcmp(worlds[scenario->world], run->world) == 0)
        return false;
    run->verdict = LAB_SKIP;
    (void)snprintf(run->skipped, sizeof run->skipped, "%s", scenario->why);
    return true;
}

static double now_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void lab_replay(struct lab_run *ret, const struct lab_world_ops *ops,
                const struct lab_scenario *scenario, const struct lab_cuts *cuts, bool with_moments)
{
    struct replay r = {.ops = ops, .scenario = scenario, .cuts = cuts, .run = ret};
    double start = now_seconds();
    *ret = (struct lab_run){.scenario = scenario, .world = ops->name, .verdict = LAB_PASS};
    if (elsewhere(ret))
        return;
    if (replay_all(&r) < 0)
        ret->verdict = LAB_FAIL;
    if (with_moments || ret->verdict == LAB_FAIL)
        ret->moments = lab_seen_moments(r.shown, &ret->moments_count);
    lab_seen_release(r.shown);
    free(r.taken_back);
    free(r.draws);
    ret->seconds = now_seconds() - start;
}

void lab_run_free(struct lab_run *run)
{
    if (!run)
        return;
    free(run->moments);
    *run = (struct lab_run){0};
}
