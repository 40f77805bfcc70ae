/* SPDX-License-Identifier: BSD-2-Clause */
/* verify.h - the shipping engine on simulated devices, explored against the invariants I1 to I12.
 *
 *     device ──► place ──step──► place ──step──► …      breadth first; a place that was seen is not
 *                  │ each primitive effect of the step   entered again (verify_state.c)
 *                  ├─cut, in each outcome──► boot ──► place
 *                  │                           └─cut──► boot ──► place        (--cuts 2, 3)
 *                  └─call n fails, once or from there on──► boot ──► place
 *
 * A recovery is such a boot: it was run, and judged. An image that is the same but for the names of its
 * keys and the lengths of its lives (verify_hash) as one that was booted is not booted each time, and does
 * not count; each so many-th is, and must come to the place to which the first one came: an image that comes
 * to another one is a failure of the whole run.
 *
 * A cut costs no replay: while a step runs, the world is forked after each of its primitive effects,
 * and the power fails in the fork. A place is a world with the oracle that watched it; where it came
 * from is its life.
 *
 *     verify.c         places, breadth first           verify_place.c     a world and its oracle
 *     verify_fault.c   cuts, calls, recoveries         verify_state.c     when are two places the same?
 *     verify_random.c  random lives                    verify_note.c      what a file says
 *     verify_count.c   how far it came                 verify_set.c       sets and maps
 *     verify_life.c    a life in words                 verify_alphabet.c  devices and steps
 *
 * Deterministic: the same options give the same run, unless --seconds ends it. Not thread-safe; each
 * job is a process, and has its own devices.
 */
#ifndef IDM_TESTS_LAB_VERIFY_H
#define IDM_TESTS_LAB_VERIFY_H

#include "tests/lab/oracle.h"

/* ---- what may happen: devices and steps, in the language of the scenarios ---- */

struct verify_alphabet {
    struct lab_scenario *devices; /* each with all the steps */
    size_t device_count, step_count;
};

/* 0, or -1 after a message: the language changed under it. */
int verify_alphabet_open(struct verify_alphabet *ret);
void verify_alphabet_close(struct verify_alphabet *alphabet);
/* The lines of a scenario file: `{tpm: usable}`, `boot:`. Static. */
const char *verify_device_line(size_t device);
const char *verify_step_line(size_t step);
#define VERIFY_BOOT 0u /* the first step */

/* ---- a life: which steps a device took, and what went wrong in them ---- */

enum verify_kind { VERIFY_WHOLE, VERIFY_CUT, VERIFY_FAILS, VERIFY_FAILS_ON };

struct verify_event {
    uint32_t before; /* index of the event before it; 0: none */
    uint16_t step;
    uint8_t kind;     /* enum verify_kind */
    uint32_t at;      /* CUT: primitive effect, FAILS: call; from 1 */
    uint32_t outcome; /* CUT: what was left of what was not synced */
};

/* What the world is told about it. */
struct lab_cut verify_cut_of(const struct verify_event *event);

#define VERIFY_LIFE_MAX 64u

struct verify_life {
    size_t device;
    struct verify_event events[VERIFY_LIFE_MAX]; /* in order; `before` means nothing */
    size_t count;
};

/* `DEVICE:STEP,STEP@EFFECT.OUTCOME,STEP!CALL,STEP!!CALL`. */
void verify_life_print(const struct verify_life *life, FILE *to);
bool verify_life_parse(const struct verify_alphabet *alphabet, const char *text,
                       struct verify_life *ret);
/* The life as a scenario, with what goes wrong as comments. */
void verify_life_scenario(const struct verify_life *life, FILE *to);
/* Lives it. The invariant that its last event violates, 0 none; -1: the world ends before, or an
 * event before the last one violates. `trace_to` may be NULL. */
int verify_life_run(const struct verify_alphabet *alphabet, const struct verify_life *life,
                    FILE *trace_to, struct lab_violation *ret);
/* Leaves out every event without which the same invariant is still violated by the last one. */
void verify_life_shorten(const struct verify_alphabet *alphabet, struct verify_life *life,
                         unsigned int invariant);

/* ---- states ---- */

/* A set of 64-bit hashes. */
struct verify_set {
    uint64_t *slots;
    size_t count, room;
};
/* True: it was not there. Aborts without memory. */
bool verify_set_add(struct verify_set *set, uint64_t hash);
bool verify_set_has(const struct verify_set *set, uint64_t hash);
void verify_set_free(struct verify_set *set);

/* From a hash to a hash. */
struct verify_map {
    uint64_t *keys, *values;
    size_t count, room;
};
/* The value that is kept under `key`: *value when there was none. Aborts without memory. */
uint64_t verify_map_keep(struct verify_map *map, uint64_t key, uint64_t value);
/* 0: there is none. */
uint64_t verify_map_at(const struct verify_map *map, uint64_t key);
void verify_map_free(struct verify_map *map);

/* The device, what surrounds it and what the oracle remembers, without what only tells how long it
 * has lived: keys and certificates are numbered as they are met, epochs, counters and times are
 * differences. Two places with the same value go on alike. */
uint64_t verify_hash(const struct lab_world *world, const struct lab_oracle *oracle, size_t device);

/* ---- a place ---- */

struct verify_place {
    struct lab_world *world;
    struct lab_oracle *oracle;
    struct lab_sight *sight; /* all but its trace */
    size_t device;
};

/* Before the first power-on; after verify_place_close. 0, or -1 with `error`. */
int verify_place_open(struct verify_place *ret, const struct verify_alphabet *alphabet,
                      size_t device, char error[LAB_SENTENCE_SIZE]);
void verify_place_fork(struct verify_place *ret, const struct verify_place *place);
/* The same with another world in it, which it takes. */
void verify_place_fork_world(struct verify_place *ret, const struct verify_place *place,
                             struct lab_world *world);
void verify_place_close(struct verify_place *place); /* a closed or zeroed one is fine */

/* The step happens, and the oracle judges it. 1 all hold, 0 *ret says what does not, -1 the world ends
 * there (nothing to boot, no such snapshot). `futures`: of which places the questions about the next boots
 * were asked already; NULL: asks always. */
int verify_place_act(struct verify_place *place, const struct lab_step *step,
                     const struct lab_cut *cut, struct verify_set *futures,
                     struct lab_result *ret_result, struct lab_violation *ret);
/* The same for a world in which the power failed (lab_sim_cut_here) in that step. */
int verify_place_cut(struct verify_place *place, const struct lab_step *step,
                     const struct lab_result *result, struct lab_violation *ret);

/* ---- the run ---- */

struct verify_options {
    unsigned int depth;   /* steps besides boots */
    unsigned int cuts;    /* nested in one another's recovery */
    unsigned int stride;  /* below the first depth every so many-th call fails; there each */
    unsigned int again;   /* every so many-th image that was booted before is booted all the same */
    unsigned int seconds; /* 0: no limit */
    unsigned int jobs, job;
    uint64_t seed;
    unsigned long limit; /* recoveries of all jobs together at which they end; 0: none */
    unsigned long lives; /* random ones */
};

#define VERIFY_TOLD      8u  /* violations that a job tells in full */
#define VERIFY_DEPTH_MAX 15u /* of options.depth */

struct verify_depth {
    unsigned long entered; /* with all their steps and all that goes wrong in them */
    unsigned long left;    /* met, and not entered to the end */
};

/* How a plan of a cell was met, of (event, state, n-th action). */
enum verify_met { VERIFY_RAN = 1, VERIFY_WAS_CUT = 2 };

struct verify_totals {
    unsigned long recoveries; /* booted after a fault, and judged */
    unsigned long again;      /* of these: of an image that had been booted before */
    unsigned long elsewhere;  /* of these: came to another place than it did */
    unsigned long equal;      /* faults that left an image booted before, and were not booted */
    unsigned long images;     /* distinct ones that were booted */
    unsigned long late_images, late_points; /* met in the last fifth of the run */
    unsigned long runs, violations, lives;
    unsigned long left_outcomes, left_calls; /* not tried */
    struct verify_depth depths[VERIFY_DEPTH_MAX + 1];
    double user_seconds;
    unsigned int first_invariant; /* of the first violation */
    bool stopped;                 /* by --seconds, the limit, or for room */
    uint8_t met[IDM_EVENT_COUNT][IDM_STATE_COUNT][IDM_PLAN_STEPS]; /* of enum verify_met */
};

/* One of `options->jobs` parts of the run: the devices whose number fits `options->job`. */
void verify_explore(const struct verify_options *options, const struct verify_alphabet *alphabet,
                    struct verify_totals *ret);

/* Adds one job's totals; sums, and the worse of what is no number. */
void verify_add_totals(struct verify_totals *sum, const struct verify_totals *one);
void verify_print_totals(const struct verify_options *options, const struct verify_totals *sum);
/* The plan steps of the table that were not met, one a line. */
void verify_print_unmet(const struct verify_totals *sum, FILE *to);

#endif
