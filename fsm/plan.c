/* SPDX-License-Identifier: BSD-2-Clause */
#include "fsm/fsm.h"

#define NOTHING false, false
#define CERT    true, false
#define ROOM    false, true
#define BOTH    true, true

#define PLAN(name, needs, ...) PLAN_EXPANDED(name, needs, __VA_ARGS__)
#define PLAN_EXPANDED(plan_name, certificate, room, opens, forgives, sentence, ...)                \
    [IDM_P_##plan_name] = {.name = #plan_name,                                                     \
                           .issues_certificate = (certificate),                                    \
                           .needs_room = (room),                                                   \
                           .intent = IDM_INTENT_##opens,                                           \
                           .tolerates = IDM_R_##forgives,                                          \
                           .steps = {__VA_ARGS__}},
#define A(action) IDM_A_##action,

static const struct idm_plan_info plans[IDM_PLAN_COUNT] = {
#include "fsm/plans.def"
};

const struct idm_plan_info *idm_plan_info(enum idm_plan plan)
{
    return &plans[plan];
}
