/* SPDX-License-Identifier: BSD-2-Clause */
/* verify.h - the shipping engine on simulated devices, explored against the invariants I1 to I12.
 *
 *     device ──► place ──step──► place ──step──► …      breadth first; a place that was seen is not
 *                  │ each primitive effect of the step   entered again (verify_state.c)
 *                  ├─cut, in each outcome──► boot ──► place
 *                  │                           └─cut──► boot ──► place        (--cuts 2, 3)
 *                  └─call n fails, once or from there on──► boot ──► place
 *
 * What a fault leaves is booted once: an image that is the same but for the names of its keys and the lengths
 * of its lives (verify_hash) counts as that one. How far that holds is measured: one such image of 256 is
 * booted all the same, and it is said how many of those came to another place than the first one did.
 *
 * A cut costs no replay: while a step runs, the world is forked after each of its primitive effects,
 * and the power fails in the fork. A place is a world with the oracle that watched it; where it came
 * from is its life.
 *
 * Deterministic: the same options give the same run, unless --seconds ends it. Not thread-safe; each
 * job is a process.
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
    uint8_t kind;    /* enum verify_kind */
    uint8_t outcome; /* CUT: what was left of what was not synced */
    uint32_t at;     /* CUT: primitive effect, FAILS: call; from 1 */
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
 * there (nothing to boot, no such snapshot). `futures`: whose questions about the next boots were
 * asked already; NULL: asks always. */
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
    unsigned int stride;  /* every so many-th call fails; which ones first depends on the place */
    unsigned int seconds; /* 0: no limit */
    unsigned int jobs, job;
    uint64_t seed;
    unsigned long limit; /* recoveries at which a job ends; 0: none */
    unsigned long lives; /* random ones */
    bool quick;          /* the first violation ends it and is not told */
};

#define VERIFY_TOLD 8u /* violations that a job tells in full */

struct verify_totals {
    unsigned long recoveries; /* faults after which the device was judged when it came back */
    unsigned long run; /* of those: booted; the others left an image from which it had come back */
    unsigned long newest;    /* recovery that last met a new image */
    unsigned long again;     /* of the others: booted all the same */
    unsigned long elsewhere; /* of these: came to another place */
    unsigned long runs, places, violations, left_out, unvisited, lives;
    double user_seconds;
    unsigned int first_invariant; /* of the first violation */
    bool stopped;                 /* by --seconds, the limit, or for room */
};

/* Images that any job recovered from, counted once: in memory that the jobs share. */
struct verify_shared {
    size_t room; /* power of two */
    uint64_t *slots;
    size_t *count;
};
bool verify_shared_add(struct verify_shared *shared, uint64_t hash); /* true: new */

void verify_explore(const struct verify_options *options, const struct verify_alphabet *alphabet,
                    struct verify_shared *images, struct verify_totals *ret);

#endif
