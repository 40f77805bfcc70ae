/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/replay_parts.h"
#include "tests/lab/report_lines.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const struct lab_way lab_strict = {0};

/* ---- failures ---- */

static void print_place(const struct lab_place_now *place, char *ret, size_t size)
{
    size_t step = place->step + 1;
    *ret = 0;
    if (!place->fails)
        return;
    if (place->where != LAB_AT_DURABLE)
        (void)snprintf(ret, size, " --cut at:%zu:%s", step, lab_place_word(place->where));
    else {
        int length = snprintf(ret, size, " --cut at:%zu", step);
        for (size_t i = 0; i < LAB_CUTS_MAX && place->at[i] && length < (int)size; i++)
            length += snprintf(ret + length, size - (size_t)length, ":%lu", place->at[i]);
    }
}

static void print_again(const struct lab_replay *r, char *ret, size_t size)
{
    const char *file = r->scenario->file;
    char cut[128];
    bool plain = *file != '-';
    for (const char *c = file; *c; c++)
        plain = plain && (isalnum((unsigned char)*c) || strchr("/._-+", *c));
    print_place(&r->place, cut, sizeof cut);
    if (r->cuts->life)
        (void)snprintf(cut + strlen(cut), sizeof cut - strlen(cut), " --seed %lu", r->cuts->life);
    (void)snprintf(ret, size, "idmode-lab replay --world %s%s %s%s%s", r->ops->name, cut,
                   plain ? "" : "-- '", file, plain ? "" : "'");
}

int lab_fail(struct lab_replay *r, const struct lab_timeline *t, size_t step, const char *what,
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

int lab_fail_stop(struct lab_replay *r, const struct lab_timeline *t, size_t step,
                  const struct lab_stop *stop)
{
    return lab_fail(r, t, step, stop->what, stop->expected, stop->found);
}

int lab_act(struct lab_replay *r, struct lab_timeline *t, size_t i, const struct lab_step *instead,
            const struct lab_cut *cut)
{
    struct lab_stop stop;
    int result = lab_timeline_act(t, &r->scenario->steps[i], i, instead, cut, &stop);
    lab_lines_moment(r->run, &t->now->moment);
    if (result < 0)
        return lab_fail_stop(r, t, i, &stop);
    r->run->cuts += t->now->moment.result.was_cut;
    return 0;
}

int lab_fork(struct lab_replay *r, struct lab_timeline *ret, const struct lab_timeline *t, size_t i)
{
    struct lab_stop stop;
    return lab_timeline_fork(ret, t, &stop) < 0 ? lab_fail_stop(r, t, i, &stop) : 0;
}

/* ---- one step ---- */

/* Judges what the step expects, now. `result` NULL: it was cut. */
static int settle(struct lab_replay *r, struct lab_timeline *t, size_t i,
                  const struct lab_result *result, bool cut_missed, const struct lab_way *way)
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
    return lab_fail(r, t, i, judged.what, judged.expected, judged.found);
}

int lab_recover(struct lab_replay *r, struct lab_timeline *t, size_t i, const struct lab_way *way)
{
    if (lab_act(r, t, i, &lab_recovery, NULL) < 0)
        return -1;
    return settle(r, t, i, NULL, false, way);
}

/* `cut: random`: drawn from the step's place in the file and --seed, so that these alone say what happens. */
static int draw_cut(struct lab_replay *r, const struct lab_timeline *t, size_t i,
                    struct lab_cut *ret)
{
    struct lab_timeline rehearsal;
    uint64_t seed = i + r->cuts->life * LAB_STEPS_MAX;
    unsigned long cuts = r->run->cuts;
    if (t->ops->blind_cuts) {
        *ret = (struct lab_cut){.kind = LAB_CUT_AT, .at = 1 + lab_draw(&seed) % t->ops->blind_cuts};
        return 0;
    }
    if (lab_fork(r, &rehearsal, t, i) < 0)
        return -1;
    int result = lab_act(r, &rehearsal, i, NULL, NULL);
    unsigned long durable = result < 0 ? 0 : rehearsal.now->moment.result.durable;
    lab_timeline_close(&rehearsal);
    r->run->cuts = cuts;
    if (durable)
        *ret = (struct lab_cut){.kind = LAB_CUT_AT, .at = 1 + lab_draw(&seed) % durable};
    return result;
}

int lab_take_step(struct lab_replay *r, struct lab_timeline *t, size_t i, const struct lab_way *way)
{
    const struct lab_step *step = &r->scenario->steps[i];
    struct lab_cut cut = {.kind = LAB_UNCUT};
    struct lab_stop stop;
    if (step->action == LAB_DO_label) {
        if (lab_timeline_pass(t, step, i, &stop) < 0)
            return lab_fail_stop(r, t, i, &stop);
        lab_lines_moment(r->run, &t->now->moment);
        return settle(r, t, i, NULL, false, way);
    }
    if (step->cut == LAB_CUT_NAMED)
        cut = (struct lab_cut){.kind = LAB_CUT_AFTER_NAMED, .name = step->cut_name};
    if (step->cut == LAB_CUT_RANDOM && draw_cut(r, t, i, &cut) < 0)
        return -1;
    if (lab_act(r, t, i, NULL, &cut) < 0)
        return -1;
    const struct lab_result *result = &t->now->moment.result;
    if (result->was_cut)
        return lab_recover(r, t, i, way);
    return settle(r, t, i, result, step->cut == LAB_CUT_NAMED, way);
}

int lab_take_rest(struct lab_replay *r, struct lab_timeline *t, size_t i, const struct lab_way *way)
{
    for (; i < r->scenario->steps_count; i++)
        if (lab_take_step(r, t, i, way) < 0)
            return -1;
    r->run->replays++;
    if (!r->shown)
        r->shown = lab_seen_share(t->now);
    return 0;
}

/* ---- the whole ---- */

static bool is_last_every(const struct lab_replay *r, size_t i)
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
static int take_main_step(struct lab_replay *r, struct lab_timeline *t, size_t i,
                          struct lab_way *way, bool *ret_done)
{
    struct lab_timeline base;
    if (!lab_wants_cut(r, i, 0))
        return lab_take_step(r, t, i, way);
    if (lab_fork(r, &base, t, i) < 0)
        return -1;
    int result = lab_act(r, t, i, NULL, NULL);
    const struct lab_result *seen = &t->now->moment.result;
    if (result == 0)
        result = lab_cut_step(r, &base, i, seen->durable);
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

static int take_main(struct lab_replay *r, struct lab_timeline *t)
{
    struct lab_way way = lab_strict;
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

static int replay_all(struct lab_replay *r)
{
    struct lab_timeline t;
    struct lab_stop stop;
    size_t at = r->cuts->step - 1;
    if (r->cuts->kind == LAB_CUTS_AT &&
        (at >= r->scenario->steps_count || !lab_wants_cut(r, at, 0)))
        return lab_fail(r, NULL, at, "cut", "a step that runs idmode and has no cut of its own",
                        "there is none at that place");
    r->taken_back = calloc(2 * r->scenario->steps_count, sizeof *r->taken_back);
    r->labels = calloc(r->scenario->steps_count, sizeof *r->labels);
    if (!r->taken_back || !r->labels)
        return lab_fail(r, NULL, 0, "world", "the world works", "out of memory");
    r->scratch = r->taken_back + r->scenario->steps_count;
    if (lab_timeline_open(&t, r->ops, r->scenario, &stop) < 0)
        return lab_fail_stop(r, NULL, 0, &stop);
    int result = r->cuts->kind == LAB_CUTS_RANDOM ? lab_draw_cuts(r, &t) : 0;
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

static double now_seconds(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void lab_replay(struct lab_run *ret, const struct lab_world_ops *ops,
                const struct lab_scenario *scenario, const struct lab_cuts *cuts, bool with_moments)
{
    struct lab_replay r = {.ops = ops, .scenario = scenario, .cuts = cuts, .run = ret};
    double start = now_seconds(CLOCK_MONOTONIC);
    double cpu_start = now_seconds(CLOCK_PROCESS_CPUTIME_ID);
    *ret = (struct lab_run){.scenario = scenario, .world = ops->name, .verdict = LAB_PASS};
    if (elsewhere(ret))
        return;
    lab_lines_begin(ret);
    if (replay_all(&r) < 0)
        ret->verdict = LAB_FAIL;
    if (with_moments || ret->verdict == LAB_FAIL)
        ret->moments = lab_seen_moments(r.shown, &ret->moments_count);
    lab_seen_release(r.shown);
    free(r.taken_back);
    free(r.labels);
    free(r.draws);
    ret->seconds = now_seconds(CLOCK_MONOTONIC) - start;
    ret->cpu_seconds = now_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
    lab_lines_verdict(ret);
}

void lab_run_free(struct lab_run *run)
{
    if (!run)
        return;
    free(run->moments);
    *run = (struct lab_run){0};
}
