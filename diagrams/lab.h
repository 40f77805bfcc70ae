/* SPDX-License-Identifier: BSD-2-Clause */
/* lab.h - the state machine on paper, printed from the table that the devices run.
 *
 *     fsm/table.def, fsm/plans.def, words ──┬─► dot ──► Graphviz ──► svg
 *                                           ├─► mermaid
 *                                           ├─► markdown
 *                                           └─► csv
 *
 * Every printer writes the same bytes for the same table. They return 0; -1 after a message on
 * stderr. A full disk shows only when the caller flushes `out`.
 */
#ifndef IDM_DIAGRAMS_LAB_H
#define IDM_DIAGRAMS_LAB_H

#include "fsm/fsm.h"

#include <stdio.h>

/* Where a device is, to be marked in a drawing. */
struct lab_current {
    enum idm_state state;
    const char *mode; /* static */
    bool held;
    uint64_t reasons; /* bit per enum idm_reason */
};

/* Reads a status document (contract, section 5). 0; -1 after a message on stderr, *ret untouched. */
int lab_current_read(struct lab_current *ret, const char *path);

/* The drawings: `current` may be NULL. */
int lab_print_dot(FILE *out, const struct lab_current *current);
/* Runs Graphviz's `dot` from PATH. The picture carries the SHA-256 of the dot text that it was drawn
 * from: the layout follows the fonts and the Graphviz of the machine, the text does not. */
int lab_print_svg(FILE *out, const struct lab_current *current);
int lab_print_mermaid(FILE *out, const struct lab_current *current);
/* The tables. */
int lab_print_markdown(FILE *out);
int lab_print_csv(FILE *out);
/* For SPIN; the model around it is tests/spin/device.pml. */
int lab_print_promela(FILE *out);

/* `idmode-lab diagram …`: argv[0] is "diagram". An exit code: 0 done, 2 usage, 5 no output. */
int lab_diagram(int argc, char **argv);

/* ---- what the table says, asked the other way round (walk.c) ---- */

/* One bit per state. */
typedef unsigned int lab_states;

bool lab_is_request(enum idm_event event);
/* Does the event lead from one state to the other, which is not the same one? */
bool lab_moves(enum idm_event event, enum idm_state from, enum idm_state to);
/* Does any event of this kind? */
bool lab_joined(enum idm_state from, enum idm_state to, bool request);
/* The states that the event leads to `to`. */
lab_states lab_sources(enum idm_event event, enum idm_state to);
/* Every other state leads there: its arrows are drawn as one, or they would cross all others. */
bool lab_is_hub(enum idm_state to);
/* "software, migrating", or "any other state" when that is what they are. */
void lab_print_states(FILE *out, lab_states states, enum idm_state to);

/* ---- how a state is shown ---- */

struct lab_look {
    const char *id;       /* a name that dot and Mermaid take without quotes */
    const char *mode;     /* what `idmode mode` prints there, unless held */
    const char *sentence; /* what the state means (design of the states, in one clause) */
    const char *fill;     /* colours */
    const char *line;
};
const struct lab_look *lab_look_of(enum idm_state state);

/* "mode tpm", "mode unknown, held: tpm-absent", "mode tpm, reasons: clock"; needs no escaping. */
void lab_print_current(FILE *out, const struct lab_current *current);

/* The reason's word; "by-chip" and "by-room" for those that the facts decide; "" for none. */
const char *lab_reason_word(enum idm_reason reason);

#endif
