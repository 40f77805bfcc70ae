/* SPDX-License-Identifier: BSD-2-Clause */
/* points.h - where the shipped programs are killed: which lives, at which moments of them.
 *
 *     tests/scenarios, tests/cuts/lives ──► simulated world: which plan runs in which step of which scenario?
 *                           │ the fewest steps that reach every plan
 *                           ▼
 *     real world ──► each of these steps once, logged: calls that change something, commands to the chip
 *                           │ the device before the step is kept
 *                           ▼
 *                    draws, the same for the same seed: each plan in turn, each kind of cut in turn
 *
 * A point belongs to the plan that the program's trace named last before it. Functions that return int
 * return 0, or -1 and `error`.
 */
#ifndef IDM_TESTS_CUTS_POINTS_H
#define IDM_TESTS_CUTS_POINTS_H

#include "tests/lab/real.h"
#include "tests/lab/timeline.h"

#define CUTS_PLAN_NONE IDM_PLAN_COUNT /* before the first one, or of no plan */

enum cuts_program {
    CUTS_BOOT,
    CUTS_HOOK,
    CUTS_MIGRATE,
    CUTS_RESET,
    CUTS_OTHER,
    CUTS_PROGRAM_COUNT
};

typedef unsigned __int128 cuts_plans; /* bit per enum idm_plan */

struct cuts_life {
    struct lab_scenario scenario;
    bool own; /* of tests/cuts/lives: after a `cut: NAME` the next step decides what happens */
    cuts_plans *plans; /* owned; of each step */
    size_t steps;      /* that are lived; 0: it is not chosen */
};

/* A device before a step that is cut. */
struct cuts_stand {
    size_t life, step;
    struct lab_timeline before;
};

struct cuts_point {
    size_t stand; /* index */
    enum idm_device_kill kill;
    unsigned long n;
    unsigned plan;
    char what[32]; /* the call or the command */
    char action[48];
    char path[96];
    bool drawn;
};

struct cuts {
    struct cuts_life *lives;
    size_t lives_count;
    struct cuts_stand *stands;
    size_t stands_count;
    struct cuts_point *points;
    size_t points_count;
    cuts_plans reached; /* plans that some scenario reaches */
    char error[1024];
};

/* Reads the scenarios and chooses among them. */
int cuts_choose(struct cuts *cuts);
/* Lives the chosen ones in the real world and logs them. */
int cuts_record(struct cuts *cuts);
/* Up to `count` indexes of points. Returns how many. */
size_t cuts_draw(struct cuts *cuts, uint64_t seed, size_t count, size_t *ret_points);
void cuts_free(struct cuts *cuts);

/* Are the calls logged in `log` in durable order? Each new name stands for bytes that were synced
 * before, and its directory is synced before anything else of that file system is touched. */
int cuts_order(struct cuts *cuts, const char *log);

/* The step as the life has it, its own cut included. */
int cuts_act(struct lab_timeline *t, const struct cuts_life *life, size_t i, struct lab_stop *stop);

enum cuts_program cuts_program_of(const struct lab_step *step);
int cuts_fail(struct cuts *cuts, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
