/* SPDX-License-Identifier: BSD-2-Clause */
/* timeline.h - one course of events in a world: what stands now, what was seen on the way.
 *
 *     open ──► act, act, … ──► close
 *                │
 *                └─ fork ──► act, … ──► close      what was seen before is shared, not copied
 */
#ifndef IDM_TESTS_LAB_TIMELINE_H
#define IDM_TESTS_LAB_TIMELINE_H

#include "tests/lab/judge.h"

/* A moment and the one before it; the first one of all is the device before its first step. */
struct lab_seen {
    struct lab_moment moment;
    struct lab_seen *before; /* owned, shared with the timelines that forked behind it */
    size_t owners;
};

struct lab_timeline {
    const struct lab_world_ops *ops;
    struct lab_world *world;
    struct lab_oracle *oracle;
    struct lab_seen *now;
    struct lab_label *labels; /* room for each `label` of the scenario */
    size_t labels_count, labels_max;
};

/* What stopped a timeline. */
struct lab_stop {
    char what[LAB_WORD_SIZE]; /* "world", "I1" … */
    char expected[512];
    char found[512];
};

/* 0, or -1 with *ret_stop; *ret is closed then. */
int lab_timeline_open(struct lab_timeline *ret, const struct lab_world_ops *ops,
                      const struct lab_scenario *scenario, struct lab_stop *ret_stop);
int lab_timeline_fork(struct lab_timeline *ret, const struct lab_timeline *timeline,
                      struct lab_stop *ret_stop);
/* A closed or zeroed one is fine. */
void lab_timeline_close(struct lab_timeline *timeline);

/* The boot after a cut. */
extern const struct lab_step lab_recovery;

/* Acts, looks, asks the oracle. `instead`: what happens in place of the step, lab_recovery or a variant
 * of it; NULL: the step itself. `cut` NULL: uncut. What was seen is timeline->now->moment, also after
 * -1. */
int lab_timeline_act(struct lab_timeline *timeline, const struct lab_step *step, size_t index,
                     const struct lab_step *instead, const struct lab_cut *cut,
                     struct lab_stop *ret_stop);
/* Remembers the active identity under step->word; false: there is none. */
bool lab_timeline_label(struct lab_timeline *timeline, const struct lab_step *step);
/* A moment in which nothing happened: the step is none of the world's. */
int lab_timeline_pass(struct lab_timeline *timeline, const struct lab_step *step, size_t index,
                      struct lab_stop *ret_stop);

/* Another owner of the same chain; lab_seen_release takes NULL too. */
struct lab_seen *lab_seen_share(struct lab_seen *seen);
void lab_seen_release(struct lab_seen *seen);
/* All moments but the first one, in order: an array to free. NULL without memory or moments. */
struct lab_moment *lab_seen_moments(const struct lab_seen *seen, size_t *ret_count);

#endif
