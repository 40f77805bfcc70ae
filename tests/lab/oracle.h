/* SPDX-License-Identifier: BSD-2-Clause */
/* oracle.h - the invariants I1 to I12, judged after every step of every scenario and after every
 * cut, whatever the scenario expects.
 *
 *     lab_oracle_open ──► lab_oracle_step (before, step, result, after) … ──► lab_oracle_close
 *                              │
 *                              └─► struct lab_violation: which invariant, and what was seen
 *
 * The oracle knows no record, no table and no plan: it looks at the device from outside, as its
 * owner, its controller and its other images do. It remembers what it saw: which identities were
 * announced under which epoch, what the operator allowed, what lay in a slot.
 */
#ifndef IDM_TESTS_LAB_ORACLE_H
#define IDM_TESTS_LAB_ORACLE_H

#include "tests/lab/world.h"

struct lab_violation {
    unsigned int invariant; /* 1 to 12; 0: none */
    char text[512];         /* one sentence: what must hold, what was seen */
};

struct lab_oracle;

/* NULL without memory. */
struct lab_oracle *lab_oracle_open(const struct lab_world_ops *ops,
                                   const struct lab_device *device);
/* A copy that goes on independently: for cuts. NULL without memory. */
struct lab_oracle *lab_oracle_fork(const struct lab_oracle *oracle);
void lab_oracle_close(struct lab_oracle *oracle); /* NULL is fine */

/* Judges one step. `world` may be forked and asked, never changed. 1: all hold. 0: *ret says
 * which does not. -1 is not a verdict: `error` says what of the world broke. */
int lab_oracle_step(struct lab_oracle *oracle, struct lab_world *world, const struct lab_step *step,
                    const struct lab_result *result, const struct lab_sight *before,
                    const struct lab_sight *after, struct lab_violation *ret,
                    char error[LAB_SENTENCE_SIZE]);

#endif
