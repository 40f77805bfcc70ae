/* SPDX-License-Identifier: BSD-2-Clause */
/* replay.h - a scenario happens in a world: as it is written, and with the power failing in it.
 *
 *     uncut      step 1 ──► step 2 ──► step 3 ──► …
 *                             │ fork
 *     cut at 2:n              └─► step 2, power fails after its n-th durable step ──► boot ──► step 3 …
 *     at 2:before                 (power fails)                                   ──► boot ──► step 3 …
 *     at 2:after                  step 2 (power fails)                            ──► boot ──► step 3 …
 *
 * After every step the oracle judges, whatever the scenario expects. A `cut` that the scenario itself
 * has is judged by all that it expects. A cut that only the command line asks for is judged by those
 * expectations, step by step, that also hold when the power fails right before and right after the
 * step, and between the phases of an installation: others tell of a life that this cut legitimately
 * changes (an image that was not written, a TPM reset more, a label on another identity).
 */
#ifndef IDM_TESTS_LAB_REPLAY_H
#define IDM_TESTS_LAB_REPLAY_H

#include "tests/lab/report.h"

/* Where the power fails in a step. */
enum lab_place {
    LAB_AT_DURABLE, /* right after one of idmode's durable steps */
    LAB_AT_BEFORE,
    LAB_AT_PRE_INSTALL, /* of an installation, right after that phase */
    LAB_AT_WRITE,
    LAB_AT_POST_INSTALL,
    LAB_AT_AFTER,
    LAB_PLACE_COUNT
};

#define LAB_CUTS_MAX 3u /* in a row */

/* What --cut says. */
struct lab_cuts {
    enum {
        LAB_CUTS_AS_WRITTEN,
        LAB_CUTS_EVERY,   /* every step that runs idmode is cut at each of its durable steps */
        LAB_CUTS_PAIRS,   /* and the boot after it likewise */
        LAB_CUTS_TRIPLES, /* and the boot after that */
        LAB_CUTS_RANDOM,  /* `count` of them, drawn from `seed` */
        LAB_CUTS_AT,      /* one: what a failure prints */
    } kind;
    unsigned long life; /* another number, other places of `cut: random` in the file */
    uint64_t seed;
    unsigned long count;
    size_t step; /* AT: from 1 */
    enum lab_place where;
    unsigned long at[LAB_CUTS_MAX]; /* AT: durable steps, from 1; 0: no more cuts */
};

#define LAB_CUTS_WORDS                                                                             \
    "every, pairs, triples, random:SEED:N or at:STEP:N, at:STEP:N:N, at:STEP:before …"

/* As `at:STEP:` takes it; "" for a durable step. Static. */
const char *lab_place_word(enum lab_place place);

/* How many cuts follow one another. */
unsigned int lab_cuts_nested(const struct lab_cuts *cuts);

/* false, *ret untouched: not one of LAB_CUTS_WORDS. */
bool lab_cuts_parse(struct lab_cuts *ret, const char *text) __attribute__((warn_unused_result));

/* Runs the scenario, which must outlive *ret. Whatever goes wrong is the run's verdict. Moments are
 * kept of a run that failed, and with_moments of every one. */
void lab_replay(struct lab_run *ret, const struct lab_world_ops *ops,
                const struct lab_scenario *scenario, const struct lab_cuts *cuts,
                bool with_moments);

#endif
