/* SPDX-License-Identifier: BSD-2-Clause */
/* verify_run.h - what the files of one exploration share (verify.h shows them). */
#ifndef IDM_TESTS_LAB_VERIFY_RUN_H
#define IDM_TESTS_LAB_VERIFY_RUN_H

#include "tests/lab/sim_parts.h"
#include "tests/lab/verify.h"

#include <time.h>

#define VERIFY_BELOW (VERIFY_DEPTH_MAX + 1)

/* A place that waits for its turn. */
struct verify_waiting {
    struct verify_place place;
    uint32_t life;
    unsigned int depth;
};

struct verify_queue {
    struct verify_waiting *items;
    size_t first, end, room;
};

/* A number that only grows, as it was at up to so many moments: what did the last fifth add? */
#define VERIFY_TRAIL 512u
struct verify_trail {
    unsigned long every; /* recoveries from one moment to the next */
    size_t count;
    unsigned long images[VERIFY_TRAIL], points[VERIFY_TRAIL];
};

struct verify_run {
    const struct verify_options *options;
    const struct verify_alphabet *alphabet;
    struct verify_totals *totals;
    struct verify_event *events; /* all lives, as a tree */
    size_t events_count, events_room;
    struct verify_set places;  /* entered or waiting */
    struct verify_set judged;  /* what a cut left, with how many cuts were still to come */
    struct verify_set opened;  /* images that were booted, the same */
    struct verify_set images;  /* images that were booted */
    struct verify_set futures; /* see verify_place_act */
    struct verify_set told;    /* violations, by what they say */
    struct verify_map came_to; /* from an image to what its first boot made of it */
    struct verify_map first;   /* and to its life */
    unsigned long met_again;   /* images that were booted before */
    unsigned long points;      /* plan steps that were met */
    struct verify_trail trail;
    struct verify_queue queues[VERIFY_DEPTH_MAX + 1];
    unsigned long waiting; /* in all of them */
    bool over;             /* breadth first */
    bool random;           /* it is over, the random lives have begun */
    struct timespec start;
};

static inline const struct lab_step *verify_step_of(const struct verify_run *r, size_t device,
                                                    size_t step)
{
    return &r->alphabet->devices[device].steps[step];
}

/* verify.c */
/* One event more, after life `before`. */
uint32_t verify_live_on(struct verify_run *r, uint32_t before, struct verify_event event);
struct verify_life verify_life_of(const struct verify_run *r, size_t device, uint32_t last);
void verify_violated(struct verify_run *r, size_t device, uint32_t last,
                     const struct lab_violation *violation);
bool verify_out_of_time(struct verify_run *r);
/* Is the search breadth first over? The random lives come after that, as many as were asked for. */
bool verify_over(struct verify_run *r);
/* Takes the place: it waits, unless the same one was there. */
void verify_enter(struct verify_run *r, struct verify_place *place, uint32_t life,
                  unsigned int depth);

/* verify_fault.c */
/* The step from a place, and everything that may go wrong in it. Of a place below the last depth
 * (VERIFY_BELOW) nothing is entered, and recoveries are not cut. */
void verify_take_step(struct verify_run *r, const struct verify_waiting *from, size_t step);

/* verify_random.c */
void verify_live_random(struct verify_run *r, unsigned long number);

/* verify_count.c */
struct verify_point { /* which plan step goes on */
    bool known;
    enum idm_event event;
    enum idm_state state;
    unsigned int action;
};
void verify_point_met(struct verify_run *r, const struct verify_point *point, enum verify_met how);
/* Follows the plans in the world's trace until verify_deaf; `self` and `r` live so long. */
struct verify_listener {
    struct verify_run *run;
    struct verify_point point;
};
void verify_listen(struct verify_listener *self, struct verify_run *r, struct lab_world *world);
void verify_deaf(struct lab_world *world);
/* After each recovery. */
void verify_trail_on(struct verify_run *r);
void verify_trail_end(struct verify_run *r);

#endif
