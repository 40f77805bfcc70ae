/* SPDX-License-Identifier: BSD-2-Clause */
/* fsm_table.h - what the rules about table and plans share: cells one after the other, steps of plans. */
#ifndef IDM_TESTS_UNIT_FSM_TABLE_H
#define IDM_TESTS_UNIT_FSM_TABLE_H

#include "fsm/fsm.h"

#include <string.h>

#define EACH_CELL(event, state, cell)                                                              \
    for (enum idm_event event = 0; event < IDM_EVENT_COUNT; event++)                               \
        for (enum idm_state state = 0; state < IDM_STATE_COUNT; state++)                           \
            for (struct idm_cell cell = idm_table_cell(event, state), *once = &cell; once;         \
                 once = NULL)
#define EACH_PLAN(plan) for (enum idm_plan plan = 0; plan < IDM_PLAN_COUNT; plan++)

#define WHERE(event, state) "%s in %s", idm_event_name(event), idm_state_name(state)

static inline bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Position in the plan, or -1. */
static inline int step_of(enum idm_plan plan, enum idm_action action)
{
    const struct idm_plan_info *info = idm_plan_info(plan);
    for (int i = 0; i < (int)IDM_PLAN_STEPS && info->steps[i] != IDM_A_none; i++)
        if (info->steps[i] == action)
            return i;
    return -1;
}

static inline bool has(enum idm_plan plan, enum idm_action action)
{
    return step_of(plan, action) >= 0;
}

static inline int length_of(enum idm_plan plan)
{
    const struct idm_plan_info *info = idm_plan_info(plan);
    int length = 0;
    while (length < (int)IDM_PLAN_STEPS && info->steps[length] != IDM_A_none)
        length++;
    return length;
}

static inline bool writes_record(enum idm_action action)
{
    return begins(idm_action_name(action), "record_") || action == IDM_A_rewrite_record_copy ||
           action == IDM_A_restore_config_folder; /* its last act is the record */
}

static inline bool creates(enum idm_action action)
{
    const char *name = idm_action_name(action);
    return begins(name, "make_") || begins(name, "renew_") || begins(name, "adopt_") ||
           begins(name, "unseal_") || begins(name, "seal_") || begins(name, "sign_") ||
           begins(name, "keep_") || action == IDM_A_put_former_aside;
}

#endif
