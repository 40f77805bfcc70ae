/* SPDX-License-Identifier: BSD-2-Clause */
/* replay_parts.h - what the files of the runner share.
 *
 *     replay.c            one step, the rest of a life, the uncut course
 *     replay_cuts.c       what branches off at a step
 *     replay_measure.c    by what such a branch is judged
 *
 * Functions that return int return -1 after lab_fail.
 */
#ifndef IDM_TESTS_LAB_REPLAY_PARTS_H
#define IDM_TESTS_LAB_REPLAY_PARTS_H

#include "tests/lab/replay.h"
#include "tests/lab/timeline.h"

struct lab_draw {
    size_t step;
    unsigned long at;
};

/* Where the power fails in the replay that goes on now; for the command that repeats it. */
struct lab_place_now {
    bool fails;
    enum lab_place where;
    size_t step;
    unsigned long at[LAB_CUTS_MAX]; /* as in struct lab_cuts */
};

struct lab_replay {
    const struct lab_world_ops *ops;
    const struct lab_scenario *scenario;
    const struct lab_cuts *cuts;
    struct lab_run *run;
    struct lab_place_now place;
    lab_claims *taken_back;   /* of each step, while one step is cut: see replay.h */
    lab_claims *scratch;      /* the same, where nobody asks */
    struct lab_label *labels; /* of the first life that the cut is measured by */
    size_t labels_count;
    struct lab_draw *draws; /* --cut random */
    size_t draws_count;
    struct lab_seen *shown; /* what the run's moments will be */
};

/* How expectations count: all of them; those not taken back; or none, but noted. */
struct lab_way {
    const lab_claims *excused;
    lab_claims *noted;
};
extern const struct lab_way lab_strict;

/* Always -1. `t` may be NULL: there is no life to show. */
int lab_fail(struct lab_replay *r, const struct lab_timeline *t, size_t step, const char *what,
             const char *expected, const char *found);
int lab_fail_stop(struct lab_replay *r, const struct lab_timeline *t, size_t step,
                  const struct lab_stop *stop);
int lab_act(struct lab_replay *r, struct lab_timeline *t, size_t i, const struct lab_step *instead,
            const struct lab_cut *cut);
int lab_fork(struct lab_replay *r, struct lab_timeline *ret, const struct lab_timeline *t,
             size_t i);
/* The boot after a cut in step i, and what the step expects after it. */
int lab_recover(struct lab_replay *r, struct lab_timeline *t, size_t i, const struct lab_way *way);
/* The step as it is written, `cut: every` apart; and all steps from it on. */
int lab_take_step(struct lab_replay *r, struct lab_timeline *t, size_t i,
                  const struct lab_way *way);
int lab_take_rest(struct lab_replay *r, struct lab_timeline *t, size_t i,
                  const struct lab_way *way);

/* Is the step cut at its n-th durable step; with n = 0, anywhere? */
bool lab_wants_cut(const struct lab_replay *r, size_t i, unsigned long n);
/* All that branches off at the step; `base` stands before it, uncut it takes `durable` steps. */
int lab_cut_step(struct lab_replay *r, const struct lab_timeline *base, size_t i,
                 unsigned long durable);
/* --cut random: the uncut course from `start` says how much there is to draw from. */
int lab_draw_cuts(struct lab_replay *r, const struct lab_timeline *start);
/* splitmix64 (Steele, Lea, Flood 2014, figure 16): the same draws everywhere. */
uint64_t lab_draw(uint64_t *seed);

/* Fills r->taken_back. */
int lab_measure(struct lab_replay *r, const struct lab_timeline *base, size_t i);

#endif
