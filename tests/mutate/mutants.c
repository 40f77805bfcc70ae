/* SPDX-License-Identifier: BSD-2-Clause */
/* mutants.c - every mutant there is, in the order of the table and of the plans. */
#include "tests/mutate/mutate.h"

#include <stdio.h>
#include <stdlib.h>

struct list {
    struct mutant *items;
    size_t count, room;
};

static const struct {
    const char *word;
    const char *sentence;
} words[MUTATION_COUNT] = {
    [MUTATE_NEXT] = {"next", "a cell that acts leads to another state"},
    [MUTATE_STILL] = {"still", "a cell that does not act leads to another state"},
    [MUTATE_KIND] = {"kind", "a cell is of another kind"},
    [MUTATE_REASON] = {"reason", "a cell's reason is left out"},
    [MUTATE_EXIT] = {"exit", "a refusal exits with the other code"},
    [MUTATE_REMOVE] = {"remove", "an action is left out"},
    [MUTATE_DOUBLE] = {"double", "an action is done twice"},
    [MUTATE_SWAP] = {"swap", "two actions change places"},
    [MUTATE_NEEDS] = {"needs", "a plan needs, opens or tolerates something else"},
};

const char *mutation_word(enum mutation mutation)
{
    return words[mutation].word;
}

const char *mutation_sentence(enum mutation mutation)
{
    return words[mutation].sentence;
}

bool mutant_is_of_plan(const struct mutant *m)
{
    return m->mutation >= MUTATE_REMOVE;
}

static void add(struct list *list, struct mutant mutant)
{
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 1024;
        list->items = reallocarray(list->items, list->room, sizeof *list->items);
        if (!list->items)
            abort();
    }
    list->items[list->count++] = mutant;
}

/* What stands in its place is never the milder word for the same: an unreachable cell that is ignored
 * instead is no mistake, since nobody gets there. */
static void add_kinds(struct list *list, struct mutant m, enum idm_cell_kind kind)
{
    m.mutation = MUTATE_KIND;
    m.to = kind == IDM_CELL_IGNORE ? IDM_CELL_NEVER : IDM_CELL_IGNORE;
    if (kind != IDM_CELL_NEVER)
        add(list, m);
    m.to = kind == IDM_CELL_HOLD ? IDM_CELL_END : IDM_CELL_HOLD;
    if (kind == IDM_CELL_HOLD || kind == IDM_CELL_END)
        add(list, m);
}

static void add_cell(struct list *list, enum idm_event event, enum idm_state state)
{
    struct idm_cell cell = idm_table_cell(event, state);
    struct mutant m = {.mutation = cell.kind == IDM_CELL_GO ? MUTATE_NEXT : MUTATE_STILL,
                       .event = event,
                       .state = state};
    for (m.to = 0; m.to < IDM_STATE_COUNT; m.to++)
        if (m.to != (unsigned int)cell.next)
            add(list, m);
    add_kinds(list, m, cell.kind);
    m.mutation = MUTATE_REASON;
    if (cell.reason != IDM_R_none)
        add(list, m);
    m.mutation = MUTATE_EXIT;
    if (cell.kind == IDM_CELL_REFUSE)
        add(list, m);
}

static void add_needs(struct list *list, enum idm_plan plan)
{
    const struct idm_plan_info *info = idm_plan_info(plan);
    struct mutant m = {.mutation = MUTATE_NEEDS, .plan = plan};
    for (; m.at < 2; m.at++)
        add(list, m);
    for (m.to = IDM_INTENT_none; m.to <= IDM_INTENT_reset_soft; m.to++)
        if (info->intent != IDM_INTENT_none && m.to != (unsigned int)info->intent)
            add(list, m);
    m.at = 3;
    m.to = 0;
    if (info->tolerates != IDM_R_none)
        add(list, m);
}

static void add_plan(struct list *list, enum idm_plan plan)
{
    const struct idm_plan_info *info = idm_plan_info(plan);
    struct mutant m = {.plan = plan};
    for (; info->steps[m.at] != IDM_A_none; m.at++) {
        m.mutation = MUTATE_REMOVE;
        add(list, m);
        m.mutation = MUTATE_DOUBLE;
        add(list, m);
        m.mutation = MUTATE_SWAP;
        if (info->steps[m.at + 1] != IDM_A_none)
            add(list, m);
    }
    add_needs(list, plan);
}

struct mutant *mutants_list(size_t *ret_count)
{
    struct list list = {0};
    for (enum idm_event event = 0; event < IDM_EVENT_COUNT; event++)
        for (enum idm_state state = 0; state < IDM_STATE_COUNT; state++)
            add_cell(&list, event, state);
    for (enum idm_plan plan = 0; plan < IDM_PLAN_COUNT; plan++)
        add_plan(&list, plan);
    *ret_count = list.count;
    return list.items;
}

/* ---- in words ---- */

static void print_cell(const struct mutant *m, char *ret, size_t size)
{
    bool leads = m->mutation == MUTATE_NEXT || m->mutation == MUTATE_STILL;
    const char *to = leads ? idm_state_name((enum idm_state)m->to)
                           : idm_cell_kind_name((enum idm_cell_kind)m->to);
    bool says_to = leads || m->mutation == MUTATE_KIND;
    (void)snprintf(ret, size, "%s: %s in %s%s%s", mutation_word(m->mutation),
                   idm_event_name(m->event), idm_state_name(m->state), says_to ? " -> " : "",
                   says_to ? to : "");
}

static void print_needs(const struct mutant *m, const char *plan, char *ret, size_t size)
{
    static const char *const what[] = {"clock", "room", "intent", "tolerates"};
    if (m->at == 2)
        (void)snprintf(ret, size, "needs: %s %s -> %u", plan, what[m->at], m->to);
    else
        (void)snprintf(ret, size, "needs: %s %s", plan, what[m->at]);
}

void mutant_print(const struct mutant *m, char *ret, size_t size)
{
    if (!mutant_is_of_plan(m)) {
        print_cell(m, ret, size);
        return;
    }
    const struct idm_plan_info *info = idm_plan_info(m->plan);
    bool swap = m->mutation == MUTATE_SWAP;
    if (m->mutation == MUTATE_NEEDS)
        print_needs(m, info->name, ret, size);
    else
        (void)snprintf(ret, size, "%s: %s %u %s%s%s", mutation_word(m->mutation), info->name,
                       m->at + 1, idm_action_name(info->steps[m->at]), swap ? ", " : "",
                       swap ? idm_action_name(info->steps[m->at + 1]) : "");
}
