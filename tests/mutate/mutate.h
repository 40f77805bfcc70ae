/* SPDX-License-Identifier: BSD-2-Clause */
/* mutate.h - the table with one mistake in it, and who notices.
 *
 *     fsm/table.def, plans.def ──► mutants.c: every mutant, one after the other
 *                                     │ in a child process
 *     engine, simulated devices ◄── overlay.c: idm_table_cell, idm_plan_info with the mistake
 *        │
 *     checks.c: unit tests, scenarios, scenarios with cuts, cheapest first ──► killed by the first that
 *                                     fails; survived: must stand in equivalent.txt, with its reason
 *
 * Nothing is compiled again: overlay.c takes the place of both functions (the linker's --wrap). It also
 * notes what a check looks up, so that a check that never saw the mistake is not run for it.
 */
#ifndef IDM_TESTS_MUTATE_H
#define IDM_TESTS_MUTATE_H

#include "fsm/fsm.h"

#include <stdbool.h>
#include <stddef.h>

/* ---- mutants ---- */

enum mutation {
    MUTATE_NEXT,   /* a cell that acts leads to another state */
    MUTATE_STILL,  /* a cell that does not act leads to another state */
    MUTATE_KIND,   /* a cell is of another kind: what acts is ignored, what holds ends, … */
    MUTATE_REASON, /* a cell's reason is left out */
    MUTATE_EXIT,   /* a refusal's exit code is the other one */
    MUTATE_REMOVE, /* an action is left out of a plan */
    MUTATE_DOUBLE, /* an action is done twice */
    MUTATE_SWAP,   /* two neighbours change places */
    MUTATE_NEEDS,  /* a plan's clock or room, its intent or what it tolerates is another */
    MUTATION_COUNT
};

struct mutant {
    enum mutation mutation;
    enum idm_event event; /* of a cell */
    enum idm_state state;
    enum idm_plan plan; /* of a plan */
    unsigned int at;    /* step; NEEDS: which of its four */
    unsigned int to;    /* NEXT: the state; KIND: the kind; NEEDS: the intent */
};

const char *mutation_word(enum mutation mutation);     /* "next" */
const char *mutation_sentence(enum mutation mutation); /* for the report */
/* All mutants in a fixed order. Owned by the caller; aborts without memory. */
struct mutant *mutants_list(size_t *ret_count);
/* "next: settled in tpm -> blank", "swap: seal 2 compare_sealed_pair, record_sealed". */
void mutant_print(const struct mutant *mutant, char *ret, size_t size);
bool mutant_is_of_plan(const struct mutant *mutant);

/* ---- overlay ---- */

/* What was looked up since the last overlay_watch. */
struct overlay_seen {
    bool cells[IDM_EVENT_COUNT][IDM_STATE_COUNT];
    bool plans[IDM_PLAN_COUNT];
};
/* From here on, in this process, the table has that mistake; NULL: none. */
void overlay_mutate(const struct mutant *mutant);
/* Notes in *seen what is looked up; NULL: nowhere. */
void overlay_watch(struct overlay_seen *seen);
bool overlay_saw(const struct overlay_seen *seen, const struct mutant *mutant);
/* Since overlay_judge_truth(true): did each step lead to the state that its cell says? design 5: the cell
 * holds the truth. */
void overlay_judge_truth(bool on);
bool overlay_truth_holds(void);

/* ---- checks ---- */

enum check_class {
    CHECK_RULE,     /* tests/unit/fsm_matrix.c: sentences about the table */
    CHECK_SCENARIO, /* a scenario as it is written, with the oracle */
    CHECK_ENGINE,   /* tests/unit/engine_*.c, fsm_classify.c: simulated devices, with faults */
    CHECK_CUTS,     /* a scenario with the power failing after each durable step */
    CHECK_SENTENCE, /* tests/unit/fsm_golden.c: facts and answers by hand; close to a copy of the table */
    CHECK_CLASSES
};

struct check {
    enum check_class class;
    char name[96];
    void (*test)(void); /* of Criterion */
    const struct lab_scenario *scenario;
    struct overlay_seen *seen; /* in memory that all processes share */
};

/* All checks, cheapest first. 0, or -1 after a message. */
int checks_open(struct check **ret, size_t *ret_count, const char *scenarios);
/* Runs it; comes back only when it holds. Ends the process with CHECK_FAILED when it does not. */
void check_run(const struct check *check);
#define CHECK_FAILED 3
/* Says what does not hold, on stderr. */
void checks_talk(bool on);

#endif
