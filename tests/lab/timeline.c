/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lab/timeline.h"

#include <stdlib.h>
#include <string.h>

static int stop_world(struct lab_stop *ret, const char *error)
{
    *ret = (struct lab_stop){.what = "world"};
    (void)snprintf(ret->expected, sizeof ret->expected, "the world works");
    (void)snprintf(ret->found, sizeof ret->found, "%s", *error ? error : "no reason given");
    return -1;
}

static int stop_memory(struct lab_stop *ret)
{
    return stop_world(ret, "out of memory");
}

/* ---- what was seen ---- */

struct lab_seen *lab_seen_share(struct lab_seen *seen)
{
    if (seen)
        seen->owners++;
    return seen;
}

void lab_seen_release(struct lab_seen *seen)
{
    while (seen && --seen->owners == 0) {
        struct lab_seen *before = seen->before;
        free(seen);
        seen = before;
    }
}

struct lab_moment *lab_seen_moments(const struct lab_seen *seen, size_t *ret_count)
{
    size_t count = 0;
    for (const struct lab_seen *at = seen; at && at->before; at = at->before)
        count++;
    struct lab_moment *moments = count ? calloc(count, sizeof *moments) : NULL;
    if (!moments)
        return NULL;
    *ret_count = count;
    for (const struct lab_seen *at = seen; at->before; at = at->before)
        moments[--count] = at->moment;
    return moments;
}

/* A new moment behind `now`; its sight is not filled in. */
static int add_moment(struct lab_timeline *timeline, const struct lab_step *step, size_t index)
{
    struct lab_seen *seen = malloc(sizeof *seen);
    if (!seen)
        return -1;
    seen->moment.step = step;
    seen->moment.index = index;
    seen->moment.recovery = false;
    seen->moment.result = (struct lab_result){0};
    seen->before = timeline->now;
    seen->owners = 1;
    timeline->now = seen;
    return 0;
}

static int look(struct lab_timeline *timeline, struct lab_stop *ret_stop)
{
    char error[LAB_SENTENCE_SIZE] = "";
    if (timeline->ops->see(timeline->world, &timeline->now->moment.sight, error) == 0)
        return 0;
    timeline->now->moment.sight = (struct lab_sight){0};
    return stop_world(ret_stop, error);
}

/* ---- life ---- */

void lab_timeline_close(struct lab_timeline *timeline)
{
    if (timeline->ops)
        timeline->ops->close(timeline->world);
    lab_oracle_close(timeline->oracle);
    lab_seen_release(timeline->now);
    free(timeline->labels);
    *timeline = (struct lab_timeline){0};
}

static size_t count_labels(const struct lab_scenario *scenario)
{
    size_t count = 0;
    for (size_t i = 0; i < scenario->steps_count; i++)
        count += scenario->steps[i].action == LAB_DO_label;
    return count;
}

/* `status` reads what was published. */
static bool runs_commands(const struct lab_scenario *scenario)
{
    for (size_t i = 0; i < scenario->steps_count; i++)
        if (scenario->steps[i].action == LAB_DO_command)
            return true;
    return false;
}

int lab_timeline_open(struct lab_timeline *ret, const struct lab_world_ops *ops,
                      const struct lab_scenario *scenario, struct lab_stop *ret_stop)
{
    char error[LAB_SENTENCE_SIZE] = "";
    struct lab_timeline timeline = {.ops = ops, .labels_max = count_labels(scenario)};
    *ret = (struct lab_timeline){0};
    if (ops->open(&timeline.world, &scenario->device, error) < 0)
        return stop_world(ret_stop, error);
    if (ops->unread && !runs_commands(scenario))
        ops->unread(timeline.world);
    timeline.oracle = lab_oracle_open(ops, &scenario->device);
    timeline.labels = calloc(timeline.labels_max + 1, sizeof *timeline.labels);
    int r = 0;
    if (!timeline.oracle || !timeline.labels || add_moment(&timeline, NULL, 0) < 0)
        r = stop_memory(ret_stop);
    else
        r = look(&timeline, ret_stop);
    if (r < 0)
        lab_timeline_close(&timeline);
    *ret = timeline;
    return r;
}

int lab_timeline_fork(struct lab_timeline *ret, const struct lab_timeline *timeline,
                      struct lab_stop *ret_stop)
{
    char error[LAB_SENTENCE_SIZE] = "";
    struct lab_timeline fork = {.ops = timeline->ops,
                                .labels_max = timeline->labels_max,
                                .labels_count = timeline->labels_count};
    *ret = (struct lab_timeline){0};
    if (timeline->ops->fork(&fork.world, timeline->world, error) < 0)
        return stop_world(ret_stop, error);
    fork.now = lab_seen_share(timeline->now);
    fork.oracle = lab_oracle_fork(timeline->oracle);
    fork.labels = calloc(fork.labels_max + 1, sizeof *fork.labels);
    if (!fork.oracle || !fork.labels) {
        lab_timeline_close(&fork);
        return stop_memory(ret_stop);
    }
    memcpy(fork.labels, timeline->labels, fork.labels_count * sizeof *fork.labels);
    *ret = fork;
    return 0;
}

/* ---- steps ---- */

static int ask_oracle(struct lab_timeline *timeline, const struct lab_step *step,
                      struct lab_stop *ret_stop)
{
    char error[LAB_SENTENCE_SIZE] = "";
    struct lab_violation violation = {0};
    const struct lab_seen *now = timeline->now;
    int holds = lab_oracle_step(timeline->oracle, timeline->world, step, &now->moment.result,
                                &now->before->moment.sight, &now->moment.sight, &violation, error);
    if (holds < 0)
        return stop_world(ret_stop, error);
    if (holds)
        return 0;
    *ret_stop = (struct lab_stop){0};
    (void)snprintf(ret_stop->what, sizeof ret_stop->what, "I%u", violation.invariant);
    (void)snprintf(ret_stop->expected, sizeof ret_stop->expected, "invariant I%u holds",
                   violation.invariant);
    (void)snprintf(ret_stop->found, sizeof ret_stop->found, "%s", violation.text);
    return -1;
}

const struct lab_step lab_recovery = {
    .action = LAB_DO_boot, .mount_config = -1, .mount_persist = -1};

int lab_timeline_act(struct lab_timeline *timeline, const struct lab_step *step, size_t index,
                     const struct lab_step *instead, const struct lab_cut *cut,
                     struct lab_stop *ret_stop)
{
    static const struct lab_cut uncut = {.kind = LAB_UNCUT};
    const struct lab_step *act = instead ? instead : step;
    if (add_moment(timeline, step, index) < 0)
        return stop_memory(ret_stop);
    struct lab_moment *moment = &timeline->now->moment;
    moment->recovery = instead == &lab_recovery;
    int r = timeline->ops->act(timeline->world, act, cut ? cut : &uncut, &moment->result);
    if (look(timeline, ret_stop) < 0)
        return -1;
    if (r < 0)
        return stop_world(ret_stop, moment->result.error);
    return ask_oracle(timeline, act, ret_stop);
}

bool lab_timeline_label(struct lab_timeline *timeline, const struct lab_step *step)
{
    const struct lab_identity *active = &timeline->now->moment.sight.active;
    if (timeline->labels_count < timeline->labels_max)
        timeline->labels[timeline->labels_count++] =
            (struct lab_label){.name = step->word, .identity = *active};
    return *active->cert && *active->spki;
}

int lab_timeline_pass(struct lab_timeline *timeline, const struct lab_step *step, size_t index,
                      struct lab_stop *ret_stop)
{
    if (add_moment(timeline, step, index) < 0)
        return stop_memory(ret_stop);
    timeline->now->moment.sight = timeline->now->before->moment.sight;
    return 0;
}
