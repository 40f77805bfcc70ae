/* SPDX-License-Identifier: BSD-2-Clause */
/* overlay.c - the two functions by which all others see the table, with a mistake in what they say. */
#include "tests/mutate/mutate.h"

#include "engine/internal.h"

#include <string.h>

static const struct mutant *mutated;
static struct idm_plan_info plan; /* the mutated plan, when it is one */
static struct overlay_seen *watched;

struct idm_cell __real_idm_table_cell(enum idm_event event, enum idm_state state);
struct idm_cell __wrap_idm_table_cell(enum idm_event event, enum idm_state state);
const struct idm_plan_info *__real_idm_plan_info(enum idm_plan which);
const struct idm_plan_info *__wrap_idm_plan_info(enum idm_plan which);
struct idm_verdict __real_idm_classify(const struct idm_facts *facts,
                                       const struct idm_request *request);
struct idm_verdict __wrap_idm_classify(const struct idm_facts *facts,
                                       const struct idm_request *request);
void __real_idm_history_add(struct idm_engine *e, const char *kind, enum idm_event event,
                            enum idm_state from, enum idm_state to, enum idm_reason reason);
void __wrap_idm_history_add(struct idm_engine *e, const char *kind, enum idm_event event,
                            enum idm_state from, enum idm_state to, enum idm_reason reason);

/* ---- the mistake ---- */

static size_t length_of(const struct idm_plan_info *info)
{
    size_t length = 0;
    while (info->steps[length] != IDM_A_none)
        length++;
    return length;
}

static void spoil_needs(const struct mutant *m)
{
    if (m->at == 0)
        plan.issues_certificate = !plan.issues_certificate;
    else if (m->at == 1)
        plan.needs_room = !plan.needs_room;
    else if (m->at == 2)
        plan.intent = (enum idm_intent)m->to;
    else
        plan.tolerates = IDM_R_none;
}

static void spoil_plan(const struct mutant *m)
{
    plan = *__real_idm_plan_info(m->plan);
    size_t rest = (length_of(&plan) - m->at) * sizeof plan.steps[0];
    enum idm_action *step = &plan.steps[m->at];
    enum idm_action kept = *step;
    if (m->mutation == MUTATE_REMOVE) {
        memmove(step, step + 1, rest);
    } else if (m->mutation == MUTATE_DOUBLE) {
        memmove(step + 1, step, rest); /* the end mark is there already: the rest is zero */
    } else if (m->mutation == MUTATE_SWAP) {
        *step = step[1];
        step[1] = kept;
    } else {
        spoil_needs(m);
    }
}

static void spoil_cell(const struct mutant *m, struct idm_cell *cell)
{
    if (m->mutation == MUTATE_NEXT || m->mutation == MUTATE_STILL)
        cell->next = (enum idm_state)m->to;
    else if (m->mutation == MUTATE_REASON)
        cell->reason = IDM_R_none;
    else if (m->mutation == MUTATE_EXIT)
        cell->exit = cell->exit == 1 ? 5 : 1;
    else
        cell->kind = (enum idm_cell_kind)m->to;
}

void overlay_mutate(const struct mutant *mutant)
{
    mutated = mutant;
    if (mutant && mutant_is_of_plan(mutant))
        spoil_plan(mutant);
}

struct idm_cell __wrap_idm_table_cell(enum idm_event event, enum idm_state state)
{
    struct idm_cell cell = __real_idm_table_cell(event, state);
    if (watched)
        watched->cells[event][state] = true;
    if (mutated && !mutant_is_of_plan(mutated) && mutated->event == event &&
        mutated->state == state)
        spoil_cell(mutated, &cell);
    return cell;
}

const struct idm_plan_info *__wrap_idm_plan_info(enum idm_plan which)
{
    if (watched)
        watched->plans[which] = true;
    if (mutated && mutant_is_of_plan(mutated) && mutated->plan == which)
        return &plan;
    return __real_idm_plan_info(which);
}

/* ---- who saw it ---- */

void overlay_watch(struct overlay_seen *seen)
{
    watched = seen;
}

bool overlay_saw(const struct overlay_seen *seen, const struct mutant *mutant)
{
    return mutant_is_of_plan(mutant) ? seen->plans[mutant->plan]
                                     : seen->cells[mutant->event][mutant->state];
}

/* ---- the cell holds the truth ---- */

static bool judging;
static bool holds = true;
static bool promised;
static enum idm_state promise;

void overlay_judge_truth(bool on)
{
    judging = on;
    holds = true;
    promised = false;
}

bool overlay_truth_holds(void)
{
    return holds;
}

/* A step that succeeded and leads somewhere is kept in the history; the next look must find that state. */
void __wrap_idm_history_add(struct idm_engine *e, const char *kind, enum idm_event event,
                            enum idm_state from, enum idm_state to, enum idm_reason reason)
{
    __real_idm_history_add(e, kind, event, from, to, reason);
    promised = strcmp(kind, "change") == 0;
    promise = to;
}

struct idm_verdict __wrap_idm_classify(const struct idm_facts *facts,
                                       const struct idm_request *request)
{
    if (judging && promised && facts->state != promise)
        holds = false;
    promised = false;
    return __real_idm_classify(facts, request);
}
